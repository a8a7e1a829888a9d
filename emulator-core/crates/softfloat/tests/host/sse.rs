//! Every SSE operation against the host's own SSE unit: bit for bit, with exception flags, DAZ and FTZ.
//! Exceptions stay masked: an unmasked one would be a signal on the host.

use crate::support::{CASES, Rng};
use softfloat::{Context, F32, F64, Relation, Rounding, sse};
use std::arch::asm;

const FLAGS: u32 = 0x3F;

/// Runs an instruction on XMM0 = `a`, XMM1 = `b` (and RAX = `a`) under `mxcsr`; gives the low half of XMM0, RAX, and the flags.
macro_rules! on_host {
    ($name:ident, $instruction:literal) => {
        fn $name(a: u64, b: u64, mxcsr: u32) -> (u64, u64, u32) {
            let (mut rax, mut xmm0) = (a, f64::from_bits(a));
            let (mut after, mut saved) = (0u32, 0u32);
            // SAFETY: loads and stores go to live locals, and MXCSR is put back before control returns to Rust.
            unsafe {
                asm!(
                    "stmxcsr dword ptr [{saved}]",
                    "ldmxcsr dword ptr [{mxcsr}]",
                    $instruction,
                    "stmxcsr dword ptr [{after}]",
                    "ldmxcsr dword ptr [{saved}]",
                    saved = in(reg) &raw mut saved,
                    mxcsr = in(reg) &raw const mxcsr,
                    after = in(reg) &raw mut after,
                    inout("rax") rax,
                    inout("xmm0") xmm0,
                    in("xmm1") f64::from_bits(b),
                );
            }
            (xmm0.to_bits(), rax, after & FLAGS)
        }
    };
}

/// All exceptions masked; random rounding, DAZ, FTZ and, half of the time, PE already set.
fn random_mxcsr(rng: &mut Rng) -> u32 {
    let rounding = if rng.below(2) == 0 { 0 } else { rng.below(4) as u32 };
    let modes = [0, 1 << 6, 1 << 15, 1 << 6 | 1 << 15][rng.below(4) as usize];
    0x1F80 | rounding << 13 | modes | (rng.below(2) as u32) << 5
}

fn flags_after(mxcsr: u32, ctx: &Context) -> u32 {
    mxcsr & FLAGS | u32::from(ctx.raised().bits())
}

type Host = fn(u64, u64, u32) -> (u64, u64, u32);

/// Second operands related to the first as often as not, so that sums cancel and quotients come out exact.
fn f64_pair(rng: &mut Rng) -> (u64, u64) {
    let a = rng.f64_bits();
    let b = match rng.below(8) {
        0 => a,
        1 => a ^ 1 << 63,
        2 => (a & !0xFFFF) | rng.below(0x10000),
        3 => a.wrapping_add(rng.below(64) << 52) & !(0x3FF << rng.below(42)),
        4 => (rng.below(1 << 20) as f64).to_bits(),
        _ => rng.f64_bits(),
    };
    (a, b)
}

fn f32_pair(rng: &mut Rng) -> (u32, u32) {
    let a = rng.f32_bits();
    let b = match rng.below(8) {
        0 => a,
        1 => a ^ 1 << 31,
        2 => (a & !0xFF) | rng.below(0x100) as u32,
        3 => a.wrapping_add((rng.below(32) as u32) << 23),
        4 => (rng.below(1 << 12) as f32).to_bits(),
        _ => rng.f32_bits(),
    };
    (a, b)
}

fn agree_on_doubles(seed: u64, host: Host, ours: impl Fn(F64, F64, &mut Context) -> F64) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let ((a, b), mxcsr) = (f64_pair(&mut rng), random_mxcsr(&mut rng));
        let (expected, _, flags) = host(a, b, mxcsr);
        let mut ctx = Context::sse(mxcsr);
        let result = ours(F64(a), F64(b), &mut ctx);
        assert_eq!(
            (result, flags_after(mxcsr, &ctx)),
            (F64(expected), flags),
            "seed {seed} case {case}: {a:#x} {b:#x} mxcsr {mxcsr:#x}, host {expected:#x}"
        );
    }
}

fn agree_on_singles(seed: u64, host: Host, ours: impl Fn(F32, F32, &mut Context) -> F32) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let ((a, b), mxcsr) = (f32_pair(&mut rng), random_mxcsr(&mut rng));
        let (expected, _, flags) = host(a.into(), b.into(), mxcsr);
        let mut ctx = Context::sse(mxcsr);
        let result = ours(F32(a), F32(b), &mut ctx);
        assert_eq!(
            (result, flags_after(mxcsr, &ctx)),
            (F32(expected as u32), flags),
            "seed {seed} case {case}: {a:#x} {b:#x} mxcsr {mxcsr:#x}, host {expected:#x}"
        );
    }
}
on_host!(host_add_s, "addss xmm0, xmm1");
on_host!(host_add_d, "addsd xmm0, xmm1");
on_host!(host_sub_s, "subss xmm0, xmm1");
on_host!(host_sub_d, "subsd xmm0, xmm1");
on_host!(host_mul_s, "mulss xmm0, xmm1");
on_host!(host_mul_d, "mulsd xmm0, xmm1");
on_host!(host_div_s, "divss xmm0, xmm1");
on_host!(host_div_d, "divsd xmm0, xmm1");
on_host!(host_min_s, "minss xmm0, xmm1");
on_host!(host_min_d, "minsd xmm0, xmm1");
on_host!(host_max_s, "maxss xmm0, xmm1");
on_host!(host_max_d, "maxsd xmm0, xmm1");
on_host!(host_sqrt_s, "sqrtss xmm0, xmm1");
on_host!(host_sqrt_d, "sqrtsd xmm0, xmm1");
on_host!(host_ucomi_d, "ucomisd xmm0, xmm1\nlahf");
on_host!(host_comi_d, "comisd xmm0, xmm1\nlahf");
on_host!(host_ucomi_s, "ucomiss xmm0, xmm1\nlahf");
on_host!(host_comi_s, "comiss xmm0, xmm1\nlahf");
on_host!(host_widen, "cvtss2sd xmm0, xmm1");
on_host!(host_narrow, "cvtsd2ss xmm0, xmm1");
on_host!(host_d_to_i32, "cvtsd2si eax, xmm1");
on_host!(host_d_to_i64, "cvtsd2si rax, xmm1");
on_host!(host_d_to_i32_truncated, "cvttsd2si eax, xmm1");
on_host!(host_s_to_i64, "cvtss2si rax, xmm1");
on_host!(host_s_to_i32, "cvtss2si eax, xmm1");
on_host!(host_i64_to_d, "cvtsi2sd xmm0, rax");
on_host!(host_i64_to_s, "cvtsi2ss xmm0, rax");
on_host!(host_i32_to_s, "cvtsi2ss xmm0, eax");
on_host!(host_round_d, "roundsd xmm0, xmm1, 4");
on_host!(host_round_s, "roundss xmm0, xmm1, 4");
on_host!(host_round_d_quietly, "roundsd xmm0, xmm1, 12");

#[test]
fn addition_agrees_with_the_host() {
    agree_on_doubles(1, host_add_d, sse::add);
    agree_on_singles(2, host_add_s, sse::add);
}

#[test]
fn subtraction_agrees_with_the_host() {
    agree_on_doubles(3, host_sub_d, sse::sub);
    agree_on_singles(4, host_sub_s, sse::sub);
}

#[test]
fn multiplication_agrees_with_the_host() {
    agree_on_doubles(5, host_mul_d, sse::mul);
    agree_on_singles(6, host_mul_s, sse::mul);
}

#[test]
fn division_agrees_with_the_host() {
    agree_on_doubles(7, host_div_d, sse::div);
    agree_on_singles(8, host_div_s, sse::div);
}

#[test]
fn minimum_agrees_with_the_host() {
    agree_on_doubles(9, host_min_d, sse::min);
    agree_on_singles(10, host_min_s, sse::min);
}

#[test]
fn maximum_agrees_with_the_host() {
    agree_on_doubles(11, host_max_d, sse::max);
    agree_on_singles(12, host_max_s, sse::max);
}

#[test]
fn square_root_agrees_with_the_host() {
    agree_on_doubles(13, host_sqrt_d, |_, b, ctx| sse::sqrt(b, ctx));
    agree_on_singles(14, host_sqrt_s, |_, b, ctx| sse::sqrt(b, ctx));
}

/// ZF, PF and CF as COMISD sets them, at their places in AH.
fn compare_flags(relation: Relation) -> u64 {
    match relation {
        Relation::Unordered => 0x45,
        Relation::Greater => 0,
        Relation::Less => 0x01,
        Relation::Equal => 0x40,
    }
}

#[test]
fn comparisons_agree_with_the_host() {
    let mut rng = Rng(30);
    for case in 0..CASES {
        let mxcsr = random_mxcsr(&mut rng);
        let (a, b) = f64_pair(&mut rng);
        for (host, quiet) in [(host_ucomi_d as Host, true), (host_comi_d, false)] {
            let (_, rax, flags) = host(a, b, mxcsr);
            let mut ctx = Context::sse(mxcsr);
            let ours = compare_flags(sse::compare(F64(a), F64(b), quiet, &mut ctx));
            assert_eq!((ours, flags_after(mxcsr, &ctx)), (rax >> 8 & 0x45, flags), "case {case}: {a:#x} {b:#x}");
        }
        let (a, b) = f32_pair(&mut rng);
        for (host, quiet) in [(host_ucomi_s as Host, true), (host_comi_s, false)] {
            let (_, rax, flags) = host(a.into(), b.into(), mxcsr);
            let mut ctx = Context::sse(mxcsr);
            let ours = compare_flags(sse::compare(F32(a), F32(b), quiet, &mut ctx));
            assert_eq!((ours, flags_after(mxcsr, &ctx)), (rax >> 8 & 0x45, flags), "case {case}: {a:#x} {b:#x}");
        }
    }
}

/// One-operand instructions: `operand` draws its bits, `ours` gives those of the result, `host` picks the host's.
fn agree_on_conversion(
    seed: u64,
    host: impl Fn(u64, u32) -> (u64, u32),
    operand: impl Fn(&mut Rng) -> u64,
    ours: impl Fn(u64, &mut Context) -> u64,
) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let (value, mxcsr) = (operand(&mut rng), random_mxcsr(&mut rng));
        let mut ctx = Context::sse(mxcsr);
        let result = ours(value, &mut ctx);
        let (expected, flags) = host(value, mxcsr);
        assert_eq!(
            (result, flags_after(mxcsr, &ctx)),
            (expected, flags),
            "seed {seed} case {case}: {value:#x} mxcsr {mxcsr:#x}, ours {result:#x}, host {expected:#x}"
        );
    }
}

fn to_xmm(host: Host) -> impl Fn(u64, u32) -> (u64, u32) {
    move |value, mxcsr| {
        let (xmm, _, flags) = host(value, value, mxcsr);
        (xmm, flags)
    }
}

fn to_low_xmm(host: Host) -> impl Fn(u64, u32) -> (u64, u32) {
    move |value, mxcsr| {
        let (xmm, _, flags) = host(value, value, mxcsr);
        (u64::from(xmm as u32), flags)
    }
}

fn to_rax(host: Host) -> impl Fn(u64, u32) -> (u64, u32) {
    move |value, mxcsr| {
        let (_, rax, flags) = host(value, value, mxcsr);
        (rax, flags)
    }
}

/// Doubles near singles and integers of all sizes, where conversions decide something.
fn double(rng: &mut Rng) -> u64 {
    let exponent = match rng.below(3) {
        0 => return rng.f64_bits(),
        1 => 1023 - 160 + rng.below(50),
        _ => 1023 - 3 + rng.below(70),
    };
    rng.below(2) << 63 | exponent << 52 | rng.pattern() >> 12
}

fn single(rng: &mut Rng) -> u64 {
    if rng.below(2) == 0 {
        return rng.f32_bits().into();
    }
    rng.below(2) << 31 | (127 - 3 + rng.below(70)) << 23 | rng.pattern() >> 41
}

#[test]
fn conversions_between_formats_agree_with_the_host() {
    agree_on_conversion(40, to_xmm(host_widen), single, |v, c| sse::resize::<F32, F64>(F32(v as u32), c).0);
    agree_on_conversion(41, to_low_xmm(host_narrow), double, |v, c| sse::resize::<F64, F32>(F64(v), c).0.into());
}

#[test]
fn conversions_to_integers_agree_with_the_host() {
    agree_on_conversion(50, to_rax(host_d_to_i32), double, |v, c| u64::from(sse::to_i32(F64(v), c) as u32));
    agree_on_conversion(51, to_rax(host_d_to_i64), double, |v, c| sse::to_i64(F64(v), c) as u64);
    agree_on_conversion(52, to_rax(host_s_to_i32), single, |v, c| u64::from(sse::to_i32(F32(v as u32), c) as u32));
    agree_on_conversion(53, to_rax(host_s_to_i64), single, |v, c| sse::to_i64(F32(v as u32), c) as u64);
    agree_on_conversion(54, to_rax(host_d_to_i32_truncated), double, |v, c| {
        c.rounding = Rounding::Zero;
        u64::from(sse::to_i32(F64(v), c) as u32)
    });
}

#[test]
fn conversions_from_integers_agree_with_the_host() {
    let integer = |rng: &mut Rng| rng.pattern();
    agree_on_conversion(60, to_xmm(host_i64_to_d), integer, |v, c| sse::from_i64::<F64>(v as i64, c).0);
    agree_on_conversion(61, to_low_xmm(host_i64_to_s), integer, |v, c| sse::from_i64::<F32>(v as i64, c).0.into());
    agree_on_conversion(62, to_low_xmm(host_i32_to_s), integer, |v, c| sse::from_i32::<F32>(v as i32, c).0.into());
}

#[test]
fn rounding_to_integral_agrees_with_the_host() {
    agree_on_conversion(70, to_xmm(host_round_d), double, |v, c| sse::round_to_integral(F64(v), true, c).0);
    agree_on_conversion(71, to_low_xmm(host_round_s), single, |v, c| {
        sse::round_to_integral(F32(v as u32), true, c).0.into()
    });
    agree_on_conversion(72, to_xmm(host_round_d_quietly), double, |v, c| sse::round_to_integral(F64(v), false, c).0);
}
