//! Exceptions (Intel SDM vol. 3, 6.15) with the error codes they push.

/// An exception raised by an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// #DE, vector 0.
    DivideError,
    /// #DB, vector 1. The cause bits are already in DR6.
    Debug,
    /// #BP, vector 3.
    Breakpoint,
    /// #OF, vector 4.
    Overflow,
    /// #BR, vector 5.
    BoundRange,
    /// #UD, vector 6.
    InvalidOpcode,
    /// #NM, vector 7.
    DeviceNotAvailable,
    /// #DF, vector 8, error code 0.
    DoubleFault,
    /// #TS, vector 10.
    InvalidTss(u16),
    /// #NP, vector 11.
    SegmentNotPresent(u16),
    /// #SS, vector 12.
    StackFault(u16),
    /// #GP, vector 13.
    GeneralProtection(u16),
    /// #PF, vector 14, with its error code (Intel SDM vol. 3, figure 4-12). The processor keeps the linear address until it
    /// delivers the exception: here it would make every fallible result too large for registers.
    PageFault(u16),
    /// #MF, vector 16.
    X87,
    /// #AC, vector 17, error code 0.
    AlignmentCheck,
    /// #XM, vector 19.
    Simd,
}

impl Exception {
    /// Vector number.
    #[must_use]
    pub const fn vector(self) -> u8 {
        match self {
            Exception::DivideError => 0,
            Exception::Debug => 1,
            Exception::Breakpoint => 3,
            Exception::Overflow => 4,
            Exception::BoundRange => 5,
            Exception::InvalidOpcode => 6,
            Exception::DeviceNotAvailable => 7,
            Exception::DoubleFault => 8,
            Exception::InvalidTss(_) => 10,
            Exception::SegmentNotPresent(_) => 11,
            Exception::StackFault(_) => 12,
            Exception::GeneralProtection(_) => 13,
            Exception::PageFault(_) => 14,
            Exception::X87 => 16,
            Exception::AlignmentCheck => 17,
            Exception::Simd => 19,
        }
    }

    /// The error code pushed on the handler's stack, where the exception has one.
    #[must_use]
    pub const fn error_code(self) -> Option<u16> {
        match self {
            Exception::InvalidTss(code)
            | Exception::SegmentNotPresent(code)
            | Exception::StackFault(code)
            | Exception::GeneralProtection(code)
            | Exception::PageFault(code) => Some(code),
            Exception::DoubleFault | Exception::AlignmentCheck => Some(0),
            _ => None,
        }
    }
}
