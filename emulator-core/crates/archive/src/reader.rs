//! An archive's blocks (POSIX.1-2024, pax, "ustar Interchange Format"): headers, each with the data behind it.

use std::io::{ErrorKind, Read};

use tar::Header;

use crate::error::{Result, damaged};

/// Archives consist of blocks of this length, in bytes.
pub const BLOCK_BYTES: usize = 512;

/// A block as it is.
pub type Block = [u8; BLOCK_BYTES];

/// Where the checksum stands in a header; it is computed as if there were spaces.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Reads an archive from its beginning to its end. What it gives to read is the data of the member at hand.
pub struct Reader<R> {
    input: R,
    /// Bytes of the member's data that have not been read.
    left: u64,
    /// Bytes behind the data, up to the next header.
    padding: u64,
}

impl<R: Read> Reader<R> {
    /// The archive that comes from `input`.
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next header, whatever is left of the data before; none at the end.
    pub fn next(&mut self) -> Result<Option<Header>> {
        let rest = self.left + self.padding;
        let skipped = std::io::copy(&mut self.input.by_ref().take(rest), &mut std::io::sink()).map_err(damaged)?;
        if skipped < rest {
            return Err(damaged("it is cut off"));
        }
        (self.left, self.padding) = (0, 0);
        let Some(block) = self.read_block()? else { return Ok(None) };
        // A block of zeros is the end.
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let field: u32 = block[CHECKSUM].iter().map(|byte| u32::from(*byte)).sum();
        if header.cksum().map_err(damaged)? != sum - field + CHECKSUM.len() as u32 * u32::from(b' ') {
            return Err(damaged("a header's checksum is wrong"));
        }
        self.left = header.entry_size().map_err(damaged)?;
        self.padding = self.left.wrapping_neg() % BLOCK_BYTES as u64;
        if self.left.checked_add(self.padding).is_none() {
            return Err(damaged("a member ends nowhere"));
        }
        Ok(Some(header))
    }

    /// A block that continues the header: it is not counted as data.
    pub fn continuation(&mut self) -> Result<Block> {
        self.read_block()?.ok_or_else(|| damaged("it is cut off"))
    }

    /// Bytes of the member's data that have not been read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// What comes behind the archive's end.
    pub fn into_rest(self) -> R {
        self.input
    }

    fn read_block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK_BYTES];
        let mut length = 0;
        while length < BLOCK_BYTES {
            match self.input.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(damaged("it is cut off")),
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        Ok(Some(block))
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.by_ref().take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}
