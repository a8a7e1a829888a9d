//! The general-purpose instructions (Intel SDM vol. 1, chapter 7) that read and write registers, memory and
//! status flags and nothing else: rows and semantics for every engine.

mod arithmetic;
mod bits;
mod extract;
mod flow;
pub use flow::jcc;
pub use shifts::undefined_by_count;
pub use transfer::{cmovcc, setcc};
mod multiply;
mod operands;
mod shifts;
mod transfer;

use crate::{Engine, Op, Row, Width};

/// What a general-purpose instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Int {
    Add,
    Or,
    Adc,
    Sbb,
    And,
    Sub,
    Xor,
    Cmp,
    Test,
    Inc,
    Dec,
    Neg,
    Not,
    Mov,
    Lea,
    Xchg,
    Xadd,
    Cmpxchg,
    MovzxByte,
    MovzxWord,
    MovsxByte,
    MovsxWord,
    MovsxDword,
    Bswap,
    /// `CBW`, `CWDE`, `CDQE` by operand size.
    ConvertAccumulator,
    /// `CWD`, `CDQ`, `CQO` by operand size.
    ExtendAccumulator,
    Push,
    Pop,
    Leave,
    Xlat,
    Rol,
    Ror,
    Rcl,
    Rcr,
    Shl,
    Shr,
    Sar,
    Shld,
    Shrd,
    Mul,
    /// `IMUL` with one operand.
    ImulWide,
    /// `IMUL` with two operands.
    Imul,
    /// `IMUL` with three operands.
    ImulImmediate,
    Div,
    Idiv,
    Bt,
    Bts,
    Btr,
    Btc,
    Bsf,
    Bsr,
    Popcnt,
    Lzcnt,
    Tzcnt,
    Andn,
    Bextr,
    Blsi,
    Blsmsk,
    Blsr,
    Bzhi,
    Mulx,
    Rorx,
    Sarx,
    Shlx,
    Shrx,
    Movbe,
    Setcc,
    Cmovcc,
    Jcc,
    Jmp,
    JmpIndirect,
    Call,
    CallIndirect,
    Ret,
    RetRelease,
    Loop,
    Loope,
    Loopne,
    Jcxz,
    Nop,
    Clc,
    Stc,
    Cmc,
    Cld,
    Std,
    Ud,
}

/// Rows of all general-purpose instructions.
pub const ROWS: &[&[Row]] =
    &[arithmetic::ROWS, bits::ROWS, extract::ROWS, flow::ROWS, multiply::ROWS, shifts::ROWS, transfer::ROWS];

/// Performs `int` with operand width `w` and operand form `f`; both are the op's own, passed apart so that an
/// interpreter can call with constants and have the rest folded away.
///
/// # Errors
/// The instruction faults.
#[inline(always)]
pub fn execute<E: Engine>(e: &mut E, op: &Op, int: Int, w: Width, f: crate::Form) -> Result<(), E::Stop> {
    match int {
        Int::Add => arithmetic::add(e, op, w, f),
        Int::Or => arithmetic::or(e, op, w, f),
        Int::Adc => arithmetic::adc(e, op, w, f),
        Int::Sbb => arithmetic::sbb(e, op, w, f),
        Int::And => arithmetic::and(e, op, w, f),
        Int::Sub => arithmetic::sub(e, op, w, f),
        Int::Xor => arithmetic::xor(e, op, w, f),
        Int::Cmp => arithmetic::cmp(e, op, w, f),
        Int::Test => arithmetic::test(e, op, w, f),
        Int::Inc => arithmetic::inc(e, op, w, f),
        Int::Dec => arithmetic::dec(e, op, w, f),
        Int::Neg => arithmetic::neg(e, op, w, f),
        Int::Not => arithmetic::not(e, op, w, f),
        Int::Mov => transfer::mov(e, op, w, f),
        Int::Lea => transfer::lea(e, op, w),
        Int::Xchg => transfer::xchg(e, op, w, f),
        Int::Xadd => arithmetic::xadd(e, op, w, f),
        Int::Cmpxchg => arithmetic::cmpxchg(e, op, w, f),
        Int::MovzxByte => transfer::movzx(e, op, w, Width::W8, f),
        Int::MovzxWord => transfer::movzx(e, op, w, Width::W16, f),
        Int::MovsxByte => transfer::movsx(e, op, w, Width::W8, f),
        Int::MovsxWord => transfer::movsx(e, op, w, Width::W16, f),
        Int::MovsxDword => transfer::movsx(e, op, w, Width::W32, f),
        Int::Bswap => transfer::bswap(e, op, w),
        Int::ConvertAccumulator => transfer::convert_accumulator(e, op),
        Int::ExtendAccumulator => transfer::extend_accumulator(e, op),
        Int::Push => transfer::push(e, op, f),
        Int::Pop => transfer::pop(e, op),
        Int::Leave => transfer::leave(e, op),
        Int::Xlat => transfer::xlat(e, op),
        Int::Rol => shifts::rol(e, op, w, f),
        Int::Ror => shifts::ror(e, op, w, f),
        Int::Rcl => shifts::rcl(e, op, w, f),
        Int::Rcr => shifts::rcr(e, op, w, f),
        Int::Shl => shifts::shl(e, op, w, f),
        Int::Shr => shifts::shr(e, op, w, f),
        Int::Sar => shifts::sar(e, op, w, f),
        Int::Shld => shifts::shld(e, op, w, f),
        Int::Shrd => shifts::shrd(e, op, w, f),
        Int::Mul => multiply::mul(e, op, w, f),
        Int::ImulWide => multiply::imul_wide(e, op, w, f),
        Int::Imul => multiply::imul(e, op, w, f),
        Int::ImulImmediate => multiply::imul_immediate(e, op, w, f),
        Int::Div => multiply::div(e, op, w, f),
        Int::Idiv => multiply::idiv(e, op, w, f),
        Int::Bt => bits::bt(e, op, w, f),
        Int::Bts => bits::bts(e, op, w, f),
        Int::Btr => bits::btr(e, op, w, f),
        Int::Btc => bits::btc(e, op, w, f),
        Int::Bsf => bits::bsf(e, op, w, f),
        Int::Bsr => bits::bsr(e, op, w, f),
        Int::Popcnt => bits::popcnt(e, op, w, f),
        Int::Lzcnt => extract::lzcnt(e, op, w, f),
        Int::Tzcnt => extract::tzcnt(e, op, w, f),
        Int::Andn => extract::andn(e, op, w, f),
        Int::Bextr => extract::bextr(e, op, w, f),
        Int::Blsi => extract::blsi(e, op, w, f),
        Int::Blsmsk => extract::blsmsk(e, op, w, f),
        Int::Blsr => extract::blsr(e, op, w, f),
        Int::Bzhi => extract::bzhi(e, op, w, f),
        Int::Mulx => extract::mulx(e, op, w, f),
        Int::Rorx => extract::rorx(e, op, w, f),
        Int::Sarx => extract::sarx(e, op, w, f),
        Int::Shlx => extract::shlx(e, op, w, f),
        Int::Shrx => extract::shrx(e, op, w, f),
        Int::Movbe => transfer::movbe(e, op, w, f),
        Int::Setcc => transfer::setcc(e, op, op.aux, f),
        Int::Cmovcc => transfer::cmovcc(e, op, op.aux, w, f),
        Int::Jcc => flow::jcc(e, op, op.aux),
        Int::Jmp => e.jump_relative(op),
        Int::JmpIndirect => flow::jmp_indirect(e, op, f),
        Int::Call => flow::call(e, op),
        Int::CallIndirect => flow::call_indirect(e, op, f),
        Int::Ret => flow::ret(e, op, 0),
        Int::RetRelease => flow::ret(e, op, op.imm as u16),
        Int::Loop => flow::loop_while(e, op, None),
        Int::Loope => flow::loop_while(e, op, Some(true)),
        Int::Loopne => flow::loop_while(e, op, Some(false)),
        Int::Jcxz => flow::jcxz(e, op),
        Int::Nop => Ok(()),
        Int::Clc => flow::set_carry(e, 0),
        Int::Stc => flow::set_carry(e, 1),
        Int::Cmc => flow::complement_carry(e),
        Int::Cld => flow::set_direction(e, false),
        Int::Std => flow::set_direction(e, true),
        Int::Ud => e.raise(crate::Exception::InvalidOpcode),
    }
}
