//! Stream adapters: decompress, hash, limit, page cache, fault injection.
