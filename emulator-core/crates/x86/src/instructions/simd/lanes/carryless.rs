//! `PCLMULQDQ`: multiplication of polynomials over two elements.

/// One quadword of each operand, chosen by bits 0 and 4 of the immediate.
pub(super) fn multiply(a: u128, b: u128, imm: u8) -> u128 {
    let half = |value: u128, upper: u8| (value >> (64 * (upper & 1))) as u64;
    let (a, b) = (half(a, imm), half(b, imm >> 4));
    (0..64).filter(|bit| b >> bit & 1 != 0).fold(0, |product, bit| product ^ u128::from(a) << bit)
}
