//! What AVX, AVX2 and F16C have that SSE has not, of either length: broadcasts, moves between halves, permutations, masked moves, gathers,
//! half precision (Intel SDM vol. 1, 14.1, 14.4 and 14.6).

use super::vex::vex_rows;
use super::{GatherOp, PackedImmOp, PackedOp, Simd, VectorEngine, fused, packed};
use crate::Feature::{Avx, Avx2, F16c};
use crate::flags::set_status;
use crate::{Form, Op, Row, Vex, Width};

macro_rules! both_lengths {
    ($length:literal) => {
        vex_rows!($length Avx;
            "VPERMILPS" "66.0F38.W0 0C /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpermilps);
            "VPERMILPD" "66.0F38.W0 0D /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpermilpd);
            "VPERMILPS" "66.0F3A.W0 04 /r" "Vx= Wx Ib" Simd::PackedImm(PackedImmOp::Pshufd);
            "VPERMILPD" "66.0F3A.W0 05 /r" "Vx= Wx Ib" Simd::PackedImm(PackedImmOp::Vpermilpd);
            "VMASKMOVPS" "66.0F38.W0 2C /r" "Vx= Hx Mx" Simd::MaskedLoad(Width::W32);
            "VMASKMOVPD" "66.0F38.W0 2D /r" "Vx= Hx Mx" Simd::MaskedLoad(Width::W64);
            "VMASKMOVPS" "66.0F38.W0 2E /r" "Mx= Hx Vx" Simd::MaskedStore(Width::W32);
            "VMASKMOVPD" "66.0F38.W0 2F /r" "Mx= Hx Vx" Simd::MaskedStore(Width::W64);
            "VBROADCASTSS" "66.0F38.W0 18 /r" "Vx= Md" Simd::Broadcast(Width::W32);
        )
    };
}

macro_rules! both_lengths_2 {
    ($length:literal) => {
        vex_rows!($length Avx2;
            "VPMASKMOVD" "66.0F38.W0 8C /r" "Vx= Hx Mx" Simd::MaskedLoad(Width::W32);
            "VPMASKMOVQ" "66.0F38.W1 8C /r" "Vx= Hx Mx" Simd::MaskedLoad(Width::W64);
            "VPMASKMOVD" "66.0F38.W0 8E /r" "Mx= Hx Vx" Simd::MaskedStore(Width::W32);
            "VPMASKMOVQ" "66.0F38.W1 8E /r" "Mx= Hx Vx" Simd::MaskedStore(Width::W64);
            "VBROADCASTSS" "66.0F38.W0 18 /r" "Vx= U" Simd::Broadcast(Width::W32);
            "VPBROADCASTB" "66.0F38.W0 78 /r" "Vx= Wb" Simd::Broadcast(Width::W8);
            "VPBROADCASTW" "66.0F38.W0 79 /r" "Vx= Ww" Simd::Broadcast(Width::W16);
            "VPBROADCASTD" "66.0F38.W0 58 /r" "Vx= Wd" Simd::Broadcast(Width::W32);
            "VPBROADCASTQ" "66.0F38.W0 59 /r" "Vx= Wq" Simd::Broadcast(Width::W64);
            "VPBLENDD" "66.0F3A.W0 02 /r" "Vx= Hx Wx Ib" Simd::PackedImm(PackedImmOp::Blendps);
            "VPSLLVD" "66.0F38.W0 47 /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpsllvd);
            "VPSLLVQ" "66.0F38.W1 47 /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpsllvq);
            "VPSRLVD" "66.0F38.W0 45 /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpsrlvd);
            "VPSRLVQ" "66.0F38.W1 45 /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpsrlvq);
            "VPSRAVD" "66.0F38.W0 46 /r" "Vx= Hx Wx" Simd::Packed(PackedOp::Vpsravd);
            "VGATHERDPS" "66.0F38.W0 92 /r" "Vx+ VMx Hx+" Simd::Gather(GatherOp::Dd);
            "VGATHERDPD" "66.0F38.W1 92 /r" "Vx+ VMdq Hx+" Simd::Gather(GatherOp::Dq);
            "VGATHERQPS" "66.0F38.W0 93 /r" "Vdq+ VMx Hdq+" Simd::Gather(GatherOp::Qd);
            "VGATHERQPD" "66.0F38.W1 93 /r" "Vx+ VMx Hx+" Simd::Gather(GatherOp::Qq);
            "VPGATHERDD" "66.0F38.W0 90 /r" "Vx+ VMx Hx+" Simd::Gather(GatherOp::Dd);
            "VPGATHERDQ" "66.0F38.W1 90 /r" "Vx+ VMdq Hx+" Simd::Gather(GatherOp::Dq);
            "VPGATHERQD" "66.0F38.W0 91 /r" "Vdq+ VMx Hdq+" Simd::Gather(GatherOp::Qd);
            "VPGATHERQQ" "66.0F38.W1 91 /r" "Vx+ VMx Hx+" Simd::Gather(GatherOp::Qq);
        )
    };
}

macro_rules! half_precision {
    ($length:literal) => {
        vex_rows!($length F16c;
            "VCVTPH2PS" "66.0F38.W0 13 /r" "Vx= Wx2" Simd::HalfToSingle;
            "VCVTPS2PH" "66.0F3A.W0 1D /r" "Wx2= Vx Ib" Simd::SingleToHalf;
        )
    };
}

pub const AVX_128: &[Row] = both_lengths!("128");
pub const AVX_256: &[Row] = both_lengths!("256");
pub const AVX2_128: &[Row] = both_lengths_2!("128");
pub const AVX2_256: &[Row] = both_lengths_2!("256");
pub const F16C_128: &[Row] = half_precision!("128");
pub const F16C_256: &[Row] = half_precision!("256");

pub const HALVES: &[Row] = vex_rows!("256" Avx;
    "VBROADCASTSD" "66.0F38.W0 19 /r" "Vqq= Mq" Simd::Broadcast(Width::W64);
    "VBROADCASTF128" "66.0F38.W0 1A /r" "Vqq= Mdq" Simd::BroadcastHalf;
    "VINSERTF128" "66.0F3A.W0 18 /r" "Vqq= Hqq Wdq Ib" Simd::InsertHalf;
    "VEXTRACTF128" "66.0F3A.W0 19 /r" "Wdq= Vqq Ib" Simd::ExtractHalf;
    "VPERM2F128" "66.0F3A.W0 06 /r" "Vqq= Hqq Wqq Ib" Simd::PermuteHalves;
);

pub const HALVES_2: &[Row] = vex_rows!("256" Avx2;
    "VBROADCASTSD" "66.0F38.W0 19 /r" "Vqq= U" Simd::Broadcast(Width::W64);
    "VBROADCASTI128" "66.0F38.W0 5A /r" "Vqq= Mdq" Simd::BroadcastHalf;
    "VINSERTI128" "66.0F3A.W0 38 /r" "Vqq= Hqq Wdq Ib" Simd::InsertHalf;
    "VEXTRACTI128" "66.0F3A.W0 39 /r" "Wdq= Vqq Ib" Simd::ExtractHalf;
    "VPERM2I128" "66.0F3A.W0 46 /r" "Vqq= Hqq Wqq Ib" Simd::PermuteHalves;
    "VPERMD" "66.0F38.W0 36 /r" "Vqq= Hqq Wqq" Simd::PermuteDwords;
    "VPERMPS" "66.0F38.W0 16 /r" "Vqq= Hqq Wqq" Simd::PermuteDwords;
    "VPERMQ" "66.0F3A.W1 00 /r" "Vqq= Wqq Ib" Simd::PermuteQuadwords;
    "VPERMPD" "66.0F3A.W1 01 /r" "Vqq= Wqq Ib" Simd::PermuteQuadwords;
);

/// Both halves of a register.
pub(super) fn read<E: VectorEngine>(e: &mut E, register: u8) -> [E::X; 2] {
    [e.xmm(register), e.ymm_high(register)]
}

/// Writes as much of a register as the vector length says, and clears the rest.
pub(super) fn write<E: VectorEngine>(e: &mut E, op: &Op, register: u8, [low, high]: [E::X; 2]) {
    let high = if op.vex == Vex::L256 { high } else { none(e) };
    e.set_xmm(register, low);
    e.set_ymm_high(register, high);
}

/// A register, or what is in memory, zero-extended; it need not be aligned.
pub(super) fn source<E: VectorEngine>(e: &mut E, op: &Op) -> Result<[E::X; 2], E::Stop> {
    if op.form != Form::Rm {
        return Ok(read(e, op.src));
    }
    if op.memory_bytes == 32 {
        return e.load_wide(op, false);
    }
    Ok([super::source(e, op)?, none(e)])
}

/// 128 zeros.
pub(super) fn none<E: VectorEngine>(e: &mut E) -> E::X {
    let zero = e.imm(0);
    e.join(zero, zero)
}

/// Performs those that are the same in either length; whoever calls has seen that they are enabled.
pub(super) fn execute<E: VectorEngine>(e: &mut E, op: &Op, simd: Simd) -> Result<(), E::Stop> {
    match simd {
        Simd::Broadcast(w) => broadcast(e, op, w),
        Simd::BroadcastHalf => broadcast_half(e, op),
        Simd::InsertHalf => insert_half(e, op),
        Simd::ExtractHalf => extract_half(e, op),
        Simd::PermuteHalves => permute_halves(e, op),
        Simd::PermuteQuadwords => permute_quadwords(e, op),
        Simd::PermuteDwords => permute_dwords(e, op),
        Simd::TestSigns(bits) => test_signs(e, op, bits),
        Simd::MaskedLoad(w) => masked_load(e, op, w),
        Simd::MaskedStore(w) => masked_store(e, op, w),
        Simd::Gather(kind) => e.gather(op, kind),
        Simd::HalfToSingle => half_to_single(e, op),
        Simd::SingleToHalf => single_to_half(e, op),
        Simd::Fused(kind) => fused::fused(e, op, kind),
        Simd::Vzeroupper => {
            e.clear_vectors(false);
            Ok(())
        }
        Simd::Vzeroall => {
            e.clear_vectors(true);
            Ok(())
        }
        // Rows give the others no such encoding.
        _ => e.raise(crate::Exception::InvalidOpcode),
    }
}

fn broadcast<E: VectorEngine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    let element = if op.form == Form::Rm {
        e.load(w, op)?
    } else {
        let value = e.xmm(op.src);
        let low = e.low(value);
        e.truncate(w, low)
    };
    // A one in each element.
    let ones = e.imm(u64::MAX / w.mask());
    let half = e.mul(Width::W64, element, ones);
    let value = e.join(half, half);
    write(e, op, op.dst, [value, value]);
    Ok(())
}

fn broadcast_half<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let value = e.load_vector(op, false)?;
    write(e, op, op.dst, [value, value]);
    Ok(())
}

fn insert_half<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let half = super::source(e, op)?;
    let mut value = read(e, op.aux);
    value[(op.imm & 1) as usize] = half;
    write(e, op, op.dst, value);
    Ok(())
}

fn extract_half<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let half = read(e, op.src)[(op.imm & 1) as usize];
    if op.form == Form::Mr {
        return e.store_vector(op, false, half);
    }
    super::set_vector(e, op, op.dst, half);
    Ok(())
}

/// Each half of the result is one of four, or cleared.
fn permute_halves<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let [b0, b1] = source(e, op)?;
    let [a0, a1] = read(e, op.aux);
    let halves = [a0, a1, b0, b1];
    let mut pick = |control: i64| if control & 8 != 0 { none(e) } else { halves[(control & 3) as usize] };
    let value = [pick(op.imm), pick(op.imm >> 4)];
    write(e, op, op.dst, value);
    Ok(())
}

fn permute_quadwords<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let [low, high] = source(e, op)?;
    let quadwords = [e.low(low), e.high(low), e.low(high), e.high(high)];
    let pick = |n: u32| quadwords[(op.imm >> (2 * n) & 3) as usize];
    let value = [e.join(pick(0), pick(1)), e.join(pick(2), pick(3))];
    write(e, op, op.dst, value);
    Ok(())
}

fn permute_dwords<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let value = source(e, op)?;
    let index = read(e, op.aux);
    let value = e.permute_dwords(index, value);
    write(e, op, op.dst, value);
    Ok(())
}

/// As `PTEST`, of the lanes' signs.
fn test_signs<E: VectorEngine>(e: &mut E, op: &Op, bits: u8) -> Result<(), E::Stop> {
    let b = source(e, op)?;
    let a = read(e, op.dst);
    let zero = packed::no_sign(e, op, bits, PackedOp::Pand, a, b);
    let carry = packed::no_sign(e, op, bits, PackedOp::Pandn, a, b);
    let six = e.imm(6);
    let zero = e.shl(Width::W64, zero, six);
    let eflags = e.or(zero, carry);
    set_status(e, eflags);
    Ok(())
}

fn masked_load<E: VectorEngine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    let mask = mask(e, op);
    let value = e.load_elements(op, w, mask)?;
    write(e, op, op.dst, value);
    Ok(())
}

fn masked_store<E: VectorEngine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    let mask = mask(e, op);
    let value = read(e, op.src);
    e.store_elements(op, w, mask, value)
}

/// The mask, without what lies beyond the vector.
fn mask<E: VectorEngine>(e: &mut E, op: &Op) -> [E::X; 2] {
    let [low, high] = read(e, op.aux);
    [low, if op.vex == Vex::L256 { high } else { none(e) }]
}

fn half_to_single<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let b = if op.form == Form::Rm && op.memory_bytes == 8 {
        let low = e.load_quadword(op)?;
        super::zero_extended(e, low)
    } else {
        super::source(e, op)?
    };
    let value = if op.vex == Vex::L256 {
        let high = e.high(b);
        let high = super::zero_extended(e, high);
        e.half_to_single([b, high])?
    } else {
        let [low] = e.half_to_single([b])?;
        [low, none(e)]
    };
    write(e, op, op.dst, value);
    Ok(())
}

fn single_to_half<E: VectorEngine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let [low, high] = read(e, op.src);
    let wide = op.vex == Vex::L256;
    let value = if wide {
        let [low, high] = e.single_to_half([low, high], op.imm as u8)?;
        let (low, high) = (e.low(low), e.low(high));
        e.join(low, high)
    } else {
        let [value] = e.single_to_half([low], op.imm as u8)?;
        value
    };
    match op.form {
        Form::Mr if wide => return e.store_vector(op, false, value),
        Form::Mr => {
            let low = e.low(value);
            return e.store_quadword(op, low);
        }
        _ => super::set_vector(e, op, op.dst, value),
    }
    Ok(())
}
