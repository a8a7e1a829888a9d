//! Predecoded blocks: straight-line runs of instructions, decoded once and found by physical address and mode.
//!
//! A block never leaves its page, but for a last instruction that crosses into the next one; such an instruction is a block of its
//! own, valid only while the second page is where it was. Stores to pages that hold code come here ([`BlockCache::invalidate`]).

mod jumps;

use core::hash::{Hash, Hasher};

use rustc_hash::FxHashSet;
use x86::instructions::integer::Int;
use x86::{Op, Sem};

use crate::compiled::{CodeCache, Entry, Footing, Part, Targets, Translation};
use crate::pages::Pages;
use crate::spaces::Spaces;
use crate::state::Mode;
use crate::tlb::PAGE_BYTES;
pub(crate) use jumps::{JUMP_SHIFT, JUMPS, Jump};
use jumps::{KeptSpace, jump_index};

/// Predecoded operations kept; when full, everything is dropped. 131,072 of 40 bytes are 5 MiB.
const CAPACITY: usize = 1 << 17;
/// The same where hot blocks are compiled, which they only become if they are kept: 80 MiB. A boot and a C compile take more than half.
const CAPACITY_TO_COMPILE: usize = 1 << 21;
/// Most operations in one block.
pub(crate) const MAX_OPS: usize = 64;
/// Most operations compiled together.
pub const MAX_REGION_OPS: usize = 300;
/// How often a block is interpreted until somebody looks again whether there is code by now, a power of two: a loop may be all that runs until the slice ends, which is as
/// long as compiled code would take for it.
const REMINDER: u32 = 1024;
/// How much hotter a block becomes when compiled code leaves for it: to leave and to come back takes as long as to interpret a few blocks.
const LEFT_FOR: u32 = 3;
/// The slot of a block that is not compiled. No function has it: it is the null pointer.
pub const NO_CODE: u32 = 0;

/// What identifies the decoded form of code at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Physical address of the first byte.
    pub(crate) phys: u64,
    /// Mode it was decoded for.
    pub(crate) mode: Mode,
}

impl Key {
    /// The address in the key of a block that has been dropped: there is none.
    const DROPPED: u64 = u64::MAX;
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Physical addresses have 52 bits at most.
        state.write_u64(self.phys ^ u64::from(self.mode.bits()) << 52);
    }
}

/// A decoded block, as far as it is looked at whenever it is interpreted: forty bytes, of which there are some hundred thousand.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// Its first operation in [`BlockCache::ops`].
    pub(crate) first: u32,
    /// Number of operations.
    pub(crate) count: u16,
    /// Length in bytes.
    pub(crate) bytes: u16,
    /// The linear address that led here last.
    linear: u64,
    /// The jump cache's tag when it did; 0 where it does no more.
    tag: u64,
    /// The blocks that were interpreted after it last: the one behind it, and another.
    followers: [u32; 2],
    /// How often it has been interpreted.
    heat: u32,
    /// A compiled region may be entered here.
    compiled: bool,
    /// A region that it belongs to is being compiled.
    under_way: bool,
    /// It ends with a jump or call without a fixed target, and where that goes is worth knowing.
    indirect: bool,
}

/// Where a block comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) key: Key,
    /// Physical page its last instruction crosses into.
    pub(crate) second_page: Option<u64>,
}

/// Places for blocks that were looked for last.
const FOUND: usize = 1 << 18;

fn found_index(key: &Key) -> usize {
    (key.phys ^ key.phys >> 16) as usize & (FOUND - 1)
}

/// No block.
const NO_BLOCK: u32 = u32::MAX;

impl Block {
    /// How often it has been interpreted.
    pub(crate) fn heat(&self) -> u32 {
        self.heat
    }

    /// The linear address that led here last.
    pub(crate) fn linear(&self) -> u64 {
        self.linear
    }

    /// Which of its followers is at `linear`.
    #[inline(always)]
    fn way_to(&self, linear: u64) -> usize {
        usize::from(linear != self.linear.wrapping_add(u64::from(self.bytes)))
    }

    /// Physical addresses and lengths of its bytes, which come from `origin`, by page.
    fn ranges(&self, origin: Origin) -> impl Iterator<Item = (u64, u16)> + use<> {
        let phys = origin.key.phys;
        let in_first = origin.second_page.map_or(self.bytes, |_| (PAGE_BYTES - phys % PAGE_BYTES) as u16);
        let rest = self.bytes - in_first;
        core::iter::once((phys, in_first)).chain(origin.second_page.map(|second| (second, rest)))
    }
}

/// Instructions to be run one after the other: a block or its beginning.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    first: u32,
    /// Number of operations.
    pub(crate) count: u16,
    /// Length in bytes.
    pub(crate) bytes: u16,
}

/// See the module.
pub(crate) struct BlockCache {
    ops: Vec<Op>,
    blocks: Vec<Block>,
    /// By the number of the block.
    origins: Vec<Origin>,
    /// The block that has been interpreted last, if what comes now follows from that.
    last: u32,
    pages: Pages,
    /// Blocks that were looked for last, by physical address: a program that starts looks for a thousand that another has run.
    found: Box<[u32]>,
    jumps: Box<[Jump]>,
    /// Compiled regions.
    pub(crate) code: CodeCache,
    /// How often a block is interpreted before it is worth compiling; 0 is never.
    pub(crate) hot_at: u32,
    /// How often all blocks were dropped: their numbers begin again.
    pub(crate) epoch: u64,
    /// Where blocks that end with a jump or call without a fixed target went.
    targets: Targets,
    /// Another one whenever a linear address may lead elsewhere: those of the jumps in force in user mode, and in supervisor mode.
    generations: [u64; 2],
    /// Supervisor code in pages that are not global: places in the jump cache, and blocks.
    transient: Vec<(u16, u32)>,
    /// The last that was given out.
    newest_generation: u64,
    /// Some jump in user mode relies on a global page.
    user_relies_on_global: bool,
    /// Address spaces that are not in force.
    spaces: Spaces<KeptSpace>,
    /// How often some of those were forgotten.
    transients_forgotten: u64,
    /// Numbers of the pages that the jump cache relies on, as the generations. A page too many would cost all jumps whenever the guest invalidates it.
    jump_pages: [FxHashSet<u64>; 2],
    /// Blocks decoded since power-on.
    pub(crate) decoded: u64,
    /// Blocks dropped because their bytes were written.
    pub(crate) invalidated: u64,
}

/// Dispatch code of an operation whose block was overwritten while it ran: leave the block here.
pub(crate) const LEAVE: u16 = u16::MAX;

impl BlockCache {
    pub(crate) fn new() -> BlockCache {
        BlockCache {
            ops: Vec::with_capacity(CAPACITY),
            blocks: Vec::new(),
            origins: Vec::new(),
            last: NO_BLOCK,
            pages: Pages::default(),
            found: vec![NO_BLOCK; FOUND].into_boxed_slice(),
            jumps: vec![Jump { linear: 0, tag: 0, code: NO_CODE, place: 0, block: 0 }; JUMPS].into_boxed_slice(),
            code: CodeCache::default(),
            hot_at: 0,
            epoch: 0,
            targets: Targets::default(),
            generations: [1; 2],
            transient: Vec::new(),
            newest_generation: 1,
            user_relies_on_global: false,
            spaces: Spaces::new(),
            transients_forgotten: 0,
            jump_pages: [FxHashSet::default(), FxHashSet::default()],
            decoded: 0,
            invalidated: 0,
        }
    }

    /// Blocks are compiled once they have been interpreted `hot_at` times. Before the first block.
    pub(crate) fn compile_at(&mut self, hot_at: u32) {
        self.forget();
        self.hot_at = hot_at;
        self.ops = Vec::with_capacity(CAPACITY_TO_COMPILE);
    }

    /// Where compiled code can be entered at `linear`, which leads to `block`, if its pages lie where they should.
    pub(crate) fn entry_at(&mut self, block: u32, linear: u64) -> Option<Entry> {
        let is_compiled = self.blocks[block as usize].compiled;
        let key = self.origin(block).key;
        if is_compiled && far_from_canonical_hole(linear) { self.code.find_to_enter(&key) } else { None }
    }

    /// There is no code for `block`: if there was, it may become hot again.
    pub(crate) fn cool_down(&mut self, block: u32) {
        let block = &mut self.blocks[block as usize];
        if core::mem::take(&mut block.compiled) {
            block.heat = 0;
        }
    }

    /// The block at a linear address, where it is one that has followed the block interpreted last before, and is not compiled.
    #[inline(always)]
    pub(crate) fn follow(&mut self, linear: u64, mode: u16) -> Option<u32> {
        let last = self.blocks.get(self.last as usize)?;
        if last.indirect {
            self.targets.note(self.last, linear);
        }
        let index = last.followers[last.way_to(linear)];
        let next = self.blocks.get(index as usize)?;
        if next.linear != linear || next.tag != self.tag(mode) || next.compiled {
            return None;
        }
        self.last = index;
        Some(index)
    }

    /// Block `index`, which the jump cache knows to be at `linear`, is interpreted now.
    #[inline(always)]
    pub(crate) fn begin(&mut self, index: u32, linear: u64, mode: u16) {
        let tag = self.tag(mode);
        let left_for = match self.blocks.get_mut(self.last as usize) {
            Some(last) => {
                last.followers[last.way_to(linear)] = index;
                0
            }
            None => LEFT_FOR,
        };
        self.last = index;
        let block = &mut self.blocks[index as usize];
        (block.linear, block.tag) = (linear, tag);
        // Interpreting it is what makes it hot.
        block.heat = block.heat.max(block.heat.saturating_add(left_for).min(self.hot_at.saturating_sub(1)));
    }

    /// Counts that block `index` is interpreted; true when that makes it worth compiling, and every [`REMINDER`] times.
    #[inline(always)]
    pub(crate) fn warm_up(&mut self, index: u32) -> bool {
        if self.hot_at == 0 {
            return false;
        }
        let block = &mut self.blocks[index as usize];
        let before = block.heat;
        block.heat = before.wrapping_add(1);
        block.heat.is_multiple_of(REMINDER) || before < self.hot_at && block.heat >= self.hot_at
    }

    /// Whether the last time that block `index` was interpreted has made it worth compiling.
    pub(crate) fn has_become_hot(&self, index: u32) -> bool {
        self.heat(index) == self.hot_at
    }

    /// What is interpreted next does not follow from what was interpreted last.
    pub(crate) fn forget_last(&mut self) {
        self.last = NO_BLOCK;
    }

    /// Linear addresses where block `index`, which ends with a jump or call without a fixed target, went most often, the most frequent first.
    pub(crate) fn likely_targets(&self, index: u32) -> Vec<u64> {
        self.targets.likely(index)
    }

    /// Block `index` has not been dropped.
    pub(crate) fn is_alive(&self, index: u32) -> bool {
        self.origins.get(index as usize).is_some_and(|origin| origin.key.phys != Key::DROPPED)
    }

    pub(crate) fn ops_of(&self, block: Block) -> &[Op] {
        &self.ops[block.first as usize..][..usize::from(block.count)]
    }

    /// How often a block has been interpreted.
    pub(crate) fn heat(&self, block: u32) -> u32 {
        self.blocks.get(block as usize).map_or(0, Block::heat)
    }

    /// A region that `block` belongs to is being compiled: it becomes hot once more if it is still interpreted then.
    pub(crate) fn postpone(&mut self, block: u32) -> bool {
        let hot_at = self.hot_at;
        let Some(block) = self.blocks.get_mut(block as usize).filter(|block| block.under_way) else { return false };
        block.heat = hot_at / 2;
        true
    }

    /// A region of these blocks is being compiled, or no more.
    pub(crate) fn set_under_way(&mut self, footing: &Footing, under_way: bool) {
        if footing.epoch == self.epoch {
            for &(block, _) in &footing.members {
                self.blocks[block as usize].under_way = under_way;
            }
        }
    }

    /// Nothing of what a region is made of has been dropped since it was formed.
    pub(crate) fn stands(&self, footing: &Footing) -> bool {
        footing.epoch == self.epoch && footing.members.iter().all(|&(block, _)| self.is_alive(block))
    }

    /// There is no code for the blocks of a region that does not stand: those that are left may become hot again.
    pub(crate) fn cool_members(&mut self, footing: &Footing) {
        if footing.epoch == self.epoch {
            for &(block, _) in &footing.members {
                self.blocks[block as usize].heat = 0;
            }
        }
    }

    /// A region of `footing`, which stands, has been compiled.
    pub(crate) fn add_code(&mut self, translation: &Translation, footing: Footing) {
        let Footing { members, pages, usual_x87, .. } = footing;
        let entry = |&place: &usize| (self.origin(members[place].0).key, members[place].1);
        let entries: Vec<(Key, i64)> = translation.entries.iter().map(entry).collect();
        self.code.insert(translation.code, &entries, pages, self.parts(&members), usual_x87);
        for &place in &translation.entries {
            let index = members[place].0;
            let block = &mut self.blocks[index as usize];
            block.compiled = true;
            // Its code will be found when it is looked for again.
            let jump = &mut self.jumps[jump_index(block.linear)];
            if (jump.block, jump.linear, jump.code) == (index, block.linear, NO_CODE) {
                jump.tag = 0;
            }
        }
    }

    /// What `blocks`, the entry first, are made of. A function that is called from several places is there once.
    fn parts(&self, blocks: &[(u32, i64)]) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for &(index, _) in blocks {
            let block = self.block(index);
            let mut linear = block.linear();
            for (phys, bytes) in block.ranges(self.origin(index)) {
                let part = Part { linear, phys, bytes };
                if !parts.contains(&part) {
                    parts.push(part);
                }
                linear = linear.wrapping_add(u64::from(bytes));
            }
        }
        parts
    }

    #[inline(always)]
    pub(crate) fn block(&self, index: u32) -> Block {
        self.blocks[index as usize]
    }

    /// Where a block comes from.
    pub(crate) fn origin(&self, index: u32) -> Origin {
        self.origins[index as usize]
    }

    #[inline(always)]
    pub(crate) fn run(&self, index: u32) -> Run {
        let &Block { first, count, bytes, .. } = &self.blocks[index as usize];
        Run { first, count, bytes }
    }

    /// The operations of `run`, to be read through the pointer while it runs: [`BlockCache::invalidate`] may overwrite their
    /// dispatch codes, and nothing frees them before the next [`BlockCache::insert`].
    #[inline(always)]
    pub(crate) fn ops(&self, run: Run) -> *const Op {
        debug_assert!(run.first as usize + usize::from(run.count) <= self.ops.len());
        self.ops.as_ptr().wrapping_add(run.first as usize)
    }

    /// The first `count` instructions of `run`, which has more.
    #[cold]
    #[inline(never)]
    pub(crate) fn beginning(&self, run: Run, count: u64) -> Run {
        let bytes = self.ops[run.first as usize + count as usize].offset;
        Run { count: count as u16, bytes, ..run }
    }

    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        let index = self.found[found_index(key)];
        let is_it = self.origins.get(index as usize).is_some_and(|origin| origin.key == *key);
        if is_it { Some(index) } else { self.pages.find(key) }
    }

    /// The same, which will be found at the first look next time.
    pub(crate) fn find_again(&mut self, key: &Key) -> Option<u32> {
        let index = self.find(key)?;
        self.found[found_index(key)] = index;
        Some(index)
    }

    /// Adds a block. True in the second place: it is the first with code in its page (or pages), so write
    /// translations of those must go.
    pub(crate) fn insert(&mut self, key: Key, ops: &[Op], second_page: Option<u64>) -> (u32, bool) {
        if self.ops.len() + ops.len() > self.ops.capacity() {
            self.clear();
        }
        let bytes = ops.last().map_or(0, |op| op.next_offset() as u16);
        let first = self.ops.len() as u32;
        self.ops.extend_from_slice(ops);
        let index = self.blocks.len() as u32;
        let count = ops.len() as u16;
        self.blocks.push(Block {
            first,
            count,
            bytes,
            linear: 0,
            tag: 0,
            followers: [NO_BLOCK; 2],
            heat: 0,
            compiled: self.code.find(&key).is_some(),
            under_way: false,
            indirect: self.hot_at > 0
                && ops.last().is_some_and(|op| matches!(op.sem, Sem::Int(Int::JmpIndirect | Int::CallIndirect))),
        });
        self.origins.push(Origin { key, second_page });
        self.decoded += 1;
        let is_new_page = core::iter::once(key.phys).chain(second_page).any(|phys| !self.holds_code(phys));
        if let Some(other) = self.pages.insert(&key, index) {
            self.origins[other as usize].key.phys = Key::DROPPED;
            self.forget_jumps_to(other);
        }
        if let Some(phys) = second_page {
            self.pages.insert_crossing(phys, index);
        }
        (index, is_new_page)
    }

    /// Whether code has been decoded from the physical page at `phys`.
    pub(crate) fn holds_code(&self, phys: u64) -> bool {
        self.pages.holds(phys) || self.code.holds(phys)
    }

    /// Drops every block with bytes in `phys .. phys + bytes` (within one page); a block that is running is left after
    /// the instruction at work.
    pub(crate) fn invalidate(&mut self, phys: u64, bytes: u64) {
        let mut dropped = self.code.invalidate(phys, bytes);
        let mut page = self.pages.take(phys);
        page.begin.retain(|&(_, index)| {
            let Origin { key, second_page } = self.origins[index as usize];
            let end = key.phys + u64::from(self.blocks[index as usize].bytes);
            let hit = second_page.is_some() || (key.phys < phys + bytes && phys < end);
            dropped |= hit && self.drop_block(index);
            !hit
        });
        for index in page.cross.drain(..) {
            dropped |= self.drop_block(index);
        }
        self.pages.put(phys, page);
        if dropped {
            self.forget_jumps();
        }
    }

    /// Drops a block, but for its place in a page that has been taken; false where it had been dropped.
    fn drop_block(&mut self, index: u32) -> bool {
        let (Block { first, count, .. }, Origin { key, .. }) = (self.block(index), self.origin(index));
        if key.phys == Key::DROPPED {
            return false;
        }
        self.invalidated += 1;
        self.pages.remove(&key);
        self.origins[index as usize].key.phys = Key::DROPPED;
        for op in &self.ops[first as usize..][..usize::from(count)] {
            op.code.set(LEAVE);
        }
        true
    }

    /// Drops everything, compiled code too.
    pub(crate) fn forget(&mut self) {
        self.code.clear();
        self.clear();
    }

    /// Drops all blocks.
    fn clear(&mut self) {
        self.epoch += 1;
        self.ops.clear();
        self.blocks.clear();
        self.origins.clear();
        self.last = NO_BLOCK;
        self.pages.clear();
        self.targets = Targets::default();
        self.forget_jumps();
    }
}

/// No relative branch leads from a region entered at `linear` to an address that is not canonical: compiled code checks none.
fn far_from_canonical_hole(linear: u64) -> bool {
    const HALF: i64 = 1 << 47;
    const REACH: i64 = 1 << 33;
    let linear = linear as i64;
    (-HALF + REACH..HALF - REACH).contains(&linear)
}
