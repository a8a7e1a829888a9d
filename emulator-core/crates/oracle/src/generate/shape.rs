//! What makes an instruction do what it is for: operands that are not written down, and values that lead off the beaten path.

use x86::instructions::fpu::Fpu;
use x86::instructions::integer::Int;
use x86::instructions::simd::Simd;
use x86::instructions::system::Sys;
use x86::{Inst, Operand, Rep, Sem, Width};

use crate::assemble::{addresses_with, memory_operand};
use crate::case::Case;
use crate::case::{FLAT_DATA, code_selector};
use crate::random::Random;
use crate::{CODE, DATA, ENTRY, STACK};

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;

const DIRECTION: u64 = 1 << 10;

/// Bends a random case towards what its first instruction is for. `address` is where its memory operand lies.
pub(super) fn shape(case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    match inst.row().sem {
        Sem::Int(int) => integer(int, case, inst, address, random),
        Sem::Sys(sys) => system(sys, case, inst, address, random),
        Sem::Simd(simd) => vector(simd, case, inst, random),
        Sem::Fpu(fpu) => x87(fpu, case, address, random),
    }
}

fn integer(int: Int, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    let gpr = &mut case.registers.gpr;
    match int {
        // Without this, nearly every quotient overflows.
        Int::Div | Int::Idiv if random.one_in(2) && !addresses_with(inst, 0) && !addresses_with(inst, 2) => {
            let small = random.below(16);
            gpr[RDX] = if random.one_in(2) { small } else { small.wrapping_neg() & case.mode.mask() };
            gpr[RAX] &= 0xffff_ffff_ffff_00ff | small << 8;
        }
        Int::Bt | Int::Bts | Int::Btr | Int::Btc => {
            if let (Operand::Mem(_), Operand::Gpr { reg, .. }) = (inst.operands[0], inst.operands[1])
                && !addresses_with(inst, reg)
                && !random.one_in(8)
            {
                gpr[usize::from(reg)] = random.below(800).wrapping_sub(400) & case.mode.mask();
            }
        }
        Int::Loop | Int::Loope | Int::Loopne | Int::Jcxz if random.one_in(2) => {
            gpr[RCX] = random.pick(&[0, 1, 2, 1 << 32, (1 << 32) + 1]) & case.mode.mask();
        }
        Int::Cmpxchg if random.one_in(2) && !addresses_with(inst, 0) => {
            if let Operand::Gpr { reg, .. } = inst.operands[0] {
                gpr[usize::from(reg)] = gpr[RAX];
            } else if let Some(address) = address {
                let value = gpr[RAX].to_le_bytes();
                case.set_memory(address, &value);
            }
        }
        Int::Leave if !random.one_in(16) => gpr[RBP] = STACK.start + 0x800 + random.below(0x100),
        Int::Xlat if !addresses_with(inst, RAX as u8) => gpr[RBX] = DATA.start + random.below(0x1f00),
        Int::Ret | Int::RetRelease | Int::JmpIndirect | Int::CallIndirect if !random.one_in(8) => {
            aim(int, case, inst, address, random);
        }
        _ => {}
    }
}

/// Some trap in the code page, behind the instruction itself.
fn trap(random: &mut Random) -> u64 {
    ENTRY + 16 + random.below(CODE.end - ENTRY - 16)
}

/// Makes an indirect transfer's target lie in the code page.
fn aim(int: Int, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    let target = trap(random);
    match (int, inst.operands[0]) {
        (Int::Ret | Int::RetRelease, _) => case.set_memory(case.registers.gpr[RSP], &target.to_le_bytes()),
        (_, Operand::Gpr { reg, .. }) => case.registers.gpr[usize::from(reg)] = target,
        _ => {
            if let Some(address) = address {
                case.set_memory(address, &target.to_le_bytes());
            }
        }
    }
}

fn system(sys: Sys, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    match sys {
        Sys::Movs | Sys::Cmps | Sys::Stos | Sys::Lods | Sys::Scas => string(case, inst, random),
        Sys::Cmpxchg8b | Sys::Cmpxchg16b if random.one_in(2) => match_accumulator(case, inst, address),
        Sys::Enter => frame(case, random),
        Sys::Popf => {
            const HARMLESS: u64 = 0x24_4ed7;
            let value = random.bits() & HARMLESS;
            case.set_memory(case.registers.gpr[RSP], &value.to_le_bytes());
        }
        Sys::LoadSegment | Sys::Verr | Sys::Verw | Sys::Lar | Sys::Lsl | Sys::Arpl => {
            give_selector(case, inst, address, selector(random), random);
        }
        Sys::PopSegment if !random.one_in(4) => {
            case.set_memory(case.registers.gpr[RSP], &selector(random).to_le_bytes());
        }
        Sys::Lds | Sys::Les | Sys::Lss | Sys::Lfs | Sys::Lgs => {
            set_selector_behind(case, inst, address, selector(random));
        }
        Sys::JmpFar | Sys::CallFar | Sys::RetFar | Sys::Iret => far(sys, case, inst, address, random),
        Sys::Int => {
            let last = case.code.len() - 1;
            if random.one_in(2) {
                case.code[last] = random.below(20) as u8;
            }
        }
        Sys::Xsave | Sys::Xsaveopt | Sys::Xsavec | Sys::Xrstor => extended_state(sys, case, inst, address, random),
        _ => {}
    }
}

/// An aligned area, with a header that mostly is one, and components that both processors have.
fn extended_state(sys: Sys, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    let Some(mem) = memory_operand(inst) else { return };
    let Some(mut address) = address else { return };
    if let Some(base) = mem.base
        && base != RAX as u8
        && base != RDX as u8
        && mem.index != Some(base)
        && !random.one_in(16)
    {
        let aligned = DATA.start + 64 * random.below(0x1c00 / 64);
        let gpr = &mut case.registers.gpr[usize::from(base)];
        *gpr = gpr.wrapping_add(aligned.wrapping_sub(address)) & case.mode.mask();
        address = aligned;
    }
    if !addresses_with(inst, RAX as u8) {
        case.registers.gpr[RAX] = random.below(8);
    }
    if !addresses_with(inst, RDX as u8) {
        case.registers.gpr[RDX] = 0;
    }
    let most = if random.one_in(8) { 16 } else { 8 };
    let components = random.below(most);
    let compaction = match random.below(4) {
        0 => 1 << 63 | 7,
        1 => 1 << 63 | components,
        2 if random.one_in(4) => random.bits(),
        _ => 0,
    };
    case.set_memory(address.wrapping_add(512), &components.to_le_bytes());
    case.set_memory(address.wrapping_add(520), &compaction.to_le_bytes());
    if !random.one_in(8) {
        case.set_memory(address.wrapping_add(528), &[0; 48]);
    }
    if sys == Sys::Xrstor && !random.one_in(8) {
        // Masked exceptions, and MXCSR bits that exist.
        case.set_memory(address, &[0x7f, 3, 0, random.below(8) as u8 * 8]);
        case.set_memory(address.wrapping_add(24), &[0x80 | random.bits() as u8, 0x1f, 0, 0]);
    }
}

/// Selectors of what Linux gives programs, null, and others. Not that of the segment whose limit tells the processor's number.
fn selector(random: &mut Random) -> u16 {
    const PROCESSOR_NUMBER: u16 = 0x78;
    let other = random.bits() as u16;
    let other = if other & !7 == PROCESSOR_NUMBER { 0 } else { other };
    random.pick(&[0, 3, 7, 0x23, 0x2b, 0x2b, 0x28, 0x33, 0x10, 0x18, 0x53, other])
}

fn give_selector(case: &mut Case, inst: &Inst, address: Option<u64>, selector: u16, random: &mut Random) {
    let source = if inst.operands[1] == Operand::None { inst.operands[0] } else { inst.operands[1] };
    match source {
        Operand::Gpr { reg, .. } => {
            let junk = random.bits() << 16 & case.mode.mask();
            case.registers.gpr[usize::from(reg)] = junk | u64::from(selector);
        }
        _ => {
            if let Some(address) = address {
                case.set_memory(address, &selector.to_le_bytes());
            }
        }
    }
}

/// The selector of a far pointer in memory.
fn set_selector_behind(case: &mut Case, inst: &Inst, address: Option<u64>, selector: u16) {
    if let Some(address) = address {
        case.set_memory(address.wrapping_add(inst.opsize.bytes()), &selector.to_le_bytes());
    }
}

/// A far transfer to a trap, in a code segment of any width.
fn far(sys: Sys, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
    let code = match random.below(8) {
        0 => selector(random),
        n => code_selector([Width::W64, Width::W32, Width::W16][n as usize % 3]),
    };
    let target = trap(random);
    let width = inst.opsize.bytes() as usize;
    let pointer = |slot: usize| [&target.to_le_bytes()[..width], &u64::from(code).to_le_bytes()[..slot]].concat();
    match (sys, inst.operands[0]) {
        (Sys::JmpFar | Sys::CallFar, Operand::Far { .. }) => {
            let at = case.code.len() - width - 2;
            case.code.splice(at.., pointer(2));
        }
        (Sys::JmpFar | Sys::CallFar, _) => {
            if let Some(address) = address {
                case.set_memory(address, &pointer(2));
            }
        }
        (Sys::Iret, _) => {
            const HARMLESS: u64 = 0x24_0ed7;
            let flags = random.bits() & HARMLESS;
            let stack = STACK.start + 0x700 + random.below(0x100);
            let data = if random.one_in(8) { selector(random) } else { FLAT_DATA };
            let slots = [target, code.into(), flags, stack, data.into()];
            let frame: Vec<u8> = slots.iter().flat_map(|slot| slot.to_le_bytes()[..width].to_vec()).collect();
            case.set_memory(case.registers.gpr[RSP], &frame);
        }
        _ => case.set_memory(case.registers.gpr[RSP], &pointer(width)),
    }
}

/// Both strings in the data pages, sometimes overlapping; a count that mostly stays inside.
fn string(case: &mut Case, inst: &Inst, random: &mut Random) {
    if random.one_in(8) {
        return;
    }
    let middle = (DATA.start + DATA.end) / 2;
    let near = random.one_in(2);
    let mut values = [
        (RSI, middle + random.below(64)),
        (RDI, middle + if near { random.below(64) } else { 128 + random.below(64) }),
        (RCX, if inst.rep == Rep::None { random.bits() } else { random.pick(&[0, 1, 2, 3, 7, 16, 20, 200, 5000]) }),
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
        let (from, to) = (random.below(600), 600 + random.below(300));
        case.set_memory(middle - 0x200 + from, &vec![byte; (to - from) as usize]);
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
    if let Some(address) = address {
        case.set_memory(address, &[&low[..half], &high[..half]].concat());
    }
}

/// `ENTER` with a small frame and few levels, whose pointers are in the stack page.
fn frame(case: &mut Case, random: &mut Random) {
    let immediates = case.code.len() - 3;
    case.code[immediates] = random.below(0x80) as u8;
    case.code[immediates + 1] = 0;
    case.code[immediates + 2] = random.pick(&[0, 0, 1, 2, 3, 5, 32, 33]);
    case.registers.gpr[RBP] = STACK.start + 0x800 + random.below(0x80);
    case.registers.gpr[RSP] = STACK.start + 0x800 + random.below(0x80);
}

fn vector(simd: Simd, case: &mut Case, inst: &Inst, random: &mut Random) {
    match simd {
        Simd::String(_) => {
            for length in [RAX, RDX] {
                if random.one_in(2) && !addresses_with(inst, length as u8) {
                    case.registers.gpr[length] = random.below(40).wrapping_sub(20) & case.mode.mask();
                }
            }
        }
        Simd::Gather(kind) if !random.one_in(16) => {
            let Some(index) = memory_operand(inst).and_then(|mem| mem.index).map(usize::from) else { return };
            let w = kind.index();
            let mut near = || {
                let element = |random: &mut Random| w.truncate(random.below(32).wrapping_sub(16));
                (0..128 / w.bits()).fold(0u128, |all, _| all << w.bits() | u128::from(element(random)))
            };
            let (low, high) = (near(), near());
            case.registers.set_xmm(index, low);
            case.registers.ymm_high[index] = high;
        }
        Simd::Maskmovdqu | Simd::Maskmovq if !random.one_in(8) => {
            case.registers.gpr[RDI] = DATA.start + random.below(0x1ff0);
        }
        _ => {}
    }
}

fn x87(fpu: Fpu, case: &mut Case, address: Option<u64>, random: &mut Random) {
    match fpu {
        Fpu::F2xm1 | Fpu::Fyl2xp1 if !random.one_in(4) => {
            // Beyond, the result is undefined.
            const LARGEST_EXPONENT: u16 = 0x3ffe;
            let (significand, exponent) = case.registers.st(0);
            let near = LARGEST_EXPONENT - random.below(80) as u16;
            let exponent = exponent & 0x8000 | near;
            case.registers.set_st(0, (significand | 1 << 63, exponent));
        }
        Fpu::Fbld => {
            let digits: [u8; 10] = core::array::from_fn(|_| random.pick(&[0, 1, 0x10, 0x99, 0x09, 0x90, 0x55, 0xff]));
            if let Some(address) = address
                && !random.one_in(8)
            {
                case.set_memory(address, &digits);
            }
        }
        Fpu::Fxrstor => {
            // MXCSR bits that do not exist fault.
            if let Some(address) = address
                && !random.one_in(8)
            {
                case.set_memory(address.wrapping_add(24), &[0x80 | random.bits() as u8, 0x1f, 0, 0]);
            }
        }
        _ => {}
    }
}
