//! The transcendental functions are correctly rounded in every mode, also where that is hard: where the exact result lies next
//! to a number of 64 bits, or half-way between two.

use softfloat::{Context, F80, Flags, x87};

/// A function of ST(0) and, some of them, ST(1).
#[derive(Clone, Copy, Debug)]
enum Function {
    Sin,
    Cos,
    Tan,
    Atan2,
    Exp2Minus1,
    YLog2X,
    YLog2XPlus1,
}
use Function::*;

/// Sign-exponent and significand.
type Number = (u16, u64);

/// ST(0), ST(1) (1.0 where there is none), the result rounded toward zero, and whether the nearest is the next beyond.
type Hard = (Function, Number, Number, Number, bool);

include!("correct_rounding/table.rs");

fn compute(function: Function, st0: F80, st1: F80, ctx: &mut Context) -> F80 {
    const IN_RANGE: &str = "an angle below 2^63";
    match function {
        Sin => x87::sin(st0, ctx).expect(IN_RANGE),
        Cos => x87::cos(st0, ctx).expect(IN_RANGE),
        Tan => x87::tan(st0, ctx).expect(IN_RANGE),
        Atan2 => x87::atan2(st1, st0, ctx),
        Exp2Minus1 => x87::exp2_minus_1(st0, ctx),
        YLog2X => x87::y_log2_x(st1, st0, ctx),
        YLog2XPlus1 => x87::y_log2_x_plus_1(st1, st0, ctx),
    }
}

/// The next number away from zero.
fn next(number: F80) -> F80 {
    match number.significand.checked_add(1) {
        Some(significand) => F80 { significand, ..number },
        None => F80::new(number.sign_exponent + 1, 1 << 63),
    }
}

#[test]
fn results_next_to_a_boundary_are_rounded_to_the_right_side_of_it() {
    for &(function, st0, st1, toward_zero, nearest_is_beyond) in TABLE {
        let number = |(sign_exponent, significand)| F80::new(sign_exponent, significand);
        let (st0, st1, toward_zero) = (number(st0), number(st1), number(toward_zero));
        let negative = toward_zero.is_negative();
        for (rounding_control, away) in [(0, nearest_is_beyond), (1, negative), (2, !negative), (3, false)] {
            let mut ctx = Context::x87(0x37f | rounding_control << 10);
            let result = compute(function, st0, st1, &mut ctx);
            let expected = if away { next(toward_zero) } else { toward_zero };
            let case = format!("{function:?} {st0:x?} {st1:x?} rounding {rounding_control}");
            assert_eq!((result, ctx.raised(), ctx.rounded_up()), (expected, Flags::PRECISION, away), "{case}");
        }
    }
}
