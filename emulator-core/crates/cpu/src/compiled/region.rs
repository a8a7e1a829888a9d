//! Which blocks are compiled together: those that direct branches lead to from a hot one, and the functions it calls.
//!
//! A called function gets blocks of its own for every call, so that it is known where it comes back to; the code is a tree of calls then. One that calls itself does not:
//! where it comes back to is one of the places behind those calls.

use rustc_hash::FxHashMap;
use x86::instructions::integer::Int;
use x86::instructions::system::Sys;
use x86::{Op, RIP_SLOT, Sem, Width, seg};

use crate::blocks::{BlockCache, Key, MAX_REGION_OPS};
use crate::compiled::Sharing;
use crate::state::Mode;
use crate::tlb::PAGE_BYTES;

/// Calls are followed as long as there are no more operations.
const MAX_OPS_BEFORE_CALL: usize = 180;
/// Most operations of a function that is called.
const MAX_CALLED_OPS: usize = 80;
/// How deep calls are followed.
const MAX_DEPTH: usize = 4;
/// Blocks belong to a region that have been interpreted at least this part of the times that make one hot.
const WARM: u32 = 8;
/// How far a block may lie from the entry, in bytes: see `far_from_canonical_hole` in [`crate::blocks`].
const REACH: u64 = 1 << 31;

/// Blocks to be compiled as one function. Positions are relative to the first byte of the first block, where it is entered: where that lies in
/// linear memory is known when it runs.
pub struct Region {
    /// Mode they were decoded for.
    pub mode: Mode,
    /// The entry first.
    pub blocks: Vec<RegionBlock>,
    /// Which accesses share a look into the TLB.
    pub sharing: Sharing,
    /// The x87 rounded to nearest in extended precision when the region was formed, and is expected to go on so.
    pub usual_x87: bool,
}

/// A block of a [`Region`]; others are named by their place in it.
pub struct RegionBlock {
    /// Offset of its first byte from that of the region's entry.
    pub start: i64,
    /// Its instructions; offsets in them are relative to the block.
    pub ops: Vec<Op>,
    /// Where those lie in the memory of the processor's, one after the other: compiled code names them by their address.
    pub home: usize,
    /// The block behind its last instruction, where execution may go on there now or, behind a call, later.
    pub next: Option<usize>,
    /// Blocks its branch leads to: the one at a fixed target, or those where one without a fixed target is expected to go, the likeliest first.
    pub targets: Vec<usize>,
    /// It belongs to a call that the region follows.
    pub called: bool,
    /// The region is entered here as well.
    pub entered: bool,
}

/// A page that a region lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RegionPage {
    /// Its linear address less that of the entry's page.
    pub(crate) offset: i64,
    /// Its physical address.
    pub(crate) phys: u64,
}

/// A region, and what it is made of.
pub(crate) struct Formed {
    pub(crate) region: Region,
    pub(crate) footing: Footing,
}

/// What a region is made of.
pub(crate) struct Footing {
    /// Numbers of the blocks and their offsets from the entry, in the region's order; behind those, blocks that are parts of them.
    pub(crate) members: Vec<(u32, i64)>,
    /// The entry's first.
    pub(crate) pages: Vec<RegionPage>,
    /// [`BlockCache::epoch`] when it was formed.
    pub(crate) epoch: u64,
    /// [`Region::usual_x87`].
    pub(crate) usual_x87: bool,
}

impl Formed {
    /// Has it entered at `block` as well, if that belongs to it; false where it does not.
    pub(crate) fn enter_at(&mut self, block: u32) -> bool {
        let members = self.footing.members.iter().zip(&mut self.region.blocks);
        let own = members.filter(|((member, _), own)| *member == block && !own.called).map(|(_, own)| own).next();
        own.map(|own| own.entered = true).is_some()
    }
}

impl BlockCache {
    /// The region that `entry` is the hot entry of; none where it cannot be compiled. `page_at` tells the physical page that code at a linear
    /// address is fetched from, as far as it is known; `usual_x87` is [`Region::usual_x87`].
    pub(crate) fn region(&self, entry: u32, usual_x87: bool, page_at: impl Fn(u64) -> Option<u64>) -> Option<Formed> {
        if !self.is_alive(entry) {
            return None;
        }
        let (first, key) = (self.block(entry), self.origin(entry).key);
        if self.code.find(&key).is_some() {
            return None;
        }
        let page = |address: u64| address & !(PAGE_BYTES - 1);
        let own = RegionPage { offset: 0, phys: page(key.phys) };
        let mut forming = Forming {
            cache: self,
            page_at: &page_at,
            mode: key.mode,
            usual_x87,
            entry: first.linear(),
            knows_others: page_at(first.linear()) == Some(own.phys),
            pages: vec![own],
            members: Vec::new(),
            ops: 0,
        };
        forming.function(first.linear(), None)?;
        forming.follow_calls();
        Some(forming.finish())
    }
}

/// A block of the region that is being formed.
struct Member {
    block: u32,
    start: i64,
    next: Option<usize>,
    targets: Vec<usize>,
    /// How many calls deep.
    depth: usize,
    /// The block of one instruction that runs in the interrupt shadow of this one, an STI.
    shadowed: Option<u32>,
}

/// A call that is being followed.
#[derive(Clone, Copy)]
struct Call {
    depth: usize,
    comes_back_to: usize,
}

struct Forming<'a> {
    cache: &'a BlockCache,
    page_at: &'a dyn Fn(u64) -> Option<u64>,
    mode: Mode,
    usual_x87: bool,
    /// Linear address of the entry.
    entry: u64,
    /// The address space is still the one the entry was found in.
    knows_others: bool,
    pages: Vec<RegionPage>,
    members: Vec<Member>,
    /// Operations of all members.
    ops: usize,
}

impl Forming<'_> {
    /// Adds the blocks that are reached from the one at `linear` without calls, and gives its place. Of a function that is called all must fit, or none
    /// is added.
    fn function(&mut self, linear: u64, call: Option<Call>) -> Option<usize> {
        let first = self.members.len();
        let (before, pages) = (self.ops, self.pages.len());
        let mut places = FxHashMap::default();
        self.add(linear, call, &mut places)?;
        let mut at = first;
        while at < self.members.len() {
            let member = &self.members[at];
            let next = self.next(member);
            for linear in next.into_iter().chain(self.jumps(member)) {
                self.add(linear, call, &mut places);
            }
            at += 1;
            if call.is_some() && self.ops - before > MAX_CALLED_OPS {
                self.members.truncate(first);
                self.pages.truncate(pages);
                self.ops = before;
                return None;
            }
        }
        for at in first..self.members.len() {
            let member = &self.members[at];
            let place = |linear: u64| places.get(&linear).copied();
            let next = self.next(member).and_then(place);
            let jumps = self.jumps(member).into_iter().filter_map(place);
            let returns = call.filter(|_| self.last_op(member).is_some_and(is_return)).map(|call| call.comes_back_to);
            let targets = jumps.chain(returns).collect();
            (self.members[at].next, self.members[at].targets) = (next, targets);
        }
        Some(first)
    }

    /// Adds the block at `linear`, unless it is there, is cold, or does not fit.
    fn add(&mut self, linear: u64, call: Option<Call>, places: &mut FxHashMap<u64, usize>) -> Option<()> {
        if places.contains_key(&linear) {
            return None;
        }
        let page = self.page(linear)?;
        let phys = page.phys | linear & (PAGE_BYTES - 1);
        let block = self.cache.find(&Key { phys, mode: self.mode })?;
        let found = self.cache.block(block);
        let is_entry = self.members.is_empty();
        let crossed = match self.cache.origin(block).second_page {
            Some(second) => Some(self.page(self.behind(linear, PAGE_BYTES)).filter(|page| page.phys == second)?),
            None => None,
        };
        let shadowed = self.shadowed(block);
        let ops = usize::from(found.count) + usize::from(shadowed.is_some());
        let fits = self.ops + ops <= MAX_REGION_OPS;
        let is_warm = found.heat() >= self.cache.hot_at / WARM;
        if !(is_entry || fits && is_warm) {
            return None;
        }
        for page in core::iter::once(page).chain(crossed) {
            if !self.pages.contains(&page) {
                self.pages.push(page);
            }
        }
        places.insert(linear, self.members.len());
        self.ops += ops;
        let depth = call.map_or(0, |call| call.depth);
        self.members.push(Member {
            block,
            start: self.offset(linear),
            next: None,
            targets: Vec::new(),
            depth,
            shadowed,
        });
        Some(())
    }

    /// The block that has been interpreted in the shadow of `sti`, if it is one: a single instruction ([`Mode::single`]). Only of those that compiled code does
    /// completely or leaves before they have done anything: it must not have ended the shadow when it leaves.
    fn shadowed(&self, sti: u32) -> Option<u32> {
        let (sti, origin) = (self.cache.block(sti), self.cache.origin(sti));
        let [op] = self.cache.ops_of(sti) else { return None };
        let phys = origin.key.phys + u64::from(sti.bytes);
        if op.sem != Sem::Sys(Sys::Sti) || phys.is_multiple_of(PAGE_BYTES) {
            return None;
        }
        let block = self.cache.find(&Key { phys, mode: Mode { single: true, ..self.mode } })?;
        let found = self.cache.block(block);
        let op = self.cache.ops_of(found).first()?;
        let fits = match op.sem {
            Sem::Int(_) => !op.checked || op.seg != seg::CS,
            Sem::Sys(sys) => matches!(sys, Sys::Sysexit | Sys::Sysret),
            _ => false,
        };
        (fits && self.cache.origin(block).second_page.is_none()).then_some(block)
    }

    /// Goes into the functions that members call, breadth first.
    fn follow_calls(&mut self) {
        let mut at = 0;
        while at < self.members.len() && self.ops < MAX_OPS_BEFORE_CALL {
            let member = &self.members[at];
            let depth = member.depth + 1;
            if let Some(comes_back_to) = member.next
                && depth <= MAX_DEPTH
            {
                let call = Some(Call { depth, comes_back_to });
                for function in self.calls(member) {
                    let is_own = depth == 1 && function == self.entry;
                    let called = if is_own { Some(0) } else { self.function(function, call) };
                    self.members[at].targets.extend(called);
                }
            }
            at += 1;
        }
        self.return_from_own_calls();
    }

    /// Returns of the function that the region begins with are expected to lead to where it has called itself.
    fn return_from_own_calls(&mut self) {
        let calls_itself = |member: &&Member| member.depth == 0 && self.calls(member).contains(&self.entry);
        let places: Vec<usize> = self.members.iter().filter(calls_itself).filter_map(|member| member.next).collect();
        for at in 0..self.members.len() {
            let member = &self.members[at];
            if member.depth == 0 && self.last_op(member).is_some_and(is_return) {
                self.members[at].targets.extend(&places);
            }
        }
    }

    /// Linear address behind the last instruction of `member`, where execution may go on there now or after a call.
    fn next(&self, member: &Member) -> Option<u64> {
        let goes_on = match self.last_op(member)?.sem {
            Sem::Int(Int::Jmp | Int::JmpIndirect | Int::Ret | Int::RetRelease | Int::Ud) => false,
            // What a call comes back to belongs to the region, whether it goes on there by itself or not, and so does what is behind
            // an instruction that compiled code leaves to the interpreter.
            _ => true,
        };
        goes_on.then(|| self.behind(self.linear(member), self.bytes(member)))
    }

    /// Linear addresses where `member` jumps to.
    fn jumps(&self, member: &Member) -> Vec<u64> {
        let Some(op) = self.last_op(member) else { return Vec::new() };
        match op.sem {
            Sem::Int(Int::Jcc | Int::Loop | Int::Loope | Int::Loopne | Int::Jcxz | Int::Jmp) => {
                self.target(member, op).into_iter().collect()
            }
            Sem::Int(Int::JmpIndirect) => self.cache.likely_targets(member.shadowed.unwrap_or(member.block)),
            _ => Vec::new(),
        }
    }

    /// Linear addresses of the functions that `member` calls.
    fn calls(&self, member: &Member) -> Vec<u64> {
        let Some(op) = self.last_op(member) else { return Vec::new() };
        match op.sem {
            Sem::Int(Int::Call) => self.target(member, op).into_iter().collect(),
            Sem::Int(Int::CallIndirect) => self.cache.likely_targets(member.shadowed.unwrap_or(member.block)),
            _ => Vec::new(),
        }
    }

    /// The relative target of `op`, the last of `member`, unless an operand size cuts it.
    fn target(&self, member: &Member, op: &Op) -> Option<u64> {
        let next = self.linear(member).wrapping_add(self.bytes(member));
        (op.opsize == self.mode.code).then(|| self.behind(next, op.imm as u64))
    }

    fn bytes(&self, member: &Member) -> u64 {
        Self::blocks(member).map(|block| u64::from(self.cache.block(block).bytes)).sum()
    }

    fn last_op(&self, member: &Member) -> Option<&Op> {
        let last = member.shadowed.unwrap_or(member.block);
        self.cache.ops_of(self.cache.block(last)).last()
    }

    /// What `member` is made of.
    fn blocks(member: &Member) -> impl Iterator<Item = u32> + use<> {
        core::iter::once(member.block).chain(member.shadowed)
    }

    fn ops(&self, member: &Member) -> Vec<Op> {
        let mut ops = Vec::new();
        for block in Self::blocks(member) {
            let before = ops.last().map_or(0, Op::next_offset);
            ops.extend(self.cache.ops_of(self.cache.block(block)).iter().map(|op| moved(op, before)));
        }
        ops
    }

    fn linear(&self, member: &Member) -> u64 {
        self.behind(self.entry, member.start as u64)
    }

    /// Linear addresses wrap at 4 GiB, but for those of 64-bit mode.
    fn behind(&self, linear: u64, bytes: u64) -> u64 {
        self.mode.code.max(Width::W32).truncate(linear.wrapping_add(bytes))
    }

    /// From the entry to `linear`.
    fn offset(&self, linear: u64) -> i64 {
        linear.wrapping_sub(self.entry) as i64
    }

    /// The page of `linear`, where that is known and near enough.
    fn page(&self, linear: u64) -> Option<RegionPage> {
        let page = |linear: u64| linear & !(PAGE_BYTES - 1);
        let offset = page(linear).wrapping_sub(page(self.entry)) as i64;
        if offset == 0 {
            return self.pages.first().copied();
        }
        let near = offset.unsigned_abs() < REACH && self.knows_others;
        near.then(|| (self.page_at)(linear)).flatten().map(|phys| RegionPage { offset, phys })
    }

    fn finish(self) -> Formed {
        let block = |member: &Member| {
            let ops = self.ops(member);
            RegionBlock {
                start: member.start,
                home: ops.as_ptr() as usize,
                ops,
                next: member.next,
                targets: member.targets.clone(),
                called: member.depth > 0,
                entered: false,
            }
        };
        let entry = self.members.first().map(|member| self.cache.origin(member.block).key);
        let sharing = entry.map_or_else(Sharing::default, |key| self.cache.code.straddles.sharing(&key));
        let blocks = self.members.iter().map(block).collect();
        let region = Region { mode: self.mode, blocks, sharing, usual_x87: self.usual_x87 };
        let shadowed = self.members.iter().filter_map(|member| Some((member.shadowed?, member.start)));
        let members = self.members.iter().map(|member| (member.block, member.start)).chain(shadowed).collect();
        let footing = Footing { members, pages: self.pages, epoch: self.cache.epoch, usual_x87: self.usual_x87 };
        Formed { region, footing }
    }
}

/// `op` in a block that begins `bytes` earlier.
fn moved(op: &Op, bytes: u64) -> Op {
    let mut op = op.clone();
    op.offset += bytes as u16;
    if op.base == RIP_SLOT * 8 {
        op.disp += bytes as i64;
    }
    op
}

fn is_return(op: &Op) -> bool {
    matches!(op.sem, Sem::Int(Int::Ret | Int::RetRelease))
}
