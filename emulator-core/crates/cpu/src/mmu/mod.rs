//! Memory management: what happens when the TLB has no answer.

mod physical;
mod vector;
mod walk;

use platform::{Backing, PhysAddr};
use x86::{Exception, Width, seg};

use crate::exec::Exec;
use crate::state::control::CR4_SMAP;
use crate::tlb::{PAGE_BYTES, PAGE_MASK, Use, View};
pub(crate) use walk::PHYSICAL_BITS;

/// Whether bits 63:47 of a linear address are equal.
pub(crate) const fn canonical(linear: u64) -> bool {
    ((linear as i64) << 16 >> 16) as u64 == linear
}

/// Where a byte, and the rest of its page behind it, is reached.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At this host address: plain memory for the access asked about.
    Host(*mut u8),
    /// By the bus, or in memory with decoded code: through [`Exec::physical_read`] and [`Exec::physical_write`].
    Physical(PhysAddr),
}

/// A page code is fetched from.
pub(crate) struct CodePage {
    /// Physical address of the page.
    pub(crate) phys: PhysAddr,
    /// Host address of the byte asked for; null where a device answers.
    pub(crate) host: *const u8,
}

impl Exec<'_> {
    /// Reads `w` at a linear address the TLB has no entry for, or across two pages.
    ///
    /// # Errors
    /// #PF; #GP(0) or #SS(0) where the address is not canonical.
    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&mut self, w: Width, linear: u64, segment: u8) -> Result<u64, Exception> {
        self.check_canonical(linear, w.bytes(), segment)?;
        self.watch(linear, w.bytes(), false);
        let first = self.target(Use::Read, linear)?;
        let in_first = PAGE_BYTES - (linear & !PAGE_MASK);
        if in_first >= w.bytes() {
            return Ok(self.read_target(w, first));
        }
        let second = self.target(Use::Read, self.behind(linear, in_first))?;
        let mut value = 0;
        for at in 0..w.bytes() {
            let byte = if at < in_first { first.add(at) } else { second.add(at - in_first) };
            value |= self.read_target(Width::W8, byte) << (8 * at);
        }
        Ok(value)
    }

    /// Writes `w` at a linear address the TLB has no entry for, or across two pages.
    ///
    /// # Errors
    /// As [`Exec::load_slow`]; nothing is written then.
    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(&mut self, w: Width, linear: u64, segment: u8, value: u64) -> Result<(), Exception> {
        self.check_canonical(linear, w.bytes(), segment)?;
        self.watch(linear, w.bytes(), true);
        let first = self.target(Use::Write, linear)?;
        let in_first = PAGE_BYTES - (linear & !PAGE_MASK);
        if in_first >= w.bytes() {
            self.write_target(w, first, value);
            return Ok(());
        }
        let second = self.target(Use::Write, self.behind(linear, in_first))?;
        for at in 0..w.bytes() {
            let byte = if at < in_first { first.add(at) } else { second.add(at - in_first) };
            self.write_target(Width::W8, byte, value >> (8 * at) & 0xff);
        }
        Ok(())
    }

    /// Makes sure that a store of `w` at `linear` cannot fault.
    ///
    /// # Errors
    /// As [`Exec::store_slow`].
    #[cold]
    #[inline(never)]
    pub(crate) fn prepare_write_slow(&mut self, w: Width, linear: u64, segment: u8) -> Result<(), Exception> {
        self.check_range(Use::Write, linear, w.bytes(), segment)
    }

    /// Makes sure that `bytes` (at most a page) at `linear` can be accessed.
    ///
    /// # Errors
    /// As [`Exec::store_slow`].
    pub(crate) fn check_range(&mut self, usage: Use, linear: u64, bytes: u64, segment: u8) -> Result<(), Exception> {
        self.check_canonical(linear, bytes, segment)?;
        self.target(usage, linear)?;
        let last = self.behind(linear, bytes - 1);
        if last & PAGE_MASK != linear & PAGE_MASK {
            self.target(usage, last & PAGE_MASK)?;
        }
        Ok(())
    }

    /// Where `linear` is reached for `usage` as the selected view; fills the TLB where plain memory answers.
    ///
    /// # Errors
    /// #PF.
    pub(crate) fn target(&mut self, usage: Use, linear: u64) -> Result<Target, Exception> {
        if let Some(host) = self.cpu.tlb.lookup(usage, linear, 1) {
            return Ok(Target::Host(host as *mut u8));
        }
        self.cpu.tlb.misses += 1;
        let translation = self.walk(usage, linear)?;
        let phys = translation.phys;
        let page = match self.bus.backing(phys) {
            Backing::Ram(page) => page,
            Backing::Rom(page) if usage != Use::Write => page,
            _ => return self.device(phys),
        };
        if usage == Use::Write && self.cpu.holds_code(phys.page()) || self.watched_page(linear) {
            return Ok(Target::Physical(phys));
        }
        let Some(host_page) = self.host_page(page) else { return Ok(Target::Physical(phys)) };
        self.cpu.tlb.fill(usage, linear, phys.page(), host_page as usize, translation.kind);
        Ok(Target::Host(host_page.wrapping_add((linear & !PAGE_MASK) as usize)))
    }

    /// A device at `phys`, for an instruction that runs by itself.
    ///
    /// # Errors
    /// For any other, which then begins again by itself: which exception does not matter.
    fn device(&mut self, phys: PhysAddr) -> Result<Target, Exception> {
        if self.cpu.alone {
            return Ok(Target::Physical(phys));
        }
        self.cpu.meets_device = true;
        Err(Exception::GeneralProtection(0))
    }

    /// Runs `work`, which cannot begin again once it has begun, as something that runs by itself.
    pub(crate) fn undivided<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = core::mem::replace(&mut self.cpu.alone, true);
        let result = work(self);
        self.cpu.alone = before;
        result
    }

    /// Host address of the page at offset `page` of the memory, where it lies inside.
    pub(super) fn host_page(&mut self, page: usize) -> Option<*mut u8> {
        let offset = page & PAGE_MASK as usize;
        let memory = self.bus.memory();
        (offset + PAGE_BYTES as usize <= memory.bytes()).then(|| memory.host_base().wrapping_add(offset))
    }

    /// Reads `w` (within one page).
    pub(crate) fn read_target(&mut self, w: Width, target: Target) -> u64 {
        match target {
            // SAFETY: `target` gives pointers into guest memory for accesses that stay in their page; the allocation
            // outlives the bus borrow and is initialised.
            Target::Host(host) => unsafe {
                match w {
                    Width::W8 => u64::from(host.read()),
                    Width::W16 => u64::from(host.cast::<u16>().read_unaligned()),
                    Width::W32 => u64::from(host.cast::<u32>().read_unaligned()),
                    Width::W64 => host.cast::<u64>().read_unaligned(),
                }
            },
            Target::Physical(phys) => self.physical_read(w, phys),
        }
    }

    /// Writes `w` (within one page); `target` was asked about a write.
    pub(crate) fn write_target(&mut self, w: Width, target: Target, value: u64) {
        match target {
            // SAFETY: as in `read_target`, and the page is RAM.
            Target::Host(host) => unsafe {
                match w {
                    Width::W8 => host.write(value as u8),
                    Width::W16 => host.cast::<u16>().write_unaligned(value as u16),
                    Width::W32 => host.cast::<u32>().write_unaligned(value as u32),
                    Width::W64 => host.cast::<u64>().write_unaligned(value),
                }
            },
            Target::Physical(phys) => self.physical_write(w, phys, value),
        }
    }

    /// The page instructions at `linear` are fetched from.
    ///
    /// # Errors
    /// #PF; #GP(0) where the address is not canonical.
    pub(crate) fn fetch_page(&mut self, linear: u64) -> Result<CodePage, Exception> {
        if let Some((phys, host)) = self.cpu.tlb.lookup_code(linear) {
            return Ok(CodePage { phys, host: host as *const u8 });
        }
        self.check_canonical(linear, 1, seg::CS)?;
        self.cpu.tlb.misses += 1;
        let translation = self.walk(Use::Execute, linear)?;
        let phys = translation.phys.page();
        let (Backing::Ram(page) | Backing::Rom(page)) = self.bus.backing(phys) else {
            return Ok(CodePage { phys, host: core::ptr::null() });
        };
        let Some(host_page) = self.host_page(page) else { return Ok(CodePage { phys, host: core::ptr::null() }) };
        self.cpu.tlb.fill(Use::Execute, linear, phys, host_page as usize, translation.kind);
        Ok(CodePage { phys, host: host_page.wrapping_add((linear & !PAGE_MASK) as usize) })
    }

    /// Fetches instruction bytes that lie in one page.
    ///
    /// # Errors
    /// As [`Exec::fetch_page`].
    pub(crate) fn fetch_bytes(&mut self, linear: u64, bytes: &mut [u8]) -> Result<(), Exception> {
        let page = self.fetch_page(linear)?;
        let offset = linear & !PAGE_MASK;
        debug_assert!(offset + bytes.len() as u64 <= PAGE_BYTES);
        if !page.host.is_null() {
            // SAFETY: `fetch_page` gives where the byte asked for lies in guest memory, which holds the rest of its page behind it.
            unsafe { core::ptr::copy_nonoverlapping(page.host, bytes.as_mut_ptr(), bytes.len()) };
            return Ok(());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = self.physical_read(Width::W8, page.phys.add(offset + at as u64)) as u8;
        }
        Ok(())
    }

    /// #GP(0), or #SS(0) for the stack segment, where part of the access is not canonical.
    pub(crate) fn check_canonical(&self, linear: u64, bytes: u64, segment: u8) -> Result<(), Exception> {
        if self.cpu.mode.code != Width::W64 || (canonical(linear) && canonical(linear.wrapping_add(bytes - 1))) {
            return Ok(());
        }
        Err(if segment == seg::SS { Exception::StackFault(0) } else { Exception::GeneralProtection(0) })
    }

    /// `bytes` behind `linear`. Outside 64-bit mode addresses wrap at 4 GiB, but for those of tables and stacks that
    /// IA-32e mode has above it.
    fn behind(&self, linear: u64, bytes: u64) -> u64 {
        let next = linear.wrapping_add(bytes);
        if linear >> 32 == 0 { self.wrap(next) } else { next }
    }

    /// A linear address as the mode computes it: 32 bits wide outside 64-bit mode.
    pub(crate) fn wrap(&self, linear: u64) -> u64 {
        if self.cpu.mode.code == Width::W64 { linear } else { Width::W32.truncate(linear) }
    }

    /// Runs `access` with the rights of system structures: supervisor, whatever the CPL (Intel SDM vol. 3, 4.6). With SMAP,
    /// such accesses to user pages fault whatever EFLAGS.AC says.
    pub(crate) fn as_supervisor<T>(&mut self, access: impl FnOnce(&mut Self) -> T) -> T {
        let smap = self.cpu.state.cr4 & CR4_SMAP != 0;
        self.as_view(if smap { View::Supervisor } else { View::SupervisorWithUser }, access)
    }

    /// Runs `access` with `view` selected.
    pub(crate) fn as_view<T>(&mut self, view: View, access: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.cpu.tlb.view();
        self.cpu.tlb.select(view);
        let result = access(self);
        self.cpu.tlb.select(before);
        result
    }

    /// Reads `w` of a descriptor table or task-state segment.
    ///
    /// # Errors
    /// As [`Exec::load_slow`].
    pub(crate) fn load_system(&mut self, w: Width, linear: u64) -> Result<u64, Exception> {
        let linear = self.wrap_system(linear);
        self.as_supervisor(|exec| exec.load_linear(w, linear, seg::DS))
    }

    /// Writes `w` of a descriptor table or task-state segment.
    ///
    /// # Errors
    /// As [`Exec::store_slow`].
    pub(crate) fn store_system(&mut self, w: Width, linear: u64, value: u64) -> Result<(), Exception> {
        let linear = self.wrap_system(linear);
        self.as_supervisor(|exec| exec.store_linear(w, linear, seg::DS, value))
    }

    /// Tables may lie anywhere in 64 bits in IA-32e mode, compatibility mode included.
    fn wrap_system(&self, linear: u64) -> u64 {
        if self.cpu.state.long_mode() { linear } else { Width::W32.truncate(linear) }
    }

    /// Another address space has been loaded: those it takes turns with are named by PCIDs. With `keep` its translations are still good.
    pub(crate) fn switch_space(&mut self, from: u16, to: u16, keep: bool) {
        self.cpu.tlb.switch(from, to, keep);
        self.cpu.blocks.switch_space(from, to, keep);
    }

    /// Drops the translations of an address space that is not in force.
    pub(crate) fn forget_space(&mut self, pcid: u16) {
        self.cpu.tlb.forget_space(pcid);
        self.cpu.blocks.forget_space(pcid);
    }

    /// Drops those of all of them.
    pub(crate) fn forget_spaces(&mut self) {
        self.cpu.tlb.forget_spaces();
        self.cpu.blocks.forget_spaces();
    }

    /// Drops translations; with `keep_global`, all but those of global pages.
    pub(crate) fn flush_translations(&mut self, keep_global: bool) {
        self.cpu.tlb.flush(keep_global);
        if keep_global {
            self.cpu.blocks.forget_local_jumps();
        } else {
            self.cpu.blocks.forget_jumps();
        }
    }
}

impl Target {
    /// The byte `bytes` further, in the same page.
    pub(crate) fn add(self, bytes: u64) -> Target {
        match self {
            Target::Host(host) => Target::Host(host.wrapping_add(bytes as usize)),
            Target::Physical(phys) => Target::Physical(phys.add(bytes)),
        }
    }
}

#[cfg(test)]
mod tests;
