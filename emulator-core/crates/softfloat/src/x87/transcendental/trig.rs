//! Sine, cosine, tangent.

use super::deliver_inexact;
use super::wide::{self, ONE};
use crate::context::Context;
use crate::f80::F80;
use crate::round::Exact;
use crate::unpacked::Unpacked;
use crate::x87::{invalid, nan, raise_if_denormal};

/// Pi to the 66 bits the x87 reduces with, times 2^64 (SDM volume 1, section 8.3.8). Also pi/2 times 2^65.
const PI_66: u128 = 0x3_243F6A88_85A308D3;

const TERMS: usize = 15;

/// 1/3!, 1/5!, ... (`first` = 3) or 1/2!, 1/4!, ... (`first` = 2) in Q127.
const fn inverse_factorials(first: u128) -> [u128; TERMS] {
    let mut terms = [0; TERMS];
    let mut value = ONE / if first == 3 { 6 } else { 2 };
    let mut n = first;
    let mut i = 0;
    while i < TERMS {
        terms[i] = value;
        value /= (n + 1) * (n + 2);
        n += 2;
        i += 1;
    }
    terms
}

const SINE: [u128; TERMS] = inverse_factorials(3);
const COSINE: [u128; TERMS] = inverse_factorials(2);

/// An argument reduced to [-pi/4, pi/4] and the number of quarter turns taken off, modulo 4.
struct Reduced {
    angle: Option<Exact>,
    quadrant: u32,
}

/// Takes multiples of pi/2 off a finite non-zero number below 2^63 in magnitude.
fn reduce(x: Unpacked) -> Reduced {
    if x.exponent < -2 {
        return Reduced { angle: Some(x.into()), quadrant: 0 };
    }
    // In units of 2^-65, where both x and pi/2 are integers: the remainder is exact.
    let scaled = u128::from(x.significand) << (x.exponent + 2);
    let (turns, rest) = (scaled / PI_66, scaled % PI_66);
    let (turns, rest, past) = if rest > PI_66 / 2 { (turns + 1, PI_66 - rest, true) } else { (turns, rest, false) };
    let quadrant = turns as u32 & 3;
    let quadrant = if x.negative { quadrant.wrapping_neg() & 3 } else { quadrant };
    let angle = (rest != 0).then(|| wide::from_fixed(x.negative != past, rest, 65));
    Reduced { angle, quadrant }
}

/// The sine of a reduced angle; `None` is zero.
fn sine_series(angle: Option<Exact>) -> Option<Exact> {
    let angle = angle?;
    let square = wide::to_fixed(wide::mul(angle, angle));
    Some(wide::mul(angle, wide::from_fixed(false, wide::series(square, &SINE, true), 127)))
}

fn cosine_series(angle: Option<Exact>) -> Exact {
    let square = angle.map_or(0, |angle| wide::to_fixed(wide::mul(angle, angle)));
    wide::from_fixed(false, wide::series(square, &COSINE, true), 127)
}

/// Sine and cosine of a finite non-zero argument in range.
fn sine_and_cosine(x: Unpacked) -> (Option<Exact>, Option<Exact>) {
    let Reduced { angle, quadrant } = reduce(x);
    let (sine, cosine) = (sine_series(angle), Some(cosine_series(angle)));
    let negate = |value: Option<Exact>| value.map(|value| Exact { negative: !value.negative, ..value });
    match quadrant {
        0 => (sine, cosine),
        1 => (cosine, negate(sine)),
        2 => (negate(sine), negate(cosine)),
        _ => (negate(cosine), sine),
    }
}

fn deliver(value: Option<Exact>, ctx: &mut Context) -> F80 {
    value.map_or(F80::ZERO, |value| deliver_inexact(value, ctx))
}

/// What the argument calls for before anything is computed.
enum Argument {
    /// A NaN or invalid operation: this is the result.
    Nan(F80),
    /// 2^63 or more in magnitude: the instruction sets C2 and changes nothing.
    Destination,
    Zero,
    Finite(Unpacked),
}

fn examine(value: F80, ctx: &mut Context) -> Argument {
    let x = Unpacked::from(value);
    if let Some(nan) = nan::unary(x, ctx) {
        return Argument::Nan(nan);
    }
    if x.is_infinite() {
        return Argument::Nan(invalid(ctx));
    }
    if x.is_zero() {
        return Argument::Zero;
    }
    if x.exponent >= 63 {
        return Argument::Destination;
    }
    raise_if_denormal(x, ctx);
    Argument::Finite(x)
}

/// The sine, or `None` when the argument is out of range (C2).
pub fn sin(value: F80, ctx: &mut Context) -> Option<F80> {
    match examine(value, ctx) {
        Argument::Nan(nan) => Some(nan),
        Argument::Destination => None,
        Argument::Zero => Some(value),
        Argument::Finite(x) => Some(deliver(sine_and_cosine(x).0, ctx)),
    }
}

/// The cosine, or `None` when the argument is out of range (C2).
pub fn cos(value: F80, ctx: &mut Context) -> Option<F80> {
    match examine(value, ctx) {
        Argument::Nan(nan) => Some(nan),
        Argument::Destination => None,
        Argument::Zero => Some(F80::ONE),
        Argument::Finite(x) => Some(deliver(sine_and_cosine(x).1, ctx)),
    }
}

/// `(sine, cosine)`, or `None` when the argument is out of range (C2).
pub fn sin_cos(value: F80, ctx: &mut Context) -> Option<(F80, F80)> {
    match examine(value, ctx) {
        Argument::Nan(nan) => Some((nan, nan)),
        Argument::Destination => None,
        Argument::Zero => Some((value, F80::ONE)),
        Argument::Finite(x) => {
            let (sine, cosine) = sine_and_cosine(x);
            Some((deliver(sine, ctx), deliver(cosine, ctx)))
        }
    }
}

/// The tangent, or `None` when the argument is out of range (C2). The 1.0 that FPTAN also pushes is the caller's
/// affair; for a NaN result it pushes the NaN instead.
pub fn tan(value: F80, ctx: &mut Context) -> Option<F80> {
    match examine(value, ctx) {
        Argument::Nan(nan) => Some(nan),
        Argument::Destination => None,
        Argument::Zero => Some(value),
        Argument::Finite(x) => Some(match sine_and_cosine(x) {
            (None, _) => F80::ZERO,
            (Some(sine), Some(cosine)) => deliver_inexact(wide::div(sine, cosine), ctx),
            (Some(sine), None) => F80::infinity(sine.negative),
        }),
    }
}
