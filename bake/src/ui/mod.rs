//! The only code that prints: terminal, plain text, JSON lines.
