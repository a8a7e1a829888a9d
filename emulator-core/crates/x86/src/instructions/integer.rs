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

use super::{Family, family};
use crate::{Engine, Form, Op, Width};

/// What a general-purpose instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Int {
    Add,
    Or,
    Adc,
    Adcx,
    Adox,
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
pub(super) const FAMILIES: &[Family] = &[
    family("integer/arithmetic", &[arithmetic::ROWS]),
    family("integer/bits", &[bits::ROWS]),
    family("integer/extract", &[extract::ROWS]),
    family("integer/flow", &[flow::ROWS]),
    family("integer/multiply", &[multiply::ROWS]),
    family("integer/shifts", &[shifts::ROWS]),
    family("integer/transfer", &[transfer::ROWS]),
];

/// The code goes into the caller.
macro_rules! inlined {
    ($e:ident, $call:expr) => {
        $call
    };
}

/// The code goes into a function of its own.
macro_rules! called {
    ($e:ident, $call:expr) => {
        call($e, |$e| $call)
    };
}

#[inline(never)]
fn call<E, R>(e: &mut E, code: impl FnOnce(&mut E) -> R) -> R {
    code(e)
}

/// The function from an instruction to its semantics, with their code at the place named.
macro_rules! define_execute {
    ($(#[$attribute:meta])* $name:ident, $place:ident) => {
        $(#[$attribute])*
        pub fn $name<E: Engine>(e: &mut E, op: &Op, int: Int, w: Width, f: Form) -> Result<(), E::Stop> {
            match int {
                Int::Add => $place!(e, arithmetic::add(e, op, w, f)),
                Int::Or => $place!(e, arithmetic::or(e, op, w, f)),
                Int::Adc => $place!(e, arithmetic::adc(e, op, w, f)),
                Int::Sbb => $place!(e, arithmetic::sbb(e, op, w, f)),
                Int::And => $place!(e, arithmetic::and(e, op, w, f)),
                Int::Adcx => $place!(e, arithmetic::adcx(e, op, w, f)),
                Int::Adox => $place!(e, arithmetic::adox(e, op, w, f)),
                Int::Sub => $place!(e, arithmetic::sub(e, op, w, f)),
                Int::Xor => $place!(e, arithmetic::xor(e, op, w, f)),
                Int::Cmp => $place!(e, arithmetic::cmp(e, op, w, f)),
                Int::Test => $place!(e, arithmetic::test(e, op, w, f)),
                Int::Inc => $place!(e, arithmetic::inc(e, op, w, f)),
                Int::Dec => $place!(e, arithmetic::dec(e, op, w, f)),
                Int::Neg => $place!(e, arithmetic::neg(e, op, w, f)),
                Int::Not => $place!(e, arithmetic::not(e, op, w, f)),
                Int::Mov => $place!(e, transfer::mov(e, op, w, f)),
                Int::Lea => $place!(e, transfer::lea(e, op, w)),
                Int::Xchg => $place!(e, transfer::xchg(e, op, w, f)),
                Int::Xadd => $place!(e, arithmetic::xadd(e, op, w, f)),
                Int::Cmpxchg => $place!(e, arithmetic::cmpxchg(e, op, w, f)),
                Int::MovzxByte => $place!(e, transfer::movzx(e, op, w, Width::W8, f)),
                Int::MovzxWord => $place!(e, transfer::movzx(e, op, w, Width::W16, f)),
                Int::MovsxByte => $place!(e, transfer::movsx(e, op, w, Width::W8, f)),
                Int::MovsxWord => $place!(e, transfer::movsx(e, op, w, Width::W16, f)),
                Int::MovsxDword => $place!(e, transfer::movsx(e, op, w, Width::W32, f)),
                Int::Bswap => $place!(e, transfer::bswap(e, op, w)),
                Int::ConvertAccumulator => $place!(e, transfer::convert_accumulator(e, op)),
                Int::ExtendAccumulator => $place!(e, transfer::extend_accumulator(e, op)),
                Int::Push => $place!(e, transfer::push(e, op, f)),
                Int::Pop => $place!(e, transfer::pop(e, op)),
                Int::Leave => $place!(e, transfer::leave(e, op)),
                Int::Xlat => $place!(e, transfer::xlat(e, op)),
                Int::Rol => $place!(e, shifts::rol(e, op, w, f)),
                Int::Ror => $place!(e, shifts::ror(e, op, w, f)),
                Int::Rcl => $place!(e, shifts::rcl(e, op, w, f)),
                Int::Rcr => $place!(e, shifts::rcr(e, op, w, f)),
                Int::Shl => $place!(e, shifts::shl(e, op, w, f)),
                Int::Shr => $place!(e, shifts::shr(e, op, w, f)),
                Int::Sar => $place!(e, shifts::sar(e, op, w, f)),
                Int::Shld => $place!(e, shifts::shld(e, op, w, f)),
                Int::Shrd => $place!(e, shifts::shrd(e, op, w, f)),
                Int::Mul => $place!(e, multiply::mul(e, op, w, f)),
                Int::ImulWide => $place!(e, multiply::imul_wide(e, op, w, f)),
                Int::Imul => $place!(e, multiply::imul(e, op, w, f)),
                Int::ImulImmediate => $place!(e, multiply::imul_immediate(e, op, w, f)),
                Int::Div => $place!(e, multiply::div(e, op, w, f)),
                Int::Idiv => $place!(e, multiply::idiv(e, op, w, f)),
                Int::Bt => $place!(e, bits::bt(e, op, w, f)),
                Int::Bts => $place!(e, bits::bts(e, op, w, f)),
                Int::Btr => $place!(e, bits::btr(e, op, w, f)),
                Int::Btc => $place!(e, bits::btc(e, op, w, f)),
                Int::Bsf => $place!(e, bits::bsf(e, op, w, f)),
                Int::Bsr => $place!(e, bits::bsr(e, op, w, f)),
                Int::Popcnt => $place!(e, bits::popcnt(e, op, w, f)),
                Int::Lzcnt => $place!(e, extract::lzcnt(e, op, w, f)),
                Int::Tzcnt => $place!(e, extract::tzcnt(e, op, w, f)),
                Int::Andn => $place!(e, extract::andn(e, op, w, f)),
                Int::Bextr => $place!(e, extract::bextr(e, op, w, f)),
                Int::Blsi => $place!(e, extract::blsi(e, op, w, f)),
                Int::Blsmsk => $place!(e, extract::blsmsk(e, op, w, f)),
                Int::Blsr => $place!(e, extract::blsr(e, op, w, f)),
                Int::Bzhi => $place!(e, extract::bzhi(e, op, w, f)),
                Int::Mulx => $place!(e, extract::mulx(e, op, w, f)),
                Int::Rorx => $place!(e, extract::rorx(e, op, w, f)),
                Int::Sarx => $place!(e, extract::sarx(e, op, w, f)),
                Int::Shlx => $place!(e, extract::shlx(e, op, w, f)),
                Int::Shrx => $place!(e, extract::shrx(e, op, w, f)),
                Int::Movbe => $place!(e, transfer::movbe(e, op, w, f)),
                Int::Setcc => $place!(e, transfer::setcc(e, op, op.aux, f)),
                Int::Cmovcc => $place!(e, transfer::cmovcc(e, op, op.aux, w, f)),
                Int::Jcc => $place!(e, flow::jcc(e, op, op.aux)),
                Int::Jmp => e.jump_relative(op),
                Int::JmpIndirect => $place!(e, flow::jmp_indirect(e, op, f)),
                Int::Call => $place!(e, flow::call(e, op)),
                Int::CallIndirect => $place!(e, flow::call_indirect(e, op, f)),
                Int::Ret => $place!(e, flow::ret(e, op, 0)),
                Int::RetRelease => $place!(e, flow::ret(e, op, op.imm as u16)),
                Int::Loop => $place!(e, flow::loop_while(e, op, None)),
                Int::Loope => $place!(e, flow::loop_while(e, op, Some(true))),
                Int::Loopne => $place!(e, flow::loop_while(e, op, Some(false))),
                Int::Jcxz => $place!(e, flow::jcxz(e, op)),
                Int::Nop => Ok(()),
                Int::Clc => $place!(e, flow::set_carry(e, 0)),
                Int::Stc => $place!(e, flow::set_carry(e, 1)),
                Int::Cmc => flow::complement_carry(e),
                Int::Cld => $place!(e, flow::set_direction(e, false)),
                Int::Std => $place!(e, flow::set_direction(e, true)),
                Int::Ud => e.raise(crate::Exception::InvalidOpcode),
            }
        }
    };
}

define_execute! {
    /// Performs `int` with operand width `w` and operand form `f`; both are the op's own, passed apart so that an
    /// interpreter can call with constants and have the rest folded away.
    ///
    /// # Errors
    /// The instruction faults.
    #[inline(always)]
    execute, inlined
}

define_execute! {
    /// As [`execute`], for callers that know neither instruction nor width nor form beforehand: the code of each instruction is then a
    /// kilobyte or more, and all of them in one function too much for an optimising compiler.
    ///
    /// # Errors
    /// The instruction faults.
    execute_any, called
}
