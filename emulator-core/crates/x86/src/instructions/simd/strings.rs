//! String comparison (Intel SDM vol. 1, 12.11; vol. 2, 4.1).

use super::{Simd, StringOp, VectorEngine, enabled, set_vector};
use crate::Feature::Sse42;
use crate::flags::set_status;
use crate::{Form, Op, Row, Sem, Width, row};

const RAX: u8 = 0;
const RCX: u8 = 8;
const RDX: u8 = 16;

const fn string(mnemonic: &'static str, encoding: &'static str, op: StringOp) -> Row {
    row(mnemonic, encoding, "V Wdq Ib", Sem::Simd(Simd::String(op))).flags("OSZAPC").on(Sse42)
}

pub const ROWS: &[Row] = &[
    string("PCMPESTRM", "66 0F 3A 60 /r", StringOp::Pcmpestrm),
    string("PCMPESTRI", "66 0F 3A 61 /r", StringOp::Pcmpestri),
    string("PCMPISTRM", "66 0F 3A 62 /r", StringOp::Pcmpistrm),
    string("PCMPISTRI", "66 0F 3A 63 /r", StringOp::Pcmpistri),
];

/// The memory operand need not be aligned. The lengths are EAX and EDX, with REX.W RAX and RDX; signed.
pub fn compare<E: VectorEngine>(e: &mut E, op: &Op, kind: StringOp) -> Result<(), E::Stop> {
    enabled(e, op)?;
    let b = if op.form == Form::Rm { e.load_vector(op, false)? } else { e.xmm(op.src) };
    let a = e.xmm(op.dst);
    let width = if op.opsize == Width::W64 { Width::W64 } else { Width::W32 };
    let (first, second) = (e.register(width, RAX), e.register(width, RDX));
    let first = e.sign_extend(width, Width::W64, first);
    let second = e.sign_extend(width, Width::W64, second);
    let (result, eflags) = e.string_compare(kind, (a, first), (b, second), op.imm as u8);
    match kind {
        StringOp::Pcmpestrm | StringOp::Pcmpistrm => set_vector(e, op, 0, result),
        StringOp::Pcmpestri | StringOp::Pcmpistri => {
            let index = e.low(result);
            e.set_register(Width::W32, RCX, index);
        }
    }
    set_status(e, eflags);
    Ok(())
}
