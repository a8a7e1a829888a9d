//! Which accesses share one look into the TLB: those close behind one another from the same base, as those to a stack frame or a record are.
//!
//! The first of a group checks the whole span of it, which has to lie in one page; where it does not, the block stops there, and the interpreter goes on.
//! What may be written may be read, so reads and writes share a look: that of the writes, which would stop the block anyway.
//!
//! A group goes on into the blocks that only its own leads to, unless a branch goes back there: what a general register holds there, it held at the end of
//! this block. Where only reads are certain, those blocks do not write by it: they may never run, and the page may be one that nobody may write to.
//!
//! What is counted from a base and an index walks through an array, and comes to the end of a page again and again. Accesses of such a group are looked for one by
//! one where they do not lie in the same page.

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

impl Way {
    /// Whether `step`, which finds its memory this way, may leave the block: another one may have looked for it.
    pub(crate) fn may_leave(self, step: &Step) -> bool {
        !(matches!(self, Way::Within { .. } | Way::InWalk { .. }) && step.leaves_by_tlb_only())
    }
}

/// An access of a walk: so many bytes behind the first one's address.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) offset: i64,
    pub(crate) bytes: u64,
    pub(crate) usage: Use,
}

/// The groups of a region.
pub(crate) struct Groups {
    /// The ways of the steps of all blocks, and where those of each block begin.
    pub(crate) ways: Vec<Way>,
    pub(crate) first_ways: Vec<usize>,
    /// How many accesses each has.
    pub(crate) counts: Vec<usize>,
    /// The accesses of each walk, the first one first.
    pub(crate) walks: Vec<Vec<Pace>>,
}

impl Groups {
    /// Those of `blocks`, of code of this width, as far as accesses may share a look.
    pub(crate) fn of(blocks: &[Block], structure: &Structure, code: Width, sharing: Sharing) -> Groups {
        let mut first_ways = Vec::with_capacity(blocks.len());
        let mut steps = 0;
        for block in blocks {
            first_ways.push(steps);
            steps += block.steps.len();
        }
        let mut groups = Groups { ways: vec![Way::Alone; steps], first_ways, counts: Vec::new(), walks: Vec::new() };
        if sharing == Sharing::Nothing {
            return groups;
        }
        let mut finder = Finder {
            blocks,
            structure,
            code,
            sharing,
            groups: Vec::new(),
            open: Vec::new(),
            members: Vec::new(),
            sums: Vec::new(),
        };
        let reached = || structure.order.iter().copied().filter(|&block| structure.is_block(block));
        let mut is_led_to = vec![false; structure.root()];
        reached().flat_map(|block| leads_to(structure, sharing, block)).for_each(|next| is_led_to[next] = true);
        for block in reached().filter(|&block| !is_led_to[block]) {
            finder.block(block, 0..0, &core::array::from_fn(|cell| (Base::Cell(block, cell), 0)));
        }
        for group in finder.groups.iter().filter(|group| group.count > 1) {
            groups.settle(group, &finder.members);
        }
        groups
    }

    fn settle(&mut self, group: &Group, members: &[Member]) {
        let first = &members[group.first];
        let others = || members_behind(members, group.first);
        let (before, bytes) = ((first.start - group.start) as u64, (group.end - group.start) as u64);
        if matches!(group.base, Base::Sum(_)) {
            let walk = self.walks.len();
            *self.way(first) = Way::FirstOfWalk { walk, before, bytes, usage: group.usage };
            for (number, member) in (1..).zip(others()) {
                *self.way(member) = Way::InWalk { walk, number };
            }
            let pace = |m: &Member| Pace { offset: m.start - first.start, bytes: m.bytes as u64, usage: m.usage };
            self.walks.push([first].into_iter().chain(others()).map(pace).collect());
            return;
        }
        let number = self.counts.len();
        self.counts.push(group.count);
        *self.way(first) = Way::First { group: number, before, bytes, usage: group.usage };
        for member in others() {
            *self.way(member) = Way::Within { group: number, offset: (member.start - group.start) as u64 };
        }
    }

    /// The way of the step that is `member`.
    fn way(&mut self, member: &Member) -> &mut Way {
        &mut self.ways[self.first_ways[member.block] + member.step]
    }
}

/// The members of the group of `first` behind it.
fn members_behind(members: &[Member], first: usize) -> impl Iterator<Item = &Member> {
    core::iter::successors(members[first].next, |&member| members[member].next).map(|member| &members[member])
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
    /// The next one of its group.
    next: Option<usize>,
}

struct Group {
    base: Base,
    usage: Use,
    /// Its members, of which there are so many: the first and the last.
    first: usize,
    last: usize,
    count: usize,
    /// The block of the first.
    block: BlockId,
    /// Where they begin and end.
    start: i64,
    end: i64,
}

impl Group {
    /// The span with `member`.
    fn span_with(&self, member: &Member) -> (i64, i64) {
        (self.start.min(member.start), self.end.max(member.start + member.bytes))
    }

    fn admits(&self, base: Base, member: &Member) -> bool {
        if self.base != base {
            return false;
        }
        let is_certain = member.usage == Use::Read || self.usage == Use::Write || self.block == member.block;
        let (start, end) = self.span_with(member);
        let span = if matches!(base, Base::Sum(_)) { WALK_SPAN } else { SPAN };
        is_certain && end - start <= span
    }
}

struct Finder<'a> {
    blocks: &'a [Block],
    structure: &'a Structure,
    code: Width,
    sharing: Sharing,
    groups: Vec<Group>,
    /// Groups that may go on, of the blocks at work one behind the other.
    open: Vec<usize>,
    /// Those of all groups.
    members: Vec<Member>,
    /// Two bases, the second of them shifted.
    sums: Vec<(Base, Base, u64)>,
}

impl Finder<'_> {
    /// `block` and those that groups go on to; `came` are the places of groups that are open where it begins.
    fn block(&mut self, block: BlockId, came: core::ops::Range<usize>, held: &Held) {
        let first = self.open.len();
        self.open.extend_from_within(came);
        let blocks = self.blocks;
        for (number, step) in blocks[block].steps.iter().enumerate() {
            if let Some((address, bytes, usage)) = access(step) {
                let (base, start) = self.place(block, address, held);
                let member = Member { block, step: number, start, bytes: bytes as i64, usage, next: None };
                match self.open[first..].iter().find(|&&group| self.groups[group].admits(base, &member)) {
                    Some(&group) => self.join(group, &member),
                    None => {
                        self.open.push(self.groups.len());
                        self.begin(base, &member);
                    }
                }
                self.members.push(member);
            } else if !keeps_translations(step) {
                self.open.truncate(first);
            }
        }
        let mut behind = None;
        for next in leads_to(self.structure, self.sharing, block) {
            let behind = behind.get_or_insert_with(|| self.held_behind(block, held));
            self.block(next, first..self.open.len(), behind);
        }
        self.open.truncate(first);
    }

    /// What is held where `block` ends.
    fn held_behind(&mut self, block: BlockId, held: &Held) -> Held {
        let blocks = self.blocks;
        let end = blocks[block].cells_at(blocks[block].end());
        let mut behind = *held;
        for (cell, held_behind) in behind.iter_mut().enumerate().take(FLAG_RESULT) {
            *held_behind = self.place(block, end[cell], held);
        }
        behind
    }

    /// Begins a group with `member`, the next of all.
    fn begin(&mut self, base: Base, member: &Member) {
        let &Member { block, start, bytes, usage, .. } = member;
        let first = self.members.len();
        self.groups.push(Group { base, usage, first, last: first, count: 1, block, start, end: start + bytes });
    }

    /// Adds `member`, the next of all, to a group.
    fn join(&mut self, group: usize, member: &Member) {
        let number = self.members.len();
        let group = &mut self.groups[group];
        (group.start, group.end) = group.span_with(member);
        if member.usage == Use::Write {
            group.usage = member.usage;
        }
        self.members[group.last].next = Some(number);
        group.last = number;
        group.count += 1;
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

/// Where groups go on to from `block`, at most.
fn leads_to(structure: &Structure, sharing: Sharing, block: BlockId) -> impl Iterator<Item = BlockId> {
    let goes_on = |edge: Edge| match edge {
        Edge::Continues(next) if structure.is_block(next) && !structure.is_loop[next] => Some(next),
        _ => None,
    };
    let edges = if sharing == Sharing::Blocks { Some(structure.edges(block)) } else { None };
    edges.into_iter().flatten().filter_map(goes_on)
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
