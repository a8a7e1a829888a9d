//! Cases from the rows: an encoding, then a state that makes it do something.

use x86::decode::decode;
use x86::instructions::rows;
use x86::{Inst, Mem, Operand, Width, seg};

use crate::assemble::{self, Addressing, memory_operand};
use crate::case::{BACKGROUNDS, Case};
use crate::random::Random;
use crate::{CODE, DATA, ENTRY, FS_BASE, GS_BASE, STACK};

mod prepare;
pub mod sequence;
mod shape;

const RSP: usize = 4;
/// How often a row is tried before giving up: the choice may have come out as another row.
const PATIENCE: usize = 16;

/// A case that begins with an instruction of row `row`, unless that has none in this mode.
#[must_use]
pub fn single(row: u16, mode: Width, random: &mut Random) -> Option<Case> {
    let description = rows()[usize::from(row)];
    if description.has_note(if mode == Width::W64 { "i64" } else { "o64" }) {
        return None;
    }
    let (code, inst) = (0..PATIENCE).find_map(|_| {
        let (code, inst) = assemble::instruction(row, mode, Addressing::Any, random)?;
        (!runs_into_itself(&inst)).then_some((code, inst))
    })?;
    Some(around(code, inst, mode, random))
}

/// A case that begins with what nearly is an instruction of row `row`, and may be another or none.
#[must_use]
pub fn irregular(row: u16, mode: Width, random: &mut Random) -> Option<Case> {
    let mut code = assemble::variation(rows()[usize::from(row)], mode, random)?;
    match decode(&code, mode) {
        Ok(inst) if runs_into_itself(&inst) => None,
        Ok(inst) => {
            code.truncate(usize::from(inst.len));
            Some(around(code, inst, mode, random))
        }
        Err(_) => {
            let mut case = Case::new(code, mode);
            randomise(&mut case, random);
            Some(case)
        }
    }
}

/// A state for an instruction to do something in.
fn around(code: Vec<u8>, mut inst: Inst, mode: Width, random: &mut Random) -> Case {
    let mut case = Case::new(code, mode);
    randomise(&mut case, random);
    let mut address = None;
    if let Some(mem) = memory_operand(&inst) {
        let target = target(&mem, random);
        address = place(&mut case, &mut inst, mem, target, random);
        if let Some(address) = address {
            fill_operand(&mut case, address, &mem, random);
        }
    }
    shape::shape(&mut case, &inst, address, random);
    case
}

/// A branch into its own bytes would run what nobody chose.
fn runs_into_itself(inst: &Inst) -> bool {
    let Operand::Rel(distance) = inst.operands[0] else { return false };
    let target = inst.opsize.truncate(ENTRY.wrapping_add(u64::from(inst.len)).wrapping_add(distance as u64));
    (ENTRY..ENTRY + u64::from(inst.len)).contains(&target)
}

/// Where a memory operand should lie: mostly inside the data pages, often across their boundary, sometimes where it faults.
fn target(mem: &Mem, random: &mut Random) -> u64 {
    let bytes = u64::from(mem.bytes).max(1);
    let inside = DATA.start + random.below(DATA.end - DATA.start - 512);
    let part = random.below(bytes + 1);
    let anywhere = random.integer();
    match random.below(16) {
        0 => (DATA.start + DATA.end) / 2 - part,
        1 => inside,
        2 => DATA.end - part,
        3 => random.pick(&[DATA.start - part, CODE.start + part, CODE.end - part, 0, STACK.end - part]),
        4 => random.pick(&[1 << 47, (1 << 47) - part, u64::MAX << 47, (u64::MAX << 47) - part, anywhere]),
        _ => inside & !(bytes.next_power_of_two().max(16) - 1),
    }
}

/// Makes the memory operand of the case's instruction lie at `target`, by choosing its base and index
/// registers or, where it has none, its displacement. Returns where it lies then.
fn place(case: &mut Case, inst: &mut Inst, mem: Mem, target: u64, random: &mut Random) -> Option<u64> {
    let base = match mem.seg {
        seg::FS if case.mode == Width::W64 => FS_BASE,
        seg::GS if case.mode == Width::W64 => GS_BASE,
        _ => 0,
    };
    let scale = 1u64 << mem.scale;
    let disp = mem.disp as u64;
    let offset = target.wrapping_sub(base);
    let gpr = &mut case.registers.gpr;
    // A vector index is given values with the others of its kind.
    let index = mem.index.filter(|_| mem.vsib == 0);
    let reached = match (mem.base.map(usize::from), index.map(usize::from)) {
        (None, None) => displace(case, inst, mem, offset)?,
        (Some(base), None) => {
            gpr[base] = offset.wrapping_sub(disp);
            offset
        }
        (None, Some(index)) => {
            gpr[index] = divide(inst, offset.wrapping_sub(disp), scale)?;
            gpr[index].wrapping_mul(scale).wrapping_add(disp)
        }
        (Some(base), Some(index)) if base == index => {
            gpr[base] = divide(inst, offset.wrapping_sub(disp), scale + 1)?;
            gpr[base].wrapping_mul(scale + 1).wrapping_add(disp)
        }
        (Some(base), Some(index)) => {
            gpr[index] = random.integer();
            gpr[base] = offset.wrapping_sub(disp).wrapping_sub(gpr[index].wrapping_mul(scale));
            offset
        }
    };
    if case.mode != Width::W64 {
        case.registers.gpr = case.registers.gpr.map(|value| Width::W32.truncate(value));
    }
    Some(inst.address_size.truncate(reached).wrapping_add(base))
}

/// `offset / divisor`, signed so that a register below zero can reach the target.
fn divide(inst: &Inst, offset: u64, divisor: u64) -> Option<u64> {
    let width = inst.address_size;
    let offset = width.truncate(offset);
    // A negative quotient would be truncated to another address in fewer than 64 bits.
    (width == Width::W64 || offset < width.sign()).then(|| (offset as i64).div_euclid(divisor as i64) as u64)
}

/// Finds the displacement in the bytes and makes it reach `target`.
fn displace(case: &mut Case, inst: &mut Inst, mem: Mem, target: u64) -> Option<u64> {
    let absolute = inst.row().operands.contains(['O']);
    let new = if mem.rip_relative { target.wrapping_sub(ENTRY + u64::from(inst.len)) } else { target };
    let width = match inst.address_size {
        Width::W64 if absolute => 8,
        Width::W16 => 2,
        _ => 4,
    };
    let old = (mem.disp as u64).to_le_bytes();
    let at = case.code.windows(width).position(|window| *window == old[..width])?;
    let mut code = case.code.clone();
    code[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
    // Bytes that only looked like the displacement may have been something else.
    let moved = decode(&code, case.mode).ok().filter(|moved| moved.row == inst.row && moved.len == inst.len)?;
    let now = memory_operand(&moved)?;
    (case.code, *inst) = (code, moved);
    let reached =
        if mem.rip_relative { (now.disp as u64).wrapping_add(ENTRY + u64::from(inst.len)) } else { now.disp as u64 };
    Some(reached)
}

/// Puts a value of some kind where the memory operand lies.
fn fill_operand(case: &mut Case, address: u64, mem: &Mem, random: &mut Random) {
    let value = match mem.bytes {
        1..=8 if random.one_in(2) => u128::from(random.integer()),
        10 => {
            let (significand, exponent) = random.extended();
            u128::from(exponent) << 64 | u128::from(significand)
        }
        _ => random.vector(),
    };
    let bytes = usize::from(mem.bytes).clamp(1, 16);
    case.set_memory(address, &value.to_le_bytes()[..bytes]);
    if mem.bytes == 32 {
        case.set_memory(address.wrapping_add(16), &random.vector().to_le_bytes());
    }
}

/// Fills registers and flags with values of all kinds; the stack pointer mostly points into the middle of the stack.
fn randomise(case: &mut Case, random: &mut Random) {
    case.background = random.below(BACKGROUNDS.len() as u64) as usize;
    let registers = &mut case.registers;
    for value in &mut registers.gpr {
        *value = random.integer();
    }
    registers.gpr[RSP] = match random.below(32) {
        0 => STACK.start + random.below(16),
        1 => STACK.end - random.below(16),
        2 => random.integer(),
        3 => STACK.start + 0x700 + random.below(0x200),
        _ => STACK.start + 0x700 + 8 * random.below(0x40),
    };
    if case.mode != Width::W64 {
        registers.gpr = registers.gpr.map(|value| Width::W32.truncate(value));
    }
    const STATUS: u64 = 0x8d5;
    const DIRECTION: u64 = 1 << 10;
    const OTHERS: u64 = 1 << 14 | 1 << 21;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    registers.rflags |= random.bits() & STATUS;
    if random.one_in(4) {
        registers.rflags |= random.bits() & (DIRECTION | OTHERS);
    }
    if random.one_in(32) {
        registers.rflags |= ALIGNMENT_CHECK;
    }
    for n in 0..16 {
        registers.set_xmm(n, random.vector());
        registers.ymm_high[n] = random.vector();
    }
    registers.set_mxcsr(mxcsr(random));
    for n in 0..8 {
        registers.set_st(n, if random.one_in(4) { (random.vector() as u64, 0xffff) } else { random.extended() });
    }
    registers.set_x87_words(x87_words(random));
}

/// Usual environments most of the time; now and then unmasked exceptions.
fn mxcsr(random: &mut Random) -> u32 {
    const MASKS: u32 = 0x1f80;
    const ROUNDING_DAZ_FTZ: u32 = 0xe040;
    const FLAGS: u32 = 0x3f;
    match random.below(6) {
        0 | 1 => MASKS,
        2 | 3 => MASKS | random.bits() as u32 & (ROUNDING_DAZ_FTZ | FLAGS),
        4 => MASKS | random.bits() as u32 & FLAGS,
        _ => random.bits() as u32 & (MASKS | ROUNDING_DAZ_FTZ | FLAGS),
    }
}

/// Control, status and tag word, the same way; ES and B agree with the exceptions that are not masked.
fn x87_words(random: &mut Random) -> (u16, u16, u8) {
    const MASKS: u16 = 0x3f;
    const ALWAYS_SET: u16 = 0x40;
    const ROUNDING_AND_PRECISION: u16 = 0xf00;
    const EXCEPTIONS: u16 = 0x3f;
    const STACK_FAULT: u16 = 0x40;
    const CONDITIONS: u16 = 0x4700;
    const TOP: u16 = 0x3800;
    const ERROR_AND_BUSY: u16 = 0x8080;
    let environment = random.bits() as u16;
    let control = ALWAYS_SET
        | match random.below(4) {
            0 => 0x33f,
            1 | 2 => MASKS | environment & ROUNDING_AND_PRECISION,
            _ => environment & (MASKS | ROUNDING_AND_PRECISION),
        };
    let mut status = random.bits() as u16 & (TOP | CONDITIONS);
    if random.one_in(4) {
        status |= random.bits() as u16 & (EXCEPTIONS | STACK_FAULT);
    }
    // Else nearly every instruction would report what an earlier one left.
    if !random.one_in(8) {
        status &= control | !EXCEPTIONS;
    }
    if status & EXCEPTIONS & !control != 0 {
        status |= ERROR_AND_BUSY;
    }
    (control, status, if random.one_in(2) { 0xff } else { random.bits() as u8 })
}
