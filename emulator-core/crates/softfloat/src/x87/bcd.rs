//! Packed decimal (FBLD, FBSTP): 18 digits, two to a byte, least significant first, and a sign byte (SDM volume 1, section 4.7).

use crate::arith;
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::unpacked::Unpacked;

const LIMIT: u128 = 1_000_000_000_000_000_000;
/// The packed decimal indefinite.
const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF];

/// Loads packed decimal. Exact; nibbles above 9, which the manual leaves undefined, count with their value.
pub fn load_bcd(bytes: [u8; 10]) -> F80 {
    let magnitude = bytes[..9]
        .iter()
        .rev()
        .fold(0i64, |value, byte| value * 100 + i64::from(byte >> 4) * 10 + i64::from(byte & 15));
    let value = F80::from(magnitude);
    if bytes[9] & 0x80 != 0 { value.negated() } else { value }
}

/// Rounds to an integer and stores it as packed decimal; more than 18 digits give the indefinite.
pub fn store_bcd(value: F80, ctx: &mut Context) -> [u8; 10] {
    let operand = Unpacked::from(value);
    let Some(integer) = arith::to_integer(operand, ctx.rounding).filter(|integer| integer.magnitude < LIMIT) else {
        ctx.raise(Flags::INVALID);
        return INDEFINITE;
    };
    if integer.inexact {
        ctx.raise(Flags::PRECISION);
    }
    ctx.rounded_up = integer.up;
    let mut rest = integer.magnitude as u64;
    let mut bytes = [0; 10];
    for byte in &mut bytes[..9] {
        let pair = (rest % 100) as u8;
        *byte = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    bytes[9] = u8::from(operand.negative) << 7;
    bytes
}
