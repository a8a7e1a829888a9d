//! Debug registers at work: breakpoints on instructions, data and ports, and single step (Intel SDM vol. 3, chapter 17).

use x86::{Exception, Width};

use crate::exec::Exec;
use crate::mode::DR7_ENABLES;
use crate::state::control::CR4_DE;
use crate::state::eflags;

/// DR7.GD: the next access to a debug register faults.
pub(super) const DR7_GENERAL_DETECT: u64 = 1 << 13;
/// DR6.BD: such an access.
const DR6_ACCESS: u64 = 1 << 13;
/// DR6.BS: single step.
pub(crate) const DR6_STEP: u64 = 1 << 14;
/// DR6.BT: a task switch into a task with the T bit set.
pub(crate) const DR6_TASK: u64 = 1 << 15;

/// R/W field of a breakpoint in DR7.
const ON_EXECUTE: u64 = 0;
const ON_WRITE: u64 = 1;
const ON_IO: u64 = 2;
const ON_ACCESS: u64 = 3;

/// A port access, for I/O breakpoints.
pub(crate) struct IoAccess {
    pub(crate) port: u16,
    pub(crate) bytes: u64,
}

/// One enabled breakpoint of DR0 to DR3.
struct Breakpoint {
    number: u64,
    address: u64,
    on: u64,
    bytes: u64,
}

impl Exec<'_> {
    fn breakpoints(&self) -> impl Iterator<Item = Breakpoint> + use<> {
        let dr = self.cpu.state.dr;
        (0..4u64).filter(move |n| dr[7] >> (2 * n) & 3 != 0).map(move |number| {
            let field = dr[7] >> (16 + 4 * number) & 15;
            let bytes = [1, 2, 8, 4][(field >> 2) as usize];
            Breakpoint { number, address: dr[number as usize] & !(bytes - 1), on: field & 3, bytes }
        })
    }

    /// #DB before the instruction at `rip` where DR7 asks for it.
    ///
    /// # Errors
    /// #DB.
    pub(crate) fn instruction_breakpoint(&mut self, rip: u64) -> Result<(), Exception> {
        if self.cpu.state.dr[7] & DR7_ENABLES == 0 || self.cpu.state.system_flags & eflags::RF != 0 {
            return Ok(());
        }
        let linear = self.code_linear(rip);
        let hits = self.breakpoints().filter(|b| b.on == ON_EXECUTE && b.address == linear);
        let causes = hits.fold(0, |causes, b| causes | 1 << b.number);
        if causes == 0 {
            return Ok(());
        }
        Err(self.debug_exception(causes))
    }

    /// The trap that follows the last instruction, for single step, data and I/O breakpoints and a task's T flag.
    pub(crate) fn pending_trap(&mut self) -> Option<Exception> {
        let causes = core::mem::take(&mut self.cpu.state.pending_debug);
        (causes != 0).then(|| self.debug_exception(causes))
    }

    /// Has a trap for `causes` follow the instruction at work.
    pub(crate) fn trap_after(&mut self, causes: u64) {
        self.cpu.state.pending_debug |= causes;
        self.cpu.attention = true;
    }

    /// Records a data access, where a breakpoint watches it. The TLB holds no entries for watched pages, so every access
    /// to one comes here.
    pub(crate) fn watch(&mut self, linear: u64, bytes: u64, write: bool) {
        if self.cpu.state.dr[7] & DR7_ENABLES == 0 {
            return;
        }
        let wanted = |b: &Breakpoint| b.on == ON_ACCESS || (b.on == ON_WRITE && write);
        let hits = self.breakpoints().filter(|b| wanted(b) && overlap(b, linear, bytes));
        let causes = hits.fold(0, |causes, b| causes | 1 << b.number);
        self.trap_after(causes);
    }

    /// Whether a data breakpoint lies in the page of `linear`.
    pub(crate) fn watched_page(&self, linear: u64) -> bool {
        self.cpu.state.dr[7] & DR7_ENABLES != 0
            && self.breakpoints().any(|b| matches!(b.on, ON_WRITE | ON_ACCESS) && b.address >> 12 == linear >> 12)
    }

    /// Records a port access, where a breakpoint watches it.
    pub(crate) fn watch_port(&mut self, access: &IoAccess) {
        if self.cpu.state.dr[7] & DR7_ENABLES == 0 || self.cpu.state.cr4 & CR4_DE == 0 {
            return;
        }
        let hits = self.breakpoints().filter(|b| b.on == ON_IO && overlap(b, u64::from(access.port), access.bytes));
        let causes = hits.fold(0, |causes, b| causes | 1 << b.number);
        self.trap_after(causes);
    }

    /// `MOV` from or to a debug register.
    ///
    /// # Errors
    /// #DB where DR7.GD guards the registers; #UD for DR4 and DR5 with CR4.DE; #GP(0) outside privilege level 0 or for
    /// an upper half that is not zero.
    pub(crate) fn read_debug(&mut self, number: u8) -> Result<u64, Exception> {
        let number = self.debug_register(number)?;
        Ok(self.cpu.state.dr[number])
    }

    /// See [`Exec::read_debug`].
    pub(crate) fn write_debug(&mut self, number: u8, value: u64) -> Result<(), Exception> {
        let number = self.debug_register(number)?;
        if number >= 6 && value >> 32 != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.dr[number] = match number {
            6 => value & 0xe00f | 0xffff_0ff0,
            7 => value & 0xffff_2bff | 0x400,
            _ => value,
        };
        // Watched pages have no TLB entries.
        self.flush_translations(false);
        self.cpu.state_changed();
        Ok(())
    }

    fn debug_register(&mut self, number: u8) -> Result<usize, Exception> {
        let state = &self.cpu.state;
        if number > 7 || (matches!(number, 4 | 5) && state.cr4 & CR4_DE != 0) {
            return Err(Exception::InvalidOpcode);
        }
        if state.cpl != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        if state.dr[7] & DR7_GENERAL_DETECT != 0 {
            return Err(self.debug_exception(DR6_ACCESS));
        }
        Ok(usize::from(if matches!(number, 4 | 5) { number + 2 } else { number }))
    }

    /// #DB with its causes recorded in DR6.
    pub(crate) fn debug_exception(&mut self, causes: u64) -> Exception {
        self.cpu.state.dr[6] |= causes;
        Exception::Debug
    }
}

fn overlap(breakpoint: &Breakpoint, address: u64, bytes: u64) -> bool {
    address < breakpoint.address.saturating_add(breakpoint.bytes) && breakpoint.address < address.saturating_add(bytes)
}

/// Widths of port accesses.
pub(crate) const fn io_access(port: u16, w: Width) -> IoAccess {
    IoAccess { port, bytes: w.bytes() }
}
