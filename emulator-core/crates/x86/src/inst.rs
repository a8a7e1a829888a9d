//! A decoded instruction: everything its bytes say, nothing about who runs it.

use crate::{Row, Width, gpr_slot, instructions};

/// Repeat prefix in force (the last one wins).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Rep {
    /// None.
    #[default]
    None,
    /// F3: `REP`/`REPE`.
    Rep,
    /// F2: `REPNE`.
    Repne,
}

/// The VEX prefix of an instruction, by the vector length it asks for (Intel SDM vol. 2, 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Vex {
    /// None: a legacy encoding.
    #[default]
    None,
    /// VEX.L is clear: 128 bits, or a scalar or general-purpose instruction.
    L128,
    /// VEX.L is set: 256 bits.
    L256,
}

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mem {
    /// Base register, 0..=15.
    pub base: Option<u8>,
    /// Index register, 0..=15.
    pub index: Option<u8>,
    /// Bytes of the vector register that `index` names (VSIB, Intel SDM vol. 2, 2.3.12); 0 where it is a general register.
    pub vsib: u8,
    /// Shift count of the index.
    pub scale: u8,
    /// Displacement, sign-extended.
    pub disp: i64,
    /// Relative to the next instruction's address.
    pub rip_relative: bool,
    /// Segment register, 0..=5: the override, or SS for a stack-based address, else DS.
    pub seg: u8,
    /// Bytes accessed; 0 where the instruction itself knows (LEA, INVLPG, FXSAVE ...).
    pub bytes: u8,
}

/// One explicit operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Operand {
    /// No operand in this position.
    #[default]
    None,
    /// A general register.
    Gpr {
        /// Register number 0..=15; 4..=7 with `high` are AH, CH, DH, BH.
        reg: u8,
        /// Width.
        width: Width,
        /// Bits 15:8 of registers 0..=3.
        high: bool,
    },
    /// A segment register.
    Sreg(u8),
    /// A control register.
    Cr(u8),
    /// A debug register.
    Dr(u8),
    /// An MMX register.
    Mm(u8),
    /// An XMM register.
    Xmm(u8),
    /// A YMM register.
    Ymm(u8),
    /// An x87 stack register.
    St(u8),
    /// Memory.
    Mem(Mem),
    /// An immediate, sign-extended to 64 bits.
    Imm {
        /// Value.
        value: i64,
        /// Width it is used in.
        width: Width,
    },
    /// Displacement of a relative branch, from the next instruction.
    Rel(i64),
    /// A far pointer.
    Far {
        /// Selector.
        selector: u16,
        /// Offset.
        offset: u32,
    },
}

impl Operand {
    /// Integer width of a general register, an immediate-free operand's memory access, else `None`.
    #[must_use]
    pub fn width(&self) -> Option<Width> {
        match *self {
            Operand::Gpr { width, .. } => Some(width),
            Operand::Mem(mem) => Width::from_bytes(u64::from(mem.bytes)),
            Operand::Imm { width, .. } => Some(width),
            _ => None,
        }
    }

    /// The register as [`crate::Op`] encodes it.
    #[must_use]
    pub fn register(&self) -> Option<u8> {
        match *self {
            Operand::Gpr { reg, high, .. } => Some(gpr_slot(reg, high)),
            Operand::Sreg(r) | Operand::Cr(r) | Operand::Dr(r) => Some(r),
            Operand::Mm(r) | Operand::Xmm(r) | Operand::Ymm(r) | Operand::St(r) => Some(r),
            _ => None,
        }
    }
}

/// A decoded instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// Index of the row in [`instructions::rows`].
    pub row: u16,
    /// Length in bytes.
    pub len: u8,
    /// The last opcode byte.
    pub opcode: u8,
    /// The ModR/M byte, or 0 where there is none.
    pub modrm: u8,
    /// Width of the code segment: 16, 32 or 64.
    pub code: Width,
    /// Effective operand size.
    pub opsize: Width,
    /// Effective address size.
    pub address_size: Width,
    /// Repeat prefix.
    pub rep: Rep,
    /// Lock prefix.
    pub lock: bool,
    /// VEX prefix.
    pub vex: Vex,
    /// Which operand is the register VEX.vvvv names.
    pub vvvv: Option<u8>,
    /// Explicit operands, in Intel order.
    pub operands: [Operand; 4],
}

impl Inst {
    /// The row.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        instructions::rows()[usize::from(self.row)]
    }
}
