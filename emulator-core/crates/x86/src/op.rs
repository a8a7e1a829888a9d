//! The predecoded instruction both engines work from.

use core::cell::Cell;

use crate::instructions::integer::Int;
use crate::{Inst, Mem, Operand, Rep, Sem, Vex, Width, seg};

/// Register slots in the interpreter's register file: sixteen general registers, then two constants.
pub const SLOTS: usize = 18;
/// A slot that always reads zero: the base or index of an address that has none.
pub const ZERO_SLOT: u8 = 16;
/// A slot that holds the address of the first byte of the running block: the base of RIP-relative addresses.
pub const RIP_SLOT: u8 = 17;
/// The segment whose base is zero and whose limit is never checked: CS, DS, ES and SS in 64-bit mode.
pub const SEG_NONE: u8 = 6;

/// Byte offset in the register file of general register `reg` (0..=15) in `width`. `high` names AH, CH, DH, BH
/// (`reg` 4..=7 of an 8-bit operand without a REX prefix).
#[must_use]
pub const fn gpr_slot(reg: u8, high: bool) -> u8 {
    if high { (reg - 4) * 8 + 1 } else { reg * 8 }
}

/// Where an operation's first and second operands are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Form {
    /// Destination register, source register (or fewer operands).
    Rr,
    /// Destination register (or none), source immediate.
    Ri,
    /// Destination register (or none), source memory.
    Rm,
    /// Destination memory, source register (or none).
    Mr,
    /// Destination memory, source immediate.
    Mi,
}

impl Form {
    /// Whether the first operand is in memory.
    #[inline(always)]
    #[must_use]
    pub const fn dst_is_memory(self) -> bool {
        matches!(self, Form::Mr | Form::Mi)
    }

    /// Whether one of the operands is in memory.
    #[inline(always)]
    #[must_use]
    pub const fn has_memory(self) -> bool {
        matches!(self, Form::Rm | Form::Mr | Form::Mi)
    }
}

/// A predecoded instruction.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Op {
    /// The interpreter's dispatch code; the x86 crate leaves it zero. A cell, because an interpreter overwrites it in a block that is running.
    pub code: Cell<u16>,
    /// What the instruction does.
    pub sem: Sem,
    /// Width of the first operand that has one (for `MOVZX`, of the destination).
    pub width: Width,
    /// Where the operands are.
    pub form: Form,
    /// First operand: byte offset in the register file ([`gpr_slot`]) for general registers, else the register number.
    pub dst: u8,
    /// Second operand (of a VEX instruction: the one in ModR/M), as `dst`. Where the memory operand has a vector index: that.
    pub src: u8,

    /// Byte offset of the address's base register, of [`ZERO_SLOT`] or of [`RIP_SLOT`].
    pub base: u8,
    /// Byte offset of the address's index register, or of [`ZERO_SLOT`].
    pub index: u8,
    /// Shift count of the index: 0..=3.
    pub scale: u8,
    /// Segment of the memory operand: 0..=5, or [`SEG_NONE`].
    pub seg: u8,
    /// Address size: the effective address is cut to it.
    pub address: Width,
    /// Length of the instruction in bytes, 1..=15.
    pub len: u8,
    /// Offset of the instruction's first byte from the first byte of its block.
    pub offset: u16,

    /// Effective operand size (Intel SDM vol. 1, 3.6.1): 16, 32 or 64 bits.
    pub opsize: Width,
    /// Repeat prefix.
    pub rep: Rep,
    /// VEX prefix.
    pub vex: Vex,
    /// A third register operand, encoded as `dst`, of a VEX instruction the one in VEX.vvvv; for `Jcc`, `SETcc`, `CMOVcc` the condition.
    pub aux: u8,
    /// Bytes of the memory operand where `width` does not say it (vectors, x87, far pointers); else 0.
    pub memory_bytes: u8,
    /// Segment limits and rights, or alignment, are checked on every access; set by whoever knows the processor's mode.
    pub checked: bool,
    /// Index into the row table, for traces.
    pub row: u16,

    /// Displacement; for RIP-relative addresses relative to the first byte of the block.
    pub disp: i64,
    /// Immediate, sign-extended; for relative branches the displacement from the *next* instruction;
    /// for far pointers `offset | selector << 32`; for `ENTER` `size | level << 16`; a fourth register operand; for x87 instructions, which have none, the 11
    /// opcode bits FSTENV stores (Intel SDM vol. 1, 8.1.9).
    pub imm: i64,
}

const ZERO: u8 = ZERO_SLOT * 8;
const RSI: u8 = 6;

impl Op {
    /// Offset of the following instruction from the first byte of the block.
    #[inline(always)]
    #[must_use]
    pub const fn next_offset(&self) -> u64 {
        self.offset as u64 + self.len as u64
    }

    /// Segment register whose fault a memory operand raises where it is not canonical: in 64-bit mode SS for addresses based on
    /// rSP or rBP (Intel SDM vol. 1, 3.7.4), though it has no base there.
    #[inline(always)]
    #[must_use]
    pub const fn fault_segment(&self) -> u8 {
        const RSP: u8 = 4 * 8;
        const RBP: u8 = 5 * 8;
        if self.seg == SEG_NONE && matches!(self.base, RSP | RBP) { seg::SS } else { self.seg }
    }

    /// Predecodes `inst`, whose first byte is `offset` bytes into its block.
    #[must_use]
    pub fn lower(inst: &Inst, offset: u16) -> Op {
        let mut op = Op {
            code: Cell::new(0),
            sem: inst.row().sem,
            width: inst.opsize,
            form: Form::Rr,
            dst: 0,
            src: 0,
            base: ZERO,
            index: ZERO,
            scale: 0,
            seg: SEG_NONE,
            address: inst.address_size,
            len: inst.len,
            offset,
            opsize: inst.opsize,
            rep: inst.rep,
            vex: inst.vex,
            aux: 0,
            memory_bytes: 0,
            checked: false,
            row: inst.row,
            disp: 0,
            imm: 0,
        };
        if let Some(width) = inst.operands.iter().find_map(Operand::width) {
            op.width = width;
        }
        op.form = form_of(&inst.operands);
        let mut registers = [0u8; 4];
        let mut immediates = 0;
        for (place, operand) in inst.operands.iter().enumerate() {
            match *operand {
                // Of two memory operands (string instructions) the op describes the source, DS:rSI.
                Operand::Mem(ref mem) if op.memory_bytes == 0 || mem.base == Some(RSI) => {
                    op.set_memory(mem, inst);
                    if let (1.., Some(index)) = (mem.vsib, mem.index) {
                        registers[place] = index;
                    }
                }
                Operand::Mem(_) => {}
                Operand::Imm { value, .. } | Operand::Rel(value) => {
                    op.imm = if immediates == 0 { value } else { (op.imm & 0xffff) | value << 16 };
                    immediates += 1;
                }
                Operand::Far { selector, offset } => op.imm = i64::from(selector) << 32 | i64::from(offset),
                _ => {
                    if let (Some(slot), Some(register)) = (registers.get_mut(place), operand.register()) {
                        *slot = register;
                    }
                }
            }
        }
        if inst.vvvv == Some(1) {
            registers.swap(1, 2);
        }
        let fourth;
        [op.dst, op.src, op.aux, fourth] = registers;
        if fourth != 0 {
            op.imm = i64::from(fourth);
        }
        if matches!(op.sem, Sem::Int(Int::Jcc | Int::Setcc | Int::Cmovcc)) {
            op.aux = inst.opcode & 15;
        }
        if matches!(op.sem, Sem::Fpu(_)) {
            op.imm = i64::from(inst.opcode & 7) << 8 | i64::from(inst.modrm);
        }
        op
    }

    fn set_memory(&mut self, mem: &Mem, inst: &Inst) {
        self.memory_bytes = mem.bytes;
        self.index = mem.index.filter(|_| mem.vsib == 0).map_or(ZERO, |r| r * 8);
        self.scale = mem.scale;
        self.disp = mem.disp;
        self.base = match mem.base {
            Some(r) => r * 8,
            None if mem.rip_relative => {
                self.disp += self.next_offset() as i64;
                RIP_SLOT * 8
            }
            None => ZERO,
        };
        let flat = inst.code == Width::W64 && !matches!(mem.seg, seg::FS | seg::GS);
        self.seg = if flat { SEG_NONE } else { mem.seg };
    }
}

fn form_of(operands: &[Operand; 4]) -> Form {
    let is_imm = |o: &Operand| matches!(o, Operand::Imm { .. } | Operand::Rel(_) | Operand::Far { .. });
    match (&operands[0], &operands[1]) {
        (Operand::Mem(_), second) if is_imm(second) => Form::Mi,
        (Operand::Mem(_), _) => Form::Mr,
        (_, Operand::Mem(_)) => Form::Rm,
        _ if matches!(operands[2], Operand::Mem(_)) => Form::Rm,
        (first, second) if is_imm(first) || is_imm(second) => Form::Ri,
        _ => Form::Rr,
    }
}
