//! Pure: traits of a base image and a node plan become an ordered list of edits.
