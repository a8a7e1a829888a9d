//! Every general-purpose row on the host and on our processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::assemble::addresses_with;
use oracle::case::Case;
use oracle::compare::{Tolerance, defined_flags};
use oracle::random::Random;
use oracle::runner::{Family, Runner};
use oracle::{CODE, ENTRY, PAGE, STACK_WINDOW};
use x86::instructions::{integer::Int, rows};
use x86::{Inst, Operand, Sem, Width};

const CASES_A_ROW: usize = 150;
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSP: usize = 4;
const RBP: usize = 5;

const CARRY: u64 = 1;
const OVERFLOW: u64 = 1 << 11;
const ALL_FLAGS: u64 = 0xcd5;

struct Integer(Int);

impl Family for Integer {
    fn shape(&self, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
        let gpr = &mut case.registers.gpr;
        match self.0 {
            // Without this, nearly every quotient overflows.
            Int::Div | Int::Idiv if random.one_in(2) && !addresses_with(inst, 0) && !addresses_with(inst, 2) => {
                let small = random.below(16);
                gpr[RDX] = if random.one_in(2) { small } else { small.wrapping_neg() };
                gpr[RAX] &= 0xffff_ffff_ffff_00ff | small << 8;
            }
            Int::Bt | Int::Bts | Int::Btr | Int::Btc => {
                if let (Operand::Mem(_), Operand::Gpr { reg, .. }) = (inst.operands[0], inst.operands[1])
                    && !addresses_with(inst, reg)
                {
                    gpr[usize::from(reg)] = random.below(800).wrapping_sub(400);
                }
            }
            Int::Loop | Int::Loope | Int::Loopne | Int::Jcxz if random.one_in(2) => {
                gpr[RCX] = random.pick(&[0, 1, 2, 1 << 32, (1 << 32) + 1]);
            }
            Int::Leave => gpr[RBP] = STACK_WINDOW.start + 0x80 + 8 * random.below(16),
            Int::Ret | Int::RetRelease | Int::JmpIndirect | Int::CallIndirect => {
                aim(case, inst, self.0, address, random);
            }
            _ => {}
        }
    }

    fn tolerance(&self, case: &Case, inst: &Inst) -> Option<Tolerance> {
        if is_undefined(inst, self.0, case) || !target_is_code(inst) {
            return None;
        }
        Some(Tolerance { flags: flags_to_compare(inst, self.0, case), x87: true })
    }
}

/// Makes an indirect transfer's target lie in the code page, behind the instruction itself.
fn aim(case: &mut Case, inst: &Inst, int: Int, address: Option<u64>, random: &mut Random) {
    let target = ENTRY + 16 + random.below(CODE + PAGE - ENTRY - 16);
    let place = match (int, inst.operands[0]) {
        (Int::Ret | Int::RetRelease, _) => Some(case.registers.gpr[RSP]),
        (_, Operand::Gpr { reg, .. }) => {
            case.registers.gpr[usize::from(reg)] = target;
            None
        }
        _ => address,
    };
    if let Some(slot) = place.and_then(|at| case.memory(at, 8)) {
        slot.copy_from_slice(&target.to_le_bytes());
    }
}

/// Flags to compare: what the row leaves undefined, and what a shift's count makes so (Intel SDM vol. 2: OF is defined
/// for counts of one, CF for counts up to the operand's width).
fn flags_to_compare(inst: &Inst, int: Int, case: &Case) -> u64 {
    let mask = defined_flags(inst.row());
    let shifts =
        [Int::Rol, Int::Ror, Int::Rcl, Int::Rcr, Int::Shl, Int::Shr, Int::Sar, Int::Shld, Int::Shrd].contains(&int);
    if !shifts {
        return mask;
    }
    let width = inst.operands[0].width().unwrap_or(Width::W64);
    let count = shift_count(inst, case) & if width == Width::W64 { 63 } else { 31 };
    match count {
        0 => ALL_FLAGS,
        1 => mask,
        _ if matches!(int, Int::Shl | Int::Shr) && count > u64::from(width.bits()) => mask & !(OVERFLOW | CARRY),
        _ => mask & !OVERFLOW,
    }
}

fn shift_count(inst: &Inst, case: &Case) -> u64 {
    let immediate =
        inst.operands.iter().find_map(|o| if let Operand::Imm { value, .. } = o { Some(*value as u64) } else { None });
    immediate.unwrap_or(case.registers.gpr[RCX])
}

/// A branch lands on a trap in the code page, and not in its own bytes, from where it would run on.
fn target_is_code(inst: &Inst) -> bool {
    let Operand::Rel(distance) = inst.operands[0] else { return true };
    let target = inst.opsize.truncate(ENTRY.wrapping_add(u64::from(inst.len)).wrapping_add(distance as u64));
    let itself = ENTRY..ENTRY + u64::from(inst.len);
    (CODE..CODE + PAGE).contains(&target) && !itself.contains(&target)
}

/// `SHLD` and `SHRD` of 16 bits by more than 16 leave result and flags undefined; an indirect transfer through RSP
/// goes where the stack is; a bit string may reach anywhere.
fn is_undefined(inst: &Inst, int: Int, case: &Case) -> bool {
    match int {
        Int::Shld | Int::Shrd => inst.operands[0].width() == Some(Width::W16) && shift_count(inst, case) & 31 > 16,
        Int::JmpIndirect | Int::CallIndirect => {
            matches!(inst.operands[0], Operand::Gpr { reg, .. } if usize::from(reg) == RSP)
        }
        // The bit offset cannot be chosen small then, and the bit may lie in the code page, whose traps differ.
        Int::Bt | Int::Bts | Int::Btr | Int::Btc => {
            matches!(inst.operands[1], Operand::Gpr { reg, .. } if addresses_with(inst, reg))
        }
        _ => false,
    }
}

#[test]
fn general_purpose_instructions_do_what_the_host_processor_does() {
    let mut runner = Runner::new();
    let mut failures = Vec::new();
    for (index, row) in rows().iter().enumerate() {
        let Sem::Int(int) = row.sem else { continue };
        for mode in [Width::W64, Width::W32, Width::W16] {
            if let Err(failure) = runner.try_row(mode, index as u16, row, &Integer(int), CASES_A_ROW) {
                failures.push(failure);
            }
        }
    }
    assert!(failures.is_empty(), "{} rows differ:\n{}", failures.len(), failures.join("\n"));
}
