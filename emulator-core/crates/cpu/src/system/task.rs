//! Hardware task switching with 16- and 32-bit task-state segments (Intel SDM vol. 3, chapter 7).

use x86::{Exception, Width, seg};

use crate::exceptions::DR6_TASK;
use crate::exec::Exec;
use crate::segments::descriptor::{Descriptor, system};
use crate::segments::{is_null, rpl, selector_error, unusable_segment, virtual_8086_segment};
use crate::state::control::{CR0_PG, CR0_TS};
use crate::state::eflags;

/// How a task is switched to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Switch {
    /// `JMP`: the old task ends.
    Jump,
    /// `CALL`, interrupt or exception: the new task can return to the old one.
    Nest,
    /// `IRET` with EFLAGS.NT.
    Return,
}

/// Offsets of the fields of a task-state segment (figures 7-2 and 7-10).
struct Layout {
    width: Width,
    /// Least limit.
    limit: u32,
    page_root: Option<u64>,
    ip: u64,
    flags: u64,
    /// AX, CX, DX, BX, SP, BP, SI, DI follow one another.
    registers: u64,
    /// ES, CS, SS, DS (and FS, GS) follow one another.
    segments: u64,
    segment_count: u8,
    ldt: u64,
    /// The word with the debug-trap flag.
    trap: Option<u64>,
}

const LAYOUT16: Layout = Layout {
    width: Width::W16,
    limit: 0x2b,
    page_root: None,
    ip: 0x0e,
    flags: 0x10,
    registers: 0x12,
    segments: 0x22,
    segment_count: 4,
    ldt: 0x2a,
    trap: None,
};

const LAYOUT32: Layout = Layout {
    width: Width::W32,
    limit: 0x67,
    page_root: Some(0x1c),
    ip: 0x20,
    flags: 0x24,
    registers: 0x28,
    segments: 0x48,
    segment_count: 6,
    ldt: 0x60,
    trap: Some(0x64),
};

fn layout(kind: u8) -> &'static Layout {
    if kind & 8 != 0 { &LAYOUT32 } else { &LAYOUT16 }
}

/// L0 to L3 and LE of DR7, which a switch clears (Intel SDM vol. 3, 17.2.4).
const DR7_LOCAL: u64 = 0x155;
/// Bit of a TSS descriptor's type that says busy.
const BUSY: u64 = 2;

/// The part of a task's state that is loaded from its segment.
struct Image {
    page_root: Option<u64>,
    ip: u64,
    flags: u64,
    registers: [u64; 8],
    selectors: [u16; 6],
    ldt: u16,
    trap: bool,
}

impl Exec<'_> {
    /// Switches to the task of `selector`. `next` is where the old task goes on; `external` the EXT bit of error codes;
    /// `old_flags` are set in the old task's saved EFLAGS (RF). Gives the exception that what is wrong with the new task's own
    /// selectors raises in it.
    ///
    /// # Errors
    /// #GP, #TS, #NP about the new task's descriptor or segment, before the switch.
    pub(crate) fn switch_task(
        &mut self,
        selector: u16,
        how: Switch,
        next: u64,
        external: u16,
        old_flags: u64,
    ) -> Result<Option<Exception>, Exception> {
        let descriptor = self.task_descriptor(selector, how, external)?;
        let new = layout(descriptor.access().kind());
        if descriptor.limit() < new.limit {
            return Err(Exception::InvalidTss(selector_error(selector) | external));
        }
        let image = self.read_task(new, descriptor.base())?;
        let old_selector = self.cpu.state.tr.selector;
        let mut saved = self.cpu.state.rflags() | old_flags;
        if how == Switch::Return {
            saved &= !eflags::NT;
        }
        self.save_task(next, saved)?;
        if how != Switch::Nest {
            self.set_busy(old_selector, false)?;
        }
        if how != Switch::Return {
            self.set_busy(selector, true)?;
        }
        if how == Switch::Nest {
            self.store_system(Width::W16, descriptor.base(), u64::from(old_selector))?;
        }
        let mut tr = Descriptor(descriptor.0 | BUSY << 40).segment(selector);
        tr.base = descriptor.base();
        self.cpu.state.tr = tr;
        self.cpu.state.cr0 |= CR0_TS;
        self.load_task(&image, how, external)
    }

    /// As [`Exec::switch_task`], for an instruction that goes on at the next one when its task does.
    pub(crate) fn switch_task_from(&mut self, selector: u16, how: Switch) -> Result<(), Exception> {
        let next = self.cpu.state.rip;
        if let Some(exception) = self.undivided(|exec| exec.switch_task(selector, how, next, 0, 0))? {
            self.deliver_exception(exception);
        }
        Ok(())
    }

    fn task_descriptor(&mut self, selector: u16, how: Switch, external: u16) -> Result<Descriptor, Exception> {
        let returning = how == Switch::Return;
        let fault = if returning { Exception::InvalidTss } else { Exception::GeneralProtection };
        let error = selector_error(selector) | external;
        if selector & 4 != 0 || is_null(selector) {
            return Err(fault(error));
        }
        let descriptor = self.descriptor(selector, fault, external)?;
        let fits = match descriptor.system_type() {
            Some(system::TSS16_AVAILABLE | system::TSS32_AVAILABLE) => !returning,
            Some(system::TSS16_BUSY | system::TSS32_BUSY) => returning,
            _ => false,
        };
        if !fits {
            return Err(fault(error));
        }
        if !descriptor.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        Ok(descriptor)
    }

    fn read_task(&mut self, layout: &Layout, base: u64) -> Result<Image, Exception> {
        let w = layout.width;
        let mut image = Image {
            page_root: None,
            ip: self.load_system(w, base + layout.ip)?,
            flags: self.load_system(w, base + layout.flags)?,
            registers: [0; 8],
            selectors: [0; 6],
            ldt: self.load_system(Width::W16, base + layout.ldt)? as u16,
            trap: false,
        };
        for (number, register) in image.registers.iter_mut().enumerate() {
            *register = self.load_system(w, base + layout.registers + number as u64 * w.bytes())?;
        }
        for number in 0..layout.segment_count {
            let at = base + layout.segments + u64::from(number) * w.bytes();
            image.selectors[usize::from(number)] = self.load_system(Width::W16, at)? as u16;
        }
        if let Some(at) = layout.page_root {
            image.page_root = Some(self.load_system(w, base + at)?);
        }
        if let Some(at) = layout.trap {
            image.trap = self.load_system(Width::W16, base + at)? & 1 != 0;
        }
        Ok(image)
    }

    /// Saves the running task into its segment.
    fn save_task(&mut self, next: u64, flags: u64) -> Result<(), Exception> {
        let tr = self.cpu.state.tr;
        let (layout, base) = (layout(tr.access.kind()), Width::W32.truncate(tr.base));
        let w = layout.width;
        self.store_system(w, base + layout.ip, next)?;
        self.store_system(w, base + layout.flags, flags)?;
        for number in 0..8 {
            let value = self.cpu.state.regs.get(number);
            self.store_system(w, base + layout.registers + number as u64 * w.bytes(), value)?;
        }
        for number in 0..layout.segment_count {
            let selector = self.cpu.state.segs[usize::from(number)].selector;
            let at = base + layout.segments + u64::from(number) * w.bytes();
            self.store_system(Width::W16, at, u64::from(selector))?;
        }
        Ok(())
    }

    /// Sets or clears the busy bit of a TSS descriptor.
    pub(super) fn set_busy(&mut self, selector: u16, busy: bool) -> Result<(), Exception> {
        let Some(linear) = self.descriptor_address(selector, 8) else { return Ok(()) };
        let at = linear.wrapping_add(5);
        let byte = self.load_system(Width::W8, at)?;
        self.store_system(Width::W8, at, if busy { byte | BUSY } else { byte & !BUSY })
    }

    fn load_task(&mut self, image: &Image, how: Switch, external: u16) -> Result<Option<Exception>, Exception> {
        let paging = self.cpu.state.cr0 & CR0_PG != 0;
        if let Some(root) = image.page_root.filter(|_| paging) {
            let (cr0, cr4) = (self.cpu.state.cr0, self.cpu.state.cr4);
            self.load_pdptes(cr0, root, cr4)?;
            self.cpu.state.cr3 = root;
            self.flush_translations(true);
        }
        let state = &mut self.cpu.state;
        for (number, value) in image.registers.into_iter().enumerate() {
            state.regs.set(number, value);
        }
        state.rip = image.ip;
        let nested = if how == Switch::Nest { eflags::NT } else { 0 };
        state.set_rflags(image.flags & eflags::ALL | nested);
        state.dr[7] &= !DR7_LOCAL;
        // Until each is loaded, what its selector names may not be used.
        for (segment, selector) in state.segs.iter_mut().zip(image.selectors) {
            *segment = unusable_segment(selector);
        }
        state.ldtr = unusable_segment(image.ldt);
        self.cpu.attention = true;
        self.cpu.stepping = false;
        let loaded = self.load_task_segments(image, external);
        self.cpu.state_changed();
        let beyond = image.ip > u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit);
        let exception = loaded.err().or(beyond.then_some(Exception::GeneralProtection(external)));
        if exception.is_none() && image.trap {
            self.trap_after(DR6_TASK);
        }
        Ok(exception)
    }

    fn load_task_segments(&mut self, image: &Image, external: u16) -> Result<(), Exception> {
        let selector = |register: u8| image.selectors[usize::from(register)];
        if image.flags & eflags::VM != 0 {
            self.cpu.state.cpl = 3;
            for register in [seg::ES, seg::CS, seg::SS, seg::DS, seg::FS, seg::GS] {
                self.cpu.state.segs[usize::from(register)] = virtual_8086_segment(selector(register));
            }
            return self.load_task_ldt(image.ldt, external);
        }
        let cpl = rpl(selector(seg::CS));
        self.cpu.state.cpl = cpl;
        self.load_task_ldt(image.ldt, external)?;
        self.load_task_code(selector(seg::CS), external)?;
        let stack = self.stack_segment(selector(seg::SS), cpl, Exception::InvalidTss, external)?;
        self.cpu.state.segs[usize::from(seg::SS)] = stack;
        for register in [seg::ES, seg::DS, seg::FS, seg::GS] {
            let segment = self.data_segment(selector(register), Exception::InvalidTss, external)?;
            self.cpu.state.segs[usize::from(register)] = segment;
        }
        Ok(())
    }

    fn load_task_ldt(&mut self, selector: u16, external: u16) -> Result<(), Exception> {
        if is_null(selector) {
            return Ok(());
        }
        let error = Exception::InvalidTss(selector_error(selector) | external);
        if selector & 4 != 0 {
            return Err(error);
        }
        let descriptor = self.descriptor(selector, Exception::InvalidTss, external)?;
        if descriptor.system_type() != Some(system::LDT) || !descriptor.present() {
            return Err(error);
        }
        self.cpu.state.ldtr = descriptor.segment(selector);
        Ok(())
    }

    fn load_task_code(&mut self, selector: u16, external: u16) -> Result<(), Exception> {
        let error = selector_error(selector) | external;
        if is_null(selector) {
            return Err(Exception::InvalidTss(error));
        }
        let descriptor = self.descriptor(selector, Exception::InvalidTss, external)?;
        let access = descriptor.access();
        let level = rpl(selector);
        let fits = if access.conforming() { access.dpl() <= level } else { access.dpl() == level };
        if !access.is_code() || !fits {
            return Err(Exception::InvalidTss(error));
        }
        if !access.present() {
            return Err(Exception::SegmentNotPresent(error));
        }
        let segment = self.mark_accessed(selector, descriptor)?;
        self.cpu.state.segs[usize::from(seg::CS)] = segment;
        Ok(())
    }
}
