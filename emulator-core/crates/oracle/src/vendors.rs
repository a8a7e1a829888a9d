//! Where processors of other vendors do otherwise than Intel's, whom ours follows: what they do there says nothing of ours.

use x86::instructions::fpu::Fpu;
use x86::instructions::integer::Int;
use x86::instructions::simd::{FpOp, Simd};
use x86::instructions::system::Sys;
use x86::{Inst, Operand, Rep, Sem, Width};

use crate::case::Outcome;
use crate::judge::{host_is_intel, is_transcendental};

const ALIGNMENT_CHECK: u8 = 17;

/// Why a difference after `instructions` says nothing on this host, if it does not.
#[must_use]
pub fn differ(instructions: &[Inst], host: &Outcome, ours: &Outcome) -> Option<&'static str> {
    if host_is_intel() {
        return None;
    }
    let alignment = [host, ours].iter().any(|o| o.fault.is_some_and(|fault| fault.vector == ALIGNMENT_CHECK));
    if alignment || host.fault.is_some() && ours.fault.is_some() {
        return Some("vendors differ: which of several faults is reported, where, and what has been done by then");
    }
    const ERROR_SUMMARY: u16 = 1 << 7;
    let error = host.registers.x87_words().1 & ERROR_SUMMARY != 0;
    instructions.iter().find_map(|inst| after(inst, error))
}

/// `x87_error`: an x87 exception that is not masked has been raised.
fn after(inst: &Inst, x87_error: bool) -> Option<&'static str> {
    match inst.row().sem {
        Sem::Int(int) => after_integer(int, inst),
        Sem::Sys(sys) => after_system(sys, inst),
        Sem::Fpu(Fpu::Fcomi | Fpu::Fcomip | Fpu::Fucomi | Fpu::Fucomip) => Some("vendors differ: C1 after FCOMI"),
        Sem::Fpu(Fpu::Fbld) => Some("vendors differ: decimal numbers with digits that are none"),
        Sem::Fpu(Fpu::Fxrstor) | Sem::Simd(Simd::Ldmxcsr) => Some("vendors differ: which bits of MXCSR there are"),
        Sem::Fpu(fpu) if is_transcendental(fpu) || fpu == Fpu::Fscale => {
            Some("vendors differ: exceptions of transcendental functions, and of scaling")
        }
        // Comparisons that an unmasked exception stops set the condition all the same.
        Sem::Fpu(_) if x87_error => Some("vendors differ: what an unmasked x87 exception leaves undone"),
        Sem::Simd(Simd::Float(float)) if float.op() == FpOp::DotProduct => {
            Some("vendors differ: the order in which dot products are summed")
        }
        Sem::Simd(Simd::Maskmovdqu | Simd::Maskmovq) => Some("vendors differ: faults of masked stores"),
        Sem::Fpu(_) | Sem::Simd(_) => None,
    }
}

fn after_integer(int: Int, inst: &Inst) -> Option<&'static str> {
    let narrowed = inst.code == Width::W64 && inst.row().has_note("f64");
    match int {
        _ if narrowed => Some("vendors differ: operand-size prefixes of near branches"),
        Int::Nop => Some("vendors differ: which reserved encodings do nothing"),
        _ => None,
    }
}

fn after_system(sys: Sys, inst: &Inst) -> Option<&'static str> {
    match sys {
        Sys::Movs | Sys::Stos | Sys::Cmps | Sys::Scas | Sys::Lods | Sys::Ins | Sys::Outs
            if inst.rep != Rep::None && inst.code == Width::W64 && inst.address_size == Width::W32 =>
        {
            Some("vendors differ: upper halves of the registers of repeated string instructions")
        }
        Sys::PushSegment | Sys::PopSegment => Some("vendors differ: bytes of the stack that segment registers take"),
        Sys::JmpFar | Sys::CallFar | Sys::Lss | Sys::Lfs | Sys::Lgs
            if inst.opsize == Width::W64 && matches!(inst.operands[0], Operand::Mem(_) | Operand::Gpr { .. }) =>
        {
            Some("vendors differ: far pointers of ten bytes")
        }
        Sys::Lar => Some("vendors differ: undefined bits of LAR"),
        _ => None,
    }
}
