//! Data transfer, stack and address instructions (Intel SDM vol. 1, 7.3.1 and 7.3.3).

use super::Int::{
    self, Bswap, Cmovcc, ConvertAccumulator, ExtendAccumulator, Lea, Leave, Mov, Movbe, MovsxByte, MovsxDword,
    MovsxWord, MovzxByte, MovzxWord, Pop, Push, Setcc, Xchg, Xlat,
};
use super::operands::{RAX, RBP, RDX, RSP, read_src, update_dst, write_dst};
use crate::flags::condition;
use crate::{Engine, Feature, Form, Op, Row, Sem, Width, row};

const fn int(mnemonic: &'static str, encoding: &'static str, operands: &'static str, int: Int) -> Row {
    row(mnemonic, encoding, operands, Sem::Int(int))
}

const fn set(mnemonic: &'static str, encoding: &'static str) -> Row {
    int(mnemonic, encoding, "Eb=", Setcc)
}

const fn cmov(mnemonic: &'static str, encoding: &'static str) -> Row {
    int(mnemonic, encoding, "Gv+ Ev", Cmovcc).on(Feature::Cmov)
}

pub const ROWS: &[Row] = &[
    int("MOV", "88 /r", "Eb= Gb", Mov),
    int("MOV", "89 /r", "Ev= Gv", Mov),
    int("MOV", "8A /r", "Gb= Eb", Mov),
    int("MOV", "8B /r", "Gv= Ev", Mov),
    int("MOV", "A0", "AL= Ob", Mov),
    int("MOV", "A1", "rAX= Ov", Mov),
    int("MOV", "A2", "Ob= AL", Mov),
    int("MOV", "A3", "Ov= rAX", Mov),
    int("MOV", "B0+r", "Zb= Ib", Mov),
    int("MOV", "B8+r", "Zv= Iv", Mov),
    int("MOV", "C6 /0", "Eb= Ib", Mov),
    int("MOV", "C7 /0", "Ev= Iz", Mov),
    int("MOVNTI", "NP 0F C3 /r", "My= Gy", Mov).on(Feature::Sse2),
    int("LEA", "8D /r", "Gv= M", Lea),
    int("XCHG", "86 /r", "Eb+ Gb+", Xchg).notes("lock"),
    int("XCHG", "87 /r", "Ev+ Gv+", Xchg).notes("lock"),
    int("XCHG", "90+r", "Zv+ rAX+", Xchg),
    int("MOVZX", "0F B6 /r", "Gv= Eb", MovzxByte),
    int("MOVZX", "0F B7 /r", "Gv= Ew", MovzxWord),
    int("MOVSX", "0F BE /r", "Gv= Eb", MovsxByte),
    int("MOVSX", "0F BF /r", "Gv= Ew", MovsxWord),
    int("MOVSXD", "63 /r", "Gv= Ez", MovsxDword).notes("o64"),
    int("BSWAP", "0F C8+r", "Zv+", Bswap),
    int("MOVBE", "NFx 0F 38 F0 /r", "Gv= Mv", Movbe).on(Feature::Movbe),
    int("MOVBE", "NFx 0F 38 F1 /r", "Mv= Gv", Movbe).on(Feature::Movbe),
    int("CBW", "98", "", ConvertAccumulator),
    int("CWD", "99", "", ExtendAccumulator),
    int("PUSH", "50+r", "Zv", Push).notes("d64"),
    int("POP", "58+r", "Zv=", Pop).notes("d64"),
    int("PUSH", "68", "Iz", Push).notes("d64"),
    int("PUSH", "6A", "sIb", Push).notes("d64"),
    int("PUSH", "FF /6", "Ev", Push).notes("d64"),
    int("LEAVE", "C9", "", Leave).notes("d64"),
    int("XLAT", "D7", "Xlat", Xlat),
    set("SETO", "0F 90 /r"),
    set("SETNO", "0F 91 /r"),
    set("SETB", "0F 92 /r"),
    set("SETAE", "0F 93 /r"),
    set("SETE", "0F 94 /r"),
    set("SETNE", "0F 95 /r"),
    set("SETBE", "0F 96 /r"),
    set("SETA", "0F 97 /r"),
    set("SETS", "0F 98 /r"),
    set("SETNS", "0F 99 /r"),
    set("SETP", "0F 9A /r"),
    set("SETNP", "0F 9B /r"),
    set("SETL", "0F 9C /r"),
    set("SETGE", "0F 9D /r"),
    set("SETLE", "0F 9E /r"),
    set("SETG", "0F 9F /r"),
    cmov("CMOVO", "0F 40 /r"),
    cmov("CMOVNO", "0F 41 /r"),
    cmov("CMOVB", "0F 42 /r"),
    cmov("CMOVAE", "0F 43 /r"),
    cmov("CMOVE", "0F 44 /r"),
    cmov("CMOVNE", "0F 45 /r"),
    cmov("CMOVBE", "0F 46 /r"),
    cmov("CMOVA", "0F 47 /r"),
    cmov("CMOVS", "0F 48 /r"),
    cmov("CMOVNS", "0F 49 /r"),
    cmov("CMOVP", "0F 4A /r"),
    cmov("CMOVNP", "0F 4B /r"),
    cmov("CMOVL", "0F 4C /r"),
    cmov("CMOVGE", "0F 4D /r"),
    cmov("CMOVLE", "0F 4E /r"),
    cmov("CMOVG", "0F 4F /r"),
];

#[inline(always)]
pub fn mov<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let value = read_src(e, op, w, f)?;
    write_dst(e, op, w, f, value)
}

#[inline(always)]
pub fn lea<E: Engine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    let address = e.effective_address(op);
    let value = e.truncate(w, address);
    e.set_register(w, op.dst, value);
    Ok(())
}

#[inline(always)]
pub fn xchg<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let new = e.register(w, op.src);
    update_dst(e, op, w, f, |e, old| {
        e.set_register(w, op.src, old);
        new
    })
}

#[inline(always)]
pub fn movzx<E: Engine>(e: &mut E, op: &Op, w: Width, from: Width, f: Form) -> Result<(), E::Stop> {
    let value = read_src(e, op, from, f)?;
    let value = e.truncate(w, value);
    e.set_register(w, op.dst, value);
    Ok(())
}

/// A destination no wider than the source takes the source's low part (`MOVSX r16, r/m16`, `MOVSXD r16, r/m16`).
#[inline(always)]
pub fn movsx<E: Engine>(e: &mut E, op: &Op, w: Width, from: Width, f: Form) -> Result<(), E::Stop> {
    let from = if from > w { w } else { from };
    let value = read_src(e, op, from, f)?;
    let value = e.sign_extend(from, w, value);
    e.set_register(w, op.dst, value);
    Ok(())
}

/// With a 16-bit operand the result is undefined (SDM vol. 2, BSWAP); processors give zero.
#[inline(always)]
pub fn bswap<E: Engine>(e: &mut E, op: &Op, w: Width) -> Result<(), E::Stop> {
    let old = e.register(w, op.dst);
    let value = if w == Width::W16 { e.imm(0) } else { bytes_reversed(e, w, old) };
    e.set_register(w, op.dst, value);
    Ok(())
}

#[inline(always)]
fn bytes_reversed<E: Engine>(e: &mut E, w: Width, value: E::V) -> E::V {
    let (mut rest, mut reversed) = (value, e.imm(0));
    let (eight, byte) = (e.imm(8), e.imm(0xff));
    for _ in 0..w.bytes() {
        let low = e.and(rest, byte);
        let moved = e.shl(w, reversed, eight);
        reversed = e.or(moved, low);
        rest = e.shr(rest, eight);
    }
    reversed
}

pub fn movbe<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let value = read_src(e, op, w, f)?;
    let value = bytes_reversed(e, w, value);
    write_dst(e, op, w, f, value)
}

#[inline(always)]
pub fn convert_accumulator<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let half = match op.opsize {
        Width::W64 => Width::W32,
        Width::W32 => Width::W16,
        _ => Width::W8,
    };
    let low = e.register(half, RAX);
    let value = e.sign_extend(half, op.opsize, low);
    e.set_register(op.opsize, RAX, value);
    Ok(())
}

#[inline(always)]
pub fn extend_accumulator<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let value = e.register(op.opsize, RAX);
    let top = e.imm(63);
    let sign = e.sar(op.opsize, value, top);
    e.set_register(op.opsize, RDX, sign);
    Ok(())
}

/// Pushes `value`; the stack pointer moves only after the write has succeeded.
#[inline(always)]
pub fn push_value<E: Engine>(e: &mut E, w: Width, value: E::V) -> Result<(), E::Stop> {
    let stack = e.stack_width();
    let pointer = e.register(stack, RSP);
    let bytes = e.imm(w.bytes());
    let pointer = e.sub(stack, pointer, bytes);
    e.store_stack(w, pointer, value)?;
    e.set_register(stack, RSP, pointer);
    Ok(())
}

/// Reads the top of the stack and moves the stack pointer past it and `released` bytes more.
#[inline(always)]
pub fn pop_value<E: Engine>(e: &mut E, w: Width, released: u64) -> Result<E::V, E::Stop> {
    let stack = e.stack_width();
    let pointer = e.register(stack, RSP);
    let value = e.load_stack(w, pointer)?;
    let bytes = e.imm(w.bytes() + released);
    let pointer = e.add(stack, pointer, bytes);
    e.set_register(stack, RSP, pointer);
    Ok(value)
}

#[inline(always)]
pub fn push<E: Engine>(e: &mut E, op: &Op, f: Form) -> Result<(), E::Stop> {
    let w = op.opsize;
    let value = match f {
        Form::Ri | Form::Mi => e.imm(w.truncate(op.imm as u64)),
        Form::Mr | Form::Rm => e.load(w, op)?,
        Form::Rr => e.register(w, op.dst),
    };
    push_value(e, w, value)
}

#[inline(always)]
pub fn pop<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let value = pop_value(e, op.opsize, 0)?;
    e.set_register(op.opsize, op.dst, value);
    Ok(())
}

#[inline(always)]
pub fn leave<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let stack = e.stack_width();
    let frame = e.register(stack, RBP);
    let caller_frame = e.load_stack(op.opsize, frame)?;
    let bytes = e.imm(op.opsize.bytes());
    let pointer = e.add(stack, frame, bytes);
    e.set_register(stack, RSP, pointer);
    e.set_register(op.opsize, RBP, caller_frame);
    Ok(())
}

/// The decoder gives `XLAT` the memory operand `[rBX]`; AL, unsigned, is added to it.
#[inline(always)]
pub fn xlat<E: Engine>(e: &mut E, op: &Op) -> Result<(), E::Stop> {
    let index = e.register(Width::W8, RAX);
    let value = e.load_at(Width::W8, op, index)?;
    e.set_register(Width::W8, RAX, value);
    Ok(())
}

/// `SETcc` on condition `cc`.
///
/// # Errors
/// The store faults.
#[inline(always)]
pub fn setcc<E: Engine>(e: &mut E, op: &Op, cc: u8, f: Form) -> Result<(), E::Stop> {
    let holds = condition(e, cc);
    write_dst(e, op, Width::W8, f, holds)
}

/// The source is read, and may fault, whether or not the condition holds; a 32-bit destination is
/// zero-extended either way.
#[inline(always)]
pub fn cmovcc<E: Engine>(e: &mut E, op: &Op, cc: u8, w: Width, f: Form) -> Result<(), E::Stop> {
    let source = read_src(e, op, w, f)?;
    let holds = condition(e, cc);
    let old = e.register(w, op.dst);
    let value = e.select(holds, source, old);
    e.set_register(w, op.dst, value);
    Ok(())
}
