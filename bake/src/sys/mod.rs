//! The only room that may contain `unsafe`: ioctls, reflinks, sparse files.
