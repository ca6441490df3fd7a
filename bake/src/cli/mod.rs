//! The command line: one file a verb, each with its arguments and one `run`.
