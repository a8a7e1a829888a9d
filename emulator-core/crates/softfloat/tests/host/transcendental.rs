//! The transcendental functions against the host's: within one unit in the last place, which it is allowed while ours are
//! correctly rounded; special operands exactly.

use crate::support::Rng;
use softfloat::{Context, F80, x87};
use std::arch::asm;

const CASES: u64 = 40_000;
const C2: u16 = 1 << 10;

/// Runs an instruction on the host that takes ST(0) (and ST(1)) and leaves `$results` values on the stack; gives ST(0), ST(1) and
/// the status word.
macro_rules! on_host {
    ($name:ident, $instruction:literal) => {
        fn $name(st0: F80, st1: F80) -> (F80, F80, u16) {
            let mut memory = [[0u8; 16]; 2];
            memory[0][..10].copy_from_slice(&st0.to_le_bytes());
            memory[1][..10].copy_from_slice(&st1.to_le_bytes());
            let mut status = 0u16;
            // SAFETY: the pointers are to live arrays with room for ten-byte accesses; the x87 is left initialised.
            unsafe {
                asm!(
                    "fninit",
                    "fld tbyte ptr [{m} + 16]",
                    "fld tbyte ptr [{m}]",
                    "fnclex",
                    $instruction,
                    "fnstsw word ptr [{sw}]",
                    "fstp tbyte ptr [{m}]",
                    "fstp tbyte ptr [{m} + 16]",
                    "fninit",
                    m = in(reg) memory.as_mut_ptr(),
                    sw = in(reg) &raw mut status,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                );
            }
            let f80 = |bytes: [u8; 16]| F80::from_le_bytes(bytes[..10].try_into().unwrap());
            (f80(memory[0]), f80(memory[1]), status)
        }
    };
}

on_host!(host_sin, "fsin");
on_host!(host_cos, "fcos");
on_host!(host_sin_cos, "fsincos");
on_host!(host_tan, "fptan");
on_host!(host_atan2, "fpatan\nfldz\nfxch st(1)");
on_host!(host_log, "fyl2x\nfldz\nfxch st(1)");
on_host!(host_log_plus_1, "fyl2xp1\nfldz\nfxch st(1)");
on_host!(host_exp, "f2xm1");

/// Distance in units in the last place; numbers of different sign or class are far apart unless identical.
fn ulps(a: F80, b: F80) -> u64 {
    let key = |x: F80| u128::from(x.sign_exponent & 0x7FFF) << 63 | u128::from(x.significand & !(1 << 63));
    if a == b {
        return 0;
    }
    if a.is_negative() != b.is_negative() || a.class() != b.class() {
        return u64::MAX;
    }
    key(a).abs_diff(key(b)).min(u128::from(u64::MAX)) as u64
}

fn assert_close(ours: F80, host: F80, what: &str, operands: &[F80]) {
    assert!(ulps(ours, host) <= 1, "{what}{operands:x?}: ours {ours:x?}, host {host:x?}, {} ulp", ulps(ours, host));
}

fn masked() -> Context {
    Context::x87(0x37F)
}

#[test]
fn trigonometric_functions_agree_with_the_host() {
    let mut rng = Rng(100);
    for _ in 0..CASES {
        let x = rng.finite_f80(-70, 3);
        assert_close(x87::sin(x, &mut masked()).unwrap(), host_sin(x, x).0, "sin", &[x]);
        assert_close(x87::cos(x, &mut masked()).unwrap(), host_cos(x, x).0, "cos", &[x]);
        assert_close(x87::tan(x, &mut masked()).unwrap(), host_tan(x, x).1, "tan", &[x]);
        let (cosine, sine, _) = host_sin_cos(x, x);
        let ours = x87::sin_cos(x, &mut masked()).unwrap();
        assert_close(ours.0, sine, "sin of sincos", &[x]);
        assert_close(ours.1, cosine, "cos of sincos", &[x]);
    }
}

#[test]
fn large_angles_are_reduced_as_the_host_does() {
    let mut rng = Rng(101);
    for _ in 0..CASES {
        let x = rng.finite_f80(4, 62);
        assert_close(x87::sin(x, &mut masked()).unwrap(), host_sin(x, x).0, "sin", &[x]);
        assert_close(x87::cos(x, &mut masked()).unwrap(), host_cos(x, x).0, "cos", &[x]);
        assert_close(x87::tan(x, &mut masked()).unwrap(), host_tan(x, x).1, "tan", &[x]);
    }
}

#[test]
fn angles_of_two_to_the_63_are_out_of_range() {
    let x = F80::new(0x3FFF + 63, 1 << 63);
    assert_ne!(host_sin(x, x).2 & C2, 0);
    assert!(x87::sin(x, &mut masked()).is_none());
    assert!(x87::cos(x, &mut masked()).is_none());
    assert!(x87::sin_cos(x, &mut masked()).is_none());
    assert!(x87::tan(x, &mut masked()).is_none());
}

#[test]
fn arc_tangents_agree_with_the_host() {
    let mut rng = Rng(102);
    for _ in 0..CASES {
        let (x, y) = (rng.finite_f80(-40, 40), rng.finite_f80(-40, 40));
        assert_close(x87::atan2(y, x, &mut masked()), host_atan2(x, y).0, "atan2", &[y, x]);
        let (x, y) = (rng.finite_f80(-2, 2), rng.finite_f80(-2, 2));
        assert_close(x87::atan2(y, x, &mut masked()), host_atan2(x, y).0, "atan2", &[y, x]);
    }
}

#[test]
fn logarithms_agree_with_the_host() {
    let mut rng = Rng(103);
    for _ in 0..CASES {
        let (x, y) = (rng.finite_f80(-100, 100).magnitude(), rng.finite_f80(-100, 100));
        assert_close(x87::y_log2_x(y, x, &mut masked()), host_log(x, y).0, "yl2x", &[y, x]);
        let x = rng.finite_f80(-1, 0).magnitude();
        assert_close(x87::y_log2_x(y, x, &mut masked()), host_log(x, y).0, "yl2x", &[y, x]);
        let x = rng.finite_f80(-70, -3);
        assert_close(x87::y_log2_x_plus_1(y, x, &mut masked()), host_log_plus_1(x, y).0, "yl2xp1", &[y, x]);
    }
}

#[test]
fn powers_of_two_agree_with_the_host() {
    let mut rng = Rng(104);
    for _ in 0..CASES {
        let x = rng.finite_f80(-70, -1);
        assert_close(x87::exp2_minus_1(x, &mut masked()), host_exp(x, x).0, "2^x-1", &[x]);
    }
    for x in [F80::ONE, F80::ONE.negated()] {
        assert_eq!(x87::exp2_minus_1(x, &mut masked()), host_exp(x, x).0);
    }
}

/// Zeros, ones, infinities, NaNs, unsupported encodings, and numbers on both sides of one.
fn special_operands() -> Vec<F80> {
    let positive = [
        F80::ZERO,
        F80::new(0, 1 << 62),
        F80::new(0x3FFD, 0xC000_0000_0000_0000),
        F80::ONE,
        F80::new(0x4000, 0xC000_0000_0000_0000),
        F80::new(0x7FFF, 1 << 63),
        F80::new(0x7FFF, 0xC000_0000_0000_1234),
        F80::new(0x7FFF, 0x8000_0000_0000_1235),
        F80::new(0x3FFF, 1 << 62),
    ];
    positive.iter().flat_map(|x| [*x, x.negated()]).collect()
}

/// Special results must match in value (up to rounding of finite ones) and in invalid, denormal and zero-divide flags.
fn assert_special(ours: F80, ctx: &Context, host: F80, status: u16, what: &str, operands: &[F80]) {
    assert_close(ours, host, what, operands);
    let flags = u16::from(ctx.raised().bits());
    assert_eq!(flags & 7, status & 7, "{what}{operands:x?} flags {flags:#x}, host {status:#x}");
}

#[test]
fn special_operands_agree_with_the_host() {
    for x in special_operands() {
        let mut ctx = masked();
        let (host, _, status) = host_sin(x, x);
        assert_special(x87::sin(x, &mut ctx).unwrap(), &ctx, host, status, "sin", &[x]);
        let mut ctx = masked();
        let (host, _, status) = host_cos(x, x);
        assert_special(x87::cos(x, &mut ctx).unwrap(), &ctx, host, status, "cos", &[x]);
        for y in special_operands() {
            let mut ctx = masked();
            let (host, _, status) = host_atan2(x, y);
            assert_special(x87::atan2(y, x, &mut ctx), &ctx, host, status, "atan2", &[y, x]);
            let mut ctx = masked();
            let (host, _, status) = host_log(x, y);
            assert_special(x87::y_log2_x(y, x, &mut ctx), &ctx, host, status, "yl2x", &[y, x]);
        }
    }
}
