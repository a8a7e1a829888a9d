//! 128-bit and 256-bit accesses.

use x86::{Exception, Width};

use crate::exec::Exec;
use crate::tlb::Use;

impl Exec<'_> {
    /// Reads 16 bytes at `segment`'s `linear` address; `aligned` where the instruction demands it.
    ///
    /// # Errors
    /// #GP(0) where it is not aligned; as a smaller load does otherwise.
    pub(crate) fn load128(&mut self, linear: u64, segment: u8, aligned: bool) -> Result<u128, Exception> {
        if aligned && linear & 15 != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        if let Some(host) = self.cpu.tlb.lookup(Use::Read, linear, 16) {
            // SAFETY: the TLB vouches for 16 bytes of guest memory in one page; see `read_target`.
            return Ok(unsafe { (host as *const u128).read_unaligned() });
        }
        self.check_range(Use::Read, linear, 16, segment)?;
        let low = self.load_linear(Width::W64, linear, segment)?;
        let high = self.load_linear(Width::W64, self.wrap(linear.wrapping_add(8)), segment)?;
        Ok(u128::from(high) << 64 | u128::from(low))
    }

    /// Writes 16 bytes; see [`Exec::load128`].
    ///
    /// # Errors
    /// As there; nothing is written then.
    pub(crate) fn store128(&mut self, linear: u64, segment: u8, aligned: bool, value: u128) -> Result<(), Exception> {
        if aligned && linear & 15 != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        if let Some(host) = self.cpu.tlb.lookup(Use::Write, linear, 16) {
            // SAFETY: as in `load128`, and a write entry is for RAM.
            unsafe { (host as *mut u128).write_unaligned(value) };
            return Ok(());
        }
        self.check_range(Use::Write, linear, 16, segment)?;
        self.store_linear(Width::W64, linear, segment, value as u64)?;
        self.store_linear(Width::W64, self.wrap(linear.wrapping_add(8)), segment, (value >> 64) as u64)
    }

    /// Reads 32 bytes; see [`Exec::load128`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn load256(&mut self, linear: u64, segment: u8, aligned: bool) -> Result<[u128; 2], Exception> {
        self.check_256(Use::Read, linear, segment, aligned)?;
        let low = self.load128(linear, segment, false)?;
        let high = self.load128(self.wrap(linear.wrapping_add(16)), segment, false)?;
        Ok([low, high])
    }

    /// Writes 32 bytes; see [`Exec::load128`].
    ///
    /// # Errors
    /// As there; nothing is written then.
    pub(crate) fn store256(
        &mut self,
        linear: u64,
        segment: u8,
        aligned: bool,
        [low, high]: [u128; 2],
    ) -> Result<(), Exception> {
        self.check_256(Use::Write, linear, segment, aligned)?;
        self.store128(linear, segment, false, low)?;
        self.store128(self.wrap(linear.wrapping_add(16)), segment, false, high)
    }

    fn check_256(&mut self, usage: Use, linear: u64, segment: u8, aligned: bool) -> Result<(), Exception> {
        if aligned && linear & 31 != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        match self.cpu.tlb.lookup(usage, linear, 32) {
            Some(_) => Ok(()),
            None => self.check_range(usage, linear, 32, segment),
        }
    }
}
