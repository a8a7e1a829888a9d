//! What compiled code calls: wide divisions, and instructions that are not compiled.
//!
//! Statuses: [`DONE`], [`FAULT`] (nothing is done; the context has the exception), [`LEAVE`] (done, but code, lines or mappings may have
//! changed: leave after the instruction at work).

use x86::instructions::system::Sys;
use x86::{Engine, Op, Sem, Width};

use super::{Context, Entry};
use crate::blocks::Key;
use crate::exec::Exec;
use crate::state::eflags;
use crate::tlb::PAGE_MASK;
use crate::{Cpu, Exit};

const DONE: u32 = 0;
const FAULT: u32 = 1;
const LEAVE: u32 = 2;

/// Addresses of the helpers: in WebAssembly slots of the function table. They return a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Helpers {
    /// `(context, high: u64, low: u64, divisor: u64, signed: u32)`: the answers are quotient and remainder; a fault is #DE.
    pub divide_wide: usize,
    /// `(context, op, left: i64)`: runs one instruction on the state in memory; `left` is what was left of the slice when its block began.
    pub interpret: usize,
    /// The same for one that transfers control: where to is in the state.
    pub transfer: usize,
    /// Arithmetic of the x87, see [`super::x87`]: `(context, a: u64, b: u64, rest: u64) -> u64`, and three of the operations alone.
    pub x87: usize,
    /// See there.
    pub x87_sum: usize,
    /// See there.
    pub x87_product: usize,
    /// See there.
    pub x87_double: usize,
    /// `(context, rip: u64) -> u64`: the slot of the code for that address, of which the jump cache did not know, and above its 32 bits the place in the code; 0 where there is none.
    pub find_code: usize,
    /// `(context)`: EFLAGS.AC has changed at privilege level 0, and with it the TLB's tables.
    pub select_view: usize,
}

impl Helpers {
    pub(super) fn addresses() -> Helpers {
        Helpers {
            divide_wide: divide_wide as *const () as usize,
            interpret: interpret as *const () as usize,
            transfer: transfer as *const () as usize,
            x87: super::x87::x87 as *const () as usize,
            x87_sum: super::x87::sum as *const () as usize,
            x87_product: super::x87::product as *const () as usize,
            x87_double: super::x87::double as *const () as usize,
            find_code: find_code as *const () as usize,
            select_view: select_view as *const () as usize,
        }
    }
}

/// Runs `op` for the processor that compiled code runs for, at the time at which the block began.
///
/// # Safety
/// `context` is what the running compiled code was made with, `op` one of its operations.
unsafe fn run(context: *mut Context, op: *const Op, left: i64, transfers: bool) -> u32 {
    // SAFETY: `run_code` put its own `Exec` there and uses nothing of it until compiled code returns. The context is part of the processor
    // the `Exec` borrows, so it is read through the pointer before the reference is made.
    let exec = unsafe { &mut *(*context).exec.cast::<Exec<'_>>() };
    exec.cpu.retired = exec.cpu.context.limit - left as u64;
    let mode = exec.cpu.mode_bits;
    let was_linear = exec.cpu.mode.code == Width::W64 || exec.cpu.mode.flat;
    let generation = exec.cpu.blocks.generation(mode);
    // SAFETY: compiled code owns its operations for as long as it may run.
    let op = unsafe { &*op };
    let next = exec.cpu.mode.code.truncate(exec.address_of(op).wrapping_add(u64::from(op.len)));
    exec.cpu.state.rip = next;
    if let Err(exception) = exec.cold(op) {
        exec.cpu.context.fault = Some(exception);
        return FAULT;
    }
    exec.cpu.counters.helped += 1;
    let elsewhere =
        if transfers { !exec.finds_by(was_linear) } else { exec.cpu.mode_bits != mode || exec.cpu.state.rip != next };
    let changed = exec.cpu.blocks.generation(mode) != generation || elsewhere;
    let interrupted = exec.cpu.context.waiting != 0 && exec.cpu.state.system_flags & eflags::IF != 0;
    if changed || exec.cpu.leave || exec.cpu.attention || interrupted {
        exec.cpu.context.exit = if changed { Exit::Changed } else { Exit::Event } as u32;
        return LEAVE;
    }
    if !exec.cpu.keeps_context(op) {
        exec.cpu.refresh_context();
    }
    DONE
}

impl Cpu {
    /// Whether what [`Cpu::refresh_context`] tells is as it was behind `op`, which has changed neither mode nor code.
    fn keeps_context(&self, op: &Op) -> bool {
        use Sys::{Cmps, Cmpxchg8b, Cmpxchg16b, LoadSegment, Lods, Movs, PopSegment, Rdmsr, Rdtsc, Rdtscp, Scas, Stos};
        match op.sem {
            Sem::Int(_) => true,
            Sem::Sys(Movs | Stos | Lods | Cmps | Scas | Rdtsc | Rdtscp | Rdmsr | Cmpxchg8b | Cmpxchg16b) => true,
            Sem::Sys(LoadSegment | PopSegment) => !self.context.ends_changed,
            _ => false,
        }
    }
}

impl Exec<'_> {
    /// Whether code finds what comes next in the jump cache: it takes the instruction pointer for the linear address if it is made for a mode where
    /// that is so (`was_linear`), else it adds the base of CS and wraps at 4 GiB.
    fn finds_by(&self, was_linear: bool) -> bool {
        let rip = self.cpu.state.rip;
        if was_linear { self.code_linear(rip) == rip } else { self.cpu.mode.code != Width::W64 }
    }

    /// Has the jump cache know the block at `rip`, as far as that is found without walking paging structures, decoding or faults: a program that has just begun comes by
    /// thousands of blocks that another has had compiled. Gives the code there.
    fn learn_of_code(&mut self, rip: u64) -> Option<Entry> {
        if self.is_beyond_code_segment(rip) {
            return None;
        }
        let linear = self.code_linear(rip);
        let (page, _) = self.cpu.tlb.lookup_code(linear)?;
        let key = Key { phys: page.0 | linear & !PAGE_MASK, mode: self.cpu.mode };
        let block = self.cpu.blocks.find_again(&key)?;
        if self.cpu.blocks.origin(block).second_page.is_some() {
            return None;
        }
        self.remember_jump(linear, block);
        self.cpu.blocks.entry(linear)
    }
}

unsafe extern "C" fn find_code(context: *mut Context, rip: u64) -> u64 {
    // SAFETY: called by compiled code with its context, see `run`.
    let exec = unsafe { &mut *(*context).exec.cast::<Exec<'_>>() };
    exec.learn_of_code(rip).map_or(0, |entry| u64::from(entry.place) << 32 | u64::from(entry.code.0))
}

unsafe extern "C" fn divide_wide(context: *mut Context, high: u64, low: u64, divisor: u64, signed: u32) -> u32 {
    // SAFETY: called by compiled code with its context, see `run`.
    let exec = unsafe { &mut *(*context).exec.cast::<Exec<'_>>() };
    let divided = if signed != 0 {
        exec.divide_signed(Width::W64, high, low, divisor)
    } else {
        exec.divide_unsigned(Width::W64, high, low, divisor)
    };
    let Ok((quotient, remainder)) = divided else { return FAULT };
    exec.cpu.context.answers = [quotient, remainder];
    DONE
}

unsafe extern "C" fn select_view(context: *mut Context) {
    // SAFETY: called by compiled code with its context, see `run`.
    let exec = unsafe { &mut *(*context).exec.cast::<Exec<'_>>() };
    let view = exec.cpu.state.view_at(exec.cpu.state.cpl);
    exec.cpu.tlb.select(view);
    exec.cpu.context.tlb = exec.cpu.tlb.selected_address();
}

unsafe extern "C" fn interpret(context: *mut Context, op: *const Op, left: i64) -> u32 {
    // SAFETY: called by compiled code with its context and an operation.
    unsafe { run(context, op, left, false) }
}

unsafe extern "C" fn transfer(context: *mut Context, op: *const Op, left: i64) -> u32 {
    // SAFETY: called by compiled code with its context and an operation.
    unsafe { run(context, op, left, true) }
}
