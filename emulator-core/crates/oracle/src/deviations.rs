//! Where ours deliberately does otherwise than Intel's processors.

use x86::instructions::simd::Simd;
use x86::{Inst, Sem};

use crate::case::Outcome;

/// A deliberate deviation.
pub struct Deviation {
    /// What we do otherwise, and why.
    pub reason: &'static str,
    /// What would notice.
    pub noticed_by: &'static str,
    /// Makes our outcome what the host's is in that respect, where it applies.
    forgive: fn(&Inst, host: &Outcome, ours: &mut Outcome),
}

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[Deviation {
    reason: "an MMX instruction that faults leaves the x87 as it was; Intel's have marked all its registers in use by then. \
                 Instructions here fault before they change anything",
    noticed_by: "a handler that looks at the x87 tag word of the program it interrupted",
    forgive: |inst, host, ours| {
        let mxcsr = ours.registers.mxcsr();
        if host.fault.is_some() && matches!(inst.row().sem, Sem::Simd(simd) if uses_mmx(inst, simd)) {
            const X87_REGISTERS_END: usize = 160;
            ours.registers.fx[..X87_REGISTERS_END].copy_from_slice(&host.registers.fx[..X87_REGISTERS_END]);
            ours.registers.set_mxcsr(mxcsr);
        }
    },
}];

fn uses_mmx(inst: &Inst, simd: Simd) -> bool {
    matches!(simd, Simd::ConvertToMmx(_) | Simd::ConvertFromMmx(_))
        || inst.operands.iter().any(|operand| matches!(operand, x86::Operand::Mm(_)))
}

/// The deviation that makes our outcome the host's, by `same`, after the last of `instructions` that was run, if one does.
pub fn explaining(
    instructions: &[Inst],
    host: &Outcome,
    ours: &Outcome,
    same: &dyn Fn(&Outcome) -> bool,
) -> Option<&'static Deviation> {
    DEVIATIONS.iter().find(|deviation| {
        instructions.iter().any(|inst| {
            let mut ours = ours.clone();
            (deviation.forgive)(inst, host, &mut ours);
            same(&ours)
        })
    })
}
