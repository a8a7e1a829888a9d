//! Conversions between integer and floating-point lanes.

use softfloat::{Binary, Context, F32, F64, Rounding, sse};
use x86::Width;
use x86::instructions::simd::{ConvertOp, Lanes};

use super::{fill, lane, with_lane};

/// Doubleword `n`.
fn dword(value: u128, n: u32) -> i32 {
    (value >> (32 * n)) as i32
}

fn from_dwords<B: Binary>(a: u128, count: u32, b: u128, ctx: &mut Context) -> u128 {
    fill(a, count, |n| sse::from_i32::<B>(dword(b, n), ctx))
}

/// The lowest `count` lanes as doublewords, the rest zero.
fn to_dwords<B: Binary>(count: u32, b: u128, truncate: bool, ctx: &mut Context) -> u128 {
    if truncate {
        ctx.rounding = Rounding::Zero;
    }
    fill(0, count, |n| F32(sse::to_i32::<B>(lane(b, n), ctx) as u32))
}

/// See [`ConvertOp`].
pub(crate) fn convert(op: ConvertOp, a: u128, b: u128, ctx: &mut Context) -> u128 {
    match op {
        ConvertOp::Cvtdq2ps => from_dwords::<F32>(0, 4, b, ctx),
        ConvertOp::Cvtdq2pd => from_dwords::<F64>(0, 2, b, ctx),
        ConvertOp::Cvtpi2ps => from_dwords::<F32>(a, 2, b, ctx),
        ConvertOp::Cvtps2dq => to_dwords::<F32>(4, b, false, ctx),
        ConvertOp::Cvttps2dq => to_dwords::<F32>(4, b, true, ctx),
        ConvertOp::Cvtps2pi => to_dwords::<F32>(2, b, false, ctx),
        ConvertOp::Cvttps2pi => to_dwords::<F32>(2, b, true, ctx),
        ConvertOp::Cvtpd2dq => to_dwords::<F64>(2, b, false, ctx),
        ConvertOp::Cvttpd2dq => to_dwords::<F64>(2, b, true, ctx),
        ConvertOp::Cvtps2pd => fill(0, 2, |n| sse::resize::<F32, F64>(lane(b, n), ctx)),
        ConvertOp::Cvtpd2ps => fill(0, 2, |n| sse::resize::<F64, F32>(lane(b, n), ctx)),
        ConvertOp::Cvtss2sd => with_lane(a, 0, sse::resize::<F32, F64>(lane(b, 0), ctx)),
        ConvertOp::Cvtsd2ss => with_lane(a, 0, sse::resize::<F64, F32>(lane(b, 0), ctx)),
    }
}

/// `a` with its lowest lane replaced by `integer`.
pub(crate) fn from_integer(lanes: Lanes, a: u128, integer: i64, ctx: &mut Context) -> u128 {
    match lanes {
        Lanes::Ps | Lanes::Ss => with_lane(a, 0, sse::from_i64::<F32>(integer, ctx)),
        Lanes::Pd | Lanes::Sd => with_lane(a, 0, sse::from_i64::<F64>(integer, ctx)),
    }
}

/// The lowest lane as an integer of width `w`.
pub(crate) fn to_integer(lanes: Lanes, w: Width, truncate: bool, a: u128, ctx: &mut Context) -> u64 {
    if truncate {
        ctx.rounding = Rounding::Zero;
    }
    match lanes {
        Lanes::Ps | Lanes::Ss => to_width::<F32>(lane(a, 0), w, ctx),
        Lanes::Pd | Lanes::Sd => to_width::<F64>(lane(a, 0), w, ctx),
    }
}

fn to_width<B: Binary>(value: B, w: Width, ctx: &mut Context) -> u64 {
    if w == Width::W64 { sse::to_i64(value, ctx) as u64 } else { u64::from(sse::to_i32(value, ctx) as u32) }
}
