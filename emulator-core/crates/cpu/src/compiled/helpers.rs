//! What compiled code calls: wide divisions, and instructions that are not compiled.
//!
//! Statuses: [`DONE`], [`FAULT`] (nothing is done; the context has the exception), [`LEAVE`] (done, but code, lines or mappings may have
//! changed: leave after the instruction at work).

use x86::Op;

use super::Context;
use crate::exec::Exec;

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
}

impl Helpers {
    pub(super) fn addresses() -> Helpers {
        Helpers {
            divide_wide: divide_wide as *const () as usize,
            interpret: interpret as *const () as usize,
            transfer: transfer as *const () as usize,
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
    let generation = exec.cpu.blocks.generation();
    let mode = exec.cpu.mode_bits;
    // SAFETY: compiled code owns its operations for as long as it may run.
    let op = unsafe { &*op };
    let next = exec.cpu.mode.code.truncate(exec.address_of(op).wrapping_add(u64::from(op.len)));
    exec.cpu.state.rip = next;
    if let Err(exception) = exec.cold(op) {
        exec.cpu.context.fault = Some(exception);
        return FAULT;
    }
    let elsewhere = !transfers && (exec.cpu.mode_bits != mode || exec.cpu.state.rip != next);
    let changed = exec.cpu.blocks.generation() != generation || elsewhere;
    if changed || exec.cpu.leave || exec.cpu.attention {
        return LEAVE;
    }
    exec.cpu.refresh_context();
    DONE
}

unsafe extern "C" fn divide_wide(context: *mut Context, high: u64, low: u64, divisor: u64, signed: u32) -> u32 {
    let quotient_and_remainder = if signed != 0 {
        let dividend = (i128::from(high as i64)) << 64 | i128::from(low);
        let divisor = i128::from(divisor as i64);
        let quotient = dividend.checked_div(divisor).and_then(|quotient| i64::try_from(quotient).ok());
        quotient.map(|quotient| [quotient as u64, (dividend % divisor) as u64])
    } else {
        let dividend = u128::from(high) << 64 | u128::from(low);
        let divisor = u128::from(divisor);
        let quotient = dividend.checked_div(divisor).and_then(|quotient| u64::try_from(quotient).ok());
        quotient.map(|quotient| [quotient, (dividend % divisor) as u64])
    };
    let Some(answers) = quotient_and_remainder else { return FAULT };
    // SAFETY: called by compiled code with its context, to which no reference is alive meanwhile.
    unsafe { (*context).answers = answers };
    DONE
}

unsafe extern "C" fn interpret(context: *mut Context, op: *const Op, left: i64) -> u32 {
    // SAFETY: called by compiled code with its context and an operation.
    unsafe { run(context, op, left, false) }
}

unsafe extern "C" fn transfer(context: *mut Context, op: *const Op, left: i64) -> u32 {
    // SAFETY: called by compiled code with its context and an operation.
    unsafe { run(context, op, left, true) }
}
