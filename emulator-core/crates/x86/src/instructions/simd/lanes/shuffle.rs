//! Shuffles and blends chosen by an immediate or by another operand.

use super::*;

/// `PSHUFB`: each byte of `index` picks a byte, or zero where its top bit is set.
#[inline(always)]
pub(super) fn bytes_by(value: &Bytes, index: &Bytes) -> Bytes {
    let lanes = bytes(value);
    from_bytes(bytes(index).map(|i| if i & 0x80 != 0 { 0 } else { lanes[usize::from(i & 15)] }))
}

#[inline(always)]
pub(super) fn duplicate(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    let lanes = dwords(b);
    match op {
        PackedOp::Movddup => from_qwords([qwords(b)[0]; 2]),
        PackedOp::Movsldup => from_dwords([lanes[0], lanes[0], lanes[2], lanes[2]]),
        PackedOp::Movshdup => from_dwords([lanes[1], lanes[1], lanes[3], lanes[3]]),
        PackedOp::Movhlps => from_qwords([qwords(b)[1], qwords(a)[1]]),
        _ => unreachable!("{op:?} does not duplicate"),
    }
}

/// `VPERMILPS`, `VPERMILPD`: each lane of the second operand picks one of the first, by bits 1:0 or by bit 1.
#[inline(always)]
pub(super) fn within(op: PackedOp, value: &Bytes, index: &Bytes) -> Bytes {
    match op {
        PackedOp::Vpermilps => from_dwords(dwords(index).map(|i| dwords(value)[(i & 3) as usize])),
        PackedOp::Vpermilpd => from_qwords(qwords(index).map(|i| qwords(value)[(i >> 1 & 1) as usize])),
        _ => unreachable!("{op:?} does not permute"),
    }
}

/// Field `n` of an immediate of two-bit fields.
fn field(imm: u8, n: usize) -> usize {
    usize::from(imm >> (2 * n) & 3)
}

#[inline(always)]
pub(super) fn by_immediate(op: PackedImmOp, a: &Bytes, b: &Bytes, imm: u8) -> Bytes {
    use PackedImmOp as P;
    let bit = |n: usize| usize::from(imm >> n & 1);
    match op {
        P::Pshufd => from_dwords(core::array::from_fn(|n| dwords(b)[field(imm, n)])),
        P::Pshuflw => from_words(core::array::from_fn(|n| words(b)[if n < 4 { field(imm, n) } else { n }])),
        P::Pshufhw => from_words(core::array::from_fn(|n| words(b)[if n < 4 { n } else { 4 + field(imm, n - 4) }])),
        P::Shufps => from_dwords(core::array::from_fn(|n| dwords(if n < 2 { a } else { b })[field(imm, n)])),
        P::Shufpd => from_qwords(core::array::from_fn(|n| qwords(if n == 0 { a } else { b })[bit(n)])),
        P::Vpermilpd => from_qwords(core::array::from_fn(|n| qwords(b)[bit(n)])),
        P::Pblendw => from_words(core::array::from_fn(|n| words(if bit(n) == 0 { a } else { b })[n])),
        P::Blendps => from_dwords(core::array::from_fn(|n| dwords(if bit(n) == 0 { a } else { b })[n])),
        P::Blendpd => from_qwords(core::array::from_fn(|n| qwords(if bit(n) == 0 { a } else { b })[n])),
        P::Insertps => {
            let mut lanes = dwords(a);
            lanes[field(imm, 2)] = dwords(b)[field(imm, 3)];
            from_dwords(core::array::from_fn(|n| if bit(n) == 0 { lanes[n] } else { 0 }))
        }
        _ => unreachable!("{op:?} is no shuffle"),
    }
}
