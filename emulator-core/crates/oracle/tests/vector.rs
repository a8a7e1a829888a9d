//! Every MMX and SSE row on the host and on our processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::assemble::addresses_with;
use oracle::case::Case;
use oracle::compare::{Tolerance, defined_flags};
use oracle::random::Random;
use oracle::runner::{Family, Runner};
use x86::instructions::rows;
use x86::instructions::simd::{ConvertOp, FpOp, Simd};
use x86::{Inst, Operand, Sem, Width};

const CASES_A_ROW: usize = 200;
const RAX: u8 = 0;
const RDX: u8 = 2;
/// All exceptions masked, in MXCSR.
const MASKS: u32 = 0x1f80;

struct Vector(Simd);

impl Family for Vector {
    fn shape(&self, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random) {
        case.registers.set_mxcsr(mxcsr(random) | if stops_at_its_own_point(self.0) { MASKS } else { 0 });
        const TOP_SHIFT: u32 = 11;
        let top = (random.below(8) as u16) << TOP_SHIFT;
        case.registers.set_x87_words((0x37f, top, random.bits() as u8));
        match self.0 {
            Simd::String(_) => {
                for length in [RAX, RDX] {
                    if random.one_in(2) && !addresses_with(inst, length) {
                        case.registers.gpr[usize::from(length)] = random.below(40).wrapping_sub(20);
                    }
                }
            }
            Simd::Ldmxcsr => {
                // Bit 17 is AMD's own.
                const NOT_INTEL: u32 = 1 << 17;
                let value = (random.bits() as u32 & if random.one_in(4) { u32::MAX } else { 0xffff }) & !NOT_INTEL;
                if let Some(slot) = address.and_then(|at| case.memory(at, 4)) {
                    slot.copy_from_slice(&value.to_le_bytes());
                }
            }
            _ => {}
        }
    }

    fn tolerance(&self, _case: &Case, inst: &Inst) -> Option<Tolerance> {
        // Intel's processors switch the x87 to MMX state for a memory operand too (SDM vol. 2, CVTPI2PS), AMD's do not.
        if self.0 == Simd::ConvertFromMmx(ConvertOp::Cvtpi2ps) && matches!(inst.operands[1], Operand::Mem(_)) {
            return None;
        }
        Some(Tolerance { flags: defined_flags(inst.row()), x87: true })
    }
}

/// Usual environments most of the time; now and then unmasked exceptions.
fn mxcsr(random: &mut Random) -> u32 {
    const ROUNDING_DAZ_FTZ: u32 = 0xe040;
    const FLAGS: u32 = 0x3f;
    match random.below(6) {
        0 | 1 => MASKS,
        2 | 3 => MASKS | random.bits() as u32 & (ROUNDING_DAZ_FTZ | FLAGS),
        4 => MASKS | random.bits() as u32 & FLAGS,
        _ => random.bits() as u32 & (MASKS | ROUNDING_DAZ_FTZ | FLAGS),
    }
}

/// Instructions of several steps: what has been done when an unmasked exception stops them differs from processor to
/// processor (the later sums of a dot product, the switch of the x87 to MMX state).
fn stops_at_its_own_point(simd: Simd) -> bool {
    match simd {
        Simd::Float(float) => float.op() == FpOp::DotProduct,
        Simd::ConvertToMmx(_) | Simd::ConvertFromMmx(_) => true,
        _ => false,
    }
}

/// Estimates, which differ from processor to processor.
fn is_estimate(simd: Simd) -> bool {
    matches!(simd, Simd::Float(float) if matches!(float.op(), FpOp::Rcp | FpOp::Rsqrt))
}

#[test]
fn vector_instructions_do_what_the_host_processor_does() {
    let mut runner = Runner::new();
    let mut failures = Vec::new();
    for (index, row) in rows().iter().enumerate() {
        let Sem::Simd(simd) = row.sem else { continue };
        if is_estimate(simd) {
            continue;
        }
        for mode in [Width::W64, Width::W32, Width::W16] {
            if let Err(failure) = runner.try_row(mode, index as u16, row, &Vector(simd), CASES_A_ROW) {
                failures.push(failure);
            }
        }
    }
    assert!(failures.is_empty(), "{} rows differ:\n{}", failures.len(), failures.join("\n"));
}
