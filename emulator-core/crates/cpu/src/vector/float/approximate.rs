//! `RCPPS` and `RSQRTPS`: estimates with a relative error below 1.5 * 2^-12 (Intel SDM vol. 2, RCPPS). Which estimate is up to
//! the processor; ours is the exact value rounded to 12 bits of fraction. No exception is raised, and MXCSR has no say.

use softfloat::Binary;

const SIGN: u32 = 1 << 31;
const QUIET: u32 = 1 << 22;
const INFINITY: u32 = 0x7f80_0000;
const INDEFINITE: u32 = 0xffc0_0000;
/// Below this, a number is denormal: read as zero, and written as zero.
const SMALLEST_NORMAL: u32 = 0x0080_0000;

pub(crate) fn reciprocal<B: Binary>(value: B) -> B {
    estimate(value, |x| 1.0 / x)
}

pub(crate) fn reciprocal_root<B: Binary>(value: B) -> B {
    let bits = value.bits() as u32;
    let negative_number = bits & SIGN != 0 && (SMALLEST_NORMAL..=INFINITY).contains(&(bits & !SIGN));
    if negative_number {
        return B::from_bits(u64::from(INDEFINITE));
    }
    estimate(value, |x| 1.0 / x.sqrt())
}

/// Only single precision has these instructions.
fn estimate<B: Binary>(value: B, exact: impl FnOnce(f32) -> f32) -> B {
    let bits = value.bits() as u32;
    let (sign, magnitude) = (bits & SIGN, bits & !SIGN);
    let result = match magnitude {
        nan if nan > INFINITY => bits | QUIET,
        INFINITY => sign,
        zero if zero < SMALLEST_NORMAL => sign | INFINITY,
        _ => {
            const DROPPED: u32 = 1 << 11;
            let rounded = exact(f32::from_bits(bits)).to_bits().wrapping_add(DROPPED / 2) & !(DROPPED - 1);
            if rounded & !SIGN < SMALLEST_NORMAL { sign } else { rounded }
        }
    };
    B::from_bits(u64::from(result))
}
