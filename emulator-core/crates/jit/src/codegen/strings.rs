//! Repeated string instructions with few elements, which libraries copy small objects with: a call of the interpreter would cost more than the work.

use cpu::compiled::FEW_ELEMENTS;
use cpu::eflags;
use cpu::tlb_layout::Use;
use wasm_encoder::BlockType;
use x86::instructions::system::Sys;
use x86::{Op, Sem, Width, seg};

use super::{Codegen, HOST, Label};
use crate::ir::{Cell, Interpreted, RAX, RCX, RDI, RSI, Value};

/// Most elements that are not left to the interpreter, which has a quicker way for many.
const FEW: i64 = FEW_ELEMENTS as i64;

impl Codegen<'_> {
    /// `REP MOVS` and `REP STOS` of few elements in flat modes, upwards, as far as the TLB covers them: the locals of the registers, which hold what they
    /// were before, tell how far it came.
    pub(super) fn few_elements(&mut self, op: &Op, interpreted: &Interpreted) {
        let Some(width) = Width::from_bytes(u64::from(op.memory_bytes)) else { return };
        let plain = !op.checked && !matches!(op.seg, seg::FS | seg::GS);
        let register = |cell: Cell| interpreted.loaded.iter().find(|&&(other, ..)| other == cell).map(|&(.., v)| v);
        let [count, source, destination] = [RCX, RSI, RDI].map(register);
        let (Some(count), Some(destination)) = (count, destination) else { return };
        let filler = interpreted.stored.iter().find(|&&(cell, _)| cell == RAX).map(|&(_, value)| value);
        let from = match op.sem {
            Sem::Sys(Sys::Movs) => source.map(From::Memory),
            Sem::Sys(Sys::Stos) => filler.map(From::Register),
            _ => None,
        };
        let Some(from) = from.filter(|_| plain) else { return };
        self.is_upwards();
        self.value(count);
        self.sink().i64_const(1).i64_sub().i64_const(FEW).i64_lt_u().i32_and();
        if self.source.mode.code == Width::W32 {
            for address in [source, Some(destination)].into_iter().flatten() {
                self.stays_below(address, FEW * Width::W64.bytes() as i64);
            }
        }
        self.open_if(BlockType::Empty);
        self.open_block(Label::None);
        self.open_loop(Label::None);
        self.one_element(width, from, destination);
        self.advance(count, -1);
        self.value(count);
        self.sink().i64_const(0).i64_ne().br_if(0);
        self.close();
        self.close();
        self.close();
    }

    /// Whether the top of the stack holds, and `address` is one of 32 bits so many `bytes` further on too.
    fn stays_below(&mut self, address: Value, bytes: i64) {
        self.value(address);
        self.sink().i64_const(bytes).i64_add().i64_const(32).i64_shr_u().i64_eqz().i32_and();
    }

    /// Pushes whether EFLAGS.DF is clear, and RF: a finished instruction clears it.
    fn is_upwards(&mut self) {
        self.push_flags(eflags::DF | eflags::RF);
        self.sink().i64_eqz();
    }

    /// Moves one element; out of the construct around the loop where the TLB does not cover it.
    fn one_element(&mut self, width: Width, from: From, destination: Value) {
        const OUT: u32 = 1;
        if let From::Memory(source) = from {
            self.tlb_misses(source, 0, width.bytes(), Use::Read);
            self.sink().br_if(OUT);
            self.host_address(source, Use::Read);
            self.sink().local_set(HOST);
        }
        self.tlb_misses(destination, 0, width.bytes(), Use::Write);
        self.sink().br_if(OUT);
        self.host_address(destination, Use::Write);
        match from {
            From::Memory(_) => {
                self.sink().local_get(HOST);
                self.load_host(width, 0);
            }
            From::Register(filler) => self.value(filler),
        }
        self.store_host(width, 0);
        if let From::Memory(source) = from {
            self.advance(source, width.bytes() as i64);
        }
        self.advance(destination, width.bytes() as i64);
    }

    fn advance(&mut self, register: Value, by: i64) {
        let local = self.locals[register.index()].expect("given before");
        self.sink().local_get(local).i64_const(by).i64_add().local_set(local);
    }
}

/// Where elements come from.
#[derive(Clone, Copy)]
enum From {
    Memory(Value),
    Register(Value),
}
