//! Instruction bytes from a row, with operands chosen at random, and the registers that make its memory operand valid.

use x86::decode::decode;
use x86::{Inst, Mem, Operand, Row, VexRule, Width};

use crate::case::Case;
use crate::random::Random;
use crate::{DATA_WINDOW, ENTRY, STACK_WINDOW};

/// Bytes from a window's start that addresses leave free, for operands that reach below what they name.
const MARGIN: u64 = 0x80;
const RSP: usize = 4;

/// One encoding of `row`, or `None` where the random choice is not that row (another one is more specific, or
/// the choice is illegal): try again.
pub fn instruction(row: &'static Row, index: u16, mode: Width, random: &mut Random) -> Option<(Vec<u8>, Inst)> {
    let mut bytes = Vec::new();
    let mut tokens: Vec<&str> = row.encoding.split(' ').collect();
    tokens.retain(|token| *token != "NFx");
    let mandatory = matches!(tokens[0], "NP" | "66" | "F2" | "F3").then(|| tokens.remove(0));
    match mandatory {
        Some("66") => bytes.push(0x66),
        Some("F2") => bytes.push(0xf2),
        Some("F3") => bytes.push(0xf3),
        // Intel processors ignore an operand-size prefix on near branches in 64-bit mode, AMD's do not.
        None if random.one_in(3) && !(mode == Width::W64 && row.has_note("f64")) => bytes.push(0x66),
        _ => {}
    }
    // With REP-mandatory rows an operand size may be asked for as well (POPCNT r16).
    if matches!(mandatory, Some("F2" | "F3")) && random.one_in(8) {
        bytes.insert(0, 0x66);
    }
    if random.one_in(8) {
        bytes.insert(0, 0x67);
    }
    if row.has_note("rep") && random.one_in(2) {
        bytes.push(random.pick(&[0xf2, 0xf3]));
    }
    match VexRule::parse(tokens[0]) {
        Some(rule) => {
            tokens.remove(0);
            bytes.retain(|&byte| byte != 0x66);
            push_vex(rule, row, &mut bytes, mode, random);
        }
        None => push_rex(&mut tokens, &mut bytes, mode, random),
    }
    let modrm_rule: Vec<&str> = tokens.iter().copied().filter(|t| t.starts_with(['/', '='])).collect();
    for token in tokens.iter().filter(|t| !t.starts_with(['/', '='])) {
        let digits = token.strip_suffix("+r").unwrap_or(token);
        let low = if digits.len() < token.len() { random.below(8) as u8 } else { 0 };
        bytes.push(u8::from_str_radix(digits, 16).ok()? + low);
    }
    if let Some(rule) = modrm_rule.first() {
        push_modrm(rule, &mut bytes, random);
    }
    bytes.extend(random.integer().to_le_bytes());
    bytes.extend(random.integer().to_le_bytes());
    let inst = decode(&bytes, mode).ok().filter(|inst| inst.row == index)?;
    bytes.truncate(usize::from(inst.len));
    Some((bytes, inst))
}

fn push_rex(tokens: &mut Vec<&str>, bytes: &mut Vec<u8>, mode: Width, random: &mut Random) {
    let forced = tokens.iter().position(|t| matches!(*t, "W0" | "W1")).map(|at| tokens.remove(at));
    if mode != Width::W64 {
        return;
    }
    let wide = match forced {
        Some(token) => token == "W1",
        None => random.one_in(3),
    };
    let extension = if random.one_in(2) { random.below(8) as u8 } else { 0 };
    if wide || extension != 0 || random.one_in(6) {
        bytes.push(0x40 | u8::from(wide) << 3 | extension);
    }
}

/// The prefix in its long form or, where that says the same, its short one (Intel SDM vol. 2, 2.3.5).
fn push_vex(rule: VexRule, row: &Row, bytes: &mut Vec<u8>, mode: Width, random: &mut Random) {
    let long = mode == Width::W64;
    let names_vvvv = row.operands.split(' ').any(|operand| operand.starts_with(['H', 'B']));
    let vvvv = if names_vvvv { random.below(if long { 16 } else { 8 }) as u8 } else { 0 };
    let extensions = if long && random.one_in(2) { random.below(8) as u8 } else { 0 };
    let bit = |given: Option<bool>, random: &mut Random| u8::from(given.unwrap_or_else(|| random.one_in(3)));
    let (w, l) = (bit(rule.w, random), bit(rule.l, random));
    let last = (!vvvv & 15) << 3 | l << 2 | rule.pp;
    let short_form_says_it = rule.map == 1 && w == 0 && extensions & 3 == 0;
    if short_form_says_it && random.one_in(2) {
        bytes.extend([0xc5, (!extensions & 4) << 5 | last]);
    } else {
        bytes.extend([0xc4, (!extensions & 7) << 5 | rule.map, w << 7 | last]);
    }
}

fn push_modrm(rule: &str, bytes: &mut Vec<u8>, random: &mut Random) {
    if let Some(fixed) = rule.strip_prefix('=') {
        let (digits, count) = fixed.strip_suffix("+i").map_or((fixed, 1), |digits| (digits, 8));
        let first = u8::from_str_radix(digits, 16).expect("a row of the table");
        bytes.push(first + random.below(count) as u8);
        return;
    }
    let reg = rule[1..].parse::<u8>().unwrap_or_else(|_| random.below(8) as u8);
    let mode = random.pick(&[0u8, 1, 2, 3, 3, 3]);
    bytes.push(mode << 6 | reg << 3 | random.below(8) as u8);
}

/// The memory operand of `inst`.
#[must_use]
pub fn memory_operand(inst: &Inst) -> Option<Mem> {
    inst.operands.iter().find_map(|operand| if let Operand::Mem(mem) = operand { Some(*mem) } else { None })
}

/// Whether the address of the memory operand depends on general register `register`.
#[must_use]
pub fn addresses_with(inst: &Inst, register: u8) -> bool {
    memory_operand(inst).is_some_and(|mem| mem.base == Some(register) || mem.index == Some(register))
}

/// Makes the memory operand of the case's instruction lie in the data window, by choosing its base and index
/// registers or, where it has none, its displacement. Returns its address.
pub fn place_memory_operand(case: &mut Case, inst: &mut Inst, mem: Mem, random: &mut Random) -> Option<u64> {
    let bytes = u64::from(mem.bytes).max(16);
    let room = DATA_WINDOW.end - DATA_WINDOW.start - 4 * MARGIN - bytes;
    let mut target = DATA_WINDOW.start + MARGIN + random.below(room);
    if !random.one_in(4) {
        target &= !(bytes.next_power_of_two() - 1);
    }
    let scale = 1u64 << mem.scale;
    let gpr = &mut case.registers.gpr;
    let disp = mem.disp as u64;
    match (mem.base.map(usize::from), mem.index.map(usize::from)) {
        (None, None) => {
            target = patch_displacement(case, inst, mem, target)?;
        }
        (Some(base), None) => gpr[base] = target.wrapping_sub(disp),
        (None, Some(index)) => {
            gpr[index] = divide(inst, target.wrapping_sub(disp), scale)?;
            target = gpr[index].wrapping_mul(scale).wrapping_add(disp);
        }
        (Some(base), Some(index)) if base == index => {
            gpr[base] = divide(inst, target.wrapping_sub(disp), scale + 1)?;
            target = gpr[base].wrapping_mul(scale + 1).wrapping_add(disp);
        }
        (Some(base), Some(index)) => {
            gpr[index] = random.integer();
            gpr[base] = target.wrapping_sub(disp).wrapping_sub(gpr[index].wrapping_mul(scale));
        }
    }
    Some(inst.address_size.truncate(target))
}

/// `offset / divisor`, signed so that a register below zero can reach the window.
fn divide(inst: &Inst, offset: u64, divisor: u64) -> Option<u64> {
    let width = inst.address_size;
    let offset = width.truncate(offset);
    // A negative quotient would be truncated to another address in fewer than 64 bits.
    (width == Width::W64 || offset < width.sign()).then(|| (offset as i64).div_euclid(divisor as i64) as u64)
}

/// Finds the displacement in the bytes and makes it reach `target`.
fn patch_displacement(case: &mut Case, inst: &mut Inst, mem: Mem, target: u64) -> Option<u64> {
    let absolute = inst.row().operands.contains(['O']);
    let new = if mem.rip_relative { target.wrapping_sub(ENTRY + u64::from(inst.len)) } else { target };
    let width = match inst.address_size {
        Width::W64 if absolute => 8,
        Width::W16 => 2,
        _ => 4,
    };
    let old = (mem.disp as u64).to_le_bytes();
    let at = case.code.windows(width).position(|window| *window == old[..width])?;
    case.code[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
    *inst = decode(&case.code, case.mode).ok()?;
    Some(target)
}

/// Fills registers, flags and memory with random values; the stack pointer points into the stack window.
pub fn randomise(case: &mut Case, random: &mut Random) {
    for value in &mut case.registers.gpr {
        *value = random.integer();
    }
    case.registers.gpr[RSP] = STACK_WINDOW.start + MARGIN + 8 * random.below(24);
    const STATUS: u64 = 0x8d5;
    if case.mode != Width::W64 {
        case.registers.gpr = case.registers.gpr.map(|value| Width::W32.truncate(value));
    }
    case.registers.rflags = 2 | random.bits() & STATUS;
    for memory in [&mut case.data, &mut case.stack] {
        for chunk in memory.chunks_mut(16) {
            chunk.copy_from_slice(&random.vector().to_le_bytes()[..chunk.len()]);
        }
    }
    for n in 0..16 {
        case.registers.set_xmm(n, random.vector());
        case.registers.ymm_high[n] = random.vector();
    }
    for n in 0..8 {
        case.registers.set_st(n, (random.vector() as u64, random.bits() as u16));
    }
}
