//! Binary arithmetic and logic (Intel SDM vol. 1, 7.3.2 and 7.3.4).

use super::Int::{Adc, Adcx, Add, Adox, And, Cmp, Cmpxchg, Dec, Inc, Neg, Not, Or, Sbb, Sub, Test, Xadd, Xor};
use super::operands::{RAX, read_dst, read_src, update_dst};
use crate::flags::{self, set_add, set_logic, set_sub};
use crate::{Engine, Feature, Form, Op, Row, Sem::Int, Width, row};

const ALL: &str = "OSZAPC";
const LOGIC: &str = "OSZaPC";

pub const ROWS: &[Row] = &[
    row("ADD", "00 /r", "Eb+ Gb", Int(Add)).flags(ALL).notes("lock"),
    row("ADD", "01 /r", "Ev+ Gv", Int(Add)).flags(ALL).notes("lock"),
    row("ADD", "02 /r", "Gb+ Eb", Int(Add)).flags(ALL),
    row("ADD", "03 /r", "Gv+ Ev", Int(Add)).flags(ALL),
    row("ADD", "04", "AL+ Ib", Int(Add)).flags(ALL),
    row("ADD", "05", "rAX+ Iz", Int(Add)).flags(ALL),
    row("OR", "08 /r", "Eb+ Gb", Int(Or)).flags(LOGIC).notes("lock"),
    row("OR", "09 /r", "Ev+ Gv", Int(Or)).flags(LOGIC).notes("lock"),
    row("OR", "0A /r", "Gb+ Eb", Int(Or)).flags(LOGIC),
    row("OR", "0B /r", "Gv+ Ev", Int(Or)).flags(LOGIC),
    row("OR", "0C", "AL+ Ib", Int(Or)).flags(LOGIC),
    row("OR", "0D", "rAX+ Iz", Int(Or)).flags(LOGIC),
    row("ADC", "10 /r", "Eb+ Gb", Int(Adc)).flags(ALL).notes("lock"),
    row("ADC", "11 /r", "Ev+ Gv", Int(Adc)).flags(ALL).notes("lock"),
    row("ADC", "12 /r", "Gb+ Eb", Int(Adc)).flags(ALL),
    row("ADC", "13 /r", "Gv+ Ev", Int(Adc)).flags(ALL),
    row("ADC", "14", "AL+ Ib", Int(Adc)).flags(ALL),
    row("ADC", "15", "rAX+ Iz", Int(Adc)).flags(ALL),
    row("SBB", "18 /r", "Eb+ Gb", Int(Sbb)).flags(ALL).notes("lock"),
    row("SBB", "19 /r", "Ev+ Gv", Int(Sbb)).flags(ALL).notes("lock"),
    row("SBB", "1A /r", "Gb+ Eb", Int(Sbb)).flags(ALL),
    row("SBB", "1B /r", "Gv+ Ev", Int(Sbb)).flags(ALL),
    row("SBB", "1C", "AL+ Ib", Int(Sbb)).flags(ALL),
    row("SBB", "1D", "rAX+ Iz", Int(Sbb)).flags(ALL),
    row("AND", "20 /r", "Eb+ Gb", Int(And)).flags(LOGIC).notes("lock"),
    row("AND", "21 /r", "Ev+ Gv", Int(And)).flags(LOGIC).notes("lock"),
    row("AND", "22 /r", "Gb+ Eb", Int(And)).flags(LOGIC),
    row("AND", "23 /r", "Gv+ Ev", Int(And)).flags(LOGIC),
    row("AND", "24", "AL+ Ib", Int(And)).flags(LOGIC),
    row("AND", "25", "rAX+ Iz", Int(And)).flags(LOGIC),
    row("SUB", "28 /r", "Eb+ Gb", Int(Sub)).flags(ALL).notes("lock"),
    row("SUB", "29 /r", "Ev+ Gv", Int(Sub)).flags(ALL).notes("lock"),
    row("SUB", "2A /r", "Gb+ Eb", Int(Sub)).flags(ALL),
    row("SUB", "2B /r", "Gv+ Ev", Int(Sub)).flags(ALL),
    row("SUB", "2C", "AL+ Ib", Int(Sub)).flags(ALL),
    row("SUB", "2D", "rAX+ Iz", Int(Sub)).flags(ALL),
    row("XOR", "30 /r", "Eb+ Gb", Int(Xor)).flags(LOGIC).notes("lock"),
    row("XOR", "31 /r", "Ev+ Gv", Int(Xor)).flags(LOGIC).notes("lock"),
    row("XOR", "32 /r", "Gb+ Eb", Int(Xor)).flags(LOGIC),
    row("XOR", "33 /r", "Gv+ Ev", Int(Xor)).flags(LOGIC),
    row("XOR", "34", "AL+ Ib", Int(Xor)).flags(LOGIC),
    row("XOR", "35", "rAX+ Iz", Int(Xor)).flags(LOGIC),
    row("CMP", "38 /r", "Eb Gb", Int(Cmp)).flags(ALL),
    row("CMP", "39 /r", "Ev Gv", Int(Cmp)).flags(ALL),
    row("CMP", "3A /r", "Gb Eb", Int(Cmp)).flags(ALL),
    row("CMP", "3B /r", "Gv Ev", Int(Cmp)).flags(ALL),
    row("CMP", "3C", "AL Ib", Int(Cmp)).flags(ALL),
    row("CMP", "3D", "rAX Iz", Int(Cmp)).flags(ALL),
    row("ADD", "80 /0", "Eb+ Ib", Int(Add)).flags(ALL).notes("lock"),
    row("OR", "80 /1", "Eb+ Ib", Int(Or)).flags(LOGIC).notes("lock"),
    row("ADCX", "66 0F 38 F6 /r", "Gy+ Ey", Int(Adcx)).flags("C").on(Feature::Adx),
    row("ADOX", "F3 0F 38 F6 /r", "Gy+ Ey", Int(Adox)).flags("O").on(Feature::Adx),
    row("ADC", "80 /2", "Eb+ Ib", Int(Adc)).flags(ALL).notes("lock"),
    row("SBB", "80 /3", "Eb+ Ib", Int(Sbb)).flags(ALL).notes("lock"),
    row("AND", "80 /4", "Eb+ Ib", Int(And)).flags(LOGIC).notes("lock"),
    row("SUB", "80 /5", "Eb+ Ib", Int(Sub)).flags(ALL).notes("lock"),
    row("XOR", "80 /6", "Eb+ Ib", Int(Xor)).flags(LOGIC).notes("lock"),
    row("CMP", "80 /7", "Eb Ib", Int(Cmp)).flags(ALL),
    row("ADD", "81 /0", "Ev+ Iz", Int(Add)).flags(ALL).notes("lock"),
    row("OR", "81 /1", "Ev+ Iz", Int(Or)).flags(LOGIC).notes("lock"),
    row("ADC", "81 /2", "Ev+ Iz", Int(Adc)).flags(ALL).notes("lock"),
    row("SBB", "81 /3", "Ev+ Iz", Int(Sbb)).flags(ALL).notes("lock"),
    row("AND", "81 /4", "Ev+ Iz", Int(And)).flags(LOGIC).notes("lock"),
    row("SUB", "81 /5", "Ev+ Iz", Int(Sub)).flags(ALL).notes("lock"),
    row("XOR", "81 /6", "Ev+ Iz", Int(Xor)).flags(LOGIC).notes("lock"),
    row("CMP", "81 /7", "Ev Iz", Int(Cmp)).flags(ALL),
    row("ADD", "82 /0", "Eb+ Ib", Int(Add)).flags(ALL).notes("lock i64"),
    row("OR", "82 /1", "Eb+ Ib", Int(Or)).flags(LOGIC).notes("lock i64"),
    row("ADC", "82 /2", "Eb+ Ib", Int(Adc)).flags(ALL).notes("lock i64"),
    row("SBB", "82 /3", "Eb+ Ib", Int(Sbb)).flags(ALL).notes("lock i64"),
    row("AND", "82 /4", "Eb+ Ib", Int(And)).flags(LOGIC).notes("lock i64"),
    row("SUB", "82 /5", "Eb+ Ib", Int(Sub)).flags(ALL).notes("lock i64"),
    row("XOR", "82 /6", "Eb+ Ib", Int(Xor)).flags(LOGIC).notes("lock i64"),
    row("CMP", "82 /7", "Eb Ib", Int(Cmp)).flags(ALL).notes("i64"),
    row("ADD", "83 /0", "Ev+ sIb", Int(Add)).flags(ALL).notes("lock"),
    row("OR", "83 /1", "Ev+ sIb", Int(Or)).flags(LOGIC).notes("lock"),
    row("ADC", "83 /2", "Ev+ sIb", Int(Adc)).flags(ALL).notes("lock"),
    row("SBB", "83 /3", "Ev+ sIb", Int(Sbb)).flags(ALL).notes("lock"),
    row("AND", "83 /4", "Ev+ sIb", Int(And)).flags(LOGIC).notes("lock"),
    row("SUB", "83 /5", "Ev+ sIb", Int(Sub)).flags(ALL).notes("lock"),
    row("XOR", "83 /6", "Ev+ sIb", Int(Xor)).flags(LOGIC).notes("lock"),
    row("CMP", "83 /7", "Ev sIb", Int(Cmp)).flags(ALL),
    row("TEST", "84 /r", "Eb Gb", Int(Test)).flags(LOGIC),
    row("TEST", "85 /r", "Ev Gv", Int(Test)).flags(LOGIC),
    row("TEST", "A8", "AL Ib", Int(Test)).flags(LOGIC),
    row("TEST", "A9", "rAX Iz", Int(Test)).flags(LOGIC),
    row("TEST", "F6 /0", "Eb Ib", Int(Test)).flags(LOGIC),
    row("TEST", "F6 /1", "Eb Ib", Int(Test)).flags(LOGIC),
    row("TEST", "F7 /0", "Ev Iz", Int(Test)).flags(LOGIC),
    row("TEST", "F7 /1", "Ev Iz", Int(Test)).flags(LOGIC),
    row("INC", "40+r", "Zv+", Int(Inc)).flags("OSZAP").notes("i64"),
    row("DEC", "48+r", "Zv+", Int(Dec)).flags("OSZAP").notes("i64"),
    row("INC", "FE /0", "Eb+", Int(Inc)).flags("OSZAP").notes("lock"),
    row("DEC", "FE /1", "Eb+", Int(Dec)).flags("OSZAP").notes("lock"),
    row("INC", "FF /0", "Ev+", Int(Inc)).flags("OSZAP").notes("lock"),
    row("DEC", "FF /1", "Ev+", Int(Dec)).flags("OSZAP").notes("lock"),
    row("NOT", "F6 /2", "Eb+", Int(Not)).notes("lock"),
    row("NEG", "F6 /3", "Eb+", Int(Neg)).flags(ALL).notes("lock"),
    row("NOT", "F7 /2", "Ev+", Int(Not)).notes("lock"),
    row("NEG", "F7 /3", "Ev+", Int(Neg)).flags(ALL).notes("lock"),
    row("CMPXCHG", "0F B0 /r", "Eb+ Gb", Int(Cmpxchg)).flags(ALL).notes("lock"),
    row("CMPXCHG", "0F B1 /r", "Ev+ Gv", Int(Cmpxchg)).flags(ALL).notes("lock"),
    row("XADD", "0F C0 /r", "Eb+ Gb+", Int(Xadd)).flags(ALL).notes("lock"),
    row("XADD", "0F C1 /r", "Ev+ Gv+", Int(Xadd)).flags(ALL).notes("lock"),
];

#[inline(always)]
pub fn add<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    update_dst(e, op, w, f, |e, a| {
        let r = e.add(w, a, b);
        set_add(e, w, a, b, r);
        e.flags_of_sum(w, false, b);
        r
    })
}

#[inline(always)]
pub fn adc<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    update_dst(e, op, w, f, |e, a| {
        let carry = flags::carry(e);
        let sum = e.add(w, a, b);
        let r = e.add(w, sum, carry);
        set_add(e, w, a, b, r);
        r
    })
}

/// The destination plus the source and `carry_in`; gives the carry out.
#[inline(always)]
fn add_in_chain<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form, carry_in: E::V) -> Result<E::V, E::Stop> {
    let b = read_src(e, op, w, f)?;
    let a = e.register(w, op.dst);
    let sum = e.add(w, a, b);
    let r = e.add(w, sum, carry_in);
    e.set_register(w, op.dst, r);
    // Of the two sums, at most one wraps.
    let first = e.below(sum, a);
    let second = e.below(r, sum);
    Ok(e.or(first, second))
}

/// `ADC` that leaves all flags but CF alone.
#[inline(always)]
pub fn adcx<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let carry_in = flags::carry(e);
    let carry_out = add_in_chain(e, op, w, f, carry_in)?;
    flags::set_carry(e, carry_out);
    Ok(())
}

/// The same with OF for its carry.
#[inline(always)]
pub fn adox<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let carry_in = flags::overflow(e);
    let carry_out = add_in_chain(e, op, w, f, carry_in)?;
    flags::set_overflow(e, carry_out);
    Ok(())
}

#[inline(always)]
pub fn sub<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    update_dst(e, op, w, f, |e, a| {
        let r = e.sub(w, a, b);
        set_sub(e, w, a, b, r);
        e.flags_of_sum(w, true, b);
        r
    })
}

#[inline(always)]
pub fn sbb<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    update_dst(e, op, w, f, |e, a| {
        let borrow = flags::carry(e);
        let difference = e.sub(w, a, b);
        let r = e.sub(w, difference, borrow);
        set_sub(e, w, a, b, r);
        r
    })
}

#[inline(always)]
pub fn cmp<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let a = read_dst(e, op, w, f)?;
    let b = read_src(e, op, w, f)?;
    let r = e.sub(w, a, b);
    set_sub(e, w, a, b, r);
    e.flags_of_sum(w, true, b);
    Ok(())
}

#[inline(always)]
pub fn and<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    logic(e, op, w, f, E::and)
}

#[inline(always)]
pub fn or<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    logic(e, op, w, f, E::or)
}

#[inline(always)]
pub fn xor<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    logic(e, op, w, f, E::xor)
}

#[inline(always)]
fn logic<E: Engine>(
    e: &mut E,
    op: &Op,
    w: Width,
    f: Form,
    combine: impl FnOnce(&mut E, E::V, E::V) -> E::V,
) -> Result<(), E::Stop> {
    let b = read_src(e, op, w, f)?;
    update_dst(e, op, w, f, |e, a| {
        let r = combine(e, a, b);
        set_logic(e, w, r);
        r
    })
}

#[inline(always)]
pub fn test<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let a = read_dst(e, op, w, f)?;
    let b = read_src(e, op, w, f)?;
    let r = e.and(a, b);
    set_logic(e, w, r);
    Ok(())
}

#[inline(always)]
pub fn inc<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    update_dst(e, op, w, f, |e, a| {
        let carry = flags::carry(e);
        let one = e.imm(1);
        let r = e.add(w, a, one);
        set_add(e, w, a, one, r);
        flags::set_carry(e, carry);
        e.flags_of_step(w, false, carry);
        r
    })
}

#[inline(always)]
pub fn dec<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    update_dst(e, op, w, f, |e, a| {
        let carry = flags::carry(e);
        let one = e.imm(1);
        let r = e.sub(w, a, one);
        set_sub(e, w, a, one, r);
        flags::set_carry(e, carry);
        e.flags_of_step(w, true, carry);
        r
    })
}

#[inline(always)]
pub fn neg<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    update_dst(e, op, w, f, |e, b| {
        let zero = e.imm(0);
        let r = e.sub(w, zero, b);
        set_sub(e, w, zero, b, r);
        e.flags_of_sum(w, true, b);
        r
    })
}

#[inline(always)]
pub fn not<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    update_dst(e, op, w, f, |e, a| e.not(w, a))
}

#[inline(always)]
pub fn xadd<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let b = e.register(w, op.src);
    update_dst(e, op, w, f, |e, a| {
        let r = e.add(w, a, b);
        set_add(e, w, a, b, r);
        e.set_register(w, op.src, a);
        r
    })
}

/// The accumulator is written only where the comparison fails and a destination register only where it succeeds: with 32-bit
/// operands writing the old value back would clear the upper half. A destination in memory is written either way (SDM vol. 2,
/// CMPXCHG: "the processor never produces a locked read without also producing a locked write").
#[inline(always)]
pub fn cmpxchg<E: Engine>(e: &mut E, op: &Op, w: Width, f: Form) -> Result<(), E::Stop> {
    let replacement = e.register(w, op.src);
    if w == Width::W32 && !f.dst_is_memory() {
        let current = e.register(w, op.dst);
        let untouched = e.register(Width::W64, op.dst);
        let matches = compare_with_accumulator(e, w, current);
        let value = e.select(matches, replacement, untouched);
        e.set_register(Width::W64, op.dst, value);
        return Ok(());
    }
    update_dst(e, op, w, f, |e, current| {
        let matches = compare_with_accumulator(e, w, current);
        e.select(matches, replacement, current)
    })
}

/// Sets the flags of comparing the accumulator with `current`; where they differ the accumulator becomes `current`.
#[inline(always)]
fn compare_with_accumulator<E: Engine>(e: &mut E, w: Width, current: E::V) -> E::V {
    let expected = e.register(w, RAX);
    let r = e.sub(w, expected, current);
    set_sub(e, w, expected, current, r);
    e.flags_of_sum(w, true, current);
    let matches = e.equal(expected, current);
    let before = e.register(Width::W64, RAX);
    e.set_register(w, RAX, current);
    let after = e.register(Width::W64, RAX);
    let accumulator = e.select(matches, before, after);
    e.set_register(Width::W64, RAX, accumulator);
    matches
}
