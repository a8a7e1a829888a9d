//! Which accesses share one look into the TLB: those close behind one another from the same base, as those to a stack frame or a record are.
//!
//! The first of a group checks the whole span of it, which has to lie in one page; where it does not, the block stops there, and the interpreter goes on.
//! What may be written may be read, so reads and writes share a look: that of the writes, which would stop the block anyway.
//!
//! A group goes on into the blocks that only its own leads to, unless a branch goes back there: what a general register holds there, it held at the end of
//! this block. Where only reads are certain, those blocks do not write by it: they may never run, and the page may be one that nobody may write to.
//!
//! What is counted from a base and an index walks through an array, and comes to the end of a page again and again. Accesses of such a group are looked for one by
//! one where they do not lie in the same page, and those of later blocks leave there if the TLB does not cover them: behind the last element of an array they never
//! run. So a walk never leaves in vain, and goes on into other blocks also where other groups do not.

use cpu::compiled::Sharing;
use cpu::tlb_layout::Use;
use x86::Width;

use crate::emitter::Block;
use crate::graph::Graph;
use crate::ir::{Binary, Cell, FLAG_RESULT, Node, RIP, Step, Value};
use crate::structure::{BlockId, Edge, Structure};

/// Bytes from the first to the last of a group, at most. The longer, the more often it lies in two pages.
const SPAN: i64 = 128;
/// The same of what walks through an array, which may go row by row.
const WALK_SPAN: i64 = 512;

/// Addresses that instructions name outright.
const ABSOLUTE: core::ops::Range<i64> = -(1 << 32)..1 << 32;

/// How a step finds where in the host's memory its access is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// By itself.
    Alone,
    /// For all of a group, which begins so many bytes before its own access, has so many bytes, and is used so.
    First { group: usize, before: u64, bytes: u64, usage: Use },
    /// So many bytes behind where the group begins.
    Within { group: usize, offset: u64 },
    /// For all of a walk, as above.
    FirstOfWalk { walk: usize, before: u64, bytes: u64, usage: Use },
    /// Of a walk this one, by number.
    InWalk { walk: usize, number: usize },
}

/// An access of a walk: so many bytes behind the first one's address.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) offset: i64,
    pub(crate) bytes: u64,
    pub(crate) usage: Use,
    /// It runs wherever the first one does.
    pub(crate) certain: bool,
}

/// The groups of a region.
pub(crate) struct Groups {
    /// For every block the way of each of its steps.
    pub(crate) ways: Vec<Vec<Way>>,
    /// How many accesses each has.
    pub(crate) counts: Vec<usize>,
    /// The accesses of each walk, the first one first.
    pub(crate) walks: Vec<Vec<Pace>>,
}

impl Groups {
    /// Those of `blocks`, of code of this width, as far as accesses may share a look.
    pub(crate) fn of(blocks: &[Block], structure: &Structure, code: Width, sharing: Sharing) -> Groups {
        let leads_to = leads_to(structure);
        let reached = structure.order.iter().copied().filter(|&block| structure.is_block(block));
        let mut is_led_to = vec![false; structure.root()];
        leads_to.iter().flatten().for_each(|&next| is_led_to[next] = true);
        let mut finder = Finder { blocks, code, sharing, leads_to, groups: Vec::new(), sums: Vec::new() };
        for block in reached.filter(|&block| !is_led_to[block]) {
            finder.block(block, Vec::new(), core::array::from_fn(|cell| (Base::Cell(block, cell), 0)));
        }
        let ways = blocks.iter().map(|block| vec![Way::Alone; block.steps.len()]).collect();
        let mut groups = Groups { ways, counts: Vec::new(), walks: Vec::new() };
        finder.groups.iter().for_each(|group| groups.settle(group));
        groups
    }

    fn settle(&mut self, group: &Group) {
        let [first, others @ ..] = group.members.as_slice() else { return };
        if others.is_empty() {
            return;
        }
        let (start, end) = Group::span(group.members.iter());
        let (before, bytes) = ((first.start - start) as u64, (end - start) as u64);
        if group.is_walk() {
            let walk = self.walks.len();
            self.ways[first.block][first.step] = Way::FirstOfWalk { walk, before, bytes, usage: group.usage };
            for (number, member) in (1..).zip(others) {
                self.ways[member.block][member.step] = Way::InWalk { walk, number };
            }
            let pace = |m: &Member| Pace {
                offset: m.start - first.start,
                bytes: m.bytes as u64,
                usage: m.usage,
                certain: m.block == first.block,
            };
            self.walks.push(group.members.iter().map(pace).collect());
            return;
        }
        let number = self.counts.len();
        self.counts.push(group.members.len());
        self.ways[first.block][first.step] = Way::First { group: number, before, bytes, usage: group.usage };
        for member in others {
            let offset = (member.start - start) as u64;
            self.ways[member.block][member.step] = Way::Within { group: number, offset };
        }
    }
}

/// What addresses are counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    /// A cell as this block found it.
    Cell(BlockId, Cell),
    /// A value of this block.
    Value(BlockId, Value),
    /// One of [`Finder::sums`].
    Sum(usize),
    Absolute,
}

/// What the general registers and RIP hold where a block begins, as a base and a displacement.
type Held = [(Base, i64); RIP + 1];

struct Member {
    block: BlockId,
    step: usize,
    /// From the base.
    start: i64,
    bytes: i64,
    usage: Use,
}

struct Group {
    base: Base,
    usage: Use,
    members: Vec<Member>,
}

impl Group {
    fn span<'a>(members: impl Iterator<Item = &'a Member>) -> (i64, i64) {
        members.fold((i64::MAX, i64::MIN), |(start, end), m| (start.min(m.start), end.max(m.start + m.bytes)))
    }

    fn is_walk(&self) -> bool {
        matches!(self.base, Base::Sum(_))
    }

    fn admits(&self, base: Base, usage: Use, member: &Member, sharing: Sharing) -> bool {
        let shares = sharing != Sharing::Nothing || self.is_walk();
        let is_certain = usage == Use::Read || self.usage == Use::Write || self.members[0].block == member.block;
        let (start, end) = Group::span(self.members.iter().chain([member]));
        let span = if self.is_walk() { WALK_SPAN } else { SPAN };
        self.base == base && shares && is_certain && end - start <= span
    }
}

struct Finder<'a> {
    blocks: &'a [Block],
    code: Width,
    sharing: Sharing,
    /// Where groups go on to from each block.
    leads_to: Vec<Vec<BlockId>>,
    groups: Vec<Group>,
    /// Two bases, the second of them shifted.
    sums: Vec<(Base, Base, u64)>,
}

impl Finder<'_> {
    /// `block` and those that groups go on to; `open` are the groups that came so far.
    fn block(&mut self, block: BlockId, mut open: Vec<usize>, held: Held) {
        let blocks = self.blocks;
        for (number, step) in blocks[block].steps.iter().enumerate() {
            if let Some((address, bytes, usage)) = access(step) {
                let (base, start) = self.place(block, address, &held);
                let member = Member { block, step: number, start, bytes: bytes as i64, usage };
                match open.iter().find(|&&group| self.groups[group].admits(base, usage, &member, self.sharing)) {
                    Some(&group) => {
                        let group = &mut self.groups[group];
                        group.members.push(member);
                        if usage == Use::Write {
                            group.usage = usage;
                        }
                    }
                    None => {
                        open.push(self.groups.len());
                        self.groups.push(Group { base, usage, members: vec![member] });
                    }
                }
            } else if !keeps_translations(step) {
                open.clear();
            }
        }
        let end = blocks[block].stops[blocks[block].end()].cells;
        let mut behind = held;
        for (cell, held_behind) in behind.iter_mut().enumerate().take(FLAG_RESULT) {
            *held_behind = self.place(block, end[cell], &held);
        }
        if self.sharing != Sharing::Blocks {
            open.retain(|&group| self.groups[group].is_walk());
        }
        for next in core::mem::take(&mut self.leads_to[block]) {
            self.block(next, open.clone(), behind);
        }
    }

    /// A value as a base and a displacement. Cut to 32 bits that are no more than an address in one page apart, so that the cut is left to the base.
    fn place(&mut self, block: BlockId, value: Value, held: &Held) -> (Base, i64) {
        let blocks = self.blocks;
        let graph = &blocks[block].graph;
        let (value, displacement) = displaced(graph, value, self.code);
        let (base, start) = match graph.node(value) {
            Node::Input(cell) if cell < FLAG_RESULT || cell == RIP => held[cell],
            Node::Const(constant) if ABSOLUTE.contains(&(constant as i64)) => (Base::Absolute, constant as i64),
            Node::Binary(Binary::Add, one, other) => self.sum(block, [one, other], held),
            _ => (Base::Value(block, value), 0),
        };
        (base, start.wrapping_add(displacement))
    }

    /// The sum of a base and an index.
    fn sum(&mut self, block: BlockId, [one, other]: [Value; 2], held: &Held) -> (Base, i64) {
        let blocks = self.blocks;
        let graph = &blocks[block].graph;
        let scaled = graph.operands_of(other, Binary::Shl);
        let scaled = scaled.and_then(|(index, scale)| Some((index, graph.constant_of(scale)?)));
        let (index, scale) = scaled.unwrap_or((other, 0));
        let (base, start) = self.place(block, one, held);
        let (index, from) = self.place(block, index, held);
        let sum = (base, index, scale);
        let number = self.sums.iter().position(|known| *known == sum).unwrap_or_else(|| {
            self.sums.push(sum);
            self.sums.len() - 1
        });
        (Base::Sum(number), start.wrapping_add(from.wrapping_shl(scale as u32)))
    }
}

/// Where groups go on to from each block, at most.
fn leads_to(structure: &Structure) -> Vec<Vec<BlockId>> {
    let goes_on = |edge: Edge| match edge {
        Edge::Continues(next) if structure.is_block(next) && !structure.is_loop[next] => Some(next),
        _ => None,
    };
    let mut leads_to = vec![Vec::new(); structure.root()];
    let reached = structure.order.iter().copied().filter(|&block| structure.is_block(block));
    for block in reached {
        leads_to[block] = structure.edges(block).filter_map(goes_on).collect();
    }
    leads_to
}

/// Address, length and use of the access that `step` looks for in the TLB.
fn access(step: &Step) -> Option<(Value, u64, Use)> {
    match *step {
        Step::Load { access, .. } => Some((access.address, access.width.bytes(), Use::Read)),
        Step::LoadForWrite { access, .. } | Step::Store { access, .. } => {
            Some((access.address, access.width.bytes(), Use::Write))
        }
        Step::LoadVector { address, bytes, .. } => Some((address, bytes, Use::Read)),
        Step::StoreVector { address, .. } | Step::ProbeVector { address, .. } => Some((address, 16, Use::Write)),
        _ => None,
    }
}

/// No translation can change by `step`, which accesses no memory itself.
fn keeps_translations(step: &Step) -> bool {
    matches!(
        step,
        Step::StoreBack { .. }
            | Step::Guard { .. }
            | Step::Require { .. }
            | Step::RequireUpwards { .. }
            | Step::LoadField { .. }
            | Step::StoreField { .. }
            | Step::SetDisabled { .. }
            | Step::X87 { .. }
            | Step::X87Nearest { .. }
            | Step::ReadTime { .. }
            | Step::LoadHigh { .. }
            | Step::StoreHigh { .. }
            | Step::DivideWide { .. }
            | Step::SetFlags { .. }
            | Step::SwapGs
            | Step::BeginShadow
            | Step::EndShadow
            | Step::LetInterrupt { .. }
    )
}

/// `value` as another and a displacement.
fn displaced(graph: &Graph, value: Value, code: Width) -> (Value, i64) {
    let constant = |value: Value| graph.constant_of(value).map(|constant| constant as i64);
    let whole = match graph.operands_of(value, Binary::And) {
        Some((whole, mask)) if code == Width::W32 && constant(mask) == Some(Width::W32.mask() as i64) => whole,
        _ => value,
    };
    let displacement =
        |(_, offset): &(Value, Value)| constant(*offset).is_some_and(|offset| i32::try_from(offset).is_ok());
    match graph.operands_of(whole, Binary::Add).filter(displacement) {
        Some((base, offset)) => (base, constant(offset).unwrap_or(0)),
        None => (whole, 0),
    }
}
