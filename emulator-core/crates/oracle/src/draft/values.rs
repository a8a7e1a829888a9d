//! Values to draft with: few, and easy to follow.

use filetest::{Instruction, Setting, Value};
use x86::{Inst, Operand, Sem, Width};

use crate::random::Random;

/// What the elements of a vector operand are.
#[derive(Clone, Copy)]
pub enum Elements {
    /// Floating-point numbers of 32 bits.
    Singles,
    /// Floating-point numbers of 64 bits.
    Doubles,
    /// Integers to be converted.
    Dwords,
    /// Whatever bytes.
    Bytes,
    /// One shift count in the low half.
    Count,
    /// A small number in each element of so many bits: a count, an index.
    Small(u32),
    /// Quadwords of two kinds, which are often the same as another operand's.
    Alike,
}

/// What operand `place` consists of.
pub fn elements(inst: &Inst, instruction: &Instruction, place: usize) -> Elements {
    let mnemonic = inst.row().mnemonic;
    let name = mnemonic.strip_prefix('V').unwrap_or(mnemonic);
    let last = inst.operands.get(place + 1).is_none_or(|next| *next == Operand::None);
    let shift = ["PSLL", "PSRL", "PSRA"].iter().find_map(|shift| name.strip_prefix(shift));
    match (name, shift) {
        (_, Some("VD")) if last => Elements::Small(32),
        (_, Some("VQ")) if last => Elements::Small(64),
        (_, Some(_)) if last => Elements::Count,
        ("PERMILPS", _) if last => Elements::Small(32),
        ("PERMILPD", _) if last => Elements::Small(64),
        ("PERMD" | "PERMPS", _) if place == 1 => Elements::Small(32),
        _ if name.starts_with("PCMPEQ") => Elements::Alike,
        _ if ["CVTDQ2", "CVTPI2"].iter().any(|prefix| name.starts_with(prefix)) => Elements::Dwords,
        _ => match instruction.element(false) {
            Some(32) => Elements::Singles,
            Some(_) => Elements::Doubles,
            None => Elements::Bytes,
        },
    }
}

/// A vector of `bits` bits.
pub fn vector(elements: Elements, bits: u32, random: &mut Random) -> Value {
    let low = half(elements, random);
    Value { low, high: if bits == 256 { half(elements, random) } else { 0 } }
}

fn half(elements: Elements, random: &mut Random) -> u128 {
    const NUMBERS: [f32; 8] = [1.0, -2.5, 0.5, 3.0, -100.0, 8.0, 0.25, -7.0];
    const DWORDS: [i32; 6] = [1, -2, 100, -7, 0x0100_0001, i32::MAX];
    const BYTES: [u8; 12] = [0, 1, 2, 0x11, 0x22, 0x33, 0x7f, 0x80, 0x81, 0xc4, 0xfe, 0xff];
    const ALIKE: [u64; 2] = [0x1122_3344_5566_7788, 0x1122_3344_0066_7788];
    let mut bytes = Vec::new();
    while bytes.len() < 16 {
        match elements {
            Elements::Singles => bytes.extend(random.pick(&NUMBERS).to_le_bytes()),
            Elements::Doubles => bytes.extend(f64::from(random.pick(&NUMBERS)).to_le_bytes()),
            Elements::Dwords => bytes.extend(random.pick(&DWORDS).to_le_bytes()),
            Elements::Bytes => bytes.push(random.pick(&BYTES)),
            Elements::Count => return 1 + u128::from(random.below(12)),
            Elements::Small(bits) => bytes.extend(&random.below(8).to_le_bytes()[..bits as usize / 8]),
            Elements::Alike => bytes.extend(random.pick(&ALIKE).to_le_bytes()),
        }
    }
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte))
}

/// A general register's.
pub fn general(width: Width, random: &mut Random) -> u64 {
    const LONG: [u64; 6] = [
        0x1122_3344_5566_7788,
        0x0123_4567_89ab_cdef,
        0xfedc_ba98_7654_3210,
        0x8000_0000_8000_8080,
        0x7fff_ffff_7fff_7f7f,
        0xffff_ffff_ffff_fffe,
    ];
    width.truncate(random.pick(&LONG))
}

/// An x87 register's.
pub fn x87(random: &mut Random) -> Value {
    let text = random.pick(&["1.5", "-2.25", "100.0", "0.5", "-3.0", "7.0"]);
    let Ok(Setting::Is(_, value)) = Setting::read(&format!("st0={text}"), false) else { return Value::default() };
    value
}

/// What operand `place`, which lies in memory, is.
pub fn memory(inst: &Inst, instruction: &Instruction, place: usize, bytes: u8, random: &mut Random) -> Value {
    let of_x87 = |number: f32| match bytes {
        4 => u128::from(number.to_bits()),
        8 => u128::from(f64::from(number).to_bits()),
        _ => 0x4000_c000_0000_0000_0000,
    };
    match inst.row().sem {
        Sem::Fpu(_) if inst.row().mnemonic == "FBLD" => 0x8000_0000_0000_0000_1234u128.into(),
        Sem::Fpu(_) if inst.row().mnemonic.starts_with("FI") => random.pick(&[7u64, 100, 0xfe]).into(),
        Sem::Fpu(_) => of_x87(random.pick(&[1.5, -2.25, 3.0])).into(),
        Sem::Simd(_) => {
            let value = vector(elements(inst, instruction, place), 256, random);
            let low = if bytes < 16 { value.low & ((1 << (8 * u32::from(bytes))) - 1) } else { value.low };
            Value { low, high: if bytes == 32 { value.high } else { 0 } }
        }
        _ => general(Width::from_bytes(bytes.into()).unwrap_or(Width::W64), random).into(),
    }
}
