//! Instruction bytes from a row, with operands chosen at random.

use x86::decode::decode;
use x86::instructions::rows;
use x86::{Inst, Mem, Operand, Row, VexRule, Width};

use crate::random::Random;

const SEGMENT_OVERRIDES: [u8; 6] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const LOCK: u8 = 0xf0;
/// What the first token of an encoding may say of prefixes.
const MANDATORY: [&str; 5] = ["NP", "NFx", "66", "F2", "F3"];

/// How memory operands are addressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// In any way.
    Any,
    /// By RBX and eight bits of displacement.
    NearRbx,
}

/// Bytes of an instruction in three parts; immediates and displacements come after.
struct Encoding {
    prefixes: Vec<u8>,
    /// A REX or VEX prefix.
    rex: Vec<u8>,
    opcode: Vec<u8>,
}

impl Encoding {
    /// Something that may be an instruction of `row`.
    fn of(row: &Row, mode: Width, addressing: Addressing, random: &mut Random) -> Option<Encoding> {
        let mut tokens: Vec<&str> = row.encoding.split(' ').collect();
        let vex = VexRule::parse(tokens[0]);
        let mandatory = (vex.is_some() || MANDATORY.contains(&tokens[0])).then(|| tokens.remove(0));
        let prefixes = prefixes(row, mandatory, random);
        let rex = match vex {
            Some(rule) => vex_prefix(rule, row, mode, random),
            None => rex(&mut tokens, mode, random).into_iter().collect(),
        };
        let mut opcode = Vec::new();
        for token in &tokens {
            match token.split_at(1) {
                ("/" | "=", _) => opcode.push(modrm(token, mode, addressing, random)),
                _ => {
                    let digits = token.strip_suffix("+r").unwrap_or(token);
                    let low = if digits.len() < token.len() { random.below(8) as u8 } else { 0 };
                    opcode.push(u8::from_str_radix(digits, 16).ok()? + low);
                }
            }
        }
        Some(Encoding { prefixes, rex, opcode })
    }

    fn bytes(&self, random: &mut Random) -> Vec<u8> {
        let (a, b) = (random.integer().to_le_bytes(), random.integer().to_le_bytes());
        [&self.prefixes[..], &self.rex, &self.opcode, &a, &b].concat()
    }
}

/// One encoding of the row with number `index`, or `None` where the random choice is not that row (another one is more
/// specific, or the choice is illegal): try again.
pub fn instruction(index: u16, mode: Width, addressing: Addressing, random: &mut Random) -> Option<(Vec<u8>, Inst)> {
    let mut bytes = Encoding::of(rows()[usize::from(index)], mode, addressing, random)?.bytes(random);
    let inst = decode(&bytes, mode).ok().filter(|inst| inst.row == index)?;
    bytes.truncate(usize::from(inst.len));
    Some((bytes, inst))
}

/// Bytes that nearly are an instruction of `row`: with prefixes where they do not belong, too many of them, or another byte
/// changed. They may be one all the same.
pub fn variation(row: &Row, mode: Width, random: &mut Random) -> Option<Vec<u8>> {
    let mut encoding = Encoding::of(row, mode, Addressing::Any, random)?;
    match random.below(7) {
        0 => encoding.prefixes.insert(0, LOCK),
        1 => {
            let many = [encoding.prefixes.first().copied().unwrap_or(0x66)].repeat(random.below(14) as usize);
            encoding.prefixes.splice(0..0, many);
        }
        2 => {
            let last = encoding.opcode.len() - 1;
            encoding.opcode[last] = random.bits() as u8;
        }
        3 if !encoding.rex.is_empty() => {
            let last = encoding.rex.len() - 1;
            encoding.rex[last] ^= 1 << random.below(8);
        }
        4 => {
            // A REX prefix that is not the last counts for nothing.
            let at = random.below(encoding.prefixes.len() as u64 + 1) as usize;
            encoding.prefixes.insert(at, 0x40 | random.below(16) as u8);
        }
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(encoding.prefixes.len() as u64 + 1) as usize;
                let other = random.pick(&SEGMENT_OVERRIDES);
                encoding.prefixes.insert(at, random.pick(&[0x66, 0x67, 0xf2, 0xf3, LOCK, other]));
            }
        }
    }
    Some(encoding.bytes(random))
}

fn prefixes(row: &Row, mandatory: Option<&str>, random: &mut Random) -> Vec<u8> {
    let mut prefixes = Vec::new();
    match mandatory {
        Some("66") => prefixes.push(0x66),
        Some("F2") => prefixes.push(0xf2),
        Some("F3") => prefixes.push(0xf3),
        None | Some("NFx") if random.one_in(3) => prefixes.push(0x66),
        _ => {}
    }
    // With REP-mandatory rows an operand size may be asked for as well (POPCNT r16).
    if matches!(mandatory, Some("F2" | "F3")) && random.one_in(8) {
        prefixes.push(0x66);
    }
    if random.one_in(8) {
        prefixes.push(0x67);
    }
    if random.one_in(8) {
        prefixes.push(random.pick(&SEGMENT_OVERRIDES));
    }
    if row.has_note("rep") && random.one_in(2) {
        prefixes.push(random.pick(&[0xf2, 0xf3]));
    }
    if row.has_note("lock") && random.one_in(8) {
        prefixes.push(LOCK);
    }
    if let Some(&prefix) = prefixes.first()
        && random.one_in(16)
    {
        prefixes.push(prefix);
    }
    if prefixes.len() > 1 && random.one_in(2) {
        prefixes.reverse();
    }
    prefixes
}

fn rex(tokens: &mut Vec<&str>, mode: Width, random: &mut Random) -> Option<u8> {
    let forced = tokens.iter().position(|t| matches!(*t, "W0" | "W1")).map(|at| tokens.remove(at));
    if mode != Width::W64 {
        return None;
    }
    let wide = match forced {
        Some(token) => token == "W1",
        None => random.one_in(3),
    };
    let extension = if random.one_in(2) { random.below(8) as u8 } else { 0 };
    (wide || extension != 0 || random.one_in(6)).then_some(0x40 | u8::from(wide) << 3 | extension)
}

/// The prefix in its long form or, where that says the same, its short one (Intel SDM vol. 2, 2.3.5).
fn vex_prefix(rule: VexRule, row: &Row, mode: Width, random: &mut Random) -> Vec<u8> {
    let long = mode == Width::W64;
    let names_vvvv = row.operands.split(' ').any(|operand| operand.starts_with(['H', 'B']));
    let vvvv = if names_vvvv { random.below(if long { 16 } else { 8 }) as u8 } else { 0 };
    let extensions = if long && random.one_in(2) { random.below(8) as u8 } else { 0 };
    let mut bit = |given: Option<bool>| u8::from(given.unwrap_or_else(|| random.one_in(3)));
    let (w, l) = (bit(rule.w), bit(rule.l));
    let last = (!vvvv & 15) << 3 | l << 2 | rule.pp;
    let short_form_says_it = rule.map == 1 && w == 0 && extensions & 3 == 0;
    if short_form_says_it && random.one_in(2) {
        vec![0xc5, (!extensions & 4) << 5 | last]
    } else {
        vec![0xc4, (!extensions & 7) << 5 | rule.map, w << 7 | last]
    }
}

fn modrm(rule: &str, mode: Width, addressing: Addressing, random: &mut Random) -> u8 {
    if let Some(fixed) = rule.strip_prefix('=') {
        let (digits, count) = fixed.strip_suffix("+i").map_or((fixed, 1), |digits| (digits, 8));
        let first = u8::from_str_radix(digits, 16).expect("a row of the table");
        return first + random.below(count) as u8;
    }
    let reg = rule[1..].parse::<u8>().unwrap_or_else(|_| random.below(8) as u8);
    if addressing == Addressing::NearRbx && random.one_in(2) {
        // Tables 2-1 and 2-2 of the SDM's vol. 2.
        let rbx = if mode == Width::W16 { 7 } else { 3 };
        return 1 << 6 | reg << 3 | rbx;
    }
    let mode = random.pick(&[0u8, 1, 2, 3, 3, 3]);
    mode << 6 | reg << 3 | random.below(8) as u8
}

/// The memory operand of `inst`.
#[must_use]
pub fn memory_operand(inst: &Inst) -> Option<Mem> {
    inst.operands.iter().find_map(|operand| if let Operand::Mem(mem) = operand { Some(*mem) } else { None })
}

/// Whether the address of the memory operand depends on general register `register`.
#[must_use]
pub fn addresses_with(inst: &Inst, register: u8) -> bool {
    let by_index = |mem: &Mem| mem.vsib == 0 && mem.index == Some(register);
    memory_operand(inst).is_some_and(|mem| mem.base == Some(register) || by_index(&mem))
}
