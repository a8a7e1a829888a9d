//! The environment of one operation: rounding, precision, masks, and the flags it raises.

use bitflags::bitflags;

bitflags! {
    /// Exception flags, at the bit positions they have in the x87 status word and in MXCSR.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// Invalid operation (IE).
        const INVALID = 1 << 0;
        /// Denormal operand (DE).
        const DENORMAL = 1 << 1;
        /// Division by zero (ZE).
        const ZERO_DIVIDE = 1 << 2;
        /// Overflow (OE).
        const OVERFLOW = 1 << 3;
        /// Underflow (UE).
        const UNDERFLOW = 1 << 4;
        /// Inexact result (PE).
        const PRECISION = 1 << 5;
    }
}

impl Flags {
    /// The exceptions found by looking at operands alone; unmasked, they stop the operation before it computes.
    pub const PRE_COMPUTATION: Flags = Flags::INVALID.union(Flags::DENORMAL).union(Flags::ZERO_DIVIDE);
}

/// Rounding control, encoded as in the RC fields of the x87 control word and MXCSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To nearest, ties to even.
    Nearest,
    /// Toward minus infinity.
    Down,
    /// Toward plus infinity.
    Up,
    /// Toward zero.
    Zero,
}

impl Rounding {
    /// From the two bits of an RC field; higher bits are ignored.
    pub fn from_bits(rc: u32) -> Self {
        match rc & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Down,
            2 => Rounding::Up,
            _ => Rounding::Zero,
        }
    }
}

/// Precision control of the x87: how many significand bits an arithmetic result keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits.
    Single,
    /// 53 bits.
    Double,
    /// 64 bits.
    Extended,
}

impl Precision {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Precision::Single => 24,
            Precision::Double => 53,
            Precision::Extended => 64,
        }
    }
}

/// What an operation needs to know, and what it reports.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Rounding control.
    pub rounding: Rounding,
    /// Significand bits of x87 arithmetic results; SSE operations ignore it.
    pub precision: Precision,
    /// Masked exceptions: a set bit asks for the masked response.
    pub masks: Flags,
    /// Flags the status register already held. They spare work, because a flag that is set need not be found again.
    pub sticky: Flags,
    /// Denormal SSE operands count as zeros (MXCSR.DAZ).
    pub denormals_are_zero: bool,
    /// Tiny SSE results become zeros while underflow is masked (MXCSR.FTZ).
    pub flush_to_zero: bool,
    /// Flags raised since the context was made.
    pub flags: Flags,
    /// Flags of the steps before this one, see [`Context::next_step`].
    pub(crate) settled: Flags,
    /// Whether the last rounding went away from zero.
    pub(crate) rounded_up: bool,
}

impl Context {
    /// The environment an x87 control word describes (SDM volume 1, figure 8-6).
    pub fn x87(control_word: u16) -> Self {
        Context {
            rounding: Rounding::from_bits(u32::from(control_word >> 10)),
            precision: match control_word >> 8 & 3 {
                0 => Precision::Single,
                2 => Precision::Double,
                _ => Precision::Extended,
            },
            masks: Flags::from_bits_truncate(control_word as u8),
            sticky: Flags::empty(),
            denormals_are_zero: false,
            flush_to_zero: false,
            flags: Flags::empty(),
            settled: Flags::empty(),
            rounded_up: false,
        }
    }

    /// The environment an MXCSR value describes (SDM volume 1, figure 10-3).
    pub fn sse(mxcsr: u32) -> Self {
        Context {
            rounding: Rounding::from_bits(mxcsr >> 13),
            precision: Precision::Extended,
            masks: Flags::from_bits_truncate((mxcsr >> 7) as u8),
            sticky: Flags::from_bits_truncate(mxcsr as u8),
            denormals_are_zero: mxcsr & 1 << 6 != 0,
            flush_to_zero: mxcsr & 1 << 15 != 0,
            flags: Flags::empty(),
            settled: Flags::empty(),
            rounded_up: false,
        }
    }

    /// The flags to add to the status register. When an unmasked exception stopped the instruction before it computed,
    /// what the computation would have raised is not among them (SDM volume 1, section 4.9.2).
    pub fn raised(&self) -> Flags {
        self.settled | if self.stopped_early() { self.flags & Flags::PRE_COMPUTATION } else { self.flags }
    }

    /// Begins another step of an operation of several, each of which raises its exceptions for itself; false where an unmasked
    /// one stops it before.
    pub fn next_step(&mut self) -> bool {
        let goes_on = self.unmasked().is_empty();
        if goes_on {
            self.settled |= core::mem::replace(&mut self.flags, Flags::empty());
        }
        goes_on
    }

    /// Whether an unmasked exception was found in the operands, so that nothing is computed or delivered.
    pub fn stopped_early(&self) -> bool {
        !(self.flags & Flags::PRE_COMPUTATION).difference(self.masks).is_empty()
    }

    /// Whether the result was rounded away from zero, which the x87 shows in C1.
    pub fn rounded_up(&self) -> bool {
        self.rounded_up && !self.stopped_early()
    }

    /// The raised flags whose exception is not masked: the instruction faults when there is one.
    pub fn unmasked(&self) -> Flags {
        self.raised() - self.masks
    }

    pub(crate) fn raise(&mut self, flags: Flags) {
        self.flags |= flags;
    }

    pub(crate) fn is_masked(&self, flag: Flags) -> bool {
        self.masks.contains(flag)
    }
}
