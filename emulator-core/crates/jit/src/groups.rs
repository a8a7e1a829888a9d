//! Which accesses of a block share one look into the TLB: those close behind one another from the same base, as those to a stack frame or a record are.
//!
//! The first of a group checks the whole span of it, which has to lie in one page; where it does not, the block stops there, and the interpreter goes on.

use cpu::tlb_layout::Use;
use x86::Width;

use crate::emitter::Block;
use crate::graph::Graph;
use crate::ir::{Binary, Step, Value};

/// Bytes from the first to the last of a group, at most. The longer, the more often it lies in two pages.
const SPAN: i64 = 128;

/// How a step finds where in the host's memory its access is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// By itself.
    Alone,
    /// For all of a group, which begins so many bytes before its own access and has so many bytes.
    First { group: usize, before: u64, bytes: u64 },
    /// So many bytes behind where the group begins.
    Within { group: usize, offset: u64 },
}

/// For every step of `block` its way, and for every group how many accesses it has.
pub(crate) fn group(block: &Block, code: Width) -> (Vec<Way>, Vec<usize>) {
    let mut ways = vec![Way::Alone; block.steps.len()];
    let mut counts = Vec::new();
    let mut open: Vec<Group> = Vec::new();
    for (number, step) in block.steps.iter().enumerate() {
        if let Some((address, bytes, usage)) = access(step) {
            let (base, start) = place(&block.graph, address, code);
            let member = Member { step: number, start, bytes: bytes as i64 };
            match open.iter_mut().find(|group| (group.base, group.usage) == (base, usage) && group.has_room(&member)) {
                Some(group) => group.members.push(member),
                None => open.push(Group { base, usage, members: vec![member] }),
            }
        } else if !keeps_translations(step) {
            open.drain(..).for_each(|group| group.settle(&mut ways, &mut counts));
        }
    }
    open.drain(..).for_each(|group| group.settle(&mut ways, &mut counts));
    (ways, counts)
}

/// The same without groups.
pub(crate) fn alone(block: &Block) -> (Vec<Way>, Vec<usize>) {
    (vec![Way::Alone; block.steps.len()], Vec::new())
}

struct Member {
    step: usize,
    /// From the base.
    start: i64,
    bytes: i64,
}

struct Group {
    base: Value,
    usage: Use,
    members: Vec<Member>,
}

impl Group {
    fn span<'a>(members: impl Iterator<Item = &'a Member>) -> (i64, i64) {
        members.fold((i64::MAX, i64::MIN), |(start, end), m| (start.min(m.start), end.max(m.start + m.bytes)))
    }

    fn has_room(&self, member: &Member) -> bool {
        let (start, end) = Group::span(self.members.iter().chain([member]));
        end - start <= SPAN
    }

    fn settle(&self, ways: &mut [Way], counts: &mut Vec<usize>) {
        let [first, others @ ..] = self.members.as_slice() else { return };
        if others.is_empty() {
            return;
        }
        let (start, end) = Group::span(self.members.iter());
        let group = counts.len();
        counts.push(self.members.len());
        ways[first.step] = Way::First { group, before: (first.start - start) as u64, bytes: (end - start) as u64 };
        for member in others {
            ways[member.step] = Way::Within { group, offset: (member.start - start) as u64 };
        }
    }
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

/// An address as a base and a displacement. Cut to 32 bits that are no more than an address in one page apart, so that the cut is left to the base.
fn place(graph: &Graph, address: Value, code: Width) -> (Value, i64) {
    let constant = |value: Value| graph.constant_of(value).map(|constant| constant as i64);
    let whole = match graph.operands_of(address, Binary::And) {
        Some((whole, mask)) if code == Width::W32 && constant(mask) == Some(Width::W32.mask() as i64) => whole,
        _ => address,
    };
    let displacement =
        |(_, offset): &(Value, Value)| constant(*offset).is_some_and(|offset| i32::try_from(offset).is_ok());
    match graph.operands_of(whole, Binary::Add).filter(displacement) {
        Some((base, offset)) => (base, constant(offset).unwrap_or(0)),
        None => (whole, 0),
    }
}
