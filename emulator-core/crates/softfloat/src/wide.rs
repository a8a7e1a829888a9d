//! 128-bit integers from 64-bit halves.
//!
//! WebAssembly has no 128-bit shifts, products or quotients: the compiler calls library routines for the general case, which
//! costs more than all the rest of an operation. What is needed here is less general.

/// `high:low`.
#[inline(always)]
pub(crate) fn join(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// `value << distance` for distances of at most 127.
#[inline(always)]
pub(crate) fn shift_left(value: u128, distance: u32) -> u128 {
    let (high, low) = ((value >> 64) as u64, value as u64);
    match distance {
        0 => value,
        1..=63 => join(high << distance | low >> (64 - distance), low << distance),
        _ => join(low << (distance - 64), 0),
    }
}

/// `value >> distance` where every bit shifted out is kept in bit 0 as "not zero".
#[inline(always)]
pub(crate) fn shift_right_sticky(value: u128, distance: u32) -> u128 {
    let (high, low) = ((value >> 64) as u64, value as u64);
    match distance {
        0 => value,
        1..=63 => {
            let lost = low << (64 - distance) != 0;
            join(high >> distance, low >> distance | high << (64 - distance) | u64::from(lost))
        }
        64 => join(0, high | u64::from(low != 0)),
        65..=127 => {
            let lost = high << (128 - distance) != 0 || low != 0;
            join(0, high >> (distance - 64) | u64::from(lost))
        }
        _ => u128::from(value != 0),
    }
}

/// The full product.
#[inline(always)]
pub(crate) fn multiply(a: u64, b: u64) -> u128 {
    const LOW: u64 = u32::MAX as u64;
    let (a1, a0, b1, b0) = (a >> 32, a & LOW, b >> 32, b & LOW);
    let low = a0 * b0;
    let cross = a1 * b0 + (low >> 32);
    let middle = a0 * b1 + (cross & LOW);
    join(a1 * b1 + (cross >> 32) + (middle >> 32), middle << 32 | low & LOW)
}

/// Quotient and remainder of the 128-bit `high:low` by a divisor with its top bit set, `high < divisor`.
/// Schoolbook division with 32-bit digits (Knuth, TAOCP volume 2, algorithm 4.3.1 D).
pub(crate) fn divide(high: u64, low: u64, divisor: u64) -> (u64, u64) {
    let (first, remainder) = divide_digit(high, low >> 32, divisor);
    let (second, remainder) = divide_digit(remainder, low & u64::from(u32::MAX), divisor);
    (first << 32 | second, remainder)
}

/// One digit: `(remainder:digit) / divisor` for `remainder < divisor`.
fn divide_digit(remainder: u64, digit: u64, divisor: u64) -> (u64, u64) {
    let (leading, trailing) = (divisor >> 32, divisor & u64::from(u32::MAX));
    // The estimate from the leading digit is at most two too large.
    let (mut quotient, mut rest) = (remainder / leading, remainder % leading);
    while quotient >> 32 != 0 || quotient * trailing > (rest << 32 | digit) {
        quotient -= 1;
        rest += leading;
        if rest >> 32 != 0 {
            break;
        }
    }
    // The true remainder fits 64 bits, so the arithmetic may wrap.
    let remainder = (remainder << 32 | digit).wrapping_sub(quotient.wrapping_mul(divisor));
    (quotient, remainder)
}

/// The integer square root of a radicand of at least 2^126, and what is left.
pub(crate) fn square_root(radicand: u128) -> (u64, u128) {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    let (high, low) = ((radicand >> 64) as u64, radicand as u64);
    // 53 bits from the host, then one step of Newton's iteration on the exact residue; its error is far below one.
    let estimate = (high as f64 * TWO_64 + low as f64).sqrt() as u64;
    let residue = radicand.wrapping_sub(multiply(estimate, estimate)) as i128;
    let residue = (residue >> 64) as i64 as f64 * TWO_64 + residue as u64 as f64;
    let correction = (residue / (2.0 * estimate as f64)).floor() as i64;
    let mut root = estimate.saturating_add_signed(correction);
    while multiply(root, root) > radicand {
        root -= 1;
    }
    let mut rest = radicand - multiply(root, root);
    while rest > 2 * u128::from(root) {
        rest -= 2 * u128::from(root) + 1;
        root += 1;
    }
    (root, rest)
}
