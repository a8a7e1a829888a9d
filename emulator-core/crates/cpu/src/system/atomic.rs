//! Double-width compare and exchange, and CRC32.

use x86::instructions::system::Sys;
use x86::{Engine, Exception, Op, Width, flags};

use super::{RAX, RBX, RCX, RDX};
use crate::exec::Exec;

/// The CRC-32C polynomial 0x11EDC6F41 (Intel SDM vol. 2, CRC32), bit-reflected.
const CRC32C: u32 = 0x82f6_3b78;

impl Exec<'_> {
    /// The destination is written whether or not the comparison holds.
    pub(super) fn cmpxchg8b(&mut self, op: &Op) -> Result<(), Exception> {
        let pair = |low: u64, high: u64| low & 0xffff_ffff | high << 32;
        let (old, place) = self.load_rw(Width::W64, op)?;
        let equal = old == pair(self.general(RAX), self.general(RDX));
        let new = if equal { pair(self.general(RBX), self.general(RCX)) } else { old };
        self.store_rw(Width::W64, place, new);
        if !equal {
            self.set_general32(RAX, old);
            self.set_general32(RDX, old >> 32);
        }
        self.set_status_flag(flags::ZF, equal);
        Ok(())
    }

    pub(super) fn cmpxchg16b(&mut self, op: &Op) -> Result<(), Exception> {
        let pair = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
        let linear = self.linear(op, 16, true)?;
        if linear & 15 != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        self.check_range(crate::tlb::Use::Write, linear, 16, op.fault_segment())?;
        let old = self.load128(linear, op.fault_segment(), true)?;
        let equal = old == pair(self.general(RAX), self.general(RDX));
        let new = if equal { pair(self.general(RBX), self.general(RCX)) } else { old };
        self.store128(linear, op.fault_segment(), true, new)?;
        if !equal {
            self.cpu.state.regs.set(RAX, old as u64);
            self.cpu.state.regs.set(RDX, (old >> 64) as u64);
        }
        self.set_status_flag(flags::ZF, equal);
        Ok(())
    }

    pub(super) fn crc32(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let w = if sys == Sys::Crc32Byte { Width::W8 } else { op.opsize };
        let source = if op.form.has_memory() { self.load(w, op)? } else { self.register(w, op.src) };
        let mut crc = self.register(Width::W32, op.dst) as u32;
        for byte in source.to_le_bytes().into_iter().take(w.bytes() as usize) {
            crc = crc32c_byte(crc, byte);
        }
        self.set_register(Width::W64, op.dst, u64::from(crc));
        Ok(())
    }
}

fn crc32c_byte(crc: u32, byte: u8) -> u32 {
    let mut crc = crc ^ u32::from(byte);
    for _ in 0..8 {
        crc = if crc & 1 != 0 { crc >> 1 ^ CRC32C } else { crc >> 1 };
    }
    crc
}
