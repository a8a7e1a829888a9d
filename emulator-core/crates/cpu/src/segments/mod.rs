//! Segment registers: loading them, and checking accesses through them (Intel SDM vol. 3, chapters 3 and 5).

pub(crate) mod descriptor;

use x86::{Exception, Width, seg};

use crate::exec::Exec;
use crate::state::control::CR4_VME;
use crate::state::{Access, Segment, State};
use descriptor::Descriptor;

/// Bits of a selector that are an error code: all but the RPL.
pub(crate) const fn selector_error(selector: u16) -> u16 {
    selector & !3
}

pub(crate) const fn rpl(selector: u16) -> u8 {
    selector as u8 & 3
}

pub(crate) const fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}

const ACCESSED: u64 = 1;

impl State {
    /// Sets a segment register as real and virtual-8086 mode do: the base is sixteen times the selector.
    pub(crate) fn load_real_segment(&mut self, register: u8, selector: u16) {
        let virtual_8086 = self.virtual_8086();
        let segment = &mut self.segs[usize::from(register)];
        segment.selector = selector;
        segment.base = u64::from(selector) << 4;
        if virtual_8086 {
            *segment = virtual_8086_segment(selector);
        } else {
            // The limit and the D/B bit stay as they were.
            segment.access = Access(segment.access.0 & 0xf000 | 0x93);
        }
    }
}

impl State {
    /// EFLAGS.IOPL.
    pub(crate) fn iopl(&self) -> u8 {
        (self.system_flags >> 12) as u8 & 3
    }

    /// CR4.VME.
    pub(crate) fn virtual_8086_extensions(&self) -> bool {
        self.cr4 & CR4_VME != 0
    }
}

/// A segment register that holds a null selector.
pub(crate) fn unusable_segment(selector: u16) -> Segment {
    Segment { selector, base: 0, limit: 0, access: Access(Access::UNUSABLE) }
}

/// A segment register in virtual-8086 mode (Intel SDM vol. 3, 20.2.1).
pub(crate) fn virtual_8086_segment(selector: u16) -> Segment {
    Segment { selector, base: u64::from(selector) << 4, limit: 0xffff, access: Access(0xf3) }
}

impl Exec<'_> {
    /// `MOV Sreg`, `POP Sreg`, `LDS` and friends: loads ES, SS, DS, FS or GS in whatever mode.
    ///
    /// # Errors
    /// #GP, #NP, #SS as in Intel SDM vol. 2, MOV; or the descriptor cannot be read.
    pub(crate) fn load_segment(&mut self, register: u8, selector: u16) -> Result<(), Exception> {
        if !self.cpu.state.protected() {
            self.cpu.state.load_real_segment(register, selector);
            self.cpu.state_changed();
            return Ok(());
        }
        let segment = if register == seg::SS {
            let cpl = self.cpu.state.cpl;
            self.stack_segment(selector, cpl, Exception::GeneralProtection, 0)?
        } else {
            self.data_segment(selector, Exception::GeneralProtection, 0)?
        };
        // Kernels load what is there already at every turn.
        let before = core::mem::replace(&mut self.cpu.state.segs[usize::from(register)], segment);
        if before != segment {
            self.cpu.state_changed();
        }
        Ok(())
    }

    /// Checks `selector` for a data segment register and gives what it loads; `fault` makes the exception where it is not fit
    /// (#GP, or #TS in a task switch) and `external` is its EXT bit.
    pub(crate) fn data_segment(
        &mut self,
        selector: u16,
        fault: fn(u16) -> Exception,
        external: u16,
    ) -> Result<Segment, Exception> {
        if is_null(selector) {
            return Ok(unusable_segment(selector));
        }
        let error = selector_error(selector) | external;
        let descriptor = self.descriptor(selector, fault, external)?;
        let access = descriptor.access();
        let privileged = rpl(selector).max(self.cpu.state.cpl) > access.dpl();
        if !access.readable() || (privileged && !access.conforming()) {
            return Err(fault(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        self.mark_accessed(selector, descriptor)
    }

    /// Checks `selector` for SS at privilege `cpl`; `fault` makes the exception (#GP, or #TS on a stack switch) and
    /// `external` is its EXT bit.
    pub(crate) fn stack_segment(
        &mut self,
        selector: u16,
        cpl: u8,
        fault: fn(u16) -> Exception,
        external: u16,
    ) -> Result<Segment, Exception> {
        if is_null(selector) {
            if self.cpu.state.code64() && cpl < 3 && rpl(selector) == cpl {
                return Ok(null_stack_segment(cpl));
            }
            return Err(fault(external));
        }
        let error = selector_error(selector) | external;
        let descriptor = self.descriptor(selector, fault, external)?;
        let access = descriptor.access();
        if rpl(selector) != cpl || access.dpl() != cpl || !access.writable() {
            return Err(fault(error));
        }
        if !access.present() {
            return Err(Exception::StackFault(error));
        }
        self.mark_accessed(selector, descriptor)
    }

    /// Reads the descriptor `selector` names.
    ///
    /// # Errors
    /// `fault(selector | external)` where it lies beyond its table, or the LDT is not usable.
    pub(crate) fn descriptor(
        &mut self,
        selector: u16,
        fault: fn(u16) -> Exception,
        external: u16,
    ) -> Result<Descriptor, Exception> {
        let linear = self.descriptor_address(selector, 8).ok_or(fault(selector_error(selector) | external))?;
        self.load_system(Width::W64, linear).map(Descriptor)
    }

    /// Linear address of the descriptor `selector` names, where all its `bytes` lie inside the table.
    pub(crate) fn descriptor_address(&self, selector: u16, bytes: u32) -> Option<u64> {
        let state = &self.cpu.state;
        let offset = u32::from(selector & !7);
        let (base, limit) = if selector & 4 == 0 {
            (state.gdtr.base, u32::from(state.gdtr.limit))
        } else {
            let ldtr = &state.ldtr;
            if is_null(ldtr.selector) || ldtr.access.unusable() {
                return None;
            }
            (ldtr.base, ldtr.limit)
        };
        (offset + bytes - 1 <= limit).then(|| base.wrapping_add(u64::from(offset)))
    }

    /// Sets the accessed bit of a code or data descriptor and gives the segment register it makes.
    pub(crate) fn mark_accessed(&mut self, selector: u16, descriptor: Descriptor) -> Result<Segment, Exception> {
        let marked = Descriptor(descriptor.0 | ACCESSED << 40);
        if marked != descriptor
            && let Some(linear) = self.descriptor_address(selector, 8)
        {
            self.store_system(Width::W8, linear.wrapping_add(5), marked.0 >> 40 & 0xff)?;
        }
        Ok(marked.segment(selector))
    }

    /// Reads a system descriptor with its upper half in IA-32e mode, where it is 16 bytes long: descriptor and bits 63:32 of its
    /// base or offset.
    pub(crate) fn system_descriptor(
        &mut self,
        selector: u16,
        fault: fn(u16) -> Exception,
        external: u16,
    ) -> Result<(Descriptor, u64), Exception> {
        let descriptor = self.descriptor(selector, fault, external)?;
        if !self.cpu.state.long_mode() {
            return Ok((descriptor, 0));
        }
        let error = fault(selector_error(selector) | external);
        let linear = self.descriptor_address(selector, 16).ok_or(error)?;
        let upper = self.load_system(Width::W64, linear.wrapping_add(8))?;
        // The type field of the upper half must be zero.
        if upper >> 40 & 0x1f != 0 {
            return Err(error);
        }
        Ok((descriptor, upper << 32))
    }

    /// Checks an access of `bytes` at `offset` of segment register `register`.
    ///
    /// # Errors
    /// #GP(0), or #SS(0) for the stack segment: unusable, beyond the limit, or not allowed by the segment's type.
    pub(crate) fn check_segment(
        &mut self,
        register: u8,
        offset: u64,
        bytes: u64,
        write: bool,
    ) -> Result<(), Exception> {
        if self.cpu.state.code64() {
            // Canonical addresses are checked with the access itself.
            return Ok(());
        }
        let segment = &self.cpu.state.segs[usize::from(register)];
        if segment_allows(segment, offset, bytes, write, self.cpu.state.protected()) {
            return Ok(());
        }
        Err(if register == seg::SS { Exception::StackFault(0) } else { Exception::GeneralProtection(0) })
    }
}

/// SS holding a null selector in 64-bit mode.
pub(crate) fn null_stack_segment(cpl: u8) -> Segment {
    Segment { selector: u16::from(cpl), base: 0, limit: 0, access: Access(Access::UNUSABLE | u32::from(cpl) << 5) }
}

/// Whether an access lies within the segment and its type allows it. Real mode checks limits only.
pub(crate) fn segment_allows(segment: &Segment, offset: u64, bytes: u64, write: bool, protected: bool) -> bool {
    let access = segment.access;
    if access.unusable() {
        return false;
    }
    if protected && !(if write { access.writable() } else { access.readable() }) {
        return false;
    }
    let last = offset.wrapping_add(bytes - 1);
    let limit = u64::from(segment.limit);
    if access.expand_down() {
        let top = if access.big() { u64::from(u32::MAX) } else { 0xffff };
        return offset > limit && last <= top && offset <= last;
    }
    // Where the limit is the whole address space, offsets wrap.
    last <= limit && offset <= last || limit == u64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
