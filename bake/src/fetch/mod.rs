//! Downloads and their cache: nothing leaves this room before its digest was compared.

mod verified;
pub use verified::Verified;
