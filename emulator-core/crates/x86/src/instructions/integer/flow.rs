//! Near control transfer and flag control (Intel SDM vol. 1, 7.3.8 and 7.3.13).
//!
//! A transfer that also pushes or pops checks its target first, then touches the stack: whichever faults, nothing
//! has changed, because an engine forgets the recorded target when the instruction faults.

use super::Int::{
    self, Call, CallIndirect, Clc, Cld, Cmc, Jcc, Jcxz, Jmp, JmpIndirect, Loop, Loope, Loopne, Nop, Ret, RetRelease,
    Stc, Std, Ud,
};
use super::operands::{RCX, RSP, read_dst};
use crate::flags::{self, condition};
use crate::{Engine, Feature, Form, Op, Row, Sem, row};

const fn int(mnemonic: &'static str, encoding: &'static str, operands: &'static str, int: Int) -> Row {
    row(mnemonic, encoding, operands, Sem::Int(int))
}

const fn near(mnemonic: &'static str, encoding: &'static str, operands: &'static str, what: Int) -> Row {
    int(mnemonic, encoding, operands, what).notes("f64 end")
}

pub const ROWS: &[Row] = &[
    near("JO", "70", "Jb", Jcc),
    near("JNO", "71", "Jb", Jcc),
    near("JB", "72", "Jb", Jcc),
    near("JAE", "73", "Jb", Jcc),
    near("JE", "74", "Jb", Jcc),
    near("JNE", "75", "Jb", Jcc),
    near("JBE", "76", "Jb", Jcc),
    near("JA", "77", "Jb", Jcc),
    near("JS", "78", "Jb", Jcc),
    near("JNS", "79", "Jb", Jcc),
    near("JP", "7A", "Jb", Jcc),
    near("JNP", "7B", "Jb", Jcc),
    near("JL", "7C", "Jb", Jcc),
    near("JGE", "7D", "Jb", Jcc),
    near("JLE", "7E", "Jb", Jcc),
    near("JG", "7F", "Jb", Jcc),
    near("JO", "0F 80", "Jz", Jcc),
    near("JNO", "0F 81", "Jz", Jcc),
    near("JB", "0F 82", "Jz", Jcc),
    near("JAE", "0F 83", "Jz", Jcc),
    near("JE", "0F 84", "Jz", Jcc),
    near("JNE", "0F 85", "Jz", Jcc),
    near("JBE", "0F 86", "Jz", Jcc),
    near("JA", "0F 87", "Jz", Jcc),
    near("JS", "0F 88", "Jz", Jcc),
    near("JNS", "0F 89", "Jz", Jcc),
    near("JP", "0F 8A", "Jz", Jcc),
    near("JNP", "0F 8B", "Jz", Jcc),
    near("JL", "0F 8C", "Jz", Jcc),
    near("JGE", "0F 8D", "Jz", Jcc),
    near("JLE", "0F 8E", "Jz", Jcc),
    near("JG", "0F 8F", "Jz", Jcc),
    near("LOOPNE", "E0", "Jb", Loopne),
    near("LOOPE", "E1", "Jb", Loope),
    near("LOOP", "E2", "Jb", Loop),
    near("JCXZ", "E3", "Jb", Jcxz),
    near("CALL", "E8", "Jz", Call),
    near("JMP", "E9", "Jz", Jmp),
    near("JMP", "EB", "Jb", Jmp),
    near("CALL", "FF /2", "Ev", CallIndirect),
    near("JMP", "FF /4", "Ev", JmpIndirect),
    near("RET", "C2", "Iw", RetRelease),
    near("RET", "C3", "", Ret),
    int("NOP", "90", "", Nop).notes("b0"),
    int("PAUSE", "F3 90", "", Nop),
    // Every processor with 64-bit mode takes it.
    int("PREFETCHW", "0F 0D /r", "Mb", Nop).on(Feature::LongMode),
    int("NOP", "0F 0D /r", "Rv", Nop).on(Feature::LongMode),
    int("NOP", "0F 18 /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 19 /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1A /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1B /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1C /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1D /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1E /r", "Ev", Nop).on(Feature::P6),
    int("NOP", "0F 1F /r", "Ev", Nop).on(Feature::P6),
    int("CMC", "F5", "", Cmc).flags("C"),
    int("CLC", "F8", "", Clc).flags("C"),
    int("STC", "F9", "", Stc).flags("C"),
    int("CLD", "FC", "", Cld),
    int("STD", "FD", "", Std),
    int("UD2", "0F 0B", "", Ud).notes("end"),
    int("UD1", "0F B9 /r", "Gv Ev", Ud).notes("end"),
    int("UD0", "0F FF /r", "Gv Ev", Ud).notes("end"),
];

/// `Jcc` on condition `cc`.
///
/// # Errors
/// The target is not in the code segment.
#[inline(always)]
pub fn jcc<E: Engine>(e: &mut E, op: &Op, cc: u8) -> Result<(), E::Stop> {
    let holds = condition(e, cc);
    e.branch(op, holds)
}

#[inline(always)]
pub fn jmp_indirect<E: Engine>(e: &mut E, op: &Op, f: Form) -> Result<(), E::Stop> {
    let target = read_dst(e, op, op.opsize, f)?;
    e.jump(op, target)
}

#[inline(always)]
pub fn call<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let pointer = store_return_address(e, op)?;
    e.jump_relative(op)?;
    set_stack_pointer(e, pointer);
    Ok(())
}

#[inline(always)]
pub fn call_indirect<E: Engine>(e: &mut E, op: &Op, f: Form) -> Result<(), E::Stop> {
    let target = read_dst(e, op, op.opsize, f)?;
    let pointer = store_return_address(e, op)?;
    e.jump(op, target)?;
    set_stack_pointer(e, pointer);
    Ok(())
}

/// Stores the return address where it is to be the top of the stack, and gives the stack pointer it needs: a target that faults
/// leaves it stored all the same.
#[inline(always)]
fn store_return_address<E: Engine>(e: &mut E, op: &Op) -> Result<E::V, E::Stop> {
    let next = e.next_ip(op);
    let next = e.truncate(op.opsize, next);
    let stack = e.stack_width();
    let pointer = e.register(stack, RSP);
    let bytes = e.imm(op.opsize.bytes());
    let pointer = e.sub(stack, pointer, bytes);
    e.store_stack(op.opsize, pointer, next)?;
    Ok(pointer)
}

#[inline(always)]
fn set_stack_pointer<E: Engine>(e: &mut E, pointer: E::V) {
    let stack = e.stack_width();
    e.set_register(stack, RSP, pointer);
}

#[inline(always)]
pub fn ret<E: Engine>(e: &mut E, op: &Op, released: u16) -> Result<(), E::Stop> {
    let stack = e.stack_width();
    let pointer = e.register(stack, RSP);
    let target = e.load_stack(op.opsize, pointer)?;
    e.jump(op, target)?;
    let bytes = e.imm(op.opsize.bytes() + u64::from(released));
    let pointer = e.add(stack, pointer, bytes);
    e.set_register(stack, RSP, pointer);
    Ok(())
}

/// `LOOP`, and with `zf` the forms that also look at ZF. The counter has the address size.
#[inline(always)]
pub fn loop_while<E: Engine>(e: &mut E, op: &Op, zf: Option<bool>) -> Result<(), E::Stop> {
    let counter = e.register(op.address, RCX);
    let one = e.imm(1);
    let counter = e.sub(op.address, counter, one);
    let zero = e.imm(0);
    let mut again = e.below(zero, counter);
    if let Some(wanted) = zf {
        let holds = condition(e, if wanted { 4 } else { 5 });
        again = e.and(again, holds);
    }
    e.branch(op, again)?;
    e.set_register(op.address, RCX, counter);
    Ok(())
}

#[inline(always)]
pub fn jcxz<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let counter = e.register(op.address, RCX);
    let zero = e.imm(0);
    let empty = e.equal(counter, zero);
    e.branch(op, empty)
}

#[inline(always)]
pub fn set_carry<E: Engine>(e: &mut E, value: u64) -> Result<(), E::Stop> {
    let value = e.imm(value);
    flags::set_carry(e, value);
    Ok(())
}

#[inline(always)]
pub fn complement_carry<E: Engine>(e: &mut E) -> Result<(), E::Stop> {
    let carry = flags::carry(e);
    let one = e.imm(1);
    let flipped = e.xor(carry, one);
    flags::set_carry(e, flipped);
    Ok(())
}

#[inline(always)]
pub fn set_direction<E: Engine>(e: &mut E, down: bool) -> Result<(), E::Stop> {
    e.set_direction(down);
    Ok(())
}
