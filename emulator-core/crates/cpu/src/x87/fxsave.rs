//! FXSAVE and FXRSTOR: x87, MMX and SSE state in 512 bytes (Intel SDM vol. 1, 10.5.1, and vol. 2, FXSAVE tables).

use softfloat::F80;
use x86::{Engine, Exception, Op, Width};

use crate::exec::Exec;
use crate::state::{State, X87};
use crate::tlb::Use;

/// Where the XMM registers begin; the x87 registers lie before, 16 bytes each.
const XMM: usize = 160;
const REGISTERS: usize = 32;
/// What is written and read; the rest of the 512 bytes belongs to software or is reserved.
const USED: usize = XMM + 16 * 16;
const AREA: u64 = 512;
/// MXCSR bits that may be set (Intel SDM vol. 1, 11.6.6).
pub(crate) const MXCSR_MASK: u32 = 0xffff;

impl Exec<'_> {
    pub(super) fn fxsave(&mut self, op: &Op) -> Result<(), Exception> {
        self.check_area(op, Use::Write)?;
        let (long, wide) = (self.cpu.state.code64(), op.opsize == Width::W64);
        let area = encode(&self.cpu.state, wide);
        self.write_block(op, &area[..used(long)])
    }

    pub(super) fn fxrstor(&mut self, op: &Op) -> Result<(), Exception> {
        self.check_area(op, Use::Read)?;
        let (long, wide) = (self.cpu.state.code64(), op.opsize == Width::W64);
        let mut area = [0; USED];
        self.read_block(op, &mut area[..used(long)])?;
        if u32_at(&area, 24) & !MXCSR_MASK != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        decode(&mut self.cpu.state, &area[..used(long)], wide);
        Ok(())
    }

    /// The area lies on a multiple of 16 in the linear address space, and its end can be accessed, which is looked at first.
    fn check_area(&mut self, op: &Op, usage: Use) -> Result<(), Exception> {
        let start = self.linear(op, AREA, usage == Use::Write)?;
        self.check_canonical(start, 1, op.fault_segment())?;
        if start & 15 != 0 {
            let checked = self.cpu.mode.aligned && start & 3 != 0;
            return Err(if checked { Exception::AlignmentCheck } else { Exception::GeneralProtection(0) });
        }
        match usage {
            Use::Write => self.load_rw_at(Width::W8, op, AREA - 1).map(drop),
            _ => self.load_at(Width::W8, op, AREA - 1).map(drop),
        }
    }
}

/// Bytes in use: XMM8 to XMM15 only exist in 64-bit mode.
fn used(long: bool) -> usize {
    if long { USED } else { XMM + 8 * 16 }
}

/// The area; `wide` stores 64-bit pointers instead of selectors and 32-bit offsets.
pub(super) fn encode(state: &State, wide: bool) -> [u8; USED] {
    let mut area = [0; USED];
    let x87 = &state.x87;
    area[0..2].copy_from_slice(&x87.control.to_le_bytes());
    area[2..4].copy_from_slice(&x87.status.to_le_bytes());
    area[4] = x87.in_use();
    area[6..8].copy_from_slice(&x87.opcode.to_le_bytes());
    area[8..16].copy_from_slice(&x87.ip.to_le_bytes());
    area[16..24].copy_from_slice(&x87.dp.to_le_bytes());
    if !wide {
        area[12..16].copy_from_slice(&u32::from(x87.cs).to_le_bytes());
        area[20..24].copy_from_slice(&u32::from(x87.ds).to_le_bytes());
    }
    area[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    area[28..32].copy_from_slice(&MXCSR_MASK.to_le_bytes());
    for register in 0..8 {
        let at = REGISTERS + 16 * register;
        area[at..at + 10].copy_from_slice(&x87.st(register as u8).to_le_bytes());
    }
    for (register, bytes) in area[XMM..].chunks_exact_mut(16).enumerate() {
        bytes.copy_from_slice(&state.xmm[register].to_le_bytes());
    }
    area
}

/// Loads the state from the used part of an area.
pub(super) fn decode(state: &mut State, area: &[u8], wide: bool) {
    decode_x87(&mut state.x87, area, wide);
    state.mxcsr = u32_at(area, 24);
    decode_vectors(&mut state.xmm, &area[XMM..]);
}

pub(super) fn decode_x87(x87: &mut X87, area: &[u8], wide: bool) {
    x87.set_control(u32_at(area, 0) as u16);
    x87.set_status((u32_at(area, 0) >> 16) as u16);
    x87.opcode = (u32_at(area, 4) >> 16) as u16 & 0x7ff;
    let pointer = |at| u64::from(u32_at(area, at)) | u64::from(u32_at(area, at + 4)) << 32;
    if wide {
        (x87.ip, x87.dp) = (pointer(8), pointer(16));
    } else {
        (x87.ip, x87.cs) = (u64::from(u32_at(area, 8)), u32_at(area, 12) as u16);
        (x87.dp, x87.ds) = (u64::from(u32_at(area, 16)), u32_at(area, 20) as u16);
    }
    for register in 0..8 {
        let at = REGISTERS + 16 * register;
        let bytes = area[at..at + 10].try_into().unwrap_or([0; 10]);
        x87.set_st(register as u8, F80::from_le_bytes(bytes));
    }
    x87.set_in_use(area[4]);
}

/// Fills as many registers as there are bytes for.
pub(super) fn decode_vectors(registers: &mut [u128], bytes: &[u8]) {
    for (register, bytes) in registers.iter_mut().zip(bytes.chunks_exact(16)) {
        *register = u128::from_le_bytes(bytes.try_into().unwrap_or([0; 16]));
    }
}

fn u32_at(area: &[u8], at: usize) -> u32 {
    area[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}
