//! Multiplication and division (Intel SDM vol. 1, 7.3.2.4).

use super::Int::{Div, Idiv, Imul, ImulImmediate, ImulWide, Mul};
use super::operands::{RAX, RDX, read_dst, read_src};
use crate::flags::set_with_carry_overflow;
use crate::{Engine, Form, Op, Row, Sem::Int, Width, gpr_slot, row};

const PRODUCT: &str = "OszapC";
const QUOTIENT: &str = "oszapc";
/// AH, by its byte offset in the register file.
const AH: u8 = gpr_slot(4, true);

pub const ROWS: &[Row] = &[
    row("MUL", "F6 /4", "Eb", Int(Mul)).flags(PRODUCT),
    row("MUL", "F7 /4", "Ev", Int(Mul)).flags(PRODUCT),
    row("IMUL", "F6 /5", "Eb", Int(ImulWide)).flags(PRODUCT),
    row("IMUL", "F7 /5", "Ev", Int(ImulWide)).flags(PRODUCT),
    row("IMUL", "0F AF /r", "Gv+ Ev", Int(Imul)).flags(PRODUCT),
    row("IMUL", "69 /r", "Gv= Ev Iz", Int(ImulImmediate)).flags(PRODUCT),
    row("IMUL", "6B /r", "Gv= Ev sIb", Int(ImulImmediate)).flags(PRODUCT),
    row("DIV", "F6 /6", "Eb", Int(Div)).flags(QUOTIENT),
    row("DIV", "F7 /6", "Ev", Int(Div)).flags(QUOTIENT),
    row("IDIV", "F6 /7", "Eb", Int(Idiv)).flags(QUOTIENT),
    row("IDIV", "F7 /7", "Ev", Int(Idiv)).flags(QUOTIENT),
];

/// The register that holds the high half of a wide product or dividend.
#[inline(always)]
fn high_half(w: Width) -> u8 {
    if w == Width::W8 { AH } else { RDX }
}

#[inline(always)]
pub fn mul<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_dst(e, op, w, f)?;
    let a = e.register(w, RAX);
    let low = e.mul(w, a, b);
    let high = e.mul_high_unsigned(w, a, b);
    e.set_register(w, RAX, low);
    e.set_register(w, high_half(w), high);
    let zero = e.imm(0);
    let significant = e.below(zero, high);
    set_with_carry_overflow(e, w, low, significant, significant);
    Ok(())
}

#[inline(always)]
pub fn imul_wide<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_dst(e, op, w, f)?;
    let a = e.register(w, RAX);
    let low = signed_product(e, w, a, b);
    let high = e.mul_high_signed(w, a, b);
    e.set_register(w, RAX, low);
    e.set_register(w, high_half(w), high);
    Ok(())
}

#[inline(always)]
pub fn imul<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    let a = e.register(w, op.dst);
    let product = signed_product(e, w, a, b);
    e.set_register(w, op.dst, product);
    Ok(())
}

#[inline(always)]
pub fn imul_immediate<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let a = read_src(e, op, w, f)?;
    let b = e.imm(w.truncate(op.imm as u64));
    let product = signed_product(e, w, a, b);
    e.set_register(w, op.dst, product);
    Ok(())
}

/// Low half of the product, with CF and OF set where the high half is more than its sign.
#[inline(always)]
fn signed_product<E: Engine>(e: &mut E, w: Width, a: E::V, b: E::V) -> E::V {
    let low = e.mul(w, a, b);
    let significant = e.signed_product_overflows(w, a, b, low);
    set_with_carry_overflow(e, w, low, significant, significant);
    low
}

#[inline(always)]
pub fn div<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let divisor = read_dst(e, op, w, f)?;
    let (high, low) = (e.register(w, high_half(w)), e.register(w, RAX));
    let (quotient, remainder) = e.divide_unsigned(w, high, low, divisor)?;
    e.set_register(w, RAX, quotient);
    e.set_register(w, high_half(w), remainder);
    Ok(())
}

#[inline(always)]
pub fn idiv<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let divisor = read_dst(e, op, w, f)?;
    let (high, low) = (e.register(w, high_half(w)), e.register(w, RAX));
    let (quotient, remainder) = e.divide_signed(w, high, low, divisor)?;
    e.set_register(w, RAX, quotient);
    e.set_register(w, high_half(w), remainder);
    Ok(())
}
