//! First tests of a row that has none: a register form and a memory form with values a person can follow. What comes of them the
//! host says; which edges matter a person adds.

mod inputs;
mod values;

use std::collections::HashSet;

use filetest::guest::Guest;
use filetest::{DATA, Example, Instruction, Note, Setting};
use x86::decode::decode;
use x86::instructions::integer::Int;
use x86::instructions::rows;
use x86::{Disassembly, Form, Inst, Op, Operand, Sem, Width, flags};

use crate::assemble::{self, Addressing, addresses_with, memory_operand};
use crate::random::Random;

/// Encodings that are drawn, the simplest of which is taken.
const ENCODINGS: usize = 4000;
/// Encodings that are drawn to see what shapes there are.
const SURVEY: usize = 300;
/// Inputs that are tried until an instruction does something.
const INPUTS: usize = 50;
/// Where memory operands lie.
const PLACE: u64 = DATA.start + 0x100;
/// How far branches go.
const FORWARD: u64 = 0x10;
/// Immediates of the operand size.
const IMMEDIATE: u64 = 0x1234_5678;
const RSP: u8 = 4;

/// What engines have code of its own for: an operation with its operands' form and width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    int: Int,
    form: Form,
    width: Width,
}

/// The shape of a general-purpose instruction, where it has operands that do something and a result that is defined.
#[must_use]
pub fn shape(inst: &Inst) -> Option<Shape> {
    let Op { sem, form, width, .. } = Op::lower(inst, 0);
    let Sem::Int(int) = sem else { return None };
    let nothing = matches!(int, Int::Nop | Int::Ud) || inst.operands[0] == Operand::None;
    let undefined = int == Int::Bswap && width == Width::W16;
    (!nothing && !undefined).then_some(Shape { int, form, width })
}

/// An encoding with what it decodes to.
type Encoding = (Vec<u8>, Inst);

/// Encodings of row `row` with a memory operand, or without.
fn encodings(row: u16, mode: Width, memory: bool, count: usize, random: &mut Random) -> Vec<Encoding> {
    let addressing = if memory { Addressing::NearRbx } else { Addressing::Any };
    let all = (0..count).filter_map(|_| assemble::instruction(row, mode, addressing, random));
    all.filter(|(_, inst)| memory_operand(inst).is_some() == memory && inst.address_size == mode).collect()
}

/// The code widths in which `row` is tested.
fn modes(row: u16) -> &'static [Width] {
    let row = rows()[usize::from(row)];
    match (row.has_note("i64"), row.has_note("o64")) {
        (true, _) => &[Width::W32],
        (_, true) => &[Width::W64],
        _ => &[Width::W64, Width::W32],
    }
}

/// The shapes of row `row`.
#[must_use]
pub fn shapes(row: u16) -> HashSet<Shape> {
    if !matches!(rows()[usize::from(row)].sem, Sem::Int(_)) {
        return HashSet::new();
    }
    let mut random = Random(u64::from(row));
    let forms = modes(row).iter().flat_map(|&mode| [(mode, false), (mode, true)]);
    let drawn = forms.flat_map(|(mode, memory)| encodings(row, mode, memory, SURVEY, &mut random));
    drawn.filter_map(|(_, inst)| shape(&inst)).collect()
}

/// Tests of row `row`: unless it is `tested`, of a register form and a memory form, and of its shapes that are not `covered`, which
/// they then are.
#[must_use]
pub fn draft(
    row: u16,
    tested: bool,
    covered: &mut HashSet<Shape>,
    guest: &mut Guest,
) -> Vec<(Instruction, Vec<Example>)> {
    let mut random = Random(u64::from(row));
    let mut tests = Vec::new();
    for (n, &mode) in modes(row).iter().enumerate() {
        for memory in [false, true] {
            let drawn = encodings(row, mode, memory, ENCODINGS, &mut random);
            let mut chosen = Vec::new();
            if !tested && n == 0 {
                chosen.extend(simplest(drawn.iter()));
                covered.extend(chosen.iter().filter_map(|(_, inst)| shape(inst)));
            }
            for width in [Width::W8, Width::W16, Width::W32, Width::W64] {
                let new = |inst: &Inst| shape(inst).is_some_and(|s| s.width == width && !covered.contains(&s));
                let found = simplest(drawn.iter().filter(|(_, inst)| new(inst)));
                covered.extend(found.and_then(|(_, inst)| shape(inst)));
                chosen.extend(found);
            }
            tests.extend(chosen.into_iter().filter_map(|(code, _)| with_inputs(code, mode, guest, &mut random)));
        }
    }
    tests
}

fn simplest<'a>(encodings: impl Iterator<Item = &'a Encoding>) -> Option<&'a Encoding> {
    encodings.min_by_key(|(code, inst)| awkwardness(code, inst))
}

/// A test of `code`, with inputs for which it does something.
fn with_inputs(
    code: &[u8],
    mode: Width,
    guest: &mut Guest,
    random: &mut Random,
) -> Option<(Instruction, Vec<Example>)> {
    let (code, inst) = with_fields(code.to_vec(), mode)?;
    let text = Disassembly { inst: &inst, rip: filetest::ENTRY }.to_string();
    let instruction = Instruction { line: 0, mode, text, code, alternative: false };
    let mut best = None;
    for _ in 0..INPUTS {
        let before = inputs::draw(&inst, &instruction, random);
        let example = Example { line: 0, before, fault: None, after: Vec::new(), note: Note::Unknown };
        let case = example.case(&instruction);
        let outcome = guest.run(&case);
        let idle = Example::unchanged(&case, outcome.fault.is_some());
        let same = idle.memory == outcome.memory && idle.registers == outcome.registers;
        let worth = u32::from(outcome.fault.is_none()) * 2 + u32::from(!same);
        if best.as_ref().is_none_or(|&(best, _)| best < worth) {
            best = Some((worth, example));
        }
    }
    let (_, first) = best?;
    let examples = if let Sem::Int(Int::Jcc | Int::Setcc | Int::Cmovcc) = inst.row().sem {
        both_ways(&first, inst.opcode)
    } else {
        vec![first]
    };
    Some((instruction, examples))
}

/// An example for a condition that does not hold, and one where it does, or the other way round.
fn both_ways(example: &Example, opcode: u8) -> Vec<Example> {
    let decides = [flags::OF, flags::CF, flags::ZF, flags::ZF, flags::SF, flags::PF, flags::SF, flags::OF];
    let mut clear = example.clone();
    clear.before.retain(|setting| !matches!(setting, Setting::Status { .. }));
    let mut set = clear.clone();
    set.before.push(Setting::Status { told: flags::STATUS, set: decides[usize::from(opcode >> 1 & 7)] });
    vec![clear, set]
}

/// Less is easier to read.
fn awkwardness(code: &[u8], inst: &Inst) -> usize {
    let registers: Vec<u8> = inst.operands.iter().filter_map(Operand::register).collect();
    let repeated = registers.iter().enumerate().any(|(n, register)| registers[..n].contains(register));
    let mut awkward = code.len() * 4 + usize::from(repeated) * 40;
    // Registers are worked on in 32 bits, memory in 64.
    let wide = inst.operands.iter().any(|operand| operand.width() == Some(Width::W64));
    if wide && memory_operand(inst).is_some() {
        awkward = awkward.saturating_sub(6);
    }
    awkward += 3 * registers_beyond_seven(inst);
    awkward += if inst.opsize == Width::W16 && inst.code != Width::W16 { 10 } else { 0 };
    for operand in &inst.operands {
        awkward += match *operand {
            Operand::Gpr { reg, width, .. } if reg == RSP && width != Width::W8 => 60,
            Operand::Gpr { reg, .. } if addresses_with(inst, reg) => 30,
            Operand::Imm { value: 3..=7, .. } => 0,
            Operand::Imm { value: 8..=0x1f, .. } => 1,
            Operand::Imm { .. } => 10,
            Operand::Mem(mem) => {
                let plain = mem.base.is_some() && mem.base != Some(RSP) && (mem.index.is_none() || mem.vsib != 0);
                let displaced = usize::from(!(0..0x80).contains(&mem.disp)) * 3 + usize::from(mem.disp % 8 != 0) * 2;
                displaced + usize::from(!plain) * 40
            }
            _ => 0,
        };
    }
    awkward
}

fn registers_beyond_seven(inst: &Inst) -> usize {
    let in_operand = |operand: &Operand| match *operand {
        Operand::Gpr { reg, .. } | Operand::Xmm(reg) | Operand::Ymm(reg) => usize::from(reg > 7),
        Operand::Mem(mem) => [mem.base, mem.index].into_iter().flatten().filter(|&reg| reg > 7).count(),
        _ => 0,
    };
    inst.operands.iter().map(in_operand).sum()
}

/// Gives encodings with an address in them one that exists, branches a short way to go, and immediates of the operand size so much that
/// it is needed.
fn with_fields(mut code: Vec<u8>, mode: Width) -> Option<(Vec<u8>, Inst)> {
    let inst = decode(&code, mode).ok()?;
    let operands = inst.row().operands;
    let field = if operands.contains('O') {
        Some((PLACE, inst.address_size.bytes()))
    } else if let Operand::Rel(_) = inst.operands[0] {
        Some((FORWARD, if operands == "Jb" { 1 } else { inst.opsize.bytes().min(4) }))
    } else if operands.ends_with("Iz") {
        Some((IMMEDIATE, inst.opsize.bytes().min(4)))
    } else {
        None
    };
    if let Some((value, bytes)) = field {
        let at = code.len() - bytes as usize;
        code[at..].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
    }
    let inst = decode(&code, mode).ok()?;
    Some((code, inst))
}
