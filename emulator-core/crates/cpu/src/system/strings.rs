//! String instructions (Intel SDM vol. 1, 7.3.9).
//!
//! A repeated instruction does at most some pages of work and then, if it is not finished, stays at its own
//! address with the registers telling how far it came: interrupts and budgets are looked at in between.

use x86::instructions::system::Sys;
use x86::{Exception, Op, Rep, SEG_NONE, Width, flags, seg};

use super::{RAX, RCX, RDI, RSI};
use crate::exec::Exec;
use crate::mmu::Target;
use crate::state::eflags;
use crate::tlb::{PAGE_BYTES, Use};

/// Elements done one by one at a time.
const MOST_ELEMENTS: u64 = 1024;
/// So few are done in one step wherever they lie: compiled code does them in place.
pub const FEW_ELEMENTS: u64 = 16;
/// So much work, in bytes that are moved at once, is done before interrupts are looked at again: some microseconds'.
const MOST_WORK: u64 = MOST_ELEMENTS * WORK_BYTES;
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

/// Some elements of a repeated instruction.
#[derive(Clone, Copy)]
struct Part {
    elements: u64,
    /// The time they take, in bytes that are moved at once: whether they are depends on how memory is reached, the time must not.
    work: u64,
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
        let (mut left, mut work) = (count, 0);
        while left > 0 {
            let part = self.string_part(job, left);
            let (done, finished) = self.repeat_part(job, rep, left, part)?;
            left -= done;
            work += part.work;
            if finished {
                return Ok(true);
            }
            if work >= MOST_WORK || self.cpu.leave || self.cpu.mode.single {
                break;
            }
        }
        Ok(left == 0)
    }

    /// Does `part` of what is `left` of a repeated instruction: how many elements it did, and whether a comparison has ended it.
    fn repeat_part(&mut self, job: Job, rep: Rep, left: u64, part: Part) -> Result<(u64, bool), Exception> {
        let Part { elements, work } = part;
        if self.string_bulk(job, elements)? {
            self.set_string_register(job, RCX, left - elements);
            self.take_time(left, work);
            return Ok((elements, false));
        }
        for done in 1..=elements {
            self.string_element(job)?;
            self.set_string_register(job, RCX, left - done);
            if matches!(job.sys, Sys::Cmps | Sys::Scas) {
                let equal = flags::zero(self) != 0;
                if equal != (rep == Rep::Rep) {
                    return Ok((done, true));
                }
            }
            if self.cpu.leave {
                return Ok((done, false));
            }
        }
        self.take_time(left, work);
        Ok((elements, false))
    }

    /// A part of an instruction with `left` elements to do was `work` of more than one instruction: the board has its turn when that has become much.
    /// Few elements are not counted, since compiled code does them in place.
    fn take_time(&mut self, left: u64, work: u64) {
        if left > FEW_ELEMENTS {
            self.cpu.moved += work;
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

    /// What is done next of `left` elements. Addresses alone say so, not how memory is reached there: a step is an instruction,
    /// and how many have retired must not depend on what has been translated or decoded before.
    fn string_part(&self, job: Job, left: u64) -> Part {
        let in_pages = self.elements_in_pages(job);
        let most = match in_pages {
            _ if self.cpu.mode.single => 1,
            _ if left <= FEW_ELEMENTS => left,
            // One that lies in two pages.
            Some(0) => 1,
            Some(in_pages) => in_pages,
            None => MOST_ELEMENTS,
        };
        let elements = left.min(most);
        let at_once = in_pages.is_some_and(|in_pages| elements <= in_pages);
        Part { elements, work: elements * if at_once { job.w.bytes() } else { WORK_BYTES } }
    }

    /// `REP MOVS` and `REP STOS` upwards within a page: does all `elements` at once where host memory is at both ends, else none.
    fn string_bulk(&mut self, job: Job, elements: u64) -> Result<bool, Exception> {
        if self.cpu.mode.aligned || elements < 2 || self.elements_in_pages(job).is_none_or(|most| elements > most) {
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
    fn elements_in_pages(&self, job: Job) -> Option<u64> {
        match job.sys {
            _ if job.down => None,
            Sys::Stos => Some(self.elements_in_page(job, job.destination, RDI)),
            Sys::Movs => {
                let source = self.elements_in_page(job, job.source, RSI);
                Some(source.min(self.elements_in_page(job, job.destination, RDI)))
            }
            _ => None,
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
