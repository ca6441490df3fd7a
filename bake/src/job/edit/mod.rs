//! `bake edit`: a script of operations on the files of an image, all or nothing.

pub mod script;
