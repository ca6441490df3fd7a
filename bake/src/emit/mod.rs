//! Outputs: sparse and reflinked raw files, compressed images, block maps; whole or not at all.
