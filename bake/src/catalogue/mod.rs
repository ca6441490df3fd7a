//! The base images we know, from `images/*.yaml`.
