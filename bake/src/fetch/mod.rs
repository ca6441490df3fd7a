//! Downloads: resume, retry, verify, cache, and decompression to a base image.
