//! The register stack (Intel SDM vol. 1, 8.1.2).

use softfloat::{Class, F80};

use crate::state::X87;

const TOP_SHIFT: u32 = 11;
const TOP: u16 = 7 << TOP_SHIFT;
const EMPTY: u16 = 3;

impl X87 {
    /// Number of the physical register that is ST(0).
    pub(super) fn top(&self) -> usize {
        usize::from((self.status & TOP) >> TOP_SHIFT)
    }

    fn set_top(&mut self, top: usize) {
        self.status = self.status & !TOP | ((top & 7) as u16) << TOP_SHIFT;
    }

    fn physical(&self, register: u8) -> usize {
        (self.top() + usize::from(register)) & 7
    }

    /// Whether ST(`register`) is empty.
    pub(super) fn is_empty(&self, register: u8) -> bool {
        self.tags >> (2 * self.physical(register)) & EMPTY == EMPTY
    }

    /// The number in ST(`register`), whatever its tag.
    pub(super) fn st(&self, register: u8) -> F80 {
        let (significand, sign_exponent) = self.registers[self.physical(register)];
        F80 { sign_exponent, significand }
    }

    /// Writes ST(`register`) and marks it in use.
    pub(super) fn set_st(&mut self, register: u8, value: F80) {
        let physical = self.physical(register);
        self.registers[physical] = (value.significand, value.sign_exponent);
        self.tags &= !(EMPTY << (2 * physical));
    }

    /// Marks ST(`register`) empty (FFREE).
    pub(super) fn free(&mut self, register: u8) {
        self.tags |= EMPTY << (2 * self.physical(register));
        self.clear_c1();
    }

    /// Moves TOP by `distance` (modulo 8), leaving the registers alone (FINCSTP, FDECSTP).
    pub(super) fn rotate(&mut self, distance: usize) {
        self.set_top(self.top() + distance);
        self.clear_c1();
    }

    /// Frees ST(0) and moves TOP up.
    pub(super) fn pop(&mut self) {
        self.tags |= EMPTY << (2 * self.top());
        self.set_top(self.top() + 1);
    }

    /// Moves TOP down and writes ST(0), which the caller found to be empty or masked.
    pub(super) fn push(&mut self, value: F80) {
        self.set_top(self.top() + 7);
        self.set_st(0, value);
    }

    /// Pushes `value`, or what a stack overflow calls for.
    pub(super) fn push_checked(&mut self, value: F80) {
        if self.is_empty(7) {
            self.push(value);
        } else if self.stack_overflow() {
            self.push(F80::INDEFINITE);
        }
    }

    /// The full tag word (Intel SDM vol. 1, figure 8-7).
    pub(super) fn tag_word(&self) -> u16 {
        (0..8).fold(0, |word, physical| {
            let (significand, sign_exponent) = self.registers[physical];
            let tag = match F80::new(sign_exponent, significand).class() {
                _ if self.tags >> (2 * physical) & EMPTY == EMPTY => EMPTY,
                Class::Normal => 0,
                Class::Zero => 1,
                _ => 2,
            };
            word | tag << (2 * physical)
        })
    }

    /// Takes over "empty" from a full tag word.
    pub(super) fn set_tag_word(&mut self, word: u16) {
        self.tags = (0..8)
            .filter(|physical| word >> (2 * physical) & EMPTY == EMPTY)
            .fold(0, |tags, physical| tags | EMPTY << (2 * physical));
    }

    /// One bit a physical register, set where it is in use (FXSAVE's tag byte).
    pub(super) fn in_use(&self) -> u8 {
        (0..8)
            .filter(|physical| self.tags >> (2 * physical) & EMPTY != EMPTY)
            .fold(0, |bits, physical| bits | 1 << physical)
    }

    /// The inverse of [`X87::in_use`].
    pub(super) fn set_in_use(&mut self, bits: u8) {
        self.tags = (0..8)
            .filter(|physical| bits >> physical & 1 == 0)
            .fold(0, |tags, physical| tags | EMPTY << (2 * physical));
    }

    /// What every MMX instruction but EMMS does first: TOP is 0 and all registers are in use (Intel SDM vol. 1, 9.5.1).
    pub(crate) fn enter_mmx(&mut self) {
        self.set_top(0);
        self.tags = 0;
    }

    /// EMMS: TOP is 0 and all registers are empty (Intel SDM vol. 3, table 12-2).
    pub(crate) fn leave_mmx(&mut self) {
        self.set_top(0);
        self.tags = u16::MAX;
    }
}
