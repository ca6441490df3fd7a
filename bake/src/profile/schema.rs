//! The JSON Schema of profiles, for editors and for our own structural checks.

use std::sync::OnceLock;

use serde_json::Value;

use super::raw;

/// JSON Schema (draft 2020-12) of a profile.
#[must_use]
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| schemars::schema_for!(raw::Profile).to_value())
}
