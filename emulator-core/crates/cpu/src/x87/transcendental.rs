//! FSIN, FCOS, FSINCOS, FPTAN and the instructions on ST(0) and ST(1).

use softfloat::{F80, x87};
use x86::instructions::fpu::Fpu;

use crate::state::X87;

impl X87 {
    /// FSCALE, which leaves its result in ST(0), and FPATAN, FYL2X and FYL2XP1, which pop and leave it in the new ST(0).
    pub(super) fn binary(&mut self, fpu: Fpu) {
        if self.is_empty(0) || self.is_empty(1) {
            if self.stack_underflow() {
                self.deliver_binary(fpu, F80::INDEFINITE);
            }
            return;
        }
        let mut ctx = self.context();
        let (a, b) = (self.st(0), self.st(1));
        let result = match fpu {
            Fpu::Fscale => x87::scale(a, b, &mut ctx),
            Fpu::Fpatan => x87::atan2(b, a, &mut ctx),
            Fpu::Fyl2x => x87::y_log2_x(b, a, &mut ctx),
            _ => x87::y_log2_x_plus_1(b, a, &mut ctx),
        };
        self.report(&ctx);
        if !ctx.stopped_early() {
            self.deliver_binary(fpu, result);
        }
    }

    fn deliver_binary(&mut self, fpu: Fpu, result: F80) {
        if fpu != Fpu::Fscale {
            self.pop();
        }
        self.set_st(0, result);
    }

    /// An argument out of range sets C2 and changes nothing else.
    pub(super) fn trigonometric(&mut self, fpu: Fpu) {
        self.set_incomplete(false);
        let pushes = matches!(fpu, Fpu::Fsincos | Fpu::Fptan);
        if self.is_empty(0) || (pushes && !self.is_empty(7)) {
            let masked = if self.is_empty(0) { self.stack_underflow() } else { self.stack_overflow() };
            if masked {
                self.set_st(0, F80::INDEFINITE);
                if pushes {
                    self.push(F80::INDEFINITE);
                }
            }
            return;
        }
        let value = self.st(0);
        let mut ctx = self.context();
        let results = match fpu {
            Fpu::Fsin => x87::sin(value, &mut ctx).map(|sine| (sine, None)),
            Fpu::Fcos => x87::cos(value, &mut ctx).map(|cosine| (cosine, None)),
            Fpu::Fsincos => x87::sin_cos(value, &mut ctx).map(|(sine, cosine)| (sine, Some(cosine))),
            _ => x87::tan(value, &mut ctx).map(|tangent| (tangent, Some(one_unless_nan(tangent)))),
        };
        self.report(&ctx);
        self.set_incomplete(results.is_none());
        if ctx.stopped_early() {
            return;
        }
        if let Some((result, pushed)) = results {
            self.set_st(0, result);
            if let Some(pushed) = pushed {
                self.push(pushed);
            }
        }
    }
}

/// What FPTAN pushes: 1.0, but a NaN after a NaN.
fn one_unless_nan(tangent: F80) -> F80 {
    if tangent.class() == softfloat::Class::QuietNan { tangent } else { F80::ONE }
}
