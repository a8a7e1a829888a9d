//! Which blocks are compiled together: those of one page that direct branches lead to from a hot one.

use x86::instructions::integer::Int;
use x86::{Op, Sem, Width};

use crate::blocks::{Block, BlockCache, Key, MAX_REGION_OPS};
use crate::state::Mode;

const PAGE_BYTES: i64 = 4096;

/// Blocks to be compiled as one function. Positions are relative to the first byte of the first block, where it is entered: where that lies in
/// linear memory is known when it runs.
pub struct Region {
    /// Mode they were decoded for.
    pub mode: Mode,
    /// The entry first.
    pub blocks: Vec<RegionBlock>,
}

/// A block of a [`Region`].
pub struct RegionBlock {
    /// Offset of its first byte from that of the region's entry.
    pub start: i64,
    /// Its instructions; offsets in them are relative to the block.
    pub ops: Vec<Op>,
}

impl BlockCache {
    /// The region that `entry` is the hot entry of, and the numbers of its blocks; none where it cannot be compiled.
    pub(crate) fn region(&self, entry: u32) -> Option<(Region, Vec<u32>)> {
        if !self.is_alive(entry) {
            return None;
        }
        let first = self.block(entry);
        if first.second_page.is_some() || self.code.find(&first.key).is_some() {
            return None;
        }
        let page = first.key.phys & !(PAGE_BYTES as u64 - 1);
        let mut members = vec![entry];
        let mut ops = usize::from(first.count);
        let mut at = 0;
        while let Some(&member) = members.get(at) {
            at += 1;
            for offset in self.successors(self.block(member)) {
                let next =
                    (0..PAGE_BYTES).contains(&offset).then(|| Key { phys: page + offset as u64, mode: first.key.mode });
                let Some(next) = next.and_then(|key| self.find(&key)) else { continue };
                let block = self.block(next);
                let fits = ops + usize::from(block.count) <= MAX_REGION_OPS;
                if fits && block.second_page.is_none() && !members.contains(&next) {
                    ops += usize::from(block.count);
                    members.push(next);
                }
            }
        }
        let blocks = members.iter().map(|&member| {
            let block = self.block(member);
            let start = block.key.phys as i64 - first.key.phys as i64;
            RegionBlock { start, ops: self.ops_of(block).to_vec() }
        });
        Some((Region { mode: first.key.mode, blocks: blocks.collect() }, members))
    }

    /// Offsets in the page where execution may go on after `block` without an indirect branch, or after a call.
    fn successors(&self, block: Block) -> impl Iterator<Item = i64> {
        let start = block.key.phys as i64 & (PAGE_BYTES - 1);
        let last = self.ops_of(block).last();
        let next = start + i64::from(block.bytes);
        let target = next + last.map_or(0, |op| op.imm);
        let [falls_through, branches] = last.map_or([false; 2], |op| continues(op, block.key.mode.code));
        falls_through.then_some(next).into_iter().chain(branches.then_some(target))
    }
}

/// Whether `op`, the last of its block, goes on with the next instruction, now or some time later, and at its relative target.
fn continues(op: &Op, code: Width) -> [bool; 2] {
    let whole = op.opsize == code;
    match op.sem {
        Sem::Int(Int::Jcc | Int::Loop | Int::Loope | Int::Loopne | Int::Jcxz) => [true, whole],
        Sem::Int(Int::Jmp) => [false, whole],
        // What a call comes back to belongs to the region, though the region does not go on there by itself.
        Sem::Int(Int::Call | Int::CallIndirect) => [true, false],
        Sem::Int(Int::JmpIndirect | Int::Ret | Int::RetRelease | Int::Ud) => [false; 2],
        // Nor after an instruction that compiled code leaves to the interpreter.
        _ => [true, false],
    }
}
