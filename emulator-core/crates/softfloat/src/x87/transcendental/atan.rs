//! FPATAN: the angle of the point (x, y).

use super::deliver_inexact;
use super::wide::{self, ONE};
use crate::context::{Context, Flags};
use crate::f80::F80;
use crate::round::{Destination, Exact, round};
use crate::unpacked::Unpacked;
use crate::x87::constants::PI;
use crate::x87::{nan, raise_if_denormal};

const TERMS: usize = 10;
/// The table holds the arc tangents of i / STEPS.
const STEPS: u128 = 16;

/// 1/3, 1/5, 1/7, ... in Q127.
const ODD_RECIPROCALS: [u128; TERMS] = {
    let mut terms = [0; TERMS];
    let mut i = 0;
    while i < TERMS {
        terms[i] = ONE / (2 * i as u128 + 3);
        i += 1;
    }
    terms
};

/// arctan(n / d) in Q127 for n / d at most 1/2, from the Taylor series.
const fn arctan_of_ratio(n: u128, d: u128) -> u128 {
    let mut power = ONE / d * n;
    let mut sum = power;
    let mut k = 3;
    while power != 0 {
        power = power / (d * d) * (n * n);
        if k & 2 != 0 {
            sum -= power / k;
        } else {
            sum += power / k;
        }
        k += 2;
    }
    sum
}

/// arctan(i / 16) in Q127. Above 1/2 through arctan(c) = pi/4 - arctan((1 - c) / (1 + c)).
const ARCTAN: [u128; STEPS as usize + 1] = {
    let mut table = [0; STEPS as usize + 1];
    let mut i = 1;
    while i <= STEPS {
        table[i as usize] =
            if i <= STEPS / 2 { arctan_of_ratio(i, STEPS) } else { (PI >> 1) - arctan_of_ratio(STEPS - i, STEPS + i) };
        i += 1;
    }
    table
};

/// arctan(t) for a positive t of at most 1.
fn arctan(t: Exact) -> Exact {
    let step = if t.exponent < -6 { 0 } else { (wide::to_fixed(t) + ONE / (2 * STEPS)) / (ONE / STEPS) };
    if step == 0 {
        return arctan_series(t);
    }
    // arctan(t) = arctan(c) + arctan((t - c) / (1 + t c)), with c the nearest table point.
    let base = wide::from_fixed(false, ARCTAN[step as usize], 127);
    let (fixed, centre) = (wide::to_fixed(t), step * (ONE / STEPS));
    let distance = fixed.abs_diff(centre);
    if distance == 0 {
        return base;
    }
    // 126 fraction bits, since the denominator may be exactly 2.
    let denominator = wide::from_fixed(false, (ONE >> 1) + (wide::fixed_mul(fixed, centre) >> 1), 126);
    let rest = arctan_series(wide::div(wide::from_fixed(fixed < centre, distance, 127), denominator));
    wide::add(base, rest).unwrap_or(base)
}

/// arctan(t) for |t| at most 1/32.
fn arctan_series(t: Exact) -> Exact {
    let square = wide::to_fixed(wide::mul(t, t));
    wide::mul(t, wide::from_fixed(false, wide::series(square, &ODD_RECIPROCALS, true), 127))
}

/// `quarters` times pi/4, to 128 bits.
fn pi_quarters(quarters: u32) -> Exact {
    let quarter = Exact { negative: false, exponent: -1, significand: PI };
    match quarters {
        1 => quarter,
        2 => Exact { exponent: 0, ..quarter },
        3 => wide::mul(quarter, wide::from_fixed(false, 3, 0)),
        _ => Exact { exponent: 1, ..quarter },
    }
}

/// The angle of (x, y) in radians, in [-pi, pi] (FPATAN with `y` in ST(1) and `x` in ST(0); SDM volume 2, table 3-30).
pub fn atan2(y: F80, x: F80, ctx: &mut Context) -> F80 {
    let (y, x) = (Unpacked::from(y), Unpacked::from(x));
    if let Some(nan) = nan::binary(y, x, ctx) {
        return nan;
    }
    raise_if_denormal(y, ctx);
    raise_if_denormal(x, ctx);
    let angle = match (y.is_infinite(), x.is_infinite()) {
        (true, true) => pi_quarters(if x.negative { 3 } else { 1 }),
        (true, false) => pi_quarters(2),
        _ if y.is_zero() || x.is_infinite() => {
            if !x.negative {
                return F80::zero(y.negative);
            }
            pi_quarters(4)
        }
        _ if x.is_zero() => pi_quarters(2),
        _ => match finite_angle(y, x) {
            Angle::Exact(value) => {
                // Inexact to processors, however small.
                ctx.raise(Flags::PRECISION);
                return round(Exact { negative: y.negative, ..value }, 64, Destination::Register, ctx);
            }
            Angle::Series(value) => value,
        },
    };
    deliver_inexact(Exact { negative: y.negative, ..angle }, ctx)
}

enum Angle {
    /// The quotient y/x itself: so small that its arc tangent cannot be told from it.
    Exact(Exact),
    Series(Exact),
}

/// The angle's magnitude for finite non-zero coordinates.
fn finite_angle(y: Unpacked, x: Unpacked) -> Angle {
    let magnitude = |v: Unpacked| Exact { negative: false, ..Exact::from(v) };
    let (height, width) = (magnitude(y), magnitude(x));
    let steep = (height.exponent, height.significand) > (width.exponent, width.significand);
    if !steep && !x.negative {
        let ratio = wide::div(height, width);
        // Far below the smallest number only the ratio matters: its square would vanish in any precision.
        return if ratio.exponent < -16000 { Angle::Exact(ratio) } else { Angle::Series(arctan(ratio)) };
    }
    let negate = |v: Exact| Exact { negative: !v.negative, ..v };
    let (base, rest) = if steep {
        let rest = arctan(wide::div(width, height));
        (pi_quarters(2), if x.negative { rest } else { negate(rest) })
    } else {
        (pi_quarters(4), negate(arctan(wide::div(height, width))))
    };
    Angle::Series(wide::add(base, rest).unwrap_or(base))
}
