//! Reading and writing the first and second operand wherever the form says they are.

use crate::{Engine, Form, Op, Width};

/// RAX by its byte offset in the register file.
pub const RAX: u8 = 0;
/// RCX.
pub const RCX: u8 = 8;
/// RDX.
pub const RDX: u8 = 16;
/// RSP.
pub const RSP: u8 = 32;
/// RBP.
pub const RBP: u8 = 40;

/// Reads the first operand.
#[inline(always)]
pub fn read_dst<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<E::V, E::Stop> {
    if f.dst_is_memory() { e.load(w, op) } else { Ok(e.register(w, op.dst)) }
}

/// Reads the second operand.
#[inline(always)]
pub fn read_src<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<E::V, E::Stop> {
    match f {
        Form::Rr | Form::Mr => Ok(e.register(w, op.src)),
        Form::Ri | Form::Mi => Ok(e.imm(w.truncate(op.imm as u64))),
        Form::Rm => e.load(w, op),
    }
}

/// Writes the first operand.
#[inline(always)]
pub fn write_dst<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form, value: E::V) -> Result<(), E::Stop> {
    if f.dst_is_memory() {
        return e.store(w, op, value);
    }
    e.set_register(w, op.dst, value);
    Ok(())
}

/// Replaces the first operand by `change` of it. The operand is known to be writable before `change` runs, so
/// `change` may set flags and registers.
#[inline(always)]
pub fn update_dst<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    change: impl FnOnce(&mut E, E::V) -> E::V,
) -> Result<(), E::Stop> {
    if f.dst_is_memory() {
        let (old, place) = e.load_rw(w, op)?;
        let new = change(e, old);
        e.store_rw(w, place, new);
    } else {
        let old = e.register(w, op.dst);
        let new = change(e, old);
        e.set_register(w, op.dst, new);
    }
    Ok(())
}
