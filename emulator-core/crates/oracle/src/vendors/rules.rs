//! The differences, one by one.

use x86::instructions::fpu::Fpu;
use x86::instructions::integer::Int;
use x86::instructions::simd::{FpOp, Simd};
use x86::instructions::system::Sys;
use x86::{Feature, Rep, Sem, Width, flags, seg};

use super::{Rule, Seen};
use crate::assemble::memory_operand;
use crate::case::{Outcome, memory_offset};
use crate::judge::is_transcendental;
use crate::{GS_BASE, PAGE};

const BOUND_RANGE: u8 = 5;
const INVALID_OPCODE: u8 = 6;
const STACK_FAULT: u8 = 12;
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;
const ALIGNMENT_CHECK: u8 = 17;
const SIMD_EXCEPTION: u8 = 19;

/// Of whole instructions, then of how they fault, then of what they leave.
pub(super) const RULES: &[Rule] = &[
    Rule {
        differ: "operand-size prefixes of near branches",
        concerns: |seen| {
            const OPERAND_SIZE: u8 = 0x66;
            let branch = seen.inst.row().has_note("f64") && matches!(seen.inst.row().sem, Sem::Int(_));
            branch && seen.inst.code == Width::W64 && prefixes(seen).contains(&OPERAND_SIZE)
        },
        forgive: everything,
    },
    Rule {
        differ: "far pointers of ten bytes",
        concerns: |seen| {
            let far = is(seen, &[Sys::JmpFar, Sys::CallFar, Sys::Lss, Sys::Lfs, Sys::Lgs]);
            far && seen.inst.opsize == Width::W64 && memory_operand(seen.inst).is_some()
        },
        forgive: everything,
    },
    Rule {
        differ: "which reserved encodings do nothing",
        concerns: |seen| {
            let nop = seen.inst.row().sem == Sem::Int(Int::Nop) && seen.inst.row().mnemonic == "NOP";
            nop && seen.host_fault == Some(INVALID_OPCODE)
        },
        forgive: everything,
    },
    Rule {
        differ: "PAUSE with REX.B, which may be XCHG",
        concerns: |seen| {
            let extends_base = prefixes(seen).last().is_some_and(|rex| matches!(rex, 0x40..=0x4f) && rex & 1 != 0);
            seen.inst.row().mnemonic == "PAUSE" && seen.inst.code == Width::W64 && extends_base
        },
        forgive: everything,
    },
    Rule {
        differ: "REP and REPNE before LOOPE and LOOPNE, which may make one the other",
        concerns: |seen| {
            matches!(seen.inst.row().sem, Sem::Int(Int::Loope | Int::Loopne)) && seen.inst.rep != Rep::None
        },
        forgive: |seen, ours| ours.registers.rip = seen.host.registers.rip,
    },
    Rule {
        differ: "how many bytes MOVSXD of 16 bits reads",
        concerns: |seen| {
            seen.inst.row().mnemonic == "MOVSXD" && seen.inst.opsize == Width::W16 && is_of_memory(seen.host_fault)
        },
        forgive: everything,
    },
    Rule {
        differ: "VEX.W of VPINSRD and VPEXTRD outside 64-bit mode",
        concerns: |seen| {
            const W: u8 = 0x80;
            let named = matches!(seen.inst.row().mnemonic, "VPINSRD" | "VPEXTRD");
            // The opcode follows the prefix's last byte.
            let opcode = seen.bytes.windows(2).find(|pair| pair[1] == seen.inst.opcode);
            let wide = opcode.is_some_and(|pair| pair[0] & W != 0);
            named && seen.inst.code != Width::W64 && wide && seen.host_fault == Some(INVALID_OPCODE)
        },
        forgive: everything,
    },
    Rule {
        differ: "which bits of MXCSR there are",
        concerns: |seen| {
            let loads = matches!(seen.inst.row().sem, Sem::Fpu(Fpu::Fxrstor) | Sem::Simd(Simd::Ldmxcsr));
            const MISALIGNED_EXCEPTION_MASK: u32 = 1 << 17;
            let has_it = seen.host.registers.mxcsr() & MISALIGNED_EXCEPTION_MASK != 0;
            (loads || is(seen, &[Sys::Xrstor])) && has_it && seen.our_fault == Some(GENERAL_PROTECTION)
        },
        forgive: everything,
    },
    Rule {
        differ: "alignment of the operands of SHA instructions",
        concerns: |seen| {
            seen.inst.row().feature == Feature::Sha
                && seen.our_fault == Some(GENERAL_PROTECTION)
                && seen.host_fault != Some(GENERAL_PROTECTION)
        },
        forgive: everything,
    },
    Rule {
        differ: "alignment of long vectors while alignment is checked",
        concerns: |seen| {
            let long = memory_operand(seen.inst).is_some_and(|mem| mem.bytes >= 16)
                || seen.inst.row().feature == Feature::F16c;
            matches!(seen.inst.row().sem, Sem::Simd(_)) && long && seen.host_fault == Some(ALIGNMENT_CHECK)
        },
        forgive: everything,
    },
    Rule {
        differ: "bytes of the stack that segment registers take",
        concerns: |seen| is(seen, &[Sys::PushSegment, Sys::PopSegment, Sys::CallFar, Sys::RetFar]),
        forgive: |seen, ours| {
            let whole_slot = seen.host.fault.is_some_and(|fault| match fault.vector {
                PAGE_FAULT => fault.address % PAGE == 0,
                vector => vector == ALIGNMENT_CHECK,
            });
            if whole_slot && matches!(seen.our_fault, None | Some(GENERAL_PROTECTION)) {
                *ours = seen.host.clone();
            }
            // Above the selector, one slot holds zeros or what was there.
            let slot = seen.ours.registers.gpr[RSP];
            let offset = if is(seen, &[Sys::CallFar]) { seen.inst.opsize.bytes() } else { 0 };
            take_memory(ours, seen.host, slot.wrapping_add(offset + 2), seen.inst.opsize.bytes() - 2);
        },
    },
    Rule {
        differ: "whether BOUND reads the upper bound before the index is found below the lower one",
        concerns: |seen| {
            is(seen, &[Sys::Bound]) && seen.our_fault == Some(BOUND_RANGE) && is_of_memory(seen.host_fault)
        },
        forgive: |seen, ours| ours.fault = seen.host.fault,
    },
    Rule {
        differ: "whether memory is looked at before an unmasked exception of a number keeps a store back",
        concerns: |seen| {
            let kept_back = match seen.inst.row().sem {
                Sem::Fpu(Fpu::Fst | Fpu::Fstp | Fpu::Fist | Fpu::Fistp | Fpu::Fisttp | Fpu::Fbstp) => {
                    seen.our_fault.is_none() && x87_error(seen.ours)
                }
                Sem::Simd(Simd::SingleToHalf) => seen.our_fault == Some(SIMD_EXCEPTION),
                _ => false,
            };
            kept_back && memory_operand(seen.inst).is_some() && is_of_memory(seen.host_fault)
        },
        forgive: everything,
    },
    Rule {
        differ: "operands that wrap at 4 GiB",
        concerns: |seen| {
            let end = |address: u64| (address as u32).wrapping_add(LONGEST_OPERAND) < 2 * LONGEST_OPERAND;
            // A far call may leave 64-bit mode.
            (seen.inst.code != Width::W64 || is(seen, &[Sys::CallFar]))
                && matches!(seen.host_fault, Some(STACK_FAULT | GENERAL_PROTECTION))
                && seen.ours.fault.is_some_and(|fault| fault.vector == PAGE_FAULT && end(fault.address))
        },
        forgive: |seen, ours| ours.fault = seen.host.fault,
    },
    Rule {
        differ: "whether an address is canonical before the base of FS or GS is added",
        concerns: |seen| {
            let based = memory_operand(seen.inst).is_some_and(|mem| matches!(mem.seg, seg::FS | seg::GS));
            const NOT_CANONICAL_BEFORE: u64 = 0xffff_8000_0000_0000;
            let crosses = |address: u64| address.wrapping_sub(NOT_CANONICAL_BEFORE) < GS_BASE;
            seen.inst.code == Width::W64
                && based
                && seen.host_fault == Some(GENERAL_PROTECTION)
                && seen.ours.fault.is_some_and(|fault| fault.vector == PAGE_FAULT && crosses(fault.address))
        },
        forgive: |seen, ours| ours.fault = seen.host.fault,
    },
    Rule {
        differ: "which of several faults of one operand is reported",
        concerns: |seen| {
            let of_several_parts =
                is(seen, STATE) || is(seen, &[Sys::Cmps, Sys::RetFar, Sys::Iret]) || is_fxsave(seen) || is_masked(seen);
            let alignment = [seen.host_fault, seen.our_fault].contains(&Some(ALIGNMENT_CHECK));
            is_of_memory(seen.host_fault) && is_of_memory(seen.our_fault) && (of_several_parts || alignment)
        },
        forgive: |seen, ours| ours.fault = seen.host.fault,
    },
    Rule {
        differ: "where in long operands, or in which of two, a page fault is found",
        concerns: |seen| {
            let long = is(seen, STATE) || is_masked(seen) || is(seen, &[Sys::Cmps]);
            long && seen.host_fault == Some(PAGE_FAULT) && seen.our_fault == Some(PAGE_FAULT)
        },
        forgive: |seen, ours| ours.fault = seen.host.fault,
    },
    Rule {
        differ: "what has been done by the time an instruction faults",
        concerns: |seen| seen.host_fault.is_some() && seen.our_fault.is_some(),
        forgive: done_before_fault,
    },
    Rule {
        differ: "what INT1 gives for its address",
        concerns: |seen| is(seen, &[Sys::Int1]),
        forgive: |seen, ours| ours.registers.rip = seen.host.registers.rip,
    },
    Rule {
        differ: "upper halves of the registers of repeated string instructions",
        concerns: |seen| {
            let repeated = is(seen, STRINGS) && seen.inst.rep != Rep::None;
            repeated && seen.inst.code == Width::W64 && seen.inst.address_size == Width::W32
        },
        forgive: |seen, ours| {
            for register in [RCX, RSI, RDI] {
                let (theirs, ours) = (seen.host.registers.gpr[register], &mut ours.registers.gpr[register]);
                *ours = theirs >> 32 << 32 | Width::W32.truncate(*ours);
            }
        },
    },
    Rule {
        differ: "undefined bits of LAR",
        concerns: |seen| is(seen, &[Sys::Lar]) && seen.host.registers.gpr != seen.ours.registers.gpr,
        forgive: |seen, ours| ours.registers.gpr = seen.host.registers.gpr,
    },
    Rule {
        differ: "MXCSR_MASK",
        concerns: |seen| seen.inst.row().sem == Sem::Fpu(Fpu::Fxsave) || is(seen, STATE),
        forgive: |seen, ours| take_mxcsr_mask(ours, seen.host),
    },
    Rule {
        differ: "the order in which dot products are summed",
        concerns: |seen| matches!(seen.inst.row().sem, Sem::Simd(Simd::Float(float)) if float.op() == FpOp::DotProduct),
        forgive: |seen, ours| {
            for n in 0..16 {
                ours.registers.set_xmm(n, seen.host.registers.xmm(n));
            }
            ours.registers.ymm_high = seen.host.registers.ymm_high;
            ours.registers.set_mxcsr(seen.host.registers.mxcsr());
        },
    },
    Rule {
        differ: "C1 after FCOMI",
        concerns: |seen| {
            let compares =
                matches!(seen.inst.row().sem, Sem::Fpu(Fpu::Fcomi | Fpu::Fcomip | Fpu::Fucomi | Fpu::Fucomip));
            compares && x87_status_differs(seen, C1)
        },
        forgive: |seen, ours| take_x87_status(ours, seen.host, C1),
    },
    Rule {
        differ: "decimal numbers with digits that are none",
        concerns: |seen| {
            let differs = (0..8).any(|n| seen.host.registers.st(n) != seen.ours.registers.st(n));
            seen.inst.row().sem == Sem::Fpu(Fpu::Fbld) && differs
        },
        forgive: |seen, ours| ours.registers.set_st(0, seen.host.registers.st(0)),
    },
    Rule {
        differ: "exceptions of transcendental functions, of scaling, and of remainders",
        concerns: |seen| {
            let computes = matches!(seen.inst.row().sem, Sem::Fpu(fpu) if is_transcendental(fpu));
            (computes || may_leave_operand(seen)) && x87_status_differs(seen, EXCEPTIONS_AND_SUMMARY)
        },
        forgive: |seen, ours| {
            take_x87_status(ours, seen.host, EXCEPTIONS_AND_SUMMARY);
            // A denormal number that stays as it is may be an unmasked underflow, which adjusts the exponent.
            if may_leave_operand(seen) && x87_error(seen.host) != x87_error(seen.ours) {
                ours.registers.set_st(0, seen.host.registers.st(0));
            }
        },
    },
    Rule {
        differ: "what condition a comparison sets that an unmasked x87 exception stops",
        concerns: |seen| {
            let error = matches!(seen.inst.row().sem, Sem::Fpu(_)) && x87_error(seen.host);
            error && x87_status_differs(seen, CONDITION)
        },
        forgive: |seen, ours| take_x87_status(ours, seen.host, CONDITION),
    },
];

const RCX: usize = 1;
const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;
/// A state area without the parts that are not compared.
const LONGEST_OPERAND: u32 = 1024;
const C1: u16 = 1 << 9;
const CONDITION: u16 = 0x4700;
const EXCEPTIONS_AND_SUMMARY: u16 = 0x80bf;
const STATE: &[Sys] = &[Sys::Xsave, Sys::Xsaveopt, Sys::Xsavec, Sys::Xrstor];
const STRINGS: &[Sys] = &[Sys::Movs, Sys::Stos, Sys::Cmps, Sys::Scas, Sys::Lods, Sys::Ins, Sys::Outs];

fn everything(seen: &Seen, ours: &mut Outcome) {
    *ours = seen.host.clone();
}

fn is(seen: &Seen, list: &[Sys]) -> bool {
    matches!(seen.inst.row().sem, Sem::Sys(sys) if list.contains(&sys))
}

fn is_masked(seen: &Seen) -> bool {
    use Simd::{MaskedLoad, MaskedStore, Maskmovdqu, Maskmovq};
    matches!(seen.inst.row().sem, Sem::Simd(Maskmovdqu | Maskmovq | MaskedStore(_) | MaskedLoad(_)))
}

fn is_fxsave(seen: &Seen) -> bool {
    matches!(seen.inst.row().sem, Sem::Fpu(Fpu::Fxsave | Fpu::Fxrstor))
}

/// Scaling by one, and the remainder of a division by infinity.
fn may_leave_operand(seen: &Seen) -> bool {
    matches!(seen.inst.row().sem, Sem::Fpu(Fpu::Fscale | Fpu::Fprem | Fpu::Fprem1))
}

/// A fault of a memory operand.
fn is_of_memory(fault: Option<u8>) -> bool {
    matches!(fault, Some(STACK_FAULT | GENERAL_PROTECTION | PAGE_FAULT | ALIGNMENT_CHECK))
}

/// An x87 exception that is not masked has been raised.
fn x87_error(outcome: &Outcome) -> bool {
    const ERROR_SUMMARY: u16 = 1 << 7;
    outcome.registers.x87_words().1 & ERROR_SUMMARY != 0
}

/// The bytes of the instruction before its opcode, as far as they are prefixes.
fn prefixes<'a>(seen: &Seen<'a>) -> &'a [u8] {
    let is_prefix = |byte: &&u8| {
        matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
            || seen.inst.code == Width::W64 && matches!(byte, 0x40..=0x4f)
    };
    let count = seen.bytes.iter().take_while(is_prefix).count();
    &seen.bytes[..count]
}

/// By now some instructions have changed flags, registers or memory, others not yet.
fn done_before_fault(seen: &Seen, ours: &mut Outcome) {
    let (theirs, ours_registers) = (&seen.host.registers, &mut ours.registers);
    match seen.inst.row().sem {
        Sem::Simd(Simd::Gather(_)) => {
            for n in 0..16 {
                ours_registers.set_xmm(n, theirs.xmm(n));
            }
            ours_registers.ymm_high = theirs.ymm_high;
        }
        Sem::Simd(Simd::SingleToHalf) => ours_registers.set_mxcsr(theirs.mxcsr()),
        Sem::Sys(Sys::Cmps | Sys::Scas) => {
            ours_registers.rflags = ours_registers.rflags & !flags::STATUS | theirs.rflags & flags::STATUS;
        }
        Sem::Fpu(Fpu::Fstp | Fpu::Fbstp) => ours.memory.clone_from(&seen.host.memory),
        Sem::Int(Int::CallIndirect) => take_memory(ours, seen.host, theirs.gpr[RSP].wrapping_sub(8), 8),
        Sem::Sys(sys) if STATE.contains(&sys) => ours.memory.clone_from(&seen.host.memory),
        _ => {}
    }
}

fn x87_status_differs(seen: &Seen, bits: u16) -> bool {
    (seen.host.registers.x87_words().1 ^ seen.ours.registers.x87_words().1) & bits != 0
}

fn take_x87_status(ours: &mut Outcome, host: &Outcome, bits: u16) {
    let ((control, status, tags), (_, theirs, _)) = (ours.registers.x87_words(), host.registers.x87_words());
    ours.registers.set_x87_words((control, status & !bits | theirs & bits, tags));
}

fn take_memory(ours: &mut Outcome, host: &Outcome, address: u64, bytes: u64) {
    for offset in (0..bytes).filter_map(|byte| memory_offset(address.wrapping_add(byte))) {
        ours.memory[offset] = host.memory[offset];
    }
}

/// The one byte that differs, if it does by the bit of MXCSR that other vendors have.
fn take_mxcsr_mask(ours: &mut Outcome, host: &Outcome) {
    const MISALIGNED_EXCEPTION_MASK: u8 = 1 << 1;
    let differs = |at: &usize| ours.memory[*at] != host.memory[*at];
    let mut differing = (0..ours.memory.len()).filter(differs);
    if let (Some(at), None) = (differing.next(), differing.next())
        && ours.memory[at] ^ host.memory[at] == MISALIGNED_EXCEPTION_MASK
    {
        ours.memory[at] = host.memory[at];
    }
}
