//! Instructions and states, at random but the same in every run.

use x86::decode::decode;
use x86::{Operand, Row, Sem, VexRule, Width, instructions};

use super::{Case, DATA, DATA_BYTES, FLAGS};

/// A xorshift generator (G. Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 8) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Every row of the general-purpose instructions that exists in `mode`.
pub fn rows(mode: Width) -> Vec<&'static Row> {
    let missing = if mode == Width::W64 { "i64" } else { "o64" };
    let general = |row: &&Row| matches!(row.sem, Sem::Int(_)) && !row.has_note(missing);
    instructions::rows().iter().copied().filter(general).collect()
}

/// Whether control never passes behind an instruction of `row`.
pub fn ends_block(row: &Row) -> bool {
    row.has_note("end")
}

/// The rows that set status flags and let control pass on.
pub fn flag_setters() -> Vec<&'static Row> {
    rows(Width::W64).into_iter().filter(|row| !row.flags.is_empty()).collect()
}

/// The rows that look at condition `cc`: `SETcc`, `CMOVcc` and the two forms of `Jcc`.
pub fn readers_of(cc: u8) -> [&'static Row; 4] {
    [0x90, 0x40, 0x80, 0x70].map(|base| {
        let opcode = base | cc;
        let encoding = if base == 0x70 { format!("{opcode:02X}") } else { format!("0F {opcode:02X}") };
        let wanted = |row: &&Row| row.encoding.strip_suffix(" /r").unwrap_or(row.encoding) == encoding;
        instructions::rows().iter().copied().find(wanted).expect("all conditions have rows")
    })
}

/// Bytes of an instruction of `row`, operands at random.
pub fn instruction(random: &mut Random, row: &'static Row, mode: Width) -> Vec<u8> {
    loop {
        let bytes = encode(random, row, mode == Width::W64);
        let Ok(inst) = decode(&bytes, mode) else { continue };
        // A RIP-relative operand would lie anywhere but in the data area.
        let relative = |operand: &Operand| matches!(operand, Operand::Mem(mem) if mem.rip_relative);
        if !std::ptr::eq(inst.row(), row) || inst.operands.iter().any(relative) {
            continue;
        }
        return bytes[..usize::from(inst.len)].to_vec();
    }
}

fn encode(random: &mut Random, row: &Row, long: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mandatory: Vec<&str> = row.encoding.split(' ').filter(|t| ["66", "F2", "F3"].contains(t)).collect();
    let none = row.encoding.split(' ').any(|t| t == "NP");
    if random.one_in(4) && mandatory.is_empty() && !none {
        bytes.push(0x66);
    }
    if random.one_in(12) {
        bytes.push(0x67);
    }
    // FS and GS are checked outside 64-bit mode, and so not compiled.
    if random.one_in(10) && long {
        bytes.push(random.pick(&[0x64, 0x65]));
    }
    if random.one_in(16) && row.has_note("lock") {
        bytes.push(0xf0);
    }
    bytes.extend(mandatory.iter().map(|t| u8::from_str_radix(t, 16).unwrap()));
    let vex = row.encoding.split(' ').find_map(VexRule::parse);
    if let Some(rule) = vex {
        // Inverted register extensions and VEX.vvvv; VEX.W selects the operand size.
        let registers = if long { random.next() as u8 & 0xe0 } else { 0xe0 };
        let w_and_vvvv = random.next() as u8 & if long { 0xf8 } else { 0xb8 } | if long { 0 } else { 0x40 };
        bytes = vec![0xc4, registers | rule.map, w_and_vvvv | rule.pp];
    } else if random.one_in(2) && long {
        bytes.push(0x40 | random.below(16) as u8);
    }
    let mut has_modrm = false;
    for token in row.encoding.split(' ') {
        if let Some(extension) = token.strip_prefix('/') {
            let reg = extension.parse::<u8>().unwrap_or_else(|_| random.below(8) as u8);
            bytes.push(modrm(random, reg));
            has_modrm = true;
        } else if let Some(modrm) = token.strip_prefix('=') {
            let (first, any) = modrm.strip_suffix("+i").map_or((modrm, 1), |first| (first, 8));
            bytes.push(u8::from_str_radix(first, 16).unwrap() + random.below(any) as u8);
        } else if let Some(opcode) = token.strip_suffix("+r") {
            bytes.push(u8::from_str_radix(opcode, 16).unwrap() + random.below(8) as u8);
        } else if vex.is_none() && !["NP", "NFx", "66", "F2", "F3", "W0", "W1"].contains(&token)
            || vex.is_some() && !token.starts_with("VEX")
        {
            bytes.push(u8::from_str_radix(token, 16).unwrap());
        }
    }
    if has_modrm {
        tail(random, &mut bytes);
    }
    bytes.extend((0..10).map(|_| random.next() as u8));
    bytes
}

/// ModR/M with the given middle field: a register, memory at a register, or that with a byte of displacement.
fn modrm(random: &mut Random, reg: u8) -> u8 {
    let mode = random.pick(&[0xc0, 0xc0, 0x00, 0x40]);
    mode | reg << 3 | random.below(8) as u8
}

/// A SIB byte, mostly without index, where the ModR/M byte wants one.
fn tail(random: &mut Random, bytes: &mut Vec<u8>) {
    let modrm = *bytes.last().unwrap();
    if modrm < 0xc0 && modrm & 7 == 4 {
        let sib = if random.one_in(3) { random.next() as u8 } else { 0x20 | random.below(8) as u8 };
        bytes.push(sib);
    }
}

const EDGES: &[u64] = &[
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

fn value(random: &mut Random) -> u64 {
    match random.below(8) {
        0..=3 => DATA + random.below(DATA_BYTES),
        4 => DATA + (random.below(4) << 12) - random.below(16),
        5 | 6 => random.pick(EDGES),
        _ => random.next(),
    }
}

/// Register values; one in four is that of another register, so that comparisons also meet equal operands.
fn registers(random: &mut Random) -> [u64; 16] {
    let mut registers = std::array::from_fn(|_| value(random));
    for number in 0..16 {
        if random.one_in(4) {
            registers[number] = random.pick(&registers);
        }
    }
    registers
}

/// A state for `code` to run in.
pub fn case(random: &mut Random, code: Vec<u8>, mode: Width) -> Case {
    Case {
        mode,
        code,
        registers: registers(random).map(|value| mode.truncate(value)),
        rflags: random.next() & FLAGS | cpu::eflags::FIXED,
        data: (0..DATA_BYTES / 8).flat_map(|_| value(random).to_le_bytes()).collect(),
    }
}
