//! FLD, FST and their integer and decimal forms, FXCH, FCMOV, constants.

use softfloat::x87::{self, Constant};
use softfloat::{F32, F64, F80, Flags, Rounding};
use x86::instructions::fpu::Fpu;
use x86::{Engine, Exception, Op, Width, flags};

use super::status::stores;
use crate::exec::Exec;
use crate::state::X87;

impl Exec<'_> {
    /// FLD, FILD, FBLD.
    pub(super) fn load_operand(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        if !op.form.has_memory() {
            self.cpu.state.x87.load_register(op.dst);
            return Ok(());
        }
        let mut ctx = self.cpu.state.x87.context();
        let value = match (fpu, op.memory_bytes) {
            (Fpu::Fld, 4) => x87::load(F32(self.load(Width::W32, op)? as u32), &mut ctx),
            (Fpu::Fld, 8) => x87::load(F64(self.load(Width::W64, op)?), &mut ctx),
            (Fpu::Fld, _) => F80::from_le_bytes(self.load_ten_bytes(op)?),
            (Fpu::Fild, 2) => F80::from(i64::from(self.load(Width::W16, op)? as i16)),
            (Fpu::Fild, 4) => F80::from(i64::from(self.load(Width::W32, op)? as i32)),
            (Fpu::Fild, _) => F80::from(self.load(Width::W64, op)? as i64),
            _ => x87::load_bcd(self.load_ten_bytes(op)?),
        };
        let x87 = &mut self.cpu.state.x87;
        if !x87.is_empty(7) {
            if x87.stack_overflow() {
                x87.push(F80::INDEFINITE);
            }
            return Ok(());
        }
        x87.report(&ctx);
        // A denormal operand is loaded even where its exception is not masked.
        if !ctx.unmasked().contains(Flags::INVALID) {
            x87.push(value);
        }
        Ok(())
    }

    fn load_ten_bytes(&mut self, op: &Op) -> Result<[u8; 10], Exception> {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.load(Width::W64, op)?.to_le_bytes());
        bytes[8..].copy_from_slice(&(self.load_at(Width::W16, op, 8)? as u16).to_le_bytes());
        Ok(bytes)
    }

    /// Ten bytes are stored in two parts: where the second faults, the first has been.
    fn store_bytes(&mut self, op: &Op, bytes: Bytes) -> Result<(), Exception> {
        let low = bytes.low();
        match op.memory_bytes {
            2 => self.store(Width::W16, op, low & 0xffff),
            4 => self.store(Width::W32, op, low & 0xffff_ffff),
            8 => self.store(Width::W64, op, low),
            _ => {
                self.store(Width::W64, op, low)?;
                let (_, place) = self.load_rw_at(Width::W16, op, 8)?;
                self.store_rw(Width::W16, place, u64::from(u16::from_le_bytes([bytes.0[8], bytes.0[9]])));
                Ok(())
            }
        }
    }

    /// FST, FSTP, FIST, FISTP, FISTTP, FBSTP.
    pub(super) fn store_operand(&mut self, op: &Op, fpu: Fpu) -> Result<(), Exception> {
        let pops = !matches!(fpu, Fpu::Fst | Fpu::Fist);
        if fpu == Fpu::Fstpnce {
            self.cpu.state.x87.move_and_pop(op.dst);
            return Ok(());
        }
        if !op.form.has_memory() {
            self.cpu.state.x87.store_register(op.dst, pops);
            return Ok(());
        }
        let x87 = &self.cpu.state.x87;
        let mut ctx = x87.context();
        if fpu == Fpu::Fisttp {
            ctx.rounding = Rounding::Zero;
        }
        let empty = x87.is_empty(0);
        let value = x87.st(0);
        // Converting an unsupported encoding gives each format's indefinite, which is also what an empty register stores.
        let value = if empty { F80 { significand: 0, ..F80::INDEFINITE } } else { value };
        let bytes = match (fpu, op.memory_bytes) {
            (Fpu::Fst | Fpu::Fstp, 4) => Bytes::new(u64::from(x87::store::<F32>(value, &mut ctx).0)),
            (Fpu::Fst | Fpu::Fstp, 8) => Bytes::new(x87::store::<F64>(value, &mut ctx).0),
            (Fpu::Fst | Fpu::Fstp, _) => Bytes(if empty { F80::INDEFINITE } else { value }.to_le_bytes()),
            (Fpu::Fbstp, _) => Bytes(x87::store_bcd(value, &mut ctx)),
            (_, 2) => Bytes::new(x87::store_i16(value, &mut ctx) as u64),
            (_, 4) => Bytes::new(x87::store_i32(value, &mut ctx) as u64),
            _ => Bytes::new(x87::store_i64(value, &mut ctx) as u64),
        };
        let masked_underflow = self.cpu.state.x87.control & 1 != 0;
        let delivers = if empty { masked_underflow } else { stores(&ctx) };
        if delivers {
            self.store_bytes(op, bytes)?;
        }
        let x87 = &mut self.cpu.state.x87;
        if empty {
            x87.stack_underflow();
        } else {
            x87.report(&ctx);
        }
        if delivers && pops {
            x87.pop();
        }
        Ok(())
    }

    /// FCMOVcc: moves when the condition `fpu` names has the value `sense`.
    pub(super) fn conditional_move(&mut self, op: &Op, fpu: Fpu, sense: bool) -> Result<(), Exception> {
        let mask = match fpu {
            Fpu::Fcmovb | Fpu::Fcmovnb => flags::CF,
            Fpu::Fcmove | Fpu::Fcmovne => flags::ZF,
            Fpu::Fcmovbe | Fpu::Fcmovnbe => flags::CF | flags::ZF,
            _ => flags::PF,
        };
        let state = &mut self.cpu.state;
        let holds = flags::pack(state.flag_result, state.flag_carries) & mask != 0;
        let x87 = &mut state.x87;
        if x87.is_empty(0) || x87.is_empty(op.src) {
            if x87.stack_underflow() {
                x87.set_st(0, F80::INDEFINITE);
            }
        } else if holds == sense {
            x87.set_st(0, x87.st(op.src));
        }
        Ok(())
    }
}

/// Up to ten bytes on their way to memory.
struct Bytes([u8; 10]);

impl Bytes {
    fn new(value: u64) -> Bytes {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&value.to_le_bytes());
        Bytes(bytes)
    }

    fn low(&self) -> u64 {
        self.0[..8].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }
}

impl X87 {
    /// FLD ST(i).
    fn load_register(&mut self, register: u8) {
        if self.is_empty(register) {
            if self.stack_underflow() {
                self.push(F80::INDEFINITE);
            }
            return;
        }
        self.clear_c1();
        self.push_checked(self.st(register));
    }

    /// FST ST(i), FSTP ST(i).
    fn store_register(&mut self, register: u8, pops: bool) {
        let value = if self.is_empty(0) {
            if !self.stack_underflow() {
                return;
            }
            F80::INDEFINITE
        } else {
            self.clear_c1();
            self.st(0)
        };
        self.set_st(register, value);
        if pops {
            self.pop();
        }
    }

    /// FSTPNCE: an empty register is not moved.
    fn move_and_pop(&mut self, register: u8) {
        self.clear_c1();
        if !self.is_empty(0) {
            self.set_st(register, self.st(0));
        }
        self.pop();
    }

    /// FXCH: empty registers count as holding the indefinite.
    pub(super) fn exchange(&mut self, register: u8) {
        self.clear_c1();
        if (self.is_empty(0) || self.is_empty(register)) && !self.stack_underflow() {
            return;
        }
        let value = |register| if self.is_empty(register) { F80::INDEFINITE } else { self.st(register) };
        let (a, b) = (value(0), value(register));
        self.set_st(0, b);
        self.set_st(register, a);
    }

    /// FLD1 and its relatives; FNOP loads nothing.
    pub(super) fn load_constant(&mut self, fpu: Fpu) {
        let constant = match fpu {
            Fpu::Fld1 => Constant::One,
            Fpu::Fldl2t => Constant::Log2Of10,
            Fpu::Fldl2e => Constant::Log2OfE,
            Fpu::Fldpi => Constant::Pi,
            Fpu::Fldlg2 => Constant::Log10Of2,
            Fpu::Fldln2 => Constant::LnOf2,
            Fpu::Fldz => Constant::Zero,
            _ => return,
        };
        let rounding = self.context().rounding;
        self.clear_c1();
        self.push_checked(x87::constant(constant, rounding));
    }
}
