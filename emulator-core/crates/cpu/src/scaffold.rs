//! Placeholders while the parts are written side by side: each goes when its owner's file lands.

use platform::PhysAddr;
use x86::instructions::system::Sys;
use x86::{Exception, Op, Width};

use crate::Cpu;
use crate::exec::Exec;
use crate::state::{Mode, State};

/// A page code is fetched from.
pub(crate) struct CodePage {
    /// Physical address of the page.
    pub(crate) phys: PhysAddr,
    /// Host address of the page; null where it is not memory (code in MMIO space is fetched through the bus).
    pub(crate) host: *const u8,
}

impl Exec<'_> {
    pub(crate) fn load_slow(&mut self, _w: Width, _linear: u64, _segment: u8) -> Result<u64, Exception> {
        Err(Exception::InvalidOpcode)
    }
    pub(crate) fn store_slow(&mut self, _w: Width, _linear: u64, _segment: u8, _value: u64) -> Result<(), Exception> {
        Err(Exception::InvalidOpcode)
    }
    pub(crate) fn prepare_write_slow(&mut self, _w: Width, _linear: u64, _segment: u8) -> Result<(), Exception> {
        Err(Exception::InvalidOpcode)
    }
    pub(crate) fn fetch_page(&mut self, _linear: u64) -> Result<CodePage, Exception> {
        Err(Exception::InvalidOpcode)
    }
    /// Fetches `into.len()` bytes that lie in one page.
    pub(crate) fn fetch_bytes(&mut self, _linear: u64, _into: &mut [u8]) -> Result<(), Exception> {
        Err(Exception::InvalidOpcode)
    }
    pub(crate) fn check_segment(&mut self, _seg: u8, _off: u64, _bytes: u64, _write: bool) -> Result<(), Exception> {
        Ok(())
    }
    pub(crate) fn deliver_nmi(&mut self) {}
    pub(crate) fn deliver_interrupt(&mut self, _vector: u8) {}
    pub(crate) fn deliver_exception(&mut self, _exception: Exception) {
        self.cpu.shut_down = true;
    }
    /// #DB before the instruction at `rip` where DR7 asks for it.
    pub(crate) fn instruction_breakpoint(&mut self, _rip: u64) -> Result<(), Exception> {
        Ok(())
    }
    /// After an instruction in `Mode::single`: #DB for single step (TF was set before it) and data breakpoints; clears RF.
    pub(crate) fn after_instruction(&mut self, _stepping: bool) -> Result<(), Exception> {
        Ok(())
    }
    pub(crate) fn system_instruction(&mut self, _op: &Op, _sys: Sys) -> Result<(), Exception> {
        Err(Exception::InvalidOpcode)
    }
}

impl x86::instructions::simd::VectorEngine for Exec<'_> {
    type X = u128;
}

impl State {
    pub(crate) fn at_reset() -> State {
        unimplemented!()
    }
    /// A restored state the rest of this crate can work with (no index out of range, no impossible mode).
    pub(crate) fn is_consistent(&self) -> bool {
        true
    }
}

impl Mode {
    pub(crate) fn of(_state: &State) -> Mode {
        unimplemented!()
    }
    /// Packed into 16 bits.
    pub(crate) fn bits(self) -> u16 {
        0
    }
}

impl Cpu {
    /// Derives `mode`, `mode_bits` and the TLB's view from `state`; `Mode::single` is also set while exec is traced.
    pub fn state_changed(&mut self) {}
}
