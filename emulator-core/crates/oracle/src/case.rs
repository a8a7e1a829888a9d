//! One instruction with everything it can see, and what became of it.

use x86::Width;

use crate::{DATA_WINDOW, STACK_WINDOW};

/// Registers in the layout the host's entry code uses: first an XSAVE image in its standard form, with AVX state (Intel SDM
/// vol. 1, 13.4).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Registers {
    /// x87, MMX, XMM registers and MXCSR (SDM vol. 1, table 10-2).
    pub fx: [u8; 512],
    /// The XSAVE header: which components the image has, and that it is not compacted.
    header: [u64; 8],
    /// Bits 255:128 of the YMM registers.
    pub ymm_high: [u128; 16],
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// RIP.
    pub rip: u64,
}

/// x87, SSE and AVX state (SDM vol. 1, 13.1).
const XSAVE_COMPONENTS: u64 = 7;

const FCW: usize = 0;
const MXCSR: usize = 24;
const ST: usize = 32;
const XMM: usize = 160;

impl Registers {
    /// All zero, with masked floating-point exceptions and an empty x87 stack.
    #[must_use]
    pub fn new() -> Registers {
        let mut header = [0; 8];
        header[0] = XSAVE_COMPONENTS;
        let mut registers =
            Registers { fx: [0; 512], header, ymm_high: [0; 16], gpr: [0; 16], rflags: 2, rip: crate::ENTRY };
        registers.fx[FCW..FCW + 2].copy_from_slice(&0x37fu16.to_le_bytes());
        registers.set_mxcsr(0x1f80);
        registers
    }

    /// XMM register `n`.
    #[must_use]
    pub fn xmm(&self, n: usize) -> u128 {
        let at = XMM + 16 * n;
        self.fx[at..at + 16].iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte))
    }

    /// Sets XMM register `n`.
    pub fn set_xmm(&mut self, n: usize, value: u128) {
        self.fx[XMM + 16 * n..XMM + 16 * n + 16].copy_from_slice(&value.to_le_bytes());
    }

    /// Significand and sign-exponent of ST(`n`); the significand of ST(n) is MMn while TOP is 0.
    #[must_use]
    pub fn st(&self, n: usize) -> (u64, u16) {
        let field = |from: usize, bytes: usize| {
            self.fx[from..from + bytes].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
        };
        (field(ST + 16 * n, 8), field(ST + 16 * n + 8, 2) as u16)
    }

    /// Sets ST(`n`).
    pub fn set_st(&mut self, n: usize, (significand, exponent): (u64, u16)) {
        self.fx[ST + 16 * n..ST + 16 * n + 8].copy_from_slice(&significand.to_le_bytes());
        self.fx[ST + 16 * n + 8..ST + 16 * n + 10].copy_from_slice(&exponent.to_le_bytes());
    }

    /// x87 control word, status word and abridged tag word (a set bit: register not empty).
    #[must_use]
    pub fn x87_words(&self) -> (u16, u16, u8) {
        let word = |at: usize| u16::from_le_bytes([self.fx[at], self.fx[at + 1]]);
        (word(FCW), word(FCW + 2), self.fx[FCW + 4])
    }

    /// Sets what [`Registers::x87_words`] returns.
    pub fn set_x87_words(&mut self, (control, status, tags): (u16, u16, u8)) {
        self.fx[FCW..FCW + 2].copy_from_slice(&control.to_le_bytes());
        self.fx[FCW + 2..FCW + 4].copy_from_slice(&status.to_le_bytes());
        self.fx[FCW + 4] = tags;
    }

    /// MXCSR.
    #[must_use]
    pub fn mxcsr(&self) -> u32 {
        let at = &self.fx[MXCSR..MXCSR + 4];
        u32::from_le_bytes([at[0], at[1], at[2], at[3]])
    }

    /// Sets MXCSR.
    pub fn set_mxcsr(&mut self, value: u32) {
        self.fx[MXCSR..MXCSR + 4].copy_from_slice(&value.to_le_bytes());
    }
}

impl Default for Registers {
    fn default() -> Registers {
        Registers::new()
    }
}

/// An instruction and the state it starts from.
#[derive(Clone)]
pub struct Case {
    /// The instruction's bytes, put at [`crate::ENTRY`].
    pub code: Vec<u8>,
    /// Width of the code segment: 64-bit mode, or 32 or 16 bits in compatibility mode.
    pub mode: Width,
    /// Registers before.
    pub registers: Registers,
    /// Contents of [`DATA_WINDOW`].
    pub data: Vec<u8>,
    /// Contents of [`STACK_WINDOW`].
    pub stack: Vec<u8>,
}

impl Case {
    /// A case with memory all zero.
    #[must_use]
    pub fn new(code: Vec<u8>, mode: Width) -> Case {
        let window = |range: core::ops::Range<u64>| vec![0; (range.end - range.start) as usize];
        Case { code, mode, registers: Registers::new(), data: window(DATA_WINDOW), stack: window(STACK_WINDOW) }
    }

    /// The bytes of the windows from linear address `at` on, or `None` where they are not all inside one.
    pub fn memory(&mut self, at: u64, bytes: u64) -> Option<&mut [u8]> {
        let inside = |window: &core::ops::Range<u64>| at >= window.start && at.saturating_add(bytes) <= window.end;
        let (window, contents) = match () {
            () if inside(&DATA_WINDOW) => (DATA_WINDOW, &mut self.data),
            () if inside(&STACK_WINDOW) => (STACK_WINDOW, &mut self.stack),
            () => return None,
        };
        let from = (at - window.start) as usize;
        Some(&mut contents[from..from + bytes as usize])
    }
}

/// What one processor made of a [`Case`].
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Vector of the exception the instruction raised.
    pub exception: Option<u8>,
    /// Registers after; RIP is that of the next instruction, or of this one where it faulted.
    pub registers: Registers,
    /// [`DATA_WINDOW`] after.
    pub data: Vec<u8>,
    /// [`STACK_WINDOW`] after.
    pub stack: Vec<u8>,
}
