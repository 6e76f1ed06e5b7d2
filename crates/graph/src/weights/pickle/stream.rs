//! The bytes of a pickle, taken in order.

use tintype_core::Result;

use super::invalid;

/// What is left to read.
pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| invalid("ends in the middle"))?;
        self.position += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Text up to the end of the line, without it.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'\n').ok_or_else(|| invalid("ends in the middle"))?;
        self.position += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| invalid("has a line that is not text"))
    }

    pub(super) fn number_line(&mut self) -> Result<u64> {
        self.line()?.parse().map_err(|_| invalid("has a number that is none"))
    }
}
