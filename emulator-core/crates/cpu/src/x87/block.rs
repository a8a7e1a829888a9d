//! Blocks of memory larger than a register: environments, FXSAVE areas.

use x86::{Exception, Op, Width};

use crate::exec::Exec;
use crate::tlb::Use;

impl Exec<'_> {
    /// Reads the memory operand, `bytes.len()` long and at most a page.
    pub(super) fn read_block(&mut self, op: &Op, bytes: &mut [u8]) -> Result<(), Exception> {
        let start = self.check_block(op, Use::Read, bytes.len())?;
        for (w, at) in pieces(bytes.len()) {
            let value = self.load_linear(w, self.block_linear(start, at), op.fault_segment())?;
            let length = w.bytes() as usize;
            bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
        }
        Ok(())
    }

    /// Writes the memory operand, all of it or nothing. It spans at most two pages.
    pub(super) fn write_block(&mut self, op: &Op, bytes: &[u8]) -> Result<(), Exception> {
        let start = self.check_block(op, Use::Write, bytes.len())?;
        self.write_part(op, start, 0, bytes)
    }

    /// Writes a part, `from` bytes into it, of a block at `start` that can be written.
    pub(super) fn write_part(&mut self, op: &Op, start: u64, from: usize, bytes: &[u8]) -> Result<(), Exception> {
        for (w, at) in pieces(bytes.len()) {
            let length = w.bytes() as usize;
            let mut value = [0; 8];
            value[..length].copy_from_slice(&bytes[at..at + length]);
            self.store_linear(w, self.block_linear(start, from + at), op.fault_segment(), u64::from_le_bytes(value))?;
        }
        Ok(())
    }

    /// Where a block of `length` bytes begins, which can then be accessed: its first element is looked at first, then its last byte.
    ///
    /// # Errors
    /// As a smaller access does; #AC where alignment is checked (Intel SDM vol. 3, table 6-7).
    fn check_block(&mut self, op: &Op, usage: Use, length: usize) -> Result<u64, Exception> {
        let start = self.linear(op, length as u64, usage == Use::Write)?;
        let element = if matches!(length, 14 | 94) { 2 } else { 4 };
        self.check_alignment(start, element, op.fault_segment())?;
        self.check_range(usage, start, element, op.fault_segment())?;
        self.check_range(usage, self.block_linear(start, length - 1), 1, op.fault_segment())?;
        Ok(start)
    }

    /// Linear address `at` bytes into a block; outside 64-bit mode it wraps at 4 GiB.
    fn block_linear(&self, start: u64, at: usize) -> u64 {
        let linear = start.wrapping_add(at as u64);
        if self.cpu.mode.code == Width::W64 { linear } else { Width::W32.truncate(linear) }
    }
}

/// The accesses that make up a block of `length` bytes and where each begins: quadwords, then what is left, widest first.
fn pieces(length: usize) -> impl Iterator<Item = (Width, usize)> {
    let whole = length & !7;
    let rest = [Width::W32, Width::W16, Width::W8].into_iter().filter_map(move |w| {
        let bytes = w.bytes() as usize;
        (length & bytes != 0).then_some((w, length & !(2 * bytes - 1)))
    });
    (0..whole).step_by(8).map(|at| (Width::W64, at)).chain(rest)
}
