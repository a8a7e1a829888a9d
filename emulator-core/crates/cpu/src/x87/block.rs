//! Blocks of memory larger than a register: ten-byte numbers, environments, FXSAVE areas.

use x86::{Engine, Exception, Op, Width};

use crate::exec::Exec;

impl Exec<'_> {
    /// Reads the memory operand, `bytes.len()` long and at most a page.
    pub(super) fn read_block(&mut self, op: &Op, bytes: &mut [u8]) -> Result<(), Exception> {
        let mut displacement = 0;
        for piece in bytes.chunks_mut(8) {
            let (mut value, mut at) = ([0; 8], 0);
            for w in widths_of(piece.len()) {
                let part = self.load_at(w, op, displacement + at as u64)?;
                let length = w.bytes() as usize;
                value[at..at + length].copy_from_slice(&part.to_le_bytes()[..length]);
                at += length;
            }
            piece.copy_from_slice(&value[..piece.len()]);
            displacement += piece.len() as u64;
        }
        Ok(())
    }

    /// Writes the memory operand, all of it or nothing. It spans at most two pages, so that its ends tell whether it may
    /// be written.
    pub(super) fn write_block(&mut self, op: &Op, bytes: &[u8]) -> Result<(), Exception> {
        self.load_rw_at(Width::W8, op, 0)?;
        self.load_rw_at(Width::W8, op, bytes.len() as u64 - 1)?;
        let mut displacement = 0;
        for piece in bytes.chunks(8) {
            let mut at = 0;
            for w in widths_of(piece.len()) {
                let length = w.bytes() as usize;
                let mut value = [0; 8];
                value[..length].copy_from_slice(&piece[at..at + length]);
                let (_, place) = self.load_rw_at(w, op, displacement + at as u64)?;
                self.store_rw(w, place, u64::from_le_bytes(value));
                at += length;
            }
            displacement += piece.len() as u64;
        }
        Ok(())
    }
}

/// Power-of-two accesses that make up `length` bytes (1 to 8), widest first.
fn widths_of(length: usize) -> impl Iterator<Item = Width> {
    [Width::W64, Width::W32, Width::W16, Width::W8].into_iter().filter(move |w| length & w.bytes() as usize != 0)
}
