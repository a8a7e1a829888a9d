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

/// What is in the place of a region's pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// They all are there.
    AsCompiled,
    /// Those that are there are the region's.
    Missing,
    /// Some other page.
    Other,
}

impl Exec<'_> {
    /// Remembers that `linear` leads to `block`, and to compiled code where there is some and its pages are where they were. Where others
    /// are, it is of no use any more: it goes, and the block may become hot again. Where some are missing, it waits for them: a program that
    /// has just begun touches its pages one after the other, and will run the same code as the one before.
    pub(crate) fn remember_jump(&mut self, linear: u64, block: u32) {
        let mut global = GlobalPages { all: true, some: false };
        let mut entry = self.cpu.blocks.entry_at(block, linear);
        let mut waits = false;
        if let Some(found) = entry {
            let pages = self.pages_of(found, linear, &mut global);
            let are_there = pages == Pages::AsCompiled;
            let stays = pages != Pages::Other && self.cpu.blocks.code.may_wait(found.code, are_there);
            if !stays {
                self.cpu.blocks.code.remove(found.code);
                self.cpu.blocks.forget_jumps_to_gone();
            }
            waits = stays && !are_there;
            entry = entry.filter(|_| are_there);
        }
        if entry.is_none() && !waits {
            self.cpu.blocks.cool_down(block);
        }
        // The block's pages are among those of its code.
        if entry.is_none() {
            let page = linear & PAGE_MASK;
            self.rely_on(page, self.cpu.tlb.is_global_code(page), &mut global);
            if self.cpu.blocks.origin(block).second_page.is_some() {
                let second = self.wrap(page.wrapping_add(PAGE_BYTES));
                self.rely_on(second, self.cpu.tlb.is_global_code(second), &mut global);
            }
        }
        let mode_bits = self.cpu.mode_bits;
        self.cpu.blocks.remember_jump(linear, mode_bits, block, entry, global);
    }

    /// What is where the pages of the code entered at `linear` were; the jump relies on those that are there.
    fn pages_of(&mut self, entry: Entry, linear: u64, global: &mut GlobalPages) -> Pages {
        let first = linear.wrapping_sub(entry.offset() as u64) & PAGE_MASK;
        for &page in &*self.cpu.blocks.code.pages(entry.code) {
            let linear = self.wrap(first.wrapping_add(page.offset as u64));
            match self.peek_code(linear) {
                Some(found) if found.phys.0 == page.phys => self.rely_on(linear, found.kind.global, global),
                Some(_) => return Pages::Other,
                None => return Pages::Missing,
            }
        }
        Pages::AsCompiled
    }

    /// The jump that is being remembered relies on where the page at `linear` leads.
    fn rely_on(&mut self, linear: u64, is_global: bool, global: &mut GlobalPages) {
        global.all &= is_global;
        global.some |= is_global;
        self.cpu.blocks.rely_on(self.cpu.mode_bits, linear);
    }
}
