//! The jump cache: which block, and which compiled code, a linear address leads to. Entries of several address spaces lie in it; a generation that
//! each has to itself tells which are in force.

use rustc_hash::FxHashSet;

use super::{BlockCache, NO_CODE};
use crate::compiled::{Code, Entry, GlobalPages};
use crate::mode::USER;
use crate::tlb::LARGE_SHIFT;

/// Entries of the jump cache.
pub(crate) const JUMPS: usize = 1 << 15;
/// How far apart the bits of an address are that its place in the jump cache comes from.
pub(crate) const JUMP_SHIFT: u32 = 15;
const PAGE_SHIFT: u32 = 12;
/// Of so many times that a block is interpreted although there is code for it, one begins with a look for that; a power of two.
const LOOKS_EVERY: u32 = 16;

/// Where a linear address leads to.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Jump {
    pub(crate) linear: u64,
    pub(crate) tag: u64,
    pub(crate) code: u32,
    pub(crate) place: u32,
    pub(super) block: u32,
}

/// What is known of an address space that is not in force.
pub(super) struct KeptSpace {
    /// That of its jumps in user mode.
    generation: u64,
    /// The numbers of the pages that they rely on.
    pages: FxHashSet<u64>,
}

impl BlockCache {
    /// The block at a linear address, if it was found there since the last change of mappings.
    #[inline(always)]
    pub(crate) fn jump(&self, linear: u64, mode: u16) -> Option<u32> {
        let jump = &self.jumps[jump_index(linear)];
        let is_known = jump.linear == linear && jump.tag == self.tag(mode);
        (is_known && (jump.code != NO_CODE || !self.looks_for_code(jump.block))).then_some(jump.block)
    }

    /// There is code for `block`, and it is time to look whether it can be entered by now: while another address space was in force the block may
    /// have been compiled, or pages of the code have come.
    #[inline(always)]
    fn looks_for_code(&self, block: u32) -> bool {
        let block = &self.blocks[block as usize];
        block.compiled && block.heat.is_multiple_of(LOOKS_EVERY)
    }

    /// Where compiled code is entered at a linear address that [`BlockCache::jump`] knows.
    #[inline(always)]
    pub(crate) fn entry(&self, linear: u64) -> Option<Entry> {
        let jump = &self.jumps[jump_index(linear)];
        (jump.code != NO_CODE).then_some(Entry { code: Code(jump.code), place: jump.place })
    }

    /// The jump that is remembered next relies on where the page at `linear` leads.
    pub(crate) fn rely_on(&mut self, mode: u16, linear: u64) {
        self.jump_pages[side(mode)].insert(linear >> PAGE_SHIFT);
    }

    /// Remembers that `linear` leads to `block`, and where compiled code is entered there.
    pub(crate) fn remember_jump(
        &mut self,
        linear: u64,
        mode: u16,
        block: u32,
        entry: Option<Entry>,
        global: GlobalPages,
    ) {
        if mode & USER != 0 {
            self.user_relies_on_global |= global.some;
        } else if !global.all {
            self.transient.push((jump_index(linear) as u16, block));
        }
        let tag = self.tag(mode);
        self.blocks[block as usize].linear = linear;
        let (code, place) = entry.map_or((NO_CODE, 0), |entry| (entry.code.0, entry.place));
        self.jumps[jump_index(linear)] = Jump { linear, tag, code, place, block };
    }

    pub(crate) fn jumps_address(&self) -> usize {
        self.jumps.as_ptr() as usize
    }

    /// Changes whenever compiled or decoded code, or what addresses lead to it in `mode`, has changed.
    pub(crate) fn generation(&self, mode: u16) -> u64 {
        self.generations[side(mode)] + self.transients_forgotten
    }

    #[inline(always)]
    pub(crate) fn tag(&self, mode: u16) -> u64 {
        self.generations[side(mode)] << 16 | u64::from(mode)
    }

    /// Forgets which block a linear address leads to; the blocks stay.
    pub(crate) fn forget_jumps(&mut self) {
        self.generations = core::array::from_fn(|_| self.new_generation());
        self.transient.clear();
        self.user_relies_on_global = false;
        self.spaces.clear();
        self.jump_pages.iter_mut().for_each(FxHashSet::clear);
    }

    /// One that no jump has.
    fn new_generation(&mut self) -> u64 {
        self.newest_generation += 1;
        self.newest_generation
    }

    /// Forgets the jumps that lead to compiled code that is gone: of all others it is still known where they lead, and to find that out costs more than a look at each.
    pub(crate) fn forget_jumps_to_gone(&mut self) {
        let gone = self.code.gone();
        forget_jumps_where(&mut self.jumps, |jump| gone.contains(&Code(jump.code)));
    }

    /// Forgets the jumps that lead to block `index`, in whatever address space.
    pub(super) fn forget_jumps_to(&mut self, index: u32) {
        forget_jumps_where(&mut self.jumps, |jump| jump.block == index);
        self.blocks[index as usize].tag = 0;
    }

    /// As [`BlockCache::forget_jumps`], but for supervisor code in global pages: another address space has been loaded. Programs share none with one another.
    pub(crate) fn forget_local_jumps(&mut self) {
        self.generations[0] = self.new_generation();
        self.user_relies_on_global = false;
        self.jump_pages[0].clear();
        self.transients_forgotten += u64::from(!self.transient.is_empty());
        for (at, block) in self.transient.drain(..) {
            self.jumps[usize::from(at)].tag = 0;
            self.blocks[block as usize].tag = 0;
        }
    }

    /// The address space `to` takes the place of `from`, as [`crate::tlb::Tlb::switch`] says.
    pub(crate) fn switch_space(&mut self, from: u16, to: u16, keep: bool) {
        if from == to && keep {
            return;
        }
        // What becomes of a global page is told to the address space in force alone.
        if !self.user_relies_on_global {
            let pages = core::mem::take(&mut self.jump_pages[0]);
            self.spaces.put(from, KeptSpace { generation: self.generations[0], pages });
        }
        self.forget_local_jumps();
        if let Some(kept) = self.spaces.take(to).filter(|_| keep) {
            self.generations[0] = kept.generation;
            self.jump_pages[0] = kept.pages;
        }
    }

    /// Drops what is kept of the address space `pcid`, which is not in force.
    pub(crate) fn forget_space(&mut self, pcid: u16) {
        self.spaces.take(pcid);
    }

    /// Drops what is kept of all address spaces that are not in force.
    pub(crate) fn forget_spaces(&mut self) {
        self.spaces.clear();
    }

    /// The same for addresses in the page of `linear`, which may be a `large` one.
    pub(crate) fn forget_page_jumps(&mut self, linear: u64, large: bool) {
        const SHIFT_IN_PAGES: u32 = LARGE_SHIFT - PAGE_SHIFT;
        let page = linear >> PAGE_SHIFT;
        for side in 0..self.jump_pages.len() {
            let pages = &self.jump_pages[side];
            let is_near = |other: &u64| other >> SHIFT_IN_PAGES == page >> SHIFT_IN_PAGES;
            if pages.contains(&page) || large && pages.iter().any(is_near) {
                self.generations[side] = self.new_generation();
                self.jump_pages[side].clear();
            }
        }
    }
}

fn forget_jumps_where(jumps: &mut [Jump], is_gone: impl Fn(&Jump) -> bool) {
    for jump in jumps.iter_mut().filter(|jump| is_gone(jump)) {
        (jump.tag, jump.code) = (0, NO_CODE);
    }
}

/// Which of two lists is that of user mode, and which that of supervisor mode.
#[inline(always)]
fn side(mode: u16) -> usize {
    usize::from(mode & USER == 0)
}

#[inline(always)]
pub(super) fn jump_index(linear: u64) -> usize {
    (linear ^ linear >> JUMP_SHIFT) as usize & (JUMPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Key;
    use crate::state::{Mode, State};

    const LINEAR: u64 = 0x40_1000;
    const NOWHERE: GlobalPages = GlobalPages { all: false, some: false };

    fn key(phys: u64) -> Key {
        Key { phys, mode: Mode::of(&State::at_reset(crate::CpuModel::default())) }
    }

    /// Has the jump at `linear` lead to a block of its own, and to region `code`.
    fn jump_to(cache: &mut BlockCache, linear: u64, code: Option<u32>, global: GlobalPages) -> u32 {
        let (block, _) = cache.insert(key(linear), &[], None);
        cache.rely_on(USER, linear);
        let entry = code.map(|code| Entry { code: Code(code), place: 0 });
        cache.remember_jump(linear, USER, block, entry, global);
        block
    }

    #[test]
    fn an_address_space_that_comes_back_finds_its_jumps_and_others_do_not() {
        let mut cache = BlockCache::new();
        let block = jump_to(&mut cache, LINEAR, None, NOWHERE);
        cache.switch_space(1, 2, true);
        assert_eq!(cache.jump(LINEAR, USER), None);
        // What the second says of the page is not about the first.
        cache.forget_page_jumps(LINEAR, false);
        cache.switch_space(2, 1, true);
        assert_eq!(cache.jump(LINEAR, USER), Some(block));
        cache.forget_page_jumps(LINEAR, false);
        assert_eq!(cache.jump(LINEAR, USER), None, "it relies on that page still");
    }

    #[test]
    fn an_address_space_loaded_anew_has_no_jumps() {
        let mut cache = BlockCache::new();
        for (forget, keep) in [(false, false), (true, true)] {
            jump_to(&mut cache, LINEAR, None, NOWHERE);
            cache.switch_space(1, 2, true);
            if forget {
                cache.forget_space(1);
            }
            cache.switch_space(2, 1, keep);
            assert_eq!(cache.jump(LINEAR, USER), None);
        }
    }

    #[test]
    fn jumps_that_rely_on_global_pages_are_not_kept() {
        let mut cache = BlockCache::new();
        jump_to(&mut cache, LINEAR, None, GlobalPages { all: true, some: true });
        cache.switch_space(1, 2, true);
        cache.switch_space(2, 1, true);
        assert_eq!(cache.jump(LINEAR, USER), None);
    }

    #[test]
    fn jumps_to_code_that_is_gone_go_in_every_address_space_and_all_others_stay() {
        const OTHER: u64 = LINEAR + 0x100;
        let mut cache = BlockCache::new();
        jump_to(&mut cache, LINEAR, Some(5), NOWHERE);
        let other = jump_to(&mut cache, OTHER, Some(6), NOWHERE);
        cache.code.insert(Code(5), &[(key(LINEAR), 0)], Vec::new(), Vec::new(), true);
        cache.switch_space(1, 2, true);
        cache.code.remove(Code(5));
        cache.forget_jumps_to_gone();
        cache.switch_space(2, 1, true);
        assert_eq!((cache.jump(LINEAR, USER), cache.jump(OTHER, USER)), (None, Some(other)));
    }

    #[test]
    fn a_block_compiled_while_another_address_space_was_in_force_is_looked_for_again() {
        let mut cache = BlockCache::new();
        let block = jump_to(&mut cache, LINEAR, None, NOWHERE);
        cache.switch_space(1, 2, true);
        cache.blocks[block as usize].compiled = true;
        cache.switch_space(2, 1, true);
        assert_eq!(cache.jump(LINEAR, USER), None);
    }

    #[test]
    fn a_block_that_takes_the_place_of_another_takes_its_jumps() {
        let mut cache = BlockCache::new();
        let first = jump_to(&mut cache, LINEAR, None, NOWHERE);
        cache.switch_space(1, 2, true);
        let (second, _) = cache.insert(key(LINEAR), &[], Some(0x5000));
        assert_eq!(cache.find_again(&key(LINEAR)), Some(second));
        cache.switch_space(2, 1, true);
        assert_ne!(cache.jump(LINEAR, USER), Some(first));
    }
}
