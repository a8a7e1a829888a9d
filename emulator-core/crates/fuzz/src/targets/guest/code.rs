//! The code a guest runs: units of a few instructions each.

use std::sync::LazyLock;

use x86::Width;
use x86::decode::decode;
use x86::instructions::rows;

use crate::input::Input;

/// Bytes of a unit; behind its instructions it is filled up, or the last of them is cut short.
pub(super) const UNIT_BYTES: u64 = 32;
/// A unit's parts begin before this.
const LAST_PART: usize = 20;
const MOST_UNITS: usize = 96;
const NOP: u8 = 0x90;

/// First ports of the board's chips, of which some follow each.
const PORTS: [u16; 28] = [
    0x00, 0x08, 0x20, 0xa0, 0x40, 0x60, 0x61, 0x64, 0x70, 0x80, 0x92, 0xb2, 0xc0, 0xd0, 0xe9, 0xf4, 0x170, 0x1f0,
    0x2f8, 0x3f8, 0x3d4, 0x4d0, 0x510, 0x600, 0xcf8, 0xcf9, 0xcfc, 0xffff,
];
/// Where chips, ROM and nothing lie in memory.
const MEMORY_MAPPED: [u32; 12] = [
    0xfee0_0000,
    0xfec0_0000,
    0xfed0_0000,
    0xfeb0_0000,
    0xc000_0000,
    0x000a_0000,
    0x000f_0000,
    0xffff_0000,
    0x001f_fff8,
    0x0020_0000,
    0x0010_0000,
    0xffff_fff8,
];
const REGISTERS: [u32; 14] =
    [0x10, 0x1b, 0x3b, 0xfe, 0x174, 0x1a0, 0x277, 0x2ff, 0x6e0, 0x80b, 0x830, 0xda0, 0xc000_0080, 0xc000_0101];

/// A number that may be an address of something.
pub(super) fn value(input: &mut Input) -> u64 {
    match input.below(4) {
        0 => u64::from(input.pick(&MEMORY_MAPPED)) + u64::from(input.byte()) * 4,
        1 => u64::from(input.pick(&PORTS)) + u64::from(input.byte() & 7),
        2 => u64::from(input.word()),
        _ => input.qword(),
    }
}

/// What is left of the input as code of `bits` bits.
pub(super) fn units(bits: u32, input: &mut Input) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    while !input.0.is_empty() && units.len() < MOST_UNITS {
        let mut unit = Vec::new();
        while unit.len() < LAST_PART && !input.0.is_empty() {
            part(bits, input, &mut unit);
        }
        unit.resize(UNIT_BYTES as usize, NOP);
        units.push(unit);
    }
    units
}

fn part(bits: u32, input: &mut Input, unit: &mut Vec<u8>) {
    match input.below(8) {
        0 => {
            let length = input.below(15);
            unit.extend((0..length).map(|_| input.byte()));
        }
        1 => through_port(bits, input, unit),
        2 => to_memory(bits, input, unit),
        3 => {
            const MOV_ECX: u8 = 0xb9;
            let register = input.pick(&REGISTERS) + u32::from(input.byte() & 3);
            move_to(MOV_ECX, register, bits, unit);
            unit.extend([0x0f, input.pick(&[0x30, 0x32])]);
        }
        _ => {
            let known = &INSTRUCTIONS[if bits == 64 { 2 } else { (bits / 32) as usize }];
            let row = &known[usize::from(input.word()) % known.len()];
            unit.extend_from_slice(&row[input.below(row.len())]);
            // Displacement and immediate.
            unit.extend(input.qword().to_le_bytes());
        }
    }
}

/// `MOV r32, value` by its opcode of 16- and 32-bit code.
fn move_to(opcode: u8, value: u32, bits: u32, unit: &mut Vec<u8>) {
    if bits == 16 {
        unit.push(0x66);
    }
    unit.push(opcode);
    unit.extend(value.to_le_bytes());
}

/// `MOV DX, port`, perhaps something to `EAX`, and `IN` or `OUT` of some width.
fn through_port(bits: u32, input: &mut Input, unit: &mut Vec<u8>) {
    const MOV_EDX: u8 = 0xba;
    const MOV_EAX: u8 = 0xb8;
    let port = u32::from(input.pick(&PORTS)) + u32::from(input.byte() & 7);
    move_to(MOV_EDX, port, bits, unit);
    if input.flag() {
        move_to(MOV_EAX, input.qword() as u32, bits, unit);
    }
    if input.flag() {
        unit.push(0x66);
    }
    unit.push(input.pick(&[0xec, 0xed, 0xee, 0xef]));
}

/// `MOV EBX, address` and a move between there and `EAX`.
fn to_memory(bits: u32, input: &mut Input, unit: &mut Vec<u8>) {
    const MOV_EBX: u8 = 0xbb;
    let address = input.pick(&MEMORY_MAPPED).wrapping_add(u32::from(input.word() & 0xfff));
    move_to(MOV_EBX, address, bits, unit);
    if bits == 16 {
        unit.push(0x67);
    }
    if input.flag() {
        unit.push(0x66);
    }
    const EAX_AND_AT_EBX: u8 = 0x03;
    unit.extend([input.pick(&[0x88, 0x89, 0x8a, 0x8b, 0x01, 0x31, 0x87]), EAX_AND_AT_EBX]);
}

/// For 16-, 32- and 64-bit code, and there by row: encodings up to and with ModR/M, in which memory lies anywhere.
static INSTRUCTIONS: LazyLock<[Vec<Vec<Vec<u8>>>; 3]> = LazyLock::new(|| {
    [Width::W16, Width::W32, Width::W64].map(|mode| by_row(mode).into_iter().filter(|row| !row.is_empty()).collect())
});

/// Every opcode behind every escape, under the prefixes that choose between rows.
fn by_row(mode: Width) -> Vec<Vec<Vec<u8>>> {
    const PREFIXES: [&[u8]; 6] = [&[], &[0x66], &[0xf2], &[0xf3], &[0x48], &[0x66, 0x48]];
    const ESCAPES: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];
    let mut found = vec![Vec::new(); rows().len()];
    let legacy = PREFIXES.iter().flat_map(|prefix| ESCAPES.iter().map(move |escape| [*prefix, *escape].concat()));
    // W, L and pp in turn; vvvv names a register, or none.
    let last_bytes = || (0..16u8).flat_map(|n| [0x60, 0x78].map(|vvvv| n >> 3 << 7 | vvvv | n & 7));
    let vex = (1..4).flat_map(|map| last_bytes().map(move |last| vec![0xc4, 0xe0 | map, last]));
    for start in legacy.chain(vex) {
        for opcode in 0..=255 {
            for &modrm in MODRM.iter() {
                let mut bytes = [&start[..], &[opcode, modrm]].concat();
                bytes.resize(start.len() + 12, 0);
                let Ok(inst) = decode(&bytes, mode) else { continue };
                let shortest = usize::from(inst.len).min(start.len() + 2);
                let known: &mut Vec<Vec<u8>> = &mut found[usize::from(inst.row)];
                if known.len() < usize::from(u8::MAX) && !known.iter().any(|other| *other == bytes[..shortest]) {
                    known.push(bytes[..shortest].to_vec());
                }
            }
        }
    }
    found
}

/// Every register or opcode extension with memory without and with a displacement, and with registers; and what only registers have.
static MODRM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let forms = [0x03u8, 0x46, 0x87, 0x06, 0xc1];
    (0..8).flat_map(|reg| forms.map(|form| form | reg << 3)).chain(0xc0..=0xff).collect()
});
