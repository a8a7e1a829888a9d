//! The decoder: instruction bytes to [`Inst`] (Intel SDM vol. 2, chapter 2).

mod modrm;
pub mod operands;
mod table;
mod vex;

use crate::{FeatureSet, Inst, Mem, Operand, Rep, Row, Vex, Width, instructions, seg};
use modrm::ModRm;
pub use operands::Spec;
use table::{Candidate, VEX_MAPS, table};
use vex::VexPrefix;

/// Longest legal instruction (Intel SDM vol. 2, 2.3.11).
pub const MAX_LENGTH: usize = 15;

/// Why bytes are not an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// No encoding matches: #UD.
    Invalid,
    /// Over 15 bytes: #GP(0).
    TooLong,
    /// The instruction goes on past the bytes given (fewer than 15).
    Truncated,
}

/// Prefixes and position while decoding.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte, which stays the next.
    fn peek(&self) -> Result<u8, DecodeError> {
        self.bytes.get(self.at).copied().ok_or(self.end())
    }

    /// `count` bytes (1, 2, 4 or 8), little-endian, sign-extended.
    fn signed(&mut self, count: u64) -> Result<i64, DecodeError> {
        let count = count as usize;
        let bytes = self.bytes.get(self.at..self.at + count).ok_or(self.end())?;
        self.at += count;
        let raw = bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let unused = 64 - 8 * count as u32;
        Ok(((raw << unused) as i64) >> unused)
    }

    fn end(&self) -> DecodeError {
        if self.bytes.len() >= MAX_LENGTH { DecodeError::TooLong } else { DecodeError::Truncated }
    }
}

/// Legacy, REX and VEX prefixes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Prefixes {
    operand_size: bool,
    address_size: bool,
    lock: bool,
    rep: Rep,
    segment: Option<u8>,
    rex: u8,
    vex: Option<VexPrefix>,
    /// Decoding 64-bit code.
    long: bool,
}

impl Prefixes {
    fn rex_w(self) -> bool {
        self.rex & 8 != 0
    }

    fn rex_r(self) -> u8 {
        (self.rex & 4) << 1
    }

    fn rex_x(self) -> u8 {
        (self.rex & 2) << 2
    }

    fn rex_b(self) -> u8 {
        (self.rex & 1) << 3
    }

    fn read(cursor: &mut Cursor<'_>, code: Width) -> Result<(Prefixes, u8), DecodeError> {
        let mut prefixes = Prefixes { long: code == Width::W64, ..Prefixes::default() };
        loop {
            let byte = cursor.byte()?;
            if prefixes.long && byte & 0xf0 == 0x40 {
                prefixes.rex = byte;
                continue;
            }
            if !prefixes.take_legacy(byte) {
                return Ok((prefixes, byte));
            }
            // A REX prefix counts only directly before the opcode (SDM vol. 2, 2.2.1).
            prefixes.rex = 0;
        }
    }

    fn take_legacy(&mut self, byte: u8) -> bool {
        let long = self.long;
        match byte {
            0x66 => self.operand_size = true,
            0x67 => self.address_size = true,
            0xf0 => self.lock = true,
            0xf2 => self.rep = Rep::Repne,
            0xf3 => self.rep = Rep::Rep,
            0x64 => self.segment = Some(seg::FS),
            0x65 => self.segment = Some(seg::GS),
            0x26 if !long => self.segment = Some(seg::ES),
            0x2e if !long => self.segment = Some(seg::CS),
            0x36 if !long => self.segment = Some(seg::SS),
            0x3e if !long => self.segment = Some(seg::DS),
            // Ignored in 64-bit mode, and they leave an FS or GS override in force.
            0x26 | 0x2e | 0x36 | 0x3e => {}
            _ => return false,
        }
        true
    }
}

/// Decodes the instruction at the start of `bytes` for a code segment of width `code` (16, 32 or 64 bits), on a processor
/// that has everything. Give at least [`MAX_LENGTH`] bytes where they exist.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8], code: Width) -> Result<Inst, DecodeError> {
    decode_on(FeatureSet::ALL, bytes, code)
}

/// Decodes as a processor with `features` does: an instruction it does not have is invalid, or an older one whose prefix
/// had no meaning.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_on(features: FeatureSet, bytes: &[u8], code: Width) -> Result<Inst, DecodeError> {
    let mut cursor = Cursor { bytes: &bytes[..bytes.len().min(MAX_LENGTH)], at: 0 };
    let (mut prefixes, first) = Prefixes::read(&mut cursor, code)?;
    if prefixes.begins_vex(&cursor, first)? {
        prefixes.take_vex(&mut cursor, first)?;
    }
    let (map, opcode) = match prefixes.vex {
        Some(vex) => (VEX_MAPS + vex.map, cursor.byte()?),
        None => read_opcode(&mut cursor, first)?,
    };
    let candidates = table().candidates(map, opcode);
    let has_modrm = candidates.iter().any(|c| c.has_modrm);
    let modrm = if has_modrm { Some(cursor.byte()?) } else { None };
    let matches = |c: &&Candidate| features.contains(c.feature) && c.matches(prefixes, modrm, code);
    let candidate = candidates.iter().find(matches).ok_or(DecodeError::Invalid)?;
    if !candidate.has_modrm && has_modrm {
        cursor.at -= 1;
    }
    finish(&mut cursor, prefixes, candidate, opcode, modrm.unwrap_or(0), code)
}

fn read_opcode(cursor: &mut Cursor<'_>, first: u8) -> Result<(u8, u8), DecodeError> {
    if first != 0x0f {
        return Ok((0, first));
    }
    match cursor.byte()? {
        0x38 => Ok((2, cursor.byte()?)),
        0x3a => Ok((3, cursor.byte()?)),
        second => Ok((1, second)),
    }
}

fn finish(
    cursor: &mut Cursor<'_>,
    prefixes: Prefixes,
    candidate: &Candidate,
    opcode: u8,
    modrm: u8,
    code: Width,
) -> Result<Inst, DecodeError> {
    let row = candidate.row();
    let modrm = if candidate.mod_ignored { modrm | 0xc0 } else { modrm };
    let mut inst = Inst {
        row: candidate.row,
        len: 0,
        opcode,
        modrm: if candidate.has_modrm { modrm } else { 0 },
        code,
        opsize: operand_size(prefixes, candidate, code),
        address_size: address_size(prefixes, code),
        rep: if prefixes.vex.is_some() { Rep::None } else { prefixes.rep },
        lock: prefixes.lock,
        vex: match prefixes.vex {
            None => Vex::None,
            // Where VEX.L is ignored, the vector is a scalar.
            Some(vex) if vex.l && candidate.vex_l.is_some() => Vex::L256,
            Some(_) => Vex::L128,
        },
        vvvv: candidate.vvvv,
        operands: [Operand::None; 4],
    };
    let modrm = ModRm::read(cursor, prefixes, candidate, modrm, inst.address_size)?;
    for (place, spec) in candidate.operands.iter().enumerate() {
        inst.operands[place] = spec.decode(cursor, prefixes, &modrm, opcode, &inst)?;
    }
    let lockable = row.lockable && matches!(inst.operands[0], Operand::Mem(_));
    if inst.lock && !lockable {
        return Err(DecodeError::Invalid);
    }
    // VEX.vvvv of an instruction that takes no register there has all bits set, inverted (SDM vol. 2, 2.3.5.6).
    let names_register = prefixes.vex.is_some_and(|vex| vex.vvvv != 0);
    if (names_register && inst.vvvv.is_none()) || gathers_onto_itself(&inst) {
        return Err(DecodeError::Invalid);
    }
    inst.len = cursor.at as u8;
    Ok(inst)
}

/// Destination, index and mask of a gather have to be three registers (SDM vol. 2, 2.6.12).
fn gathers_onto_itself(inst: &Inst) -> bool {
    let Operand::Mem(Mem { vsib: 1.., index, .. }) = inst.operands[1] else { return false };
    let (destination, mask) = (inst.operands[0].register(), inst.operands[2].register());
    destination == index || mask == index || destination == mask
}

/// Intel SDM vol. 1, table 3-4.
fn operand_size(prefixes: Prefixes, candidate: &Candidate, code: Width) -> Width {
    // A mandatory 66 selects the instruction; it is not also an operand-size prefix.
    let toggled = prefixes.operand_size && !candidate.mandatory_66;
    match code {
        Width::W64 if prefixes.rex_w() || candidate.forced_64 => Width::W64,
        Width::W64 if toggled => Width::W16,
        Width::W64 if candidate.default_64 => Width::W64,
        Width::W16 if !toggled => Width::W16,
        Width::W32 if toggled => Width::W16,
        _ => Width::W32,
    }
}

fn address_size(prefixes: Prefixes, code: Width) -> Width {
    match (code, prefixes.address_size) {
        (Width::W64, false) => Width::W64,
        (Width::W64, true) | (Width::W32, false) | (Width::W16, true) => Width::W32,
        _ => Width::W16,
    }
}

/// The row that `bytes` decode to, for tests and tools.
///
/// # Errors
/// See [`DecodeError`].
pub fn row_of(bytes: &[u8], code: Width) -> Result<&'static Row, DecodeError> {
    decode(bytes, code).map(|inst| instructions::rows()[usize::from(inst.row)])
}

#[cfg(test)]
mod tests;
