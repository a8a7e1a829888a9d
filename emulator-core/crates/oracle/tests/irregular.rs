//! Those irregular instructions that user programs may run and that have one right outcome, on the host and on our processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::assemble::addresses_with;
use oracle::case::Case;
use oracle::compare::{Tolerance, defined_flags};
use oracle::random::Random;
use oracle::runner::{Family, Runner};
use oracle::{DATA_WINDOW, STACK_WINDOW};
use x86::instructions::{rows, system::Sys};
use x86::{Inst, Rep, Sem, Width};

const CASES_A_ROW: usize = 400;
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;

const DIRECTION: u64 = 1 << 10;
const INTERRUPTS: u64 = 1 << 9;
/// What a user program can change with POPF and the host's kernel does not mind.
const HARMLESS_FLAGS: u64 = 0x8d5 | DIRECTION;

/// The rest depends on privilege, on tables of the kernel's, or on the processor's model.
const COMPARABLE: [Sys; 27] = [
    Sys::Movs,
    Sys::Cmps,
    Sys::Stos,
    Sys::Lods,
    Sys::Scas,
    Sys::Pushf,
    Sys::Popf,
    Sys::Lahf,
    Sys::Sahf,
    Sys::Pusha,
    Sys::Popa,
    Sys::Enter,
    Sys::PopMemory,
    Sys::Bound,
    Sys::Clflush,
    Sys::Cmpxchg8b,
    Sys::Cmpxchg16b,
    Sys::Crc32Byte,
    Sys::Crc32,
    Sys::Pdep,
    Sys::Pext,
    Sys::Daa,
    Sys::Das,
    Sys::Aaa,
    Sys::Aas,
    Sys::Aam,
    Sys::Aad,
];

struct Irregular(Sys);

impl Family for Irregular {
    fn shape(&self, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
        // Nothing interrupts, but PUSHF shows the flag, which is always set in user mode.
        case.registers.rflags |= INTERRUPTS;
        match self.0 {
            Sys::Movs | Sys::Cmps | Sys::Stos | Sys::Lods | Sys::Scas => string(case, inst, random),
            Sys::Cmpxchg8b | Sys::Cmpxchg16b if random.one_in(2) => match_accumulator(case, inst, address),
            Sys::Enter => frame(case, random),
            Sys::Popf => {
                let value = INTERRUPTS | 2 | random.bits() & HARMLESS_FLAGS;
                let stack = case.registers.gpr[RSP];
                if let Some(slot) = case.memory(stack, 8) {
                    slot.copy_from_slice(&value.to_le_bytes());
                }
            }
            _ => {}
        }
    }

    fn tolerance(&self, _case: &Case, inst: &Inst) -> Option<Tolerance> {
        Some(Tolerance { flags: defined_flags(inst.row()), x87: true })
    }
}

/// Both strings in the data window, sometimes overlapping; a count that stays inside.
fn string(case: &mut Case, inst: &Inst, random: &mut Random) {
    let middle = (DATA_WINDOW.start + DATA_WINDOW.end) / 2;
    let near = random.one_in(2);
    let mut values = [
        (RSI, middle + random.below(64)),
        (RDI, middle + if near { random.below(64) } else { 128 + random.below(64) }),
        (RCX, if inst.rep == Rep::None { random.bits() } else { random.pick(&[0, 1, 2, 3, 7, 16, 20]) }),
    ];
    for (register, value) in &mut values {
        // Above the address size there may be anything.
        let beyond = case.registers.gpr[*register] & !inst.address_size.mask();
        case.registers.gpr[*register] = inst.address_size.truncate(*value) | beyond;
    }
    if random.one_in(3) {
        case.registers.rflags |= DIRECTION;
    }
    if random.one_in(2) {
        // Long equal runs, so that comparisons go on.
        let byte = random.bits() as u8;
        let (from, to) = (random.below(600) as usize, 600 + random.below(300) as usize);
        case.data[from..to].fill(byte);
        case.registers.gpr[RAX] = u64::from_le_bytes([byte; 8]) & case.mode.mask();
    }
}

/// Makes the memory operand equal to the accumulator pair, so that the exchange takes place.
fn match_accumulator(case: &mut Case, inst: &Inst, address: Option<u64>) {
    if addresses_with(inst, RAX as u8) || addresses_with(inst, RDX as u8) {
        return;
    }
    let half = if inst.opsize == Width::W64 { 8 } else { 4 };
    let (low, high) = (case.registers.gpr[RAX].to_le_bytes(), case.registers.gpr[RDX].to_le_bytes());
    if let Some(slot) = address.and_then(|at| case.memory(at, 2 * half as u64)) {
        slot[..half].copy_from_slice(&low[..half]);
        slot[half..].copy_from_slice(&high[..half]);
    }
}

/// `ENTER`: a frame that fits the stack window, at a nesting level that reads what is there.
fn frame(case: &mut Case, random: &mut Random) {
    let immediates = case.code.len() - 3;
    case.code[immediates] = random.below(0x40) as u8;
    case.code[immediates + 1] = 0;
    case.code[immediates + 2] = random.pick(&[0, 0, 1, 2, 3, 5, 32, 33]);
    case.registers.gpr[RBP] = STACK_WINDOW.start + 0x100 + random.below(0x80);
    case.registers.gpr[RSP] = STACK_WINDOW.start + 0x100 + random.below(0x80);
}

#[test]
fn irregular_instructions_do_what_the_host_processor_does() {
    let mut runner = Runner::new();
    let mut failures = Vec::new();
    for (index, row) in rows().iter().enumerate() {
        let Sem::Sys(sys) = row.sem else { continue };
        if !COMPARABLE.contains(&sys) {
            continue;
        }
        for mode in [Width::W64, Width::W32, Width::W16] {
            if let Err(failure) = runner.try_row(mode, index as u16, row, &Irregular(sys), CASES_A_ROW) {
                failures.push(failure);
            }
        }
    }
    assert!(failures.is_empty(), "{} rows differ:\n{}", failures.len(), failures.join("\n"));
}
