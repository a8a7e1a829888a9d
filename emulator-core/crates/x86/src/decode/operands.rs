//! Operand notation of the rows, after Intel SDM vol. 2, appendix A.2.
//!
//! | letter | operand |
//! |---|---|
//! | `E`, `R`, `M` | ModR/M.rm: general register or memory; register only; memory only |
//! | `G` | general register ModR/M.reg |
//! | `Z` | general register in the opcode's low bits |
//! | `W`, `U` / `V` | vector register or memory, vector register only, by ModR/M.rm / vector register ModR/M.reg |
//! | `H`, `L` | vector register VEX.vvvv; vector register in bits 7:4 of an immediate byte |
//! | `B` | general register VEX.vvvv |
//! | `VM` | memory with a vector index; the size is that of the index |
//! | `Q`, `N` / `P` | the same for MMX registers |
//! | `S`, `C`, `D` | segment, control, debug register ModR/M.reg |
//! | `I`, `sI` | immediate; sign-extended to the operand size |
//! | `J`, `A` | relative branch; far pointer |
//! | `O` | memory at an absolute offset of the address size |
//! | `X`, `Y` | memory at DS:rSI, at ES:rDI |
//!
//! Sizes: `b w d q dq qq t` (1, 2, 4, 8, 16, 32, 10 bytes), `x` (the vector's length: 16 or 32), `x2 x4 x8` (a half, a quarter, an eighth of it), `v` (operand size), `z` (the same, at most 32 bits), `y` (32 or 64 bits), `p` (far
//! pointer of the operand size); none where the instruction knows. `Rd/Mb` names register and memory forms of different size. Fixed operands:
//! `AL CL AX DX rAX eAX`, `1`, `ES CS SS DS FS GS`, `St0`, `Sti`, `XMM0`, `Xlat` (memory at rBX), `Masked` (memory at rDI).

use super::modrm::ModRm;
use super::{Cursor, DecodeError, Prefixes};
use crate::{Inst, Mem, Operand, Vex, Width, seg};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Rm { register: Bank, memory: bool },
    Memory,
    RegField(Bank),
    Vvvv(Bank),
    ImmediateRegister,
    VectorIndexed,
    OpcodeRegister,
    SegmentField,
    ControlField,
    DebugField,
    Immediate { extend: bool },
    Relative,
    Far,
    Offset,
    Source,
    Destination,
    Fixed(Operand),
    FixedRegister(u8),
    StackTop,
    StackRegister,
    Xlat,
    Masked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bank {
    General,
    Mmx,
    Vector,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Size {
    Bytes(u8),
    /// The vector's length divided by this.
    Vector(u8),
    /// The effective operand size.
    Effective,
    EffectiveTo32,
    Doubleword64,
    FarPointer,
    Unspecified,
}

impl Size {
    fn parse(text: &str) -> Size {
        match text {
            "b" => Size::Bytes(1),
            "w" => Size::Bytes(2),
            "d" => Size::Bytes(4),
            "q" => Size::Bytes(8),
            "t" => Size::Bytes(10),
            "dq" => Size::Bytes(16),
            "qq" => Size::Bytes(32),
            "x" => Size::Vector(1),
            "x2" => Size::Vector(2),
            "x4" => Size::Vector(4),
            "x8" => Size::Vector(8),
            "v" => Size::Effective,
            "z" => Size::EffectiveTo32,
            "y" => Size::Doubleword64,
            "p" => Size::FarPointer,
            "" => Size::Unspecified,
            _ => panic!("no operand size \"{text}\""),
        }
    }

    fn bytes(self, inst: &Inst) -> u8 {
        let opsize = inst.opsize.bytes() as u8;
        match self {
            Size::Bytes(bytes) => bytes,
            Size::Vector(part) => (if inst.vex == Vex::L256 { 32 } else { 16 }) / part,
            Size::Effective => opsize,
            Size::EffectiveTo32 => opsize.min(4),
            Size::Doubleword64 => opsize.max(4),
            Size::FarPointer => opsize + 2,
            Size::Unspecified => 0,
        }
    }
}

/// One parsed operand of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spec {
    kind: Kind,
    size: Size,
    /// Size of the memory form, where it differs.
    memory_size: Size,
    /// The instruction reads the operand.
    pub read: bool,
    /// The instruction writes the operand.
    pub written: bool,
}

impl Spec {
    /// Parses one operand token of a row.
    ///
    /// # Panics
    /// The token is not in the notation: a mistake in a row, caught by this crate's tests.
    #[must_use]
    pub fn parse(token: &str) -> Spec {
        let (body, read, written) = match token.as_bytes().last() {
            Some(b'=') => (&token[..token.len() - 1], false, true),
            Some(b'+') => (&token[..token.len() - 1], true, true),
            _ => (token, true, false),
        };
        if let Some((register, memory)) = body.split_once('/') {
            let (register, memory) = (Spec::parse(register), Spec::parse(memory));
            let Kind::Rm { register: bank, .. } = register.kind else { panic!("\"{token}\" names no register form") };
            let kind = Kind::Rm { register: bank, memory: true };
            return Spec { kind, size: register.size, memory_size: memory.size, read, written };
        }
        let (kind, size) = fixed(body).map_or_else(|| lettered(body), |kind| (kind, fixed_size(body)));
        Spec { kind, size, memory_size: size, read, written }
    }

    pub(crate) fn allows_memory(&self) -> bool {
        matches!(self.kind, Kind::Memory | Kind::VectorIndexed | Kind::Rm { memory: true, .. })
    }

    pub(crate) fn is_vvvv(&self) -> bool {
        matches!(self.kind, Kind::Vvvv(_))
    }

    pub(crate) fn is_vsib(&self) -> bool {
        self.kind == Kind::VectorIndexed
    }

    pub(crate) fn is_system_register(&self) -> bool {
        matches!(self.kind, Kind::ControlField | Kind::DebugField)
    }

    pub(crate) fn allows_rm_register(&self) -> bool {
        matches!(self.kind, Kind::Rm { .. })
    }

    pub(crate) fn decode(
        &self,
        cursor: &mut Cursor<'_>,
        prefixes: Prefixes,
        modrm: &ModRm,
        opcode: u8,
        inst: &Inst,
    ) -> Result<Operand, DecodeError> {
        let bytes = self.size.bytes(inst);
        let memory_bytes = self.memory_size.bytes(inst);
        Ok(match self.kind {
            Kind::Rm { register, .. } => match modrm.memory {
                Some(mem) => Operand::Mem(Mem { bytes: memory_bytes, ..mem }),
                None => bank_register(register, modrm.rm, bytes, prefixes),
            },
            Kind::Memory => Operand::Mem(Mem { bytes: memory_bytes, ..modrm.memory.ok_or(DecodeError::Invalid)? }),
            Kind::RegField(bank) => bank_register(bank, modrm.reg, bytes, prefixes),
            Kind::Vvvv(bank) => {
                let vvvv = prefixes.vex.ok_or(DecodeError::Invalid)?.vvvv;
                bank_register(bank, if prefixes.long { vvvv } else { vvvv & 7 }, bytes, prefixes)
            }
            Kind::ImmediateRegister => {
                let byte = cursor.byte()?;
                let number = if prefixes.long { byte >> 4 } else { byte >> 4 & 7 };
                bank_register(Bank::Vector, number, bytes, prefixes)
            }
            Kind::VectorIndexed => Operand::Mem(Mem { vsib: bytes, ..modrm.memory.ok_or(DecodeError::Invalid)? }),
            Kind::OpcodeRegister => bank_register(Bank::General, (opcode & 7) | prefixes.rex_b(), bytes, prefixes),
            Kind::SegmentField if modrm.reg & 7 > seg::GS => return Err(DecodeError::Invalid),
            Kind::SegmentField => Operand::Sreg(modrm.reg & 7),
            Kind::ControlField => Operand::Cr(modrm.reg),
            Kind::DebugField => Operand::Dr(modrm.reg),
            Kind::Immediate { extend } => immediate(cursor, bytes, extend, inst)?,
            Kind::Relative => Operand::Rel(cursor.signed(u64::from(bytes))?),
            Kind::Far => {
                let offset = cursor.signed(inst.opsize.bytes())?;
                let offset = inst.opsize.truncate(offset as u64) as u32;
                Operand::Far { selector: cursor.signed(2)? as u16, offset }
            }
            Kind::Offset => {
                let disp = cursor.signed(inst.address_size.bytes())?;
                let disp = inst.address_size.truncate(disp as u64) as i64;
                memory_at(None, Some(disp), prefixes.segment.unwrap_or(seg::DS), bytes)
            }
            Kind::Source => memory_at(Some(6), None, prefixes.segment.unwrap_or(seg::DS), bytes),
            Kind::Destination => memory_at(Some(7), None, seg::ES, bytes),
            Kind::Xlat => memory_at(Some(3), None, prefixes.segment.unwrap_or(seg::DS), 1),
            Kind::Masked => memory_at(Some(7), None, prefixes.segment.unwrap_or(seg::DS), 0),
            Kind::Fixed(operand) => operand,
            Kind::FixedRegister(reg) => bank_register(Bank::General, reg, bytes, Prefixes::default()),
            Kind::StackTop => Operand::St(0),
            Kind::StackRegister => Operand::St(modrm.rm & 7),
        })
    }
}

fn lettered(body: &str) -> (Kind, Size) {
    if let Some(size) = body.strip_prefix("sI") {
        return (Kind::Immediate { extend: true }, Size::parse(size));
    }
    if let Some(size) = body.strip_prefix("VM") {
        return (Kind::VectorIndexed, Size::parse(size));
    }
    let (letter, size) = body.split_at(1);
    let rm = |register, memory| Kind::Rm { register, memory };
    let kind = match letter {
        "E" => rm(Bank::General, true),
        "R" => rm(Bank::General, false),
        "M" => Kind::Memory,
        "G" => Kind::RegField(Bank::General),
        "Z" => Kind::OpcodeRegister,
        "W" => rm(Bank::Vector, true),
        "U" => rm(Bank::Vector, false),
        "V" => Kind::RegField(Bank::Vector),
        "H" => Kind::Vvvv(Bank::Vector),
        "B" => Kind::Vvvv(Bank::General),
        "L" => Kind::ImmediateRegister,
        "Q" => rm(Bank::Mmx, true),
        "N" => rm(Bank::Mmx, false),
        "P" => Kind::RegField(Bank::Mmx),
        "S" => Kind::SegmentField,
        "C" => Kind::ControlField,
        "D" => Kind::DebugField,
        "I" => Kind::Immediate { extend: false },
        "J" => Kind::Relative,
        "A" => Kind::Far,
        "O" => Kind::Offset,
        "X" => Kind::Source,
        "Y" => Kind::Destination,
        _ => panic!("no operand \"{body}\""),
    };
    (kind, Size::parse(size))
}

fn fixed(body: &str) -> Option<Kind> {
    Some(match body {
        "AL" | "AX" | "rAX" | "eAX" => Kind::FixedRegister(0),
        "CL" => Kind::FixedRegister(1),
        "DX" => Kind::FixedRegister(2),
        "1" => Kind::Fixed(Operand::Imm { value: 1, width: Width::W8 }),
        "ES" => Kind::Fixed(Operand::Sreg(seg::ES)),
        "CS" => Kind::Fixed(Operand::Sreg(seg::CS)),
        "SS" => Kind::Fixed(Operand::Sreg(seg::SS)),
        "DS" => Kind::Fixed(Operand::Sreg(seg::DS)),
        "FS" => Kind::Fixed(Operand::Sreg(seg::FS)),
        "GS" => Kind::Fixed(Operand::Sreg(seg::GS)),
        "St0" => Kind::StackTop,
        "Sti" => Kind::StackRegister,
        "XMM0" => Kind::Fixed(Operand::Xmm(0)),
        "Xlat" => Kind::Xlat,
        "Masked" => Kind::Masked,
        _ => return None,
    })
}

fn fixed_size(body: &str) -> Size {
    match body {
        "AL" | "CL" => Size::Bytes(1),
        "AX" | "DX" => Size::Bytes(2),
        "rAX" => Size::Effective,
        "eAX" => Size::EffectiveTo32,
        _ => Size::Unspecified,
    }
}

fn bank_register(bank: Bank, number: u8, bytes: u8, prefixes: Prefixes) -> Operand {
    match bank {
        Bank::Mmx => Operand::Mm(number & 7),
        Bank::Vector if bytes == 32 => Operand::Ymm(number),
        Bank::Vector => Operand::Xmm(number),
        Bank::General => {
            let width = Width::from_bytes(u64::from(bytes)).unwrap_or(Width::W64);
            let high = bytes == 1 && prefixes.rex == 0 && (4..8).contains(&number);
            Operand::Gpr { reg: number, width, high }
        }
    }
}

fn memory_at(base: Option<u8>, disp: Option<i64>, seg: u8, bytes: u8) -> Operand {
    Operand::Mem(Mem { base, disp: disp.unwrap_or(0), seg, bytes, ..Mem::default() })
}

fn immediate(cursor: &mut Cursor<'_>, bytes: u8, extend: bool, inst: &Inst) -> Result<Operand, DecodeError> {
    let value = cursor.signed(u64::from(bytes))?;
    let width = if extend { inst.opsize } else { Width::from_bytes(u64::from(bytes)).unwrap_or(inst.opsize) };
    // A lone byte or word is unsigned unless the row says otherwise; `Iz` is sign-extended to 64-bit operands.
    let value = if !extend && bytes <= 2 { width.truncate(value as u64) as i64 } else { value };
    Ok(Operand::Imm { value, width })
}
