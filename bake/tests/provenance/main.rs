//! What outputs say about themselves to machines.

mod attestation;
mod sbom;
