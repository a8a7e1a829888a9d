//! Where compiled code may be entered: where all its pages lie as they did when it was compiled.

use super::Entry;
use crate::exec::Exec;
use crate::tlb::{PAGE_BYTES, PAGE_MASK};

impl Exec<'_> {
    /// Remembers that `linear` leads to `block`, and to compiled code where there is some and its pages are where they were. Where they
    /// are not, it is of no use any more: it goes, and the block may become hot again.
    pub(crate) fn remember_jump(&mut self, linear: u64, block: u32) {
        let mut pages = vec![linear & PAGE_MASK];
        if self.cpu.blocks.origin(block).second_page.is_some() {
            pages.push(self.wrap((linear & PAGE_MASK).wrapping_add(PAGE_BYTES)));
        }
        let mut global = pages.iter().all(|&page| self.cpu.tlb.is_global_code(page));
        let mut entry = self.cpu.blocks.entry_at(block, linear);
        if let Some(found) = entry {
            match self.pages_of_code(found, linear) {
                Some(all) => {
                    global &= all.iter().all(|&(_, global)| global);
                    pages.extend(all.iter().map(|&(page, _)| page));
                }
                None => {
                    self.cpu.blocks.code.remove(found.code);
                    self.cpu.blocks.forget_jumps();
                    entry = None;
                }
            }
        }
        if entry.is_none() {
            self.cpu.blocks.cool_down(block);
        }
        let mode_bits = self.cpu.mode_bits;
        self.cpu.blocks.remember_jump(linear, mode_bits, block, entry, &pages, global);
    }

    /// The linear addresses of all pages of the code entered at `linear`, and whether they are global; none where one leads elsewhere now.
    fn pages_of_code(&mut self, entry: Entry, linear: u64) -> Option<Vec<(u64, bool)>> {
        let first = linear.wrapping_sub(entry.offset() as u64) & PAGE_MASK;
        let count = self.cpu.blocks.code.pages(entry.code).len();
        let mut pages = Vec::with_capacity(count);
        for number in 0..count {
            let page = self.cpu.blocks.code.pages(entry.code)[number];
            let linear = self.wrap(first.wrapping_add(page.offset as u64));
            let found = self.peek_code(linear).filter(|found| found.phys.0 == page.phys)?;
            pages.push((linear, found.kind.global));
        }
        Some(pages)
    }
}
