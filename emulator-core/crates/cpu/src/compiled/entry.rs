//! Where compiled code may be entered: where all its pages lie as they did when it was compiled.

use super::Entry;
use crate::exec::Exec;
use crate::tlb::{PAGE_BYTES, PAGE_MASK};

/// Which of the pages that a jump relies on are the same in all address spaces.
#[derive(Clone, Copy)]
pub(crate) struct GlobalPages {
    pub(crate) all: bool,
    pub(crate) some: bool,
}

impl Exec<'_> {
    /// Remembers that `linear` leads to `block`, and to compiled code where there is some and its pages are where they were. Where they
    /// are not, it is of no use any more: it goes, and the block may become hot again.
    pub(crate) fn remember_jump(&mut self, linear: u64, block: u32) {
        let mut global = GlobalPages { all: true, some: false };
        let mut entry = self.cpu.blocks.entry_at(block, linear);
        if let Some(found) = entry
            && !self.lies_as_compiled(found, linear, &mut global)
        {
            self.cpu.blocks.code.remove(found.code);
            self.cpu.blocks.forget_jumps_to_gone();
            entry = None;
        }
        if entry.is_none() {
            self.cpu.blocks.cool_down(block);
        }
        let page = linear & PAGE_MASK;
        self.rely_on(page, self.cpu.tlb.is_global_code(page), &mut global);
        if self.cpu.blocks.origin(block).second_page.is_some() {
            let second = self.wrap(page.wrapping_add(PAGE_BYTES));
            self.rely_on(second, self.cpu.tlb.is_global_code(second), &mut global);
        }
        let mode_bits = self.cpu.mode_bits;
        self.cpu.blocks.remember_jump(linear, mode_bits, block, entry, global);
    }

    /// Whether all pages of the code entered at `linear` are where they were; the jump relies on those that are.
    fn lies_as_compiled(&mut self, entry: Entry, linear: u64, global: &mut GlobalPages) -> bool {
        let first = linear.wrapping_sub(entry.offset() as u64) & PAGE_MASK;
        for number in 0..self.cpu.blocks.code.pages(entry.code).len() {
            let page = self.cpu.blocks.code.pages(entry.code)[number];
            let linear = self.wrap(first.wrapping_add(page.offset as u64));
            let Some(found) = self.peek_code(linear).filter(|found| found.phys.0 == page.phys) else { return false };
            self.rely_on(linear, found.kind.global, global);
        }
        true
    }

    /// The jump that is being remembered relies on where the page at `linear` leads.
    fn rely_on(&mut self, linear: u64, is_global: bool, global: &mut GlobalPages) {
        global.all &= is_global;
        global.some |= is_global;
        self.cpu.blocks.rely_on(self.cpu.mode_bits, linear);
    }
}
