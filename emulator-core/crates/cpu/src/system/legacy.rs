//! Decimal adjustment (Intel SDM vol. 2, AAA to DAS) and SALC.

use x86::instructions::system::Sys;
use x86::{Exception, Op, Width, flags, gpr_slot};

use crate::exec::Exec;

const AL: u8 = gpr_slot(0, false);
const AH: u8 = gpr_slot(4, true);
const RAX: usize = 0;

impl Exec<'_> {
    pub(super) fn decimal(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        match sys {
            Sys::Daa => self.adjust_packed(false),
            Sys::Das => self.adjust_packed(true),
            Sys::Aaa => self.adjust_unpacked(6, 1),
            Sys::Aas => self.adjust_unpacked(0u16.wrapping_sub(6), 0u16.wrapping_sub(1)),
            Sys::Aam => return self.aam(op.imm as u8),
            Sys::Aad => self.aad(op.imm as u8),
            _ => {
                let carry = self.cpu.state.rflags() & flags::CF != 0;
                self.cpu.state.regs.write(Width::W8, AL, if carry { 0xff } else { 0 });
            }
        }
        Ok(())
    }

    fn al(&self) -> u8 {
        self.cpu.state.regs.get(RAX) as u8
    }

    /// Writes AL and the flags: SF, ZF and PF of the result, CF and AF as given, OF clear.
    fn finish_decimal(&mut self, al: u8, carry: bool, auxiliary: bool) {
        self.cpu.state.regs.write(Width::W8, AL, u64::from(al));
        let mut status = 0;
        for (flag, set) in [
            (flags::CF, carry),
            (flags::AF, auxiliary),
            (flags::ZF, al == 0),
            (flags::SF, al & 0x80 != 0),
            (flags::PF, al.count_ones().is_multiple_of(2)),
        ] {
            status |= if set { flag } else { 0 };
        }
        let others = self.cpu.state.rflags() & !flags::STATUS;
        self.cpu.state.set_rflags(others | status);
    }

    /// `DAA`, and with `subtract` `DAS`.
    fn adjust_packed(&mut self, subtract: bool) {
        let before = self.cpu.state.rflags();
        let (old, old_carry) = (self.al(), before & flags::CF != 0);
        let mut al = old;
        let (mut carry, mut auxiliary) = (false, false);
        let change = |al: u8, by: u8| if subtract { al.overflowing_sub(by) } else { al.overflowing_add(by) };
        if old & 15 > 9 || before & flags::AF != 0 {
            let (adjusted, out) = change(al, 6);
            (al, carry, auxiliary) = (adjusted, old_carry || out, true);
        }
        if old > 0x99 || old_carry {
            (al, carry) = (change(al, 0x60).0, true);
        } else if !subtract {
            carry = false;
        }
        self.finish_decimal(al, carry, auxiliary);
    }

    /// `AAA` and `AAS`: what is added to AX as a whole and to AH.
    fn adjust_unpacked(&mut self, digit: u16, tens: u16) {
        let adjust = self.al() & 15 > 9 || self.cpu.state.rflags() & flags::AF != 0;
        let mut ax = self.cpu.state.regs.get(RAX) as u16;
        if adjust {
            ax = ax.wrapping_add(digit).wrapping_add(tens << 8);
        }
        self.cpu.state.regs.write(Width::W16, AL, u64::from(ax & 0xff0f));
        self.finish_decimal((ax & 0x0f) as u8, adjust, adjust);
    }

    fn aam(&mut self, base: u8) -> Result<(), Exception> {
        let al = self.al();
        let (Some(tens), Some(digit)) = (al.checked_div(base), al.checked_rem(base)) else {
            return Err(Exception::DivideError);
        };
        self.cpu.state.regs.write(Width::W8, AH, u64::from(tens));
        self.finish_decimal(digit, false, false);
        Ok(())
    }

    fn aad(&mut self, base: u8) {
        let ax = self.cpu.state.regs.get(RAX) as u16;
        let al = (ax as u8).wrapping_add(((ax >> 8) as u8).wrapping_mul(base));
        self.cpu.state.regs.write(Width::W8, AH, 0);
        self.finish_decimal(al, false, false);
    }
}
