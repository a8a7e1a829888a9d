//! String instructions that are not repeated.

use x86::instructions::system::Sys;
use x86::{Engine, Op, Rep, Width};

use super::Emitter;
use crate::ir::{Access, RAX, RDI, RSI, Step};

impl Emitter {
    /// `MOVS`, `STOS` or `LODS` of one element in 64-bit mode (Intel SDM vol. 1, 7.3.9.1); false where `op` is something else.
    pub(super) fn string_element(&mut self, op: &Op, sys: Sys) -> bool {
        let Some(width) = Width::from_bytes(u64::from(op.memory_bytes)) else { return false };
        let is_string = matches!(sys, Sys::Movs | Sys::Stos | Sys::Lods);
        if !is_string || op.rep != Rep::None || op.address != Width::W64 || op.seg != x86::SEG_NONE {
            return false;
        }
        if !core::mem::replace(&mut self.upwards, true) {
            let stop = self.stop_before();
            self.push(Step::RequireUpwards { stop });
        }
        let value = if sys == Sys::Stos {
            self.graph.truncate(width, self.cells[RAX])
        } else {
            let address = self.cells[RSI];
            self.load_access(Access { width, address })
        };
        if sys == Sys::Lods {
            self.set_register(width, 0, value);
        } else {
            let address = self.cells[RDI];
            self.store_access(Access { width, address }, value);
        }
        for cell in [RSI, RDI] {
            let moves = if cell == RSI { sys != Sys::Stos } else { sys != Sys::Lods };
            if moves {
                let bytes = self.imm(width.bytes());
                self.cells[cell] = self.add(Width::W64, self.cells[cell], bytes);
            }
        }
        true
    }
}
