//! From encoded bytes to pixels.

/// What decoding one image may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Encoded bytes.
    pub max_bytes: usize,
    /// Width times height, read from the header before decoding.
    pub max_pixels: u64,
    /// Bytes that decoding may allocate.
    pub max_memory: usize,
}

impl Default for Limits {
    /// 64 MiB encoded, 100 megapixels, 1 GiB while decoding.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 100_000_000, max_memory: 1 << 30 }
    }
}
