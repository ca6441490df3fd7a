//! Buffers that the kernel can hand to a device as they are (open(2), `O_DIRECT`).

/// Alignment in memory and on the device: that of every disk and card there is.
pub const ALIGN: usize = 4096;

/// Bytes at an address that is a multiple of [`ALIGN`].
pub struct Buffer {
    bytes: Vec<u8>,
    skip: usize,
    len: usize,
}

impl std::fmt::Debug for Buffer {
    // Content may be a secret: only its size is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

impl Buffer {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + ALIGN];
        // The vector is never resized, so its bytes stay where they are.
        let skip = bytes.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self { bytes, skip, len }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.skip..self.skip + self.len]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.skip..self.skip + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_wherever_it_moves() {
        for len in [0, 1, 4096, 1 << 20] {
            let moved = Box::new(Buffer::zeroed(len));
            assert_eq!((moved.as_ptr() as usize % ALIGN, moved.len()), (0, len));
        }
    }
}
