//! What a program finds in memory: descriptor tables, task-state segment and page tables, and what a test puts there.

use super::Program;
use super::descriptor::{self as d, gate};
use super::map::*;
use super::program::Mode;

impl Program {
    /// Puts bytes into memory before the start.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    pub fn write16(&mut self, at: u64, value: u16) {
        self.write(at, &value.to_le_bytes());
    }

    pub fn write32(&mut self, at: u64, value: u32) {
        self.write(at, &value.to_le_bytes());
    }

    pub fn write64(&mut self, at: u64, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    /// Puts a descriptor into the GDT, or the LDT where the selector says so.
    pub fn descriptor(&mut self, selector: u16, descriptor: u64) {
        let table = if selector & 4 == 0 { GDT } else { LDT };
        self.write64(table + u64::from(selector & !7), descriptor);
    }

    /// Replaces an entry of the interrupt-descriptor table.
    pub fn gate(&mut self, vector: u8, gate: u64) {
        let bytes = if self.mode == Mode::Long { 16 } else { 8 };
        self.write64(IDT + u64::from(vector) * bytes, gate);
    }

    /// The handler's address for `vector`.
    pub fn handler(&self, vector: u8) -> u64 {
        if self.mode == Mode::Long { STUBS64 + u64::from(vector) * 16 } else { STUBS32 + u64::from(vector) * 16 }
    }

    /// Sets the entry of [`PAGE`] plus `page` pages, in the table of 64-bit and PAE paging.
    pub fn page(&mut self, page: u64, entry: u64) {
        self.write64(PAGES + page * 8, entry);
    }

    /// The tables every program starts with.
    pub(super) fn fill_tables(&mut self) {
        self.write16(REAL_IDTR, 0x3ff);
        self.write16(GDTR, GDT_LIMIT);
        self.write32(GDTR + 2, GDT as u32);
        self.write16(IDTR, 0xfff);
        self.write32(IDTR + 2, IDT as u32);
        for (selector, descriptor) in [
            (CODE32, d::flat(d::CODE)),
            (DATA, d::flat(d::READ_WRITE)),
            (USER_CODE32, d::flat(d::level(d::CODE, 3))),
            (USER_DATA, d::flat(d::level(d::READ_WRITE, 3))),
            (CODE64, d::flat64(d::CODE)),
            (USER_CODE64, d::flat64(d::level(d::CODE, 3))),
            (TSS_SELECTOR, d::segment16(TSS, TSS_LIMIT, d::TSS32)),
            (LDT_SELECTOR, d::segment16(LDT, 0xff, d::LDT_TYPE)),
            (CODE16, d::segment16(0, 0xffff, d::CODE)),
            (DATA16, d::segment16(0, 0xffff, d::READ_WRITE)),
        ] {
            self.descriptor(selector, descriptor);
        }
        let long = self.mode == Mode::Long;
        for vector in 0..=255u8 {
            self.write32(u64::from(vector) * 4, (STUBS16 + u64::from(vector) * 8) as u32);
            let code = if long { CODE64 } else { CODE32 };
            let entry = gate(code, self.handler(vector), d::INTERRUPT_GATE32, 0);
            self.gate(vector, entry);
        }
        self.write64(TSS + 4, KERNEL_STACK);
        if !long {
            self.write16(TSS + 8, DATA);
        }
        self.write16(TSS + 0x66, (REDIRECTION + 32) as u16);
        self.write(TSS + TSS_LIMIT, &[0xff]);
        self.fill_page_tables();
    }

    fn fill_page_tables(&mut self) {
        const USER_WRITABLE: u64 = 7;
        self.write64(PML4, PDPT | USER_WRITABLE);
        self.write64(PDPT, DIRECTORY | USER_WRITABLE);
        self.write64(PAE_POINTERS, DIRECTORY | 1);
        self.write64(DIRECTORY, IDENTITY | USER_WRITABLE);
        self.write64(DIRECTORY + 8, PAGES | USER_WRITABLE);
        self.write32(LEGACY_DIRECTORY, (LEGACY_IDENTITY | USER_WRITABLE) as u32);
        self.write32(LEGACY_DIRECTORY + 4, (PAGES | USER_WRITABLE) as u32);
        for page in 0..512 {
            self.write64(IDENTITY + page * 8, page << 12 | USER_WRITABLE);
            self.write32(LEGACY_IDENTITY + page * 4, (page << 12 | USER_WRITABLE) as u32);
        }
    }
}
