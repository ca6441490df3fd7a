//! Container images as Kubernetes names them: what a name means ([`Reference`]), where a manifest
//! says it ([`manifest`]), and what an archive of images holds ([`archive`]).

pub mod archive;
pub mod manifest;
mod reference;

pub use reference::Reference;

#[cfg(test)]
mod tests;
