//! A stack that a control transfer pushes to, or pops from, before it is known to succeed: registers change only at the end.

use x86::{Exception, Width, seg};

use crate::exec::Exec;
use crate::segments::segment_allows;
use crate::state::{Segment, State};
use crate::tlb::View;

/// A stack pointer with its segment, as seen at some privilege level.
#[derive(Clone, Copy)]
pub(crate) struct Stack {
    pub(crate) segment: Segment,
    /// The stack pointer, in full.
    pub(crate) pointer: u64,
    /// Bits of `pointer` that move.
    width: Width,
    view: View,
    /// Error code of the #SS where the stack is exhausted.
    error: u16,
}

const RSP: usize = 4;

impl Stack {
    /// The stack of `state` as it is.
    pub(crate) fn current(state: &State, error: u16) -> Stack {
        Stack::seen_from(state, state.code64(), error)
    }

    /// The stack of `state` as 64-bit code (`long`), or other code, addresses it.
    pub(crate) fn seen_from(state: &State, long: bool, error: u16) -> Stack {
        let segment = state.segs[usize::from(seg::SS)];
        let width = if long {
            Width::W64
        } else if segment.access.big() {
            Width::W32
        } else {
            Width::W16
        };
        Stack { segment, pointer: state.regs.get(RSP), width, view: state.view_at(state.cpl), error }
    }

    /// Another stack, for privilege level `cpl`.
    pub(crate) fn other(state: &State, segment: Segment, pointer: u64, cpl: u8, error: u16) -> Stack {
        let width = if segment.access.big() { Width::W32 } else { Width::W16 };
        Stack { segment, pointer, width, view: state.view_at(cpl), error }
    }

    /// A stack of 64-bit mode, for privilege level `cpl`.
    pub(crate) fn long(state: &State, segment: Segment, pointer: u64, cpl: u8) -> Stack {
        Stack { segment, pointer, width: Width::W64, view: state.view_at(cpl), error: 0 }
    }

    /// `pointer` moved by `bytes`.
    pub(crate) fn moved(&self, bytes: u64) -> u64 {
        self.with_pointer(self.pointer.wrapping_add(bytes))
    }

    /// Sets the pointer.
    pub(crate) fn replace(&mut self, pointer: u64) {
        self.pointer = self.with_pointer(pointer);
    }

    /// On a 16-bit stack only SP is ever written; a write of ESP clears the upper half of RSP.
    fn with_pointer(&self, pointer: u64) -> u64 {
        let kept = if self.width == Width::W16 { self.pointer & 0xffff_0000 } else { 0 };
        kept | self.width.truncate(pointer)
    }

    /// Linear address of the `bytes` at the stack pointer moved by `displacement`.
    fn linear(&self, displacement: u64, bytes: u64, write: bool) -> Result<u64, Exception> {
        let offset = self.width.truncate(self.pointer.wrapping_add(displacement));
        if self.width == Width::W64 {
            return Ok(offset);
        }
        if !segment_allows(&self.segment, offset, bytes, write, true) {
            return Err(Exception::StackFault(self.error));
        }
        Ok(Width::W32.truncate(self.segment.base.wrapping_add(offset)))
    }
}

impl Exec<'_> {
    /// Pushes `value`.
    pub(crate) fn push_on(&mut self, stack: &mut Stack, w: Width, value: u64) -> Result<(), Exception> {
        let down = w.bytes().wrapping_neg();
        let linear = stack.linear(down, w.bytes(), true)?;
        self.check_stack_alignment(stack, w, linear)?;
        self.as_view(stack.view, |exec| exec.store_linear(w, linear, seg::SS, w.truncate(value)))?;
        stack.pointer = stack.moved(down);
        Ok(())
    }

    /// #AC where alignment is checked and the stack is a program's.
    fn check_stack_alignment(&self, stack: &Stack, w: Width, linear: u64) -> Result<(), Exception> {
        let checked = self.cpu.mode.aligned && stack.view == View::User;
        if checked { self.check_alignment(linear, w.bytes(), seg::SS) } else { Ok(()) }
    }

    /// Pops a value.
    pub(crate) fn pop_from(&mut self, stack: &mut Stack, w: Width) -> Result<u64, Exception> {
        let value = self.peek_stack(stack, w, 0)?;
        stack.pointer = stack.moved(w.bytes());
        Ok(value)
    }

    /// Pops an offset and the selector above it, which is read first.
    pub(crate) fn pop_far_pointer(&mut self, stack: &mut Stack, w: Width) -> Result<(u64, u16), Exception> {
        let selector = self.peek_stack(stack, Width::W16, w.bytes())? as u16;
        let offset = self.pop_from(stack, w)?;
        stack.pointer = stack.moved(w.bytes());
        Ok((offset, selector))
    }

    /// Reads `displacement` bytes above the stack pointer.
    pub(crate) fn peek_stack(&mut self, stack: &Stack, w: Width, displacement: u64) -> Result<u64, Exception> {
        let linear = stack.linear(displacement, w.bytes(), false)?;
        self.check_stack_alignment(stack, w, linear)?;
        self.as_view(stack.view, |exec| exec.load_linear(w, linear, seg::SS))
    }

    /// Makes `stack` the processor's: its pointer, and its segment register.
    pub(crate) fn commit_stack(&mut self, stack: &Stack) {
        self.cpu.state.segs[usize::from(seg::SS)] = stack.segment;
        self.commit_stack_pointer(stack);
    }

    /// Takes over the pointer alone.
    pub(crate) fn commit_stack_pointer(&mut self, stack: &Stack) {
        self.cpu.state.regs.set(RSP, stack.pointer);
    }
}
