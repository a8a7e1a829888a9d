//! PDEP and PEXT.

use x86::instructions::system::Sys;
use x86::{Engine, Exception, Op};

use crate::exec::Exec;

impl Exec<'_> {
    /// The second operand (VEX.vvvv) is the source, the third the mask.
    pub(super) fn scatter(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let w = op.width;
        let mask = if op.form.has_memory() { self.load(w, op)? } else { self.register(w, op.src) };
        let source = self.register(w, op.aux);
        let value = if sys == Sys::Pdep { deposit(source, mask) } else { extract(source, mask) };
        self.set_register(w, op.dst, value);
        Ok(())
    }
}

/// The low bits of `source`, each moved to the next set bit of `mask`.
fn deposit(source: u64, mask: u64) -> u64 {
    let (mut value, mut rest) = (0, mask);
    for bit in (0..mask.count_ones()).map(|n| source >> n & 1) {
        value |= bit << rest.trailing_zeros();
        rest &= rest - 1;
    }
    value
}

/// The bits of `source` where `mask` has one, together at the low end.
fn extract(source: u64, mask: u64) -> u64 {
    let (mut value, mut rest) = (0, mask);
    for n in 0..mask.count_ones() {
        value |= (source >> rest.trailing_zeros() & 1) << n;
        rest &= rest - 1;
    }
    value
}
