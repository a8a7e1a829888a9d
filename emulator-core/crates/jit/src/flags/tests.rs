//! Which flags a block must leave, by what comes behind it.

use cpu::Mode;
use x86::decode::decode;
use x86::{Op, Width};

use super::*;
use crate::effects::Units;
use crate::emitter::Emitter;
use crate::graph::Places;
use crate::structure::Flow;

/// The region of these blocks, one behind the other; the flags needed behind the first.
fn behind_the_first(codes: &[&[u8]]) -> Flags {
    let mode =
        Mode { code: Width::W64, stack: Width::W64, flat: true, user: false, aligned: false, vex: true, single: false };
    let mut start = 0;
    let mut blocks = Vec::new();
    for code in codes {
        let mut emitter = Emitter::new(mode, start, 1, Units::default(), 0, Places::default());
        let (mut at, mut number) = (0, 0);
        while at < code.len() {
            let inst = decode(&code[at..], Width::W64).expect("an instruction");
            emitter.instruction(number, &Op::lower(&inst, at as u16), false);
            (at, number) = (at + usize::from(inst.len), number + 1);
        }
        blocks.push(emitter.finish());
        start += code.len() as i64;
    }
    let find = |offset: i64| blocks.iter().position(|block: &Block| block.start == offset);
    let flow = |block: &Block| {
        let targets = match block.end {
            End::Goto(next) => vec![find(next)],
            End::Branch(_, targets) => targets.map(find).to_vec(),
            End::Dynamic => vec![None],
        };
        Flow { start: block.start, targets, ..Flow::default() }
    };
    let structure = Structure::of(&blocks.iter().map(flow).collect::<Vec<_>>());
    needed_behind(&blocks, &structure)[0]
}

/// SUB EAX, EBX.
const SETS: &[u8] = &[0x29, 0xd8];
/// TEST ECX, ECX; RET.
const OVERWRITES: &[u8] = &[0x85, 0xc9, 0xc3];

#[test]
fn flags_that_the_next_block_overwrites_are_not_needed() {
    assert_eq!(behind_the_first(&[SETS, OVERWRITES]), 0);
}

#[test]
fn flags_are_needed_where_the_next_block_may_leave_before_it_overwrites_them() {
    // MOV EDX, [RSI] may fault.
    let loads = [&[0x8b, 0x16], OVERWRITES].concat();
    assert_eq!(behind_the_first(&[SETS, &loads]), BOTH);
}

#[test]
fn flags_are_needed_where_the_next_block_reads_them() {
    // SETZ DL; SETC DL.
    let reads_zero = [&[0x0f, 0x94, 0xc2], OVERWRITES].concat();
    let reads_carry = [&[0x0f, 0x92, 0xc2], OVERWRITES].concat();
    assert_eq!(behind_the_first(&[SETS, &reads_zero]) & RESULT, RESULT);
    assert_eq!(behind_the_first(&[SETS, &reads_carry]) & CARRIES, CARRIES);
}

#[test]
fn flags_are_needed_where_the_region_is_left() {
    // RET pops, and NOP and JMP go to nowhere in the region.
    assert_eq!(behind_the_first(&[&[0x29, 0xd8, 0xc3]]), BOTH);
    assert_eq!(behind_the_first(&[SETS, &[0x90, 0xeb, 0x40]]), BOTH);
    // JNZ behind the SUB over a RET to a JMP back to it, where the slice may end.
    assert_eq!(behind_the_first(&[&[0x29, 0xd8, 0x75, 0x01], &[0xc3], &[0xeb, 0xf9]]), BOTH);
}

#[test]
fn flags_pass_through_a_block_that_leaves_them_alone() {
    // LEA EDX, [RSI + 1], then a reader or an overwriter.
    let moves: &[u8] = &[0x8d, 0x56, 0x01];
    let reads = [&[0x0f, 0x92, 0xc2], OVERWRITES].concat();
    assert_eq!(behind_the_first(&[SETS, moves, &reads]) & CARRIES, CARRIES);
    assert_eq!(behind_the_first(&[SETS, moves, OVERWRITES]), 0);
}
