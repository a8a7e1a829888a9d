//! Port I/O and its permission check (Intel SDM vol. 1, chapter 19).

use platform::AccessSize;
use x86::instructions::system::Sys;
use x86::{Exception, Form, Op, Width};

use super::RDX;
use crate::exceptions::io_access;
use crate::exec::Exec;

/// Offset of the I/O map base in a 32-bit or 64-bit task-state segment.
const IO_MAP_BASE: u64 = 0x66;

impl Exec<'_> {
    pub(super) fn port_in(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let w = port_width(op, sys == Sys::InByte);
        let port = self.port_number(op);
        self.check_port(port, w)?;
        let value = self.read_port(port, w);
        self.cpu.state.regs.write(w, 0, value);
        Ok(())
    }

    pub(super) fn port_out(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let w = port_width(op, sys == Sys::OutByte);
        let port = self.port_number(op);
        self.check_port(port, w)?;
        let value = self.cpu.state.regs.read(w, 0);
        self.write_port(port, w, value);
        Ok(())
    }

    fn port_number(&self, op: &Op) -> u16 {
        if op.form == Form::Ri { op.imm as u16 & 0xff } else { self.general(RDX) as u16 }
    }

    pub(super) fn read_port(&mut self, port: u16, w: Width) -> u64 {
        self.watch_port(&io_access(port, w));
        let now = self.now();
        let value = self.bus.pio_read(port, access_size(w), now);
        self.bus_accessed();
        w.truncate(u64::from(value))
    }

    pub(super) fn write_port(&mut self, port: u16, w: Width, value: u64) {
        self.watch_port(&io_access(port, w));
        let now = self.now();
        self.bus.pio_write(port, access_size(w), w.truncate(value) as u32, now);
        self.bus_accessed();
    }

    /// Whether the task may use the ports: by privilege level, else by the I/O permission bitmap of its TSS
    /// (Intel SDM vol. 1, 19.5.2).
    ///
    /// # Errors
    /// #GP(0).
    pub(super) fn check_port(&mut self, port: u16, w: Width) -> Result<(), Exception> {
        let state = &self.cpu.state;
        if !state.virtual_8086() && (!state.protected() || state.cpl <= state.iopl()) {
            return Ok(());
        }
        let tr = state.tr;
        let limit = u64::from(tr.limit);
        // A 16-bit segment has no bitmap.
        if tr.access.kind() & 8 == 0 || limit < IO_MAP_BASE + 1 {
            return Err(Exception::GeneralProtection(0));
        }
        let map = self.load_system(Width::W16, tr.base.wrapping_add(IO_MAP_BASE))?;
        let at = map + u64::from(port) / 8;
        // The processor always reads two bytes.
        if at + 1 > limit {
            return Err(Exception::GeneralProtection(0));
        }
        let bits = self.load_system(Width::W16, tr.base.wrapping_add(at))? >> (port % 8);
        let wanted = (1 << w.bytes()) - 1;
        if bits & wanted != 0 { Err(Exception::GeneralProtection(0)) } else { Ok(()) }
    }
}

fn port_width(op: &Op, byte: bool) -> Width {
    match op.opsize {
        _ if byte => Width::W8,
        Width::W16 => Width::W16,
        _ => Width::W32,
    }
}

fn access_size(w: Width) -> AccessSize {
    match w {
        Width::W8 => AccessSize::Byte,
        Width::W16 => AccessSize::Word,
        _ => AccessSize::Dword,
    }
}
