//! ModR/M and SIB addressing (Intel SDM vol. 2, 2.1.5 and 2.2.1).

use super::{Candidate, Cursor, DecodeError, Prefixes};
use crate::{Mem, Width, seg};

/// A decoded ModR/M byte with what follows it.
#[derive(Clone, Copy)]
pub(crate) struct ModRm {
    /// ModR/M.reg with REX.R.
    pub(crate) reg: u8,
    /// ModR/M.rm with REX.B, where it names a register.
    pub(crate) rm: u8,
    /// The memory operand, where it names one; `bytes` is still zero.
    pub(crate) memory: Option<Mem>,
}

const RSP: u8 = 4;
const RBP: u8 = 5;

impl ModRm {
    pub(crate) fn read(
        cursor: &mut Cursor<'_>,
        prefixes: Prefixes,
        candidate: &Candidate,
        byte: u8,
        address: Width,
    ) -> Result<ModRm, DecodeError> {
        let mut modrm =
            ModRm { reg: (byte >> 3 & 7) | prefixes.rex_r(), rm: (byte & 7) | prefixes.rex_b(), memory: None };
        if candidate.has_modrm && byte < 0xc0 {
            let mut mem = match address {
                // A vector index is in an SIB byte (SDM vol. 2, 2.3.12).
                _ if candidate.vsib && (address == Width::W16 || byte & 7 != RSP) => return Err(DecodeError::Invalid),
                Width::W16 => memory16(cursor, byte)?,
                _ => memory32(cursor, prefixes, candidate.vsib, byte)?,
            };
            mem.seg = prefixes.segment.unwrap_or(mem.seg);
            modrm.memory = Some(mem);
        }
        Ok(modrm)
    }
}

/// Table 2-1: 16-bit addressing forms.
fn memory16(cursor: &mut Cursor<'_>, byte: u8) -> Result<Mem, DecodeError> {
    const BX: u8 = 3;
    const BP: u8 = 5;
    const SI: u8 = 6;
    const DI: u8 = 7;
    const FORMS: [(Option<u8>, Option<u8>); 8] = [
        (Some(BX), Some(SI)),
        (Some(BX), Some(DI)),
        (Some(BP), Some(SI)),
        (Some(BP), Some(DI)),
        (None, Some(SI)),
        (None, Some(DI)),
        (Some(BP), None),
        (Some(BX), None),
    ];
    let (mode, rm) = (byte >> 6, byte & 7);
    let (mut base, index) = FORMS[usize::from(rm)];
    let disp = match mode {
        0 if rm == 6 => {
            base = None;
            cursor.signed(2)?
        }
        0 => 0,
        1 => cursor.signed(1)?,
        _ => cursor.signed(2)?,
    };
    let seg = if base == Some(BP) { seg::SS } else { seg::DS };
    Ok(Mem { base, index, disp, seg, ..Mem::default() })
}

/// Tables 2-2 and 2-3: 32-bit (and 64-bit) addressing forms.
fn memory32(cursor: &mut Cursor<'_>, prefixes: Prefixes, vsib: bool, byte: u8) -> Result<Mem, DecodeError> {
    let (mode, rm) = (byte >> 6, byte & 7);
    let mut mem = Mem { seg: seg::DS, ..Mem::default() };
    let mut base = rm;
    if rm == RSP {
        let sib = cursor.byte()?;
        base = sib & 7;
        let index = (sib >> 3 & 7) | prefixes.rex_x();
        mem.index = (vsib || index != RSP).then_some(index);
        mem.scale = sib >> 6;
    }
    if mode == 0 && base == RBP {
        // No base: absolute, or RIP-relative where 64-bit mode names no SIB byte.
        mem.rip_relative = rm != RSP && prefixes.long;
        mem.disp = cursor.signed(4)?;
        return Ok(mem);
    }
    mem.base = Some(base | prefixes.rex_b());
    if base == RSP && prefixes.rex_b() == 0 || base == RBP && prefixes.rex_b() == 0 {
        mem.seg = seg::SS;
    }
    mem.disp = match mode {
        0 => 0,
        1 => cursor.signed(1)?,
        _ => cursor.signed(4)?,
    };
    Ok(mem)
}
