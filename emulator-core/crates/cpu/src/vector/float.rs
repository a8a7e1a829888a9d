//! Floating-point lanes: by the host in ordinary cases ([`native`]), else by `softfloat`.

pub(super) mod approximate;
mod convert;
pub(super) mod native;

use softfloat::{Binary, Context, F32, F64, Relation, Rounding, sse};
use x86::flags::{CF, PF, ZF};
use x86::instructions::simd::{FloatOp, FmaKind, FmaOp, FpOp, Lanes};

pub(super) use convert::{convert, from_integer, to_integer};

/// Bits of a lane of format `B`.
const fn lane_bits<B: Binary>() -> u32 {
    B::SIGN.trailing_zeros() + 1
}

/// Lane `n`.
#[inline(always)]
fn lane<B: Binary>(value: u128, n: u32) -> B {
    let mask = u64::MAX >> (64 - lane_bits::<B>());
    B::from_bits((value >> (n * lane_bits::<B>())) as u64 & mask)
}

/// `value` with lane `n` replaced.
#[inline(always)]
fn with_lane<B: Binary>(value: u128, n: u32, new: B) -> u128 {
    let shift = n * lane_bits::<B>();
    let mask = u128::from(u64::MAX >> (64 - lane_bits::<B>())) << shift;
    value & !mask | u128::from(new.bits()) << shift
}

/// The lowest `count` lanes of `a` replaced by what `f` makes of their number.
#[inline(always)]
fn fill<B: Binary>(a: u128, count: u32, mut f: impl FnMut(u32) -> B) -> u128 {
    (0..count).fold(a, |value, n| {
        let new = f(n);
        with_lane(value, n, new)
    })
}

/// Runs `op`; scalar forms keep the rest of `a`.
pub(super) fn operate(op: FloatOp, a: u128, b: u128, imm: u8, ctx: &mut Context) -> u128 {
    match op.lanes() {
        Lanes::Ps => packed::<F32>(op.op(), 4, a, b, imm, ctx),
        Lanes::Pd => packed::<F64>(op.op(), 2, a, b, imm, ctx),
        Lanes::Ss => packed::<F32>(op.op(), 1, a, b, imm, ctx),
        Lanes::Sd => packed::<F64>(op.op(), 1, a, b, imm, ctx),
    }
}

fn packed<B: Binary>(op: FpOp, count: u32, a: u128, b: u128, imm: u8, ctx: &mut Context) -> u128 {
    let mut each = |f: fn(B, B, &mut Context) -> B| fill(a, count, |n| f(lane(a, n), lane(b, n), ctx));
    match op {
        FpOp::Add => each(sse::add),
        FpOp::Sub => each(sse::sub),
        FpOp::Mul => each(sse::mul),
        FpOp::Div => each(sse::div),
        FpOp::Min => each(sse::min),
        FpOp::Max => each(sse::max),
        FpOp::Sqrt => each(|_, b, ctx| sse::sqrt(b, ctx)),
        FpOp::Rcp => each(|_, b, _| approximate::reciprocal(b)),
        FpOp::Rsqrt => each(|_, b, _| approximate::reciprocal_root(b)),
        FpOp::Compare => fill(a, count, |n| predicate::<B>(imm, lane(a, n), lane(b, n), ctx)),
        FpOp::Round => round::<B>(count, a, b, imm, ctx),
        FpOp::DotProduct => dot_products_of::<B, 1>(count, [a], [b], imm, ctx)[0],
        FpOp::AddSub => fill(a, count, |n| {
            let (a, b) = (lane::<B>(a, n), lane(b, n));
            if n % 2 == 0 { sse::sub(a, b, ctx) } else { sse::add(a, b, ctx) }
        }),
        FpOp::HorizontalAdd => neighbours(count, a, b, |x, y| sse::add::<B>(x, y, ctx)),
        FpOp::HorizontalSub => neighbours(count, a, b, |x, y| sse::sub::<B>(x, y, ctx)),
    }
}

/// Pairs of neighbouring lanes of `a`, then of `b`.
fn neighbours<B: Binary>(count: u32, a: u128, b: u128, mut f: impl FnMut(B, B) -> B) -> u128 {
    fill(a, count, |n| {
        let (from, pair) = if n < count / 2 { (a, n) } else { (b, n - count / 2) };
        f(lane(from, 2 * pair), lane(from, 2 * pair + 1))
    })
}

/// Relations that satisfy each of the first 16 predicates: bit 0 less, bit 1 equal, bit 2 greater, bit 3 unordered (Intel SDM
/// vol. 2, table 3-1). The other 16 are the same, signaling where these are quiet.
const PREDICATES: [u8; 16] = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15];

/// `CMPccPS`: all ones where the predicate holds.
fn predicate<B: Binary>(imm: u8, a: B, b: B, ctx: &mut Context) -> B {
    let quiet = matches!(imm & 3, 1 | 2) == (imm & 0x10 != 0);
    let relation = match sse::compare(a, b, quiet, ctx) {
        Relation::Less => 1,
        Relation::Equal => 2,
        Relation::Greater => 4,
        Relation::Unordered => 8,
    };
    let holds = PREDICATES[usize::from(imm & 15)] & relation != 0;
    B::from_bits(if holds { u64::MAX >> (64 - lane_bits::<B>()) } else { 0 })
}

fn round<B: Binary>(count: u32, a: u128, b: u128, imm: u8, ctx: &mut Context) -> u128 {
    const NO_PRECISION: u8 = 8;
    choose_rounding(imm, ctx);
    fill(a, count, |n| sse::round_to_integral::<B>(lane(b, n), imm & NO_PRECISION == 0, ctx))
}

/// `DPPS` and `DPPD` of each 128-bit part.
pub(super) fn dot_products<const PARTS: usize>(
    op: FloatOp,
    a: [u128; PARTS],
    b: [u128; PARTS],
    imm: u8,
    ctx: &mut Context,
) -> [u128; PARTS] {
    match op.lanes() {
        Lanes::Ps => dot_products_of::<F32, PARTS>(4, a, b, imm, ctx),
        _ => dot_products_of::<F64, PARTS>(2, a, b, imm, ctx),
    }
}

/// Products where the immediate's upper bits ask for them, summed in pairs; the sum goes where its lower bits say. Each step raises
/// its exceptions in all parts before the next one (Intel SDM vol. 2, DPPS). Which of two addends comes first differs from lane to lane
/// on Intel's processors, and tells where both are NaNs: the first is the sum.
fn dot_products_of<B: Binary, const PARTS: usize>(
    count: u32,
    a: [u128; PARTS],
    b: [u128; PARTS],
    imm: u8,
    ctx: &mut Context,
) -> [u128; PARTS] {
    let none = B::from_bits(0);
    let mut products = [[none; 4]; PARTS];
    for (part, products) in products.iter_mut().enumerate() {
        for n in (0..count).filter(|n| imm >> (4 + n) & 1 != 0) {
            products[n as usize] = sse::mul(lane::<B>(a[part], n), lane(b[part], n), ctx);
        }
    }
    if !ctx.next_step() {
        return [0; PARTS];
    }
    let mut sums = products.map(|p| {
        core::array::from_fn(|n| {
            let (own, other) = (p[n], p[n ^ 1]);
            if count == 4 { sse::add(other, own, ctx) } else { sse::add(own, other, ctx) }
        })
    });
    if count == 4 {
        if !ctx.next_step() {
            return [0; PARTS];
        }
        sums = sums.map(|s: [B; 4]| core::array::from_fn(|n| sse::add(s[n], s[n ^ 2], ctx)));
    }
    sums.map(|s| fill(0, count, |n| if imm >> n & 1 != 0 { s[n as usize] } else { none }))
}

/// A fused operation of `a`, `b` and `c`; scalar forms keep the rest of `first`.
pub(super) fn fused(op: FmaOp, first: u128, abc: [u128; 3], ctx: &mut Context) -> u128 {
    match op.lanes() {
        Lanes::Ps => fused_lanes::<F32>(op.kind(), 4, first, abc, ctx),
        Lanes::Pd => fused_lanes::<F64>(op.kind(), 2, first, abc, ctx),
        Lanes::Ss => fused_lanes::<F32>(op.kind(), 1, first, abc, ctx),
        Lanes::Sd => fused_lanes::<F64>(op.kind(), 1, first, abc, ctx),
    }
}

fn fused_lanes<B: Binary>(kind: FmaKind, count: u32, first: u128, [a, b, c]: [u128; 3], ctx: &mut Context) -> u128 {
    fill(first, count, |n| {
        let odd = n % 2 == 1;
        let (negate_product, negate_addend) = match kind {
            FmaKind::Add => (false, false),
            FmaKind::Sub => (false, true),
            FmaKind::NegatedAdd => (true, false),
            FmaKind::NegatedSub => (true, true),
            FmaKind::AddSub => (false, !odd),
            FmaKind::SubAdd => (false, odd),
        };
        sse::fused::<B>(lane(a, n), lane(b, n), lane(c, n), negate_product, negate_addend, ctx)
    })
}

/// `VCVTPH2PS`: the low four halves.
pub(super) fn half_to_single(b: u128, ctx: &mut Context) -> u128 {
    fill(0, 4, |n| sse::from_half(sse::F16((b >> (16 * n)) as u16), ctx))
}

/// `VCVTPS2PH`: four halves, the rest clear.
pub(super) fn single_to_half(b: u128, imm: u8, ctx: &mut Context) -> u128 {
    choose_rounding(imm, ctx);
    (0..4).fold(0, |value, n| value | u128::from(sse::to_half(lane(b, n), ctx).0) << (16 * n))
}

/// Rounding as the immediate's low bits say, or as MXCSR does.
fn choose_rounding(imm: u8, ctx: &mut Context) {
    const BY_MXCSR: u8 = 4;
    if imm & BY_MXCSR == 0 {
        ctx.rounding = Rounding::from_bits(u32::from(imm));
    }
}

/// `COMISS` and its family: ZF, PF and CF by the relation of the lowest lanes.
pub(super) fn compare_to_eflags(lanes: Lanes, quiet: bool, a: u128, b: u128, ctx: &mut Context) -> u64 {
    let relation = match lanes {
        Lanes::Ps | Lanes::Ss => sse::compare::<F32>(lane(a, 0), lane(b, 0), quiet, ctx),
        Lanes::Pd | Lanes::Sd => sse::compare::<F64>(lane(a, 0), lane(b, 0), quiet, ctx),
    };
    match relation {
        Relation::Greater => 0,
        Relation::Less => CF,
        Relation::Equal => ZF,
        Relation::Unordered => ZF | PF | CF,
    }
}
