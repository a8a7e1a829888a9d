//! String instructions (Intel SDM vol. 1, 7.3.9).
//!
//! A repeated instruction does at most about a page of work and then, if it is not finished, stays at its own
//! address with the registers telling how far it came: interrupts and budgets are looked at in between.

use x86::instructions::system::Sys;
use x86::{Exception, Op, Rep, SEG_NONE, Width, flags, seg};

use super::{RAX, RCX, RDI, RSI};
use crate::exec::Exec;
use crate::mmu::Target;
use crate::state::eflags;
use crate::tlb::{PAGE_BYTES, Use};

/// Elements done one by one before interrupts are looked at again.
const MOST_ELEMENTS: u64 = 1024;
/// So few are done in one step wherever they lie: compiled code does them in place.
pub const FEW_ELEMENTS: u64 = 16;
/// Bytes that are moved in a run before the board has its turn.
const MUCH_BYTES: u64 = 1 << 18;
/// Bytes that are moved at once in the time of an instruction.
pub(crate) const WORK_BYTES: u64 = 64;

/// A string instruction at work.
#[derive(Clone, Copy)]
struct Job {
    sys: Sys,
    /// Width of an element.
    w: Width,
    /// Address size.
    a: Width,
    /// Segment of the source.
    source: u8,
    /// Segment of the destination.
    destination: u8,
    /// Segments or alignment are checked.
    checked: bool,
    down: bool,
}

impl Exec<'_> {
    pub(super) fn string(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let job = Job {
            sys,
            w: Width::from_bytes(u64::from(op.memory_bytes)).unwrap_or(Width::W8),
            a: op.address,
            source: op.seg,
            destination: if self.cpu.mode.code == Width::W64 { SEG_NONE } else { seg::ES },
            checked: op.checked,
            down: self.cpu.state.system_flags & eflags::DF != 0,
        };
        if op.rep == Rep::None {
            return self.string_element(job);
        }
        // Comparisons do not read the flags: they are as before until the last (Intel SDM vol. 2, REP).
        let flags = (self.cpu.state.flag_result, self.cpu.state.flag_carries);
        let finished = self.repeat_string(job, op.rep);
        if !matches!(finished, Ok(true)) {
            (self.cpu.state.flag_result, self.cpu.state.flag_carries) = flags;
        }
        if finished? {
            self.cpu.state.system_flags &= !eflags::RF;
        } else {
            // What comes in between saves RF set, and breakpoints on the instruction were looked at when it began
            // (Intel SDM vol. 3, 17.3.1.1).
            self.cpu.state.system_flags |= eflags::RF;
            self.cpu.state.rip = self.address_of(op);
        }
        Ok(())
    }

    /// Does some of a repeated instruction; true where it is finished.
    fn repeat_string(&mut self, job: Job, rep: Rep) -> Result<bool, Exception> {
        let count = self.string_register(job, RCX);
        if matches!(job.sys, Sys::Ins | Sys::Outs) {
            self.string_port(job)?;
        }
        // Registers of 32 bits lose their upper halves even where nothing is done.
        self.set_string_register(job, RCX, count);
        if matches!(job.sys, Sys::Movs | Sys::Stos) {
            self.advance(job, RDI, 0);
        }
        if job.sys == Sys::Movs {
            self.advance(job, RSI, 0);
        }
        if count == 0 {
            return Ok(true);
        }
        let most = self.string_step(job, count);
        // Whether it is done at once depends on how memory is reached; the time it takes must not.
        let at_once = most <= self.elements_in_pages(job);
        let bytes = most * if at_once { job.w.bytes() } else { WORK_BYTES };
        if self.string_bulk(job, most)? {
            self.set_string_register(job, RCX, count - most);
            self.take_time(count, bytes);
            return Ok(count == most);
        }
        for done in 1..=most {
            self.string_element(job)?;
            self.set_string_register(job, RCX, count - done);
            if matches!(job.sys, Sys::Cmps | Sys::Scas) {
                let equal = flags::zero(self) != 0;
                if equal != (rep == Rep::Rep) {
                    return Ok(true);
                }
            }
            if self.cpu.leave {
                return Ok(done == count);
            }
        }
        self.take_time(count, bytes);
        Ok(most == count)
    }

    /// A step of an instruction with `count` elements to do moves as much as `bytes`, which is the work of more than one instruction: the board has its turn
    /// when that has become much. Few elements are not counted, since compiled code does them in place.
    fn take_time(&mut self, count: u64, bytes: u64) {
        if count > FEW_ELEMENTS {
            self.cpu.moved += bytes;
            self.cpu.leave |= self.cpu.moved - self.cpu.moved_at_start >= MUCH_BYTES;
        }
    }

    /// One element: the memory accesses, then the index registers.
    fn string_element(&mut self, job: Job) -> Result<(), Exception> {
        let (sys, w) = (job.sys, job.w);
        match sys {
            Sys::Movs => {
                let value = self.load_source(job)?;
                self.store_destination(job, value)?;
            }
            Sys::Stos => {
                let value = w.truncate(self.general(RAX));
                self.store_destination(job, value)?;
            }
            Sys::Lods => {
                let value = self.load_source(job)?;
                self.cpu.state.regs.write(w, 0, value);
            }
            Sys::Cmps => {
                // Where both fault, the destination's fault is reported.
                let b = self.load_destination(job)?;
                let a = self.load_source(job)?;
                self.compare_strings(w, a, b);
            }
            Sys::Scas => {
                let (a, b) = (w.truncate(self.general(RAX)), self.load_destination(job)?);
                self.compare_strings(w, a, b);
            }
            Sys::Ins => self.string_in(job)?,
            _ => {
                let port = self.string_port(job)?;
                let value = self.load_source(job)?;
                self.write_port(port, w, value);
            }
        }
        if matches!(sys, Sys::Movs | Sys::Lods | Sys::Cmps | Sys::Outs) {
            self.advance(job, RSI, 1);
        }
        if matches!(sys, Sys::Movs | Sys::Stos | Sys::Cmps | Sys::Scas | Sys::Ins) {
            self.advance(job, RDI, 1);
        }
        Ok(())
    }

    fn compare_strings(&mut self, w: Width, a: u64, b: u64) {
        let r = w.truncate(a.wrapping_sub(b));
        flags::set_sub(self, w, a, b, r);
    }

    fn string_port(&mut self, job: Job) -> Result<u16, Exception> {
        let port = self.general(super::RDX) as u16;
        self.check_port(port, job.w)?;
        Ok(port)
    }

    /// The destination is known to be writable before the device is asked.
    fn string_in(&mut self, job: Job) -> Result<(), Exception> {
        let port = self.string_port(job)?;
        let linear = self.string_linear(job, job.destination, RDI, job.w.bytes(), true)?;
        self.check_range(Use::Write, linear, job.w.bytes(), seg::ES)?;
        let value = self.read_port(port, job.w);
        self.store_linear(job.w, linear, seg::ES, value)
    }

    fn load_source(&mut self, job: Job) -> Result<u64, Exception> {
        let linear = self.string_linear(job, job.source, RSI, job.w.bytes(), false)?;
        self.load_linear(job.w, linear, job.source)
    }

    fn load_destination(&mut self, job: Job) -> Result<u64, Exception> {
        let linear = self.string_linear(job, job.destination, RDI, job.w.bytes(), false)?;
        self.load_linear(job.w, linear, job.destination)
    }

    fn store_destination(&mut self, job: Job, value: u64) -> Result<(), Exception> {
        let linear = self.string_linear(job, job.destination, RDI, job.w.bytes(), true)?;
        self.store_linear(job.w, linear, job.destination, value)
    }

    /// Linear address of `segment:register`.
    fn string_linear(
        &mut self,
        job: Job,
        segment: u8,
        register: usize,
        bytes: u64,
        write: bool,
    ) -> Result<u64, Exception> {
        let offset = self.string_register(job, register);
        if job.checked {
            let linear = self.checked_linear(segment, offset, bytes, write)?;
            self.check_alignment(linear, job.w.bytes(), segment)?;
            return Ok(linear);
        }
        Ok(self.cpu.state.segs[usize::from(segment)].base.wrapping_add(offset))
    }

    fn string_register(&self, job: Job, register: usize) -> u64 {
        job.a.truncate(self.general(register))
    }

    fn set_string_register(&mut self, job: Job, register: usize, value: u64) {
        self.cpu.state.regs.write(job.a, register as u8 * 8, job.a.truncate(value));
    }

    fn advance(&mut self, job: Job, register: usize, elements: u64) {
        let bytes = elements.wrapping_mul(job.w.bytes());
        let step = if job.down { bytes.wrapping_neg() } else { bytes };
        let value = self.string_register(job, register).wrapping_add(step);
        self.set_string_register(job, register, value);
    }

    /// Elements of `count` to be done in one step. Addresses alone say so, not how memory is reached there: a step is an instruction,
    /// and how many have retired must not depend on what has been translated or decoded before.
    fn string_step(&self, job: Job, count: u64) -> u64 {
        if self.cpu.mode.single {
            return 1;
        }
        if count <= FEW_ELEMENTS {
            return count;
        }
        let in_pages = self.elements_in_pages(job);
        count.min(if in_pages == 0 { MOST_ELEMENTS } else { in_pages })
    }

    /// `REP MOVS` and `REP STOS` upwards within a page: does all `elements` at once where host memory is at both ends, else none.
    fn string_bulk(&mut self, job: Job, elements: u64) -> Result<bool, Exception> {
        if self.cpu.mode.aligned || elements < 2 || elements > self.elements_in_pages(job) {
            return Ok(false);
        }
        let bytes = elements * job.w.bytes();
        let Ok(to) = self.string_linear(job, job.destination, RDI, bytes, true) else { return Ok(false) };
        if job.sys == Sys::Stos {
            let Target::Host(to) = self.bulk_target(Use::Write, to)? else { return Ok(false) };
            fill(to, job.w, self.general(RAX), elements);
            self.advance(job, RDI, elements);
            return Ok(true);
        }
        let Ok(from) = self.string_linear(job, job.source, RSI, bytes, false) else { return Ok(false) };
        let Target::Host(from) = self.bulk_target(Use::Read, from)? else { return Ok(false) };
        let Target::Host(to) = self.bulk_target(Use::Write, to)? else { return Ok(false) };
        copy(from, to, job.w, elements);
        self.advance(job, RSI, elements);
        self.advance(job, RDI, elements);
        Ok(true)
    }

    /// As [`Exec::target`], after the check that the address is canonical.
    fn bulk_target(&mut self, usage: Use, linear: u64) -> Result<Target, Exception> {
        self.check_range(usage, linear, 1, seg::DS)?;
        self.target(usage, linear)
    }

    /// Elements that `MOVS` and `STOS` can do upwards before one of their pages ends; none for others.
    fn elements_in_pages(&self, job: Job) -> u64 {
        match job.sys {
            _ if job.down => 0,
            Sys::Stos => self.elements_in_page(job, job.destination, RDI),
            Sys::Movs => {
                let source = self.elements_in_page(job, job.source, RSI);
                source.min(self.elements_in_page(job, job.destination, RDI))
            }
            _ => 0,
        }
    }

    /// Whole elements from `segment:register` to the end of its page, and of the address size.
    fn elements_in_page(&self, job: Job, segment: u8, register: usize) -> u64 {
        let offset = self.string_register(job, register);
        let linear = self.cpu.state.segs[usize::from(segment)].base.wrapping_add(offset);
        let in_page = PAGE_BYTES - (linear & (PAGE_BYTES - 1));
        let to_wrap = (job.a.mask() - offset).saturating_add(1);
        in_page.min(to_wrap) / job.w.bytes()
    }
}

/// Stores `elements` copies of the low `w` bits of `value`.
fn fill(to: *mut u8, w: Width, value: u64, elements: u64) {
    let elements = elements as usize;
    // SAFETY: `to` is where `Exec::target` says a writable page of guest RAM is, and the elements end in that page.
    unsafe {
        match w {
            Width::W8 => to.write_bytes(value as u8, elements),
            Width::W16 => (0..elements).for_each(|i| to.cast::<u16>().add(i).write_unaligned(value as u16)),
            Width::W32 => (0..elements).for_each(|i| to.cast::<u32>().add(i).write_unaligned(value as u32)),
            Width::W64 => (0..elements).for_each(|i| to.cast::<u64>().add(i).write_unaligned(value)),
        }
    }
}

/// Copies `elements` upwards, one after the other: where the destination overlaps the source from above, what was
/// just written is read again.
fn copy(from: *const u8, to: *mut u8, w: Width, elements: u64) {
    let bytes = (elements * w.bytes()) as usize;
    let ahead = (to as usize).wrapping_sub(from as usize);
    // SAFETY: both ranges lie in one page of guest memory each, as in `fill`; `copy` allows them to overlap.
    unsafe {
        if ahead >= bytes {
            return core::ptr::copy(from, to, bytes);
        }
        let elements = elements as usize;
        match w {
            Width::W8 => (0..elements).for_each(|i| to.add(i).write(from.add(i).read())),
            Width::W16 => copy_elements(from.cast::<u16>(), to.cast(), elements),
            Width::W32 => copy_elements(from.cast::<u32>(), to.cast(), elements),
            Width::W64 => copy_elements(from.cast::<u64>(), to.cast(), elements),
        }
    }
}

/// # Safety
/// Both ranges are valid for `elements`.
unsafe fn copy_elements<T: Copy>(from: *const T, to: *mut T, elements: usize) {
    for i in 0..elements {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write_unaligned(from.add(i).read_unaligned()) };
    }
}
