//! Instructions and states, at random but the same in every run.

use x86::decode::decode;
use x86::{Disassembly, Operand, Row, Sem, VexRule, Width, instructions};

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

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Every row that exists in `mode`.
pub fn rows(mode: Width) -> Vec<&'static Row> {
    let missing = if mode == Width::W64 { "i64" } else { "o64" };
    instructions::rows().iter().copied().filter(|row| !row.has_note(missing)).collect()
}

/// Whether control never passes behind an instruction of `row`.
pub fn ends_block(row: &Row) -> bool {
    row.has_note("end")
}

/// The rows that set status flags and let control pass on.
pub fn flag_setters() -> Vec<&'static Row> {
    let sets_flags = |row: &&Row| matches!(row.sem, Sem::Int(_)) && !row.flags.is_empty();
    rows(Width::W64).into_iter().filter(sets_flags).collect()
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

/// Bytes of an instruction of `row`, operands at random; none where the choice does not come out as that row.
pub fn instruction(random: &mut Random, row: &'static Row, mode: Width) -> Option<Vec<u8>> {
    const PATIENCE: u32 = 200;
    for _ in 0..PATIENCE {
        let bytes = encode(random, row, mode == Width::W64);
        let Ok(inst) = decode(&bytes, mode) else { continue };
        // A RIP-relative operand would lie anywhere but in the data area.
        let relative = |operand: &Operand| matches!(operand, Operand::Mem(mem) if mem.rip_relative);
        if !std::ptr::eq(inst.row(), row) || inst.operands.iter().any(relative) {
            continue;
        }
        return Some(bytes[..usize::from(inst.len)].to_vec());
    }
    None
}

/// The instructions in `code`, a line each.
pub fn listing(code: &[u8], mode: Width) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Ok(inst) = decode(&code[at..], mode) {
        let rip = super::CODE + at as u64;
        text.push_str(&format!("{rip:x}: {}\n", Disassembly { inst: &inst, rip }));
        at += usize::from(inst.len);
    }
    text
}

/// A few blocks, each with a branch to some other at its end.
pub fn program(random: &mut Random, mode: Width) -> Vec<u8> {
    let rows: Vec<_> = rows(mode).into_iter().filter(|row| !ends_block(row)).collect();
    program_of(random, &rows, mode)
}

/// The same of instructions of these rows.
pub fn program_of(random: &mut Random, rows: &[&'static Row], mode: Width) -> Vec<u8> {
    let blocks: Vec<_> = (0..2 + random.below(6)).map(|_| block(random, rows, mode)).collect();
    let mut starts = vec![0];
    for (body, branch) in &blocks {
        starts.push(starts[starts.len() - 1] + body.len() + branch.map_or(0, |(opcode, _)| opcode.bytes().len() + 4));
    }
    let mut code = Vec::new();
    for (body, branch) in &blocks {
        code.extend(body);
        if let &Some((opcode, target)) = branch {
            code.extend(opcode.bytes());
            // Behind the last block is the end.
            let target = starts[target % starts.len()];
            code.extend((target as i32 - (code.len() as i32 + 4)).to_le_bytes());
        }
    }
    code.push(HLT);
    code
}

const HLT: u8 = 0xf4;

/// The same case behind instructions that change every register to what it was: compiled code then has them in locals, and something else
/// is where helpers look for them.
pub fn behind_changes(random: &mut Random, case: &Case) -> Case {
    let mut case = case.clone();
    let long = case.mode == Width::W64;
    let mut prefix = Vec::new();
    let count = if long { 16 } else { 8 };
    for (number, vector) in (0..count - 1).zip(case.vectors) {
        // PXOR xmm, xmm7 or xmm15.
        case.vectors[number] = vector ^ case.vectors[count - 1];
        let number = number as u8;
        let rex = if long { vec![0x41 | (number >> 3) << 2] } else { Vec::new() };
        prefix.extend([&[0x66][..], &rex, &[0x0f, 0xef, 0xc7 | (number & 7) << 3]].concat());
    }
    for (number, value) in (0..count as u8).zip(&mut case.registers) {
        // ADD register, imm32.
        let added = random.next() as i32;
        *value = case.mode.truncate(value.wrapping_sub(added as u64));
        prefix.extend(if long { vec![0x48 | number >> 3] } else { Vec::new() });
        prefix.extend([0x81, 0xc0 | number & 7]);
        prefix.extend(added.to_le_bytes());
    }
    case.code.splice(0..0, prefix);
    case
}

/// How a block of a program ends.
#[derive(Clone, Copy)]
enum Branch {
    Always,
    If(u8),
}

impl Branch {
    fn bytes(self) -> Vec<u8> {
        match self {
            Branch::Always => vec![0xe9],
            Branch::If(cc) => vec![0x0f, 0x80 | cc],
        }
    }
}

/// Instructions, and where control goes on: by a branch to the block of that number, or to the next one.
fn block(random: &mut Random, rows: &[&'static Row], mode: Width) -> (Vec<u8>, Option<(Branch, usize)>) {
    let mut body = Vec::new();
    for _ in 0..random.below(5) {
        let row = random.pick(rows);
        let code = instruction(random, row, mode).unwrap_or_default();
        // Too many accesses, and no program would come round a loop without a fault.
        if !touches_memory(&code, mode) || random.one_in(8) {
            body.extend(code);
        }
    }
    let target = random.below(8) as usize;
    match random.below(8) {
        0 => (body, None),
        1 => (body, Some((Branch::Always, target))),
        // DEC of a register, and a branch while it is not zero.
        2..=4 => {
            body.extend([0xff, 0xc8 | random.pick(&[0, 1, 2, 3, 6, 7])]);
            (body, Some((Branch::If(5), target)))
        }
        _ => (body, Some((Branch::If(random.below(16) as u8), target))),
    }
}

fn touches_memory(code: &[u8], mode: Width) -> bool {
    let Ok(inst) = decode(code, mode) else { return false };
    let is_memory = |operand: &Operand| matches!(operand, Operand::Mem(_));
    inst.operands.iter().any(is_memory)
        || ["PUSH", "POP", "LEAVE", "ENTER"].iter().any(|m| inst.row().mnemonic.starts_with(m))
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
    // Outside 64-bit mode these are checked, which is left to helpers.
    if random.one_in(10) {
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
        let vvvv = if random.one_in(2) { w_and_vvvv } else { w_and_vvvv | 0x78 };
        let l = if rule.l.unwrap_or(random.one_in(2)) { 4 } else { 0 };
        bytes = vec![0xc4, registers | rule.map, vvvv | l | rule.pp];
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

/// Vectors of integers, and of floating-point numbers that are ordinary, edges, or anything.
fn vector(random: &mut Random) -> u128 {
    let single = |random: &mut Random| match random.below(4) {
        0 => random.pick(&[0, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 1, 0x0080_0000, 0x7f7f_ffff]),
        1 => random.next() as u32,
        _ => (random.below(2000) as f32 / 8.0 - 100.0).to_bits(),
    };
    let double = |random: &mut Random| match random.below(4) {
        0 => random.pick(&[0, 1 << 63, 0x3ff << 52, 0x7ff << 52, 0x7ff8 << 48, 1, 1 << 52, (0x7ff << 52) - 1]),
        1 => random.next(),
        _ => (random.below(2000) as f64 / 8.0 - 100.0).to_bits(),
    };
    match random.below(3) {
        0 => (0..4).fold(0, |all, _| all << 32 | u128::from(single(random))),
        1 => u128::from(double(random)) << 64 | u128::from(double(random)),
        _ => u128::from(value(random)) << 64 | u128::from(value(random)),
    }
}

/// Vectors of singles or doubles, for arithmetic to round: two numbers, minus their product, its neighbours and what lies half-way, and others.
pub fn numbers(random: &mut Random, single: bool) -> [u128; 16] {
    let (x, y) = (any_double(random), any_double(random));
    let (a, b) = (x as f32, y as f32);
    std::array::from_fn(|_| {
        let mut lane = || {
            let step = random.below(3);
            let number = match random.below(8) {
                0 => x,
                1 => y,
                2 | 3 => f64::from_bits((-x * y).to_bits().wrapping_add(step).wrapping_sub(1)),
                4 => (x * y) * f64::from_bits(0x3c90_0000_0000_0000) * step as f64,
                5 => f64::from(random.below(9) as u32) - 4.0,
                _ => any_double(random),
            };
            let singles = match random.below(4) {
                0 => a,
                1 => b,
                2 => f32::from_bits((-a * b).to_bits().wrapping_add(step as u32).wrapping_sub(1)),
                _ => number as f32,
            };
            if single { u64::from(singles.to_bits()) } else { number.to_bits() }
        };
        let count = if single { 4 } else { 2 };
        (0..count).fold(0, |all, _| all << (128 / count) | u128::from(lane()))
    })
}

/// Vectors of singles or doubles of which most could be multiplied and added for a while, and some are large, small, equal, or zero.
pub fn far_numbers(random: &mut Random, single: bool) -> [u128; 16] {
    let (bits, places, bias) = if single { (32, 23, 127) } else { (64, 52, 1023) };
    let spread = random.pick(&[bias / 20, bias / 5, bias / 3, bias - 1]);
    std::array::from_fn(|_| {
        let mut lane = || {
            let exponent = match random.below(16) {
                0 => return 0,
                1 => random.pick(&[1, 2, bias - 100, bias + 120, 2 * bias - 1, 2 * bias]),
                2 => bias,
                _ => bias - spread + random.below(2 * spread + 1),
            };
            let fraction = random.next() & random.pick(&[0, 0x3_0000_0000_0000 >> (52 - places), u64::MAX]);
            fraction & ((1 << places) - 1) | exponent << places | (random.next() & 1) << (bits - 1)
        };
        (0..128 / bits).fold(0, |all, _| all << bits | u128::from(lane()))
    })
}

/// Between 2^-20 and 2^20, few of its bits or all of them.
fn any_double(random: &mut Random) -> f64 {
    let fraction = (random.next() >> 12) & (u64::MAX << random.pick(&[0, 0, 29, 40]));
    let exponent = 1023 - 20 + random.below(40);
    f64::from_bits(fraction | exponent << 52 | (random.next() & 1) << 63)
}

/// All masked, mostly with PE set as in any program that has computed; sometimes otherwise.
fn mxcsr(random: &mut Random) -> u32 {
    match random.below(8) {
        0 => 0x1f80,
        1 => random.next() as u32 & 0xffff,
        _ => 0x1fa0,
    }
}

/// Registers mostly in use, with numbers that are ordinary, edges, or anything; all masked and in extended precision, as programs have it,
/// and sometimes otherwise.
fn x87(random: &mut Random) -> cpu::X87 {
    const MASKS: u16 = 0x3f;
    let control = match random.below(8) {
        0..=4 => 0x37f,
        5 | 6 => MASKS | 0x40 | random.pick(&[0, 0x200, 0x300]) | random.pick(&[0, 0x400, 0x800, 0xc00]),
        _ => random.next() as u16 & 0x1f3f | 0x40,
    };
    // What is raised and not masked waits (ES and B).
    let raised = random.next() as u16 & if random.one_in(4) { MASKS } else { control & MASKS };
    let waiting = if raised & !control & MASKS != 0 { 0x8080 } else { 0 };
    let status = raised | waiting | random.next() as u16 & 0x7f40;
    let empty = match random.below(4) {
        0 => random.next() as u8,
        1 => 0,
        _ => 0x80_u8.rotate_left(u32::from(status >> 11)) >> random.below(2),
    };
    cpu::X87 {
        registers: std::array::from_fn(|_| extended(random)),
        control,
        status,
        tags: (0..8).filter(|n| empty >> n & 1 != 0).fold(0, |tags, n| tags | 3 << (2 * n)),
        ..cpu::X87::default()
    }
}

fn extended(random: &mut Random) -> (u64, u16) {
    let sign = (random.next() << 15) as u16;
    let fraction = random.next() << random.below(64);
    match random.below(8) {
        0 => (random.next(), random.next() as u16),
        1 => random.pick(&[
            (0, sign),
            (1 << 63, 0x7fff | sign),
            (3 << 62, 0x7fff | sign),
            (1, sign),
            (1 << 63, 1 | sign),
        ]),
        2 => (1 << 63 | fraction, random.pick(&[0x3c00, 0x3c01, 0x43fe, 0x3f81, 0x407e, 0x7ffe]) | sign),
        _ => (1 << 63 | fraction, (0x3fff - 40 + random.below(80) as u16) | sign),
    }
}

/// All registers in use, with numbers that sums and products of are rounded in every way: some are zero, some all but cancel, some lie far apart, some have few bits; a few
/// are out of the ordinary.
pub fn x87_numbers(random: &mut Random) -> cpu::X87 {
    let one = 1 << 63 | random.next() << random.below(64);
    let near = 0x3fff - 3 + random.below(6) as u16;
    let mut number = || {
        let sign = (random.next() << 15) as u16;
        let significand = match random.below(6) {
            0 => one,
            1 => 1 << 63 | one.wrapping_add(random.below(5)).wrapping_sub(2),
            2 => u64::MAX << random.below(64),
            3 => 1 << 63 | !0 >> random.below(64),
            _ => 1 << 63 | random.next() << random.below(64),
        };
        match random.below(32) {
            0 => extended(random),
            1 | 2 => (0, sign),
            3 => (significand, random.pick(&[0x3c00, 0x3c01, 0x43fd, 0x43fe, 0x3f80, 0x407e, 0x0001, 0x7ffe]) | sign),
            4..8 => (significand, (near + random.below(200) as u16) | sign),
            8..20 => (significand, near | sign),
            _ => (significand, (near + random.below(3) as u16) | sign),
        }
    };
    let registers = std::array::from_fn(|_| number());
    cpu::X87 { registers, control: 0x37f, status: random.next() as u16 & 0x7f3f, tags: 0, ..cpu::X87::default() }
}

/// A state for `code` to run in.
pub fn case(random: &mut Random, code: Vec<u8>, mode: Width) -> Case {
    Case {
        mode,
        code,
        vectors: std::array::from_fn(|_| vector(random)),
        mxcsr: mxcsr(random),
        x87: x87(random),
        registers: registers(random).map(|value| mode.truncate(value)),
        rflags: random.next() & FLAGS | cpu::eflags::FIXED,
        data: (0..DATA_BYTES / 8).flat_map(|_| value(random).to_le_bytes()).collect(),
    }
}
