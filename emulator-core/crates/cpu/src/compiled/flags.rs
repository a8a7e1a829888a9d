//! The lazy flags as compiled code hands them on: after an addition or subtraction its second operand stands in the carry vector's place.
//!
//! After an increment or decrement, which keeps CF, that stands there.
//!
//! Blocks of a loop mostly set flags nobody reads, but for a fault or an interrupt that may come before others are set. The result and an operand are at hand anyway; the vector
//! would have to be computed each time round.

use x86::Width;

/// What stands in the place of the carry vector ([`x86::flags`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct FlagKind(pub u64);

impl FlagKind {
    /// The vector itself.
    pub const CARRIES: FlagKind = FlagKind(0);
    /// Bits of a kind that say how far a vector of its width is moved up: 64 less the width.
    pub const SHIFT: u64 = 63;
    /// Bit of a subtraction.
    pub const SUBTRACTED: u64 = 64;
    /// Bit of any sum.
    const SUM: u64 = 128;
    /// Bit of an increment or decrement.
    pub const STEP: u64 = 256;

    /// The second operand of an addition or a subtraction in `w`.
    #[must_use]
    pub const fn of_sum(w: Width, subtracted: bool) -> FlagKind {
        let subtracted = if subtracted { FlagKind::SUBTRACTED } else { 0 };
        FlagKind(FlagKind::SUM | subtracted | (64 - w.bits()) as u64)
    }

    /// CF behind an increment or decrement in `w`.
    #[must_use]
    pub const fn of_step(w: Width, subtracted: bool) -> FlagKind {
        FlagKind(FlagKind::of_sum(w, subtracted).0 | FlagKind::STEP)
    }

    /// The carry vector that `operand` stands for, `result` being the flags' result.
    #[must_use]
    pub fn carries(self, result: u64, operand: u64) -> u64 {
        if self == FlagKind::CARRIES {
            return operand;
        }
        let steps = self.0 & FlagKind::STEP != 0;
        let (carry, operand) = (operand, if steps { 1 } else { operand });
        let shift = self.0 & FlagKind::SHIFT;
        let mask = u64::MAX >> shift;
        let r = result & mask;
        let vector = if self.0 & FlagKind::SUBTRACTED != 0 {
            let a = r.wrapping_add(operand);
            !a & operand | (!a | operand) & r
        } else {
            let a = r.wrapping_sub(operand);
            a & operand | (a | operand) & !r
        } & mask;
        const AUXILIARY: u64 = 8;
        const MEANINGLESS: u64 = 3;
        let carries = (vector << shift | vector & AUXILIARY) & !MEANINGLESS;
        // Both highest bits: OF is that they differ.
        let change = if steps { carries >> 63 ^ carry } else { 0 };
        carries ^ (change << 63 | change << 62)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition of the flags (Intel SDM vol. 1, 3.4.3.1).
    fn flags(w: Width, subtracted: bool, a: u64, b: u64, r: u64) -> u64 {
        let sign = |value: u64| value >> (w.bits() - 1) & 1;
        let carry = if subtracted { a < b } else { u128::from(a) + u128::from(b) > u128::from(w.mask()) };
        let nibble = if subtracted { a & 15 < b & 15 } else { (a & 15) + (b & 15) > 15 };
        let overflow = if subtracted {
            sign(a) != sign(b) && sign(r) != sign(a)
        } else {
            sign(a) == sign(b) && sign(r) != sign(a)
        };
        let parity = (r as u8).count_ones().is_multiple_of(2);
        let bits = [(carry, 0), (parity, 2), (nibble, 4), (r == 0, 6), (sign(r) == 1, 7), (overflow, 11)];
        bits.iter().fold(0, |all, &(set, at)| all | u64::from(set) << at)
    }

    #[test]
    fn sums_have_the_flags_the_manual_gives_them() {
        let values =
            [0, 1, 7, 8, 15, 16, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u64::MAX, 1 << 63];
        for w in [Width::W8, Width::W16, Width::W32, Width::W64] {
            for (a, b) in values.iter().flat_map(|&a| values.map(|b| (w.truncate(a), w.truncate(b)))) {
                for subtracted in [false, true] {
                    let r = w.truncate(if subtracted { a.wrapping_sub(b) } else { a.wrapping_add(b) });
                    let result = w.sign_extend(r);
                    let carries = FlagKind::of_sum(w, subtracted).carries(result, b);
                    let expected = flags(w, subtracted, a, b, r);
                    assert_eq!(x86::flags::pack(result, carries), expected, "{w:?} {subtracted} {a:x} {b:x}");
                    for carry in [0, 1] {
                        let carries = FlagKind::of_step(w, subtracted).carries(result, carry);
                        let r = result & w.mask();
                        let a = if subtracted { r.wrapping_add(1) } else { r.wrapping_sub(1) } & w.mask();
                        let expected = flags(w, subtracted, a, 1, r) & !1 | carry;
                        assert_eq!(x86::flags::pack(result, carries), expected, "{w:?} {subtracted} {a:x} {carry}");
                    }
                }
            }
        }
    }
}
