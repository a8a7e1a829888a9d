//! Arithmetic of the x87 for compiled code, which looks after registers, tags and the status word itself.

use softfloat::x87::nearest::{self, Nearest};
use softfloat::{Context as Environment, F32, F64, F80, Flags, Rounding, x87};

use super::Context;
pub use crate::x87::{C1, CONDITION_CODES};
use crate::x87::{condition, rounding_direction};

/// What compiled code asks for. All exceptions are masked when it does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct X87Operation(pub u8);

#[allow(missing_docs, reason = "the names say it")]
impl X87Operation {
    pub const ADD: X87Operation = X87Operation(0);
    pub const SUB: X87Operation = X87Operation(1);
    pub const MUL: X87Operation = X87Operation(2);
    pub const DIV: X87Operation = X87Operation(3);
    pub const SQRT: X87Operation = X87Operation(4);
    pub const ROUND_TO_INTEGRAL: X87Operation = X87Operation(5);
    /// Gives condition codes.
    pub const COMPARE: X87Operation = X87Operation(6);
    /// The same; quiet NaNs raise nothing.
    pub const COMPARE_QUIETLY: X87Operation = X87Operation(7);
    pub const TO_SINGLE: X87Operation = X87Operation(8);
    pub const TO_DOUBLE: X87Operation = X87Operation(9);
    pub const TO_I16: X87Operation = X87Operation(10);
    pub const TO_I32: X87Operation = X87Operation(11);
    pub const TO_I64: X87Operation = X87Operation(12);
    pub const TRUNCATE_TO_I16: X87Operation = X87Operation(13);
    pub const TRUNCATE_TO_I32: X87Operation = X87Operation(14);
    pub const TRUNCATE_TO_I64: X87Operation = X87Operation(15);
}

/// Where the parts of a request's last word are: the second operand's sign and exponent behind the first's, the control word, the operation.
pub const SECOND_SHIFT: u32 = 16;
/// See [`SECOND_SHIFT`].
pub const CONTROL_SHIFT: u32 = 32;
/// See [`SECOND_SHIFT`].
pub const OPERATION_SHIFT: u32 = 48;
/// In the first answer, what the status word gets is behind the result's sign and exponent.
pub const STATUS_SHIFT: u32 = 16;

/// Of the control word, precision and rounding (Intel SDM vol. 1, 8.1.5),
pub const ENVIRONMENT: u16 = 0xf00;
/// and what they usually are: extended precision, to nearest.
pub const USUAL_ENVIRONMENT: u16 = 0x300;

/// Whether `control` is for the usual precision and rounding.
pub(super) fn is_usual(control: u16) -> bool {
    control & ENVIRONMENT == USUAL_ENVIRONMENT
}

/// `(context, a, b, rest)`: two significands, and a word with all else. Returns the result's significand, or a number for memory; the first answer is the rest of it.
pub(super) unsafe extern "C" fn x87(context: *mut Context, a: u64, b: u64, rest: u64) -> u64 {
    let [first, second] = operands(a, b, rest);
    let usual = || match operation(rest) {
        X87Operation::DIV => nearest::div(first, second),
        X87Operation::TO_SINGLE => {
            nearest::store::<F32>(first).map(|single| single.map(|value| number(value.0.into())))
        }
        _ => None,
    };
    // SAFETY: called by compiled code with its context.
    unsafe { answer_nearest(context, [a, b, rest], usual) }
}

/// The same for [`X87Operation::ADD`] and [`X87Operation::SUB`].
pub(super) unsafe extern "C" fn sum(context: *mut Context, a: u64, b: u64, rest: u64) -> u64 {
    let subtracts = operation(rest) == X87Operation::SUB;
    let [first, second] = operands(a, b, rest);
    let second = if subtracts { second.negated() } else { second };
    // SAFETY: called by compiled code with its context.
    unsafe { answer_nearest(context, [a, b, rest], || nearest::add(first, second)) }
}

/// The same for [`X87Operation::MUL`].
pub(super) unsafe extern "C" fn product(context: *mut Context, a: u64, b: u64, rest: u64) -> u64 {
    let [first, second] = operands(a, b, rest);
    // SAFETY: called by compiled code with its context.
    unsafe { answer_nearest(context, [a, b, rest], || nearest::mul(first, second)) }
}

/// The same for [`X87Operation::TO_DOUBLE`].
pub(super) unsafe extern "C" fn double(context: *mut Context, a: u64, b: u64, rest: u64) -> u64 {
    let [first, _] = operands(a, b, rest);
    let store = || nearest::store::<F64>(first).map(|double| double.map(|value| number(value.0)));
    // SAFETY: called by compiled code with its context.
    unsafe { answer_nearest(context, [a, b, rest], store) }
}

fn operands(a: u64, b: u64, rest: u64) -> [F80; 2] {
    [F80::new(rest as u16, a), F80::new((rest >> SECOND_SHIFT) as u16, b)]
}

fn operation(rest: u64) -> X87Operation {
    X87Operation((rest >> OPERATION_SHIFT) as u8)
}

/// A number for memory.
fn number(value: u64) -> F80 {
    F80::new(0, value)
}

/// What `usual` answers in the environment that it is for, or what is exact.
///
/// # Safety
/// `context` is what the running compiled code was made with.
#[inline(always)]
unsafe fn answer_nearest(
    context: *mut Context,
    request: [u64; 3],
    usual: impl FnOnce() -> Option<Nearest<F80>>,
) -> u64 {
    if is_usual((request[2] >> CONTROL_SHIFT) as u16)
        && let Some(Nearest { value, inexact, up }) = usual()
    {
        let precision = if inexact { u16::from(Flags::PRECISION.bits()) } else { 0 };
        // SAFETY: as the caller's.
        return unsafe { answer(context, value, precision | if up { C1 } else { 0 }) };
    }
    let [a, b, rest] = request;
    // SAFETY: as the caller's.
    unsafe { answer_exactly(context, a, b, rest) }
}

/// Its operands are three by themselves: an array would go through memory, before anybody knows that it is wanted.
///
/// # Safety
/// As of [`answer_nearest`].
#[inline(never)]
unsafe fn answer_exactly(context: *mut Context, a: u64, b: u64, rest: u64) -> u64 {
    let [first, second] = operands(a, b, rest);
    let mut environment = Environment::x87((rest >> CONTROL_SHIFT) as u16);
    let (result, codes) = perform(operation(rest), first, second, &mut environment);
    let status = u16::from(environment.raised().bits()) | rounding_direction(&environment) | codes;
    // SAFETY: as the caller's.
    unsafe { answer(context, result, status) }
}

/// # Safety
/// As of [`answer_nearest`].
#[inline(always)]
unsafe fn answer(context: *mut Context, result: F80, status: u16) -> u64 {
    let answer = u64::from(result.sign_exponent) | u64::from(status) << STATUS_SHIFT;
    // SAFETY: as the caller's; nobody has a reference to the answers meanwhile.
    unsafe { (*context).answers[0] = answer };
    result.significand
}

/// The result, and condition codes.
#[inline(always)]
fn perform(operation: X87Operation, a: F80, b: F80, environment: &mut Environment) -> (F80, u16) {
    use X87Operation as O;
    if matches!(operation, O::TRUNCATE_TO_I16 | O::TRUNCATE_TO_I32 | O::TRUNCATE_TO_I64) {
        environment.rounding = Rounding::Zero;
    }
    let result = match operation {
        O::ADD => x87::add(a, b, environment),
        O::SUB => x87::sub(a, b, environment),
        O::MUL => x87::mul(a, b, environment),
        O::DIV => x87::div(a, b, environment),
        O::SQRT => x87::sqrt(a, environment),
        O::ROUND_TO_INTEGRAL => x87::round_to_integral(a, environment),
        O::COMPARE | O::COMPARE_QUIETLY => {
            let relation = x87::compare(a, b, operation == O::COMPARE_QUIETLY, environment);
            return (F80::ZERO, condition(relation));
        }
        O::TO_SINGLE => number(u64::from(x87::store::<F32>(a, environment).0)),
        O::TO_DOUBLE => number(x87::store::<F64>(a, environment).0),
        O::TO_I16 | O::TRUNCATE_TO_I16 => number(x87::store_i16(a, environment) as u64),
        O::TO_I32 | O::TRUNCATE_TO_I32 => number(x87::store_i32(a, environment) as u64),
        _ => number(x87::store_i64(a, environment) as u64),
    };
    (result, 0)
}
