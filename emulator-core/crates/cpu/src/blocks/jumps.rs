//! The jump cache: which block, and which compiled code, a linear address leads to. It is that of one address space; what belongs to others waits beside it.

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

/// Jumps to compiled user code kept of an address space that is not in force. What has more is learned again.
const MOST_KEPT: usize = 512;

/// Jumps that are not in force.
pub(super) struct KeptJumps {
    jumps: Vec<Jump>,
    /// The numbers of the pages that they rely on.
    pages: FxHashSet<u64>,
}

impl BlockCache {
    /// The block at a linear address, if it was found there since the last change of mappings.
    #[inline(always)]
    pub(crate) fn jump(&self, linear: u64, mode: u16) -> Option<u32> {
        let jump = &self.jumps[jump_index(linear)];
        (jump.linear == linear && jump.tag == self.tag(mode)).then_some(jump.block)
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
        let at = jump_index(linear) as u16;
        if mode & USER != 0 {
            if !global.some && entry.is_some() && self.user.len() <= MOST_KEPT {
                self.user.push(at);
            }
        } else if !global.all {
            self.transient.push((at, block));
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
        self.generations = self.generations.map(|generation| generation + 1);
        self.transient.clear();
        self.user.clear();
        self.spaces.clear();
        self.jump_pages.iter_mut().for_each(FxHashSet::clear);
    }

    /// Forgets the jumps that lead to compiled code that is gone: of all others it is still known where they lead, and to find that out costs more than a look at each.
    pub(crate) fn forget_jumps_to_gone(&mut self) {
        let gone = self.code.gone();
        let leads_there = |jump: &Jump| gone.contains(&Code(jump.code));
        for jump in self.jumps.iter_mut().filter(|jump| leads_there(jump)) {
            (jump.tag, jump.code) = (0, NO_CODE);
        }
        for kept in self.spaces.iter_mut() {
            kept.jumps.retain(|jump| !leads_there(jump));
        }
    }

    /// As [`BlockCache::forget_jumps`], but for supervisor code in global pages: another address space has been loaded. Programs share none with one another.
    pub(crate) fn forget_local_jumps(&mut self) {
        self.generations[0] += 1;
        self.user.clear();
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
        let kept = self.keep_jumps();
        self.forget_local_jumps();
        self.spaces.put(from, kept);
        let Some(kept) = self.spaces.take(to).filter(|_| keep) else { return };
        self.jump_pages[0] = kept.pages;
        for jump in kept.jumps {
            let at = jump_index(jump.linear);
            self.jumps[at] = Jump { tag: self.tag(jump.tag as u16), ..jump };
            self.user.push(at as u16);
        }
    }

    /// The jumps of the address space in force that are to be kept. Those that are interpreted are not: there may be code for them by then.
    fn keep_jumps(&mut self) -> KeptJumps {
        let is_all = self.user.len() <= MOST_KEPT;
        let mut jumps: Vec<Jump> = Vec::new();
        for at in self.user.drain(..).filter(|_| is_all) {
            let jump = &mut self.jumps[usize::from(at)];
            let mode = jump.tag as u16;
            if mode & USER != 0 && jump.tag >> 16 == self.generations[0] && jump.code != NO_CODE {
                jumps.push(*jump);
                jump.tag = 0;
            }
        }
        KeptJumps { jumps, pages: core::mem::take(&mut self.jump_pages[0]) }
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
        for (pages, generation) in self.jump_pages.iter_mut().zip(&mut self.generations) {
            let is_near = |other: &u64| other >> SHIFT_IN_PAGES == page >> SHIFT_IN_PAGES;
            if pages.contains(&page) || large && pages.iter().any(is_near) {
                *generation += 1;
                pages.clear();
            }
        }
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
