//! The VEX prefix (Intel SDM vol. 2, 2.3).

use super::{Cursor, DecodeError, Prefixes};
use crate::Rep;

/// What a VEX prefix says beyond what legacy prefixes say.
#[derive(Clone, Copy)]
pub(crate) struct VexPrefix {
    /// Opcode map: 1 (0F), 2 (0F 38) or 3 (0F 3A).
    pub(crate) map: u8,
    /// VEX.L.
    pub(crate) l: bool,
    /// VEX.vvvv, not inverted; 0 is also what an instruction that takes no register there has.
    pub(crate) vvvv: u8,
}

const THREE_BYTES: u8 = 0xc4;
const TWO_BYTES: u8 = 0xc5;
const REX: u8 = 0x40;
const W: u8 = 8;

impl Prefixes {
    /// Whether `first`, the byte behind the legacy prefixes, begins a VEX prefix: outside 64-bit mode it is `LES` or `LDS` where the byte
    /// behind it would be a ModR/M byte that names memory.
    pub(super) fn begins_vex(&self, cursor: &Cursor<'_>, first: u8) -> Result<bool, DecodeError> {
        if !matches!(first, THREE_BYTES | TWO_BYTES) {
            return Ok(false);
        }
        Ok(self.long || cursor.peek()? >= 0xc0)
    }

    /// Reads the rest of the prefix. R, X, B and W become a REX prefix, and pp the legacy prefix it stands for.
    pub(super) fn take_vex(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<(), DecodeError> {
        let preceded = self.operand_size || self.lock || self.rep != Rep::None || self.rex != 0;
        let mut extensions = cursor.byte()?;
        let mut map = 1;
        let mut rest = extensions;
        if first == THREE_BYTES {
            map = extensions & 0x1f;
            rest = cursor.byte()?;
        } else {
            // X and B of the short form are as if clear; they are stored inverted.
            extensions |= 0x60;
        }
        if preceded || !(1..=3).contains(&map) {
            return Err(DecodeError::Invalid);
        }
        let w = if first == THREE_BYTES && rest & 0x80 != 0 { W } else { 0 };
        self.rex = REX | w | if self.long { !extensions >> 5 } else { 0 };
        match rest & 3 {
            0 => {}
            1 => self.operand_size = true,
            2 => self.rep = Rep::Rep,
            _ => self.rep = Rep::Repne,
        }
        self.vex = Some(VexPrefix { map, l: rest & 4 != 0, vvvv: !rest >> 3 & 15 });
        Ok(())
    }
}
