//! Instructions with everything they can see, and what became of it.

use std::sync::LazyLock;

use x86::Width;

use crate::random::Random;
use crate::{DATA, STACK};

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
    /// RIP; before a run its upper half is the host's, for the code segment's selector.
    pub rip: u64,
    /// Selectors of ES, CS, SS, DS, FS, GS; not loaded, they start as [`code_selector`] and [`FLAT_DATA`] say.
    pub selectors: [u16; 6],
}

/// Selector of a code segment of the given width. Linux has the first two ready; the third is asked for.
#[must_use]
pub fn code_selector(mode: Width) -> u16 {
    match mode {
        Width::W64 => 0x33,
        Width::W32 => 0x23,
        _ => LOCAL_TABLE_USER,
    }
}

/// Entry 0 of the local descriptor table, at privilege level 3.
const LOCAL_TABLE_USER: u16 = 0b111;
/// Selector in ES, SS and DS: Linux's data segment for user programs.
pub const FLAT_DATA: u16 = 0x2b;

/// In place of a vector: the case did not end.
pub const ENDLESS: u8 = 0xfe;

/// x87, SSE and AVX state (SDM vol. 1, 13.1).
pub const XSAVE_COMPONENTS: u64 = 7;

/// What user programs always see set: bit 1, and the interrupt flag.
const RFLAGS: u64 = 0x202;

const FCW: usize = 0;
const FOP: usize = 6;
const FIP: usize = 8;
const FDP: usize = 16;
const MXCSR: usize = 24;
const ST: usize = 32;
const XMM: usize = 160;

impl Registers {
    /// All zero, with masked floating-point exceptions and an empty x87 stack.
    #[must_use]
    pub fn new() -> Registers {
        let mut header = [0; 8];
        header[0] = XSAVE_COMPONENTS;
        let mut registers = Registers {
            fx: [0; 512],
            header,
            ymm_high: [0; 16],
            gpr: [0; 16],
            rflags: RFLAGS,
            rip: crate::ENTRY,
            selectors: [0; 6],
        };
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

    /// x87 instruction pointer.
    #[must_use]
    pub fn x87_ip(&self) -> u64 {
        self.fx[FIP..FIP + 8].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    /// Sets the x87 instruction pointer.
    pub fn set_x87_ip(&mut self, value: u64) {
        self.fx[FIP..FIP + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Opcode of the last x87 instruction, and where its operand lay in memory.
    #[must_use]
    pub fn x87_operation(&self) -> (u16, u64) {
        let field = |at: usize, bytes: usize| {
            self.fx[at..at + bytes].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
        };
        (field(FOP, 2) as u16, field(FDP, 8))
    }

    /// Sets what [`Registers::x87_operation`] returns.
    pub fn set_x87_operation(&mut self, (opcode, operand): (u16, u64)) {
        self.fx[FOP..FOP + 2].copy_from_slice(&opcode.to_le_bytes());
        self.fx[FDP..FDP + 8].copy_from_slice(&operand.to_le_bytes());
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

/// Instructions and the state they start from.
#[derive(Clone)]
pub struct Case {
    /// The instructions' bytes, put at [`crate::ENTRY`].
    pub code: Vec<u8>,
    /// Width of the code segment: 64-bit mode, or 32 or 16 bits in compatibility mode.
    pub mode: Width,
    /// Registers before.
    pub registers: Registers,
    /// Which of the [`BACKGROUNDS`] memory holds; 0 is zeros.
    pub background: usize,
    /// Where memory differs from the background: addresses and bytes, later ones over earlier ones.
    pub patches: Vec<(u64, Vec<u8>)>,
}

impl Case {
    /// A case with memory all zero.
    #[must_use]
    pub fn new(code: Vec<u8>, mode: Width) -> Case {
        Case { code, mode, registers: Registers::new(), background: 0, patches: Vec::new() }
    }

    /// Puts `bytes` at `address`; what does not lie in memory is left out.
    pub fn set_memory(&mut self, address: u64, bytes: &[u8]) {
        self.patches.push((address, bytes.to_vec()));
    }

    /// Fills `memory`, laid out as [`Outcome::memory`], with what the case starts from.
    pub fn fill(&self, memory: &mut [u8]) {
        memory.copy_from_slice(&BACKGROUNDS[self.background]);
        for (address, bytes) in &self.patches {
            for (at, &byte) in (0..).zip(bytes) {
                if let Some(offset) = memory_offset(address.wrapping_add(at)) {
                    memory[offset] = byte;
                }
            }
        }
    }
}

/// Where `address` lies in [`Outcome::memory`].
#[must_use]
pub fn memory_offset(address: u64) -> Option<usize> {
    if DATA.contains(&address) {
        Some((address - DATA.start) as usize)
    } else if STACK.contains(&address) {
        Some((address - STACK.start + DATA.end - DATA.start) as usize)
    } else {
        None
    }
}

/// The address of a byte of [`Outcome::memory`].
pub(crate) fn memory_address(offset: usize) -> u64 {
    let (offset, data) = (offset as u64, DATA.end - DATA.start);
    if offset < data { DATA.start + offset } else { STACK.start + offset - data }
}

/// What memory holds before `case`, laid out as [`Outcome::memory`].
pub(crate) fn memory_of(case: &Case) -> Vec<u8> {
    let mut memory = vec![0; MEMORY_BYTES];
    case.fill(&mut memory);
    memory
}

/// Bytes of the data and stack pages together.
pub const MEMORY_BYTES: usize = (DATA.end - DATA.start + STACK.end - STACK.start) as usize;

/// What memory may hold before a case: zeros, or values of all kinds.
pub static BACKGROUNDS: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    core::array::from_fn(|number| {
        let mut random = Random(number as u64);
        let mut memory = vec![0; MEMORY_BYTES];
        if number != 0 {
            memory.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(&random.vector().to_le_bytes()));
        }
        memory
    })
});

/// An exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Vector.
    pub vector: u8,
    /// Error code; 0 where the exception has none.
    pub error: u32,
    /// CR2, for a page fault.
    pub address: u64,
}

/// What one processor made of a [`Case`].
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exception that ended it; none where it ran into the traps around it.
    pub fault: Option<Fault>,
    /// Registers after; RIP is where it went on, or that of the instruction that faulted.
    pub registers: Registers,
    /// [`DATA`], then [`STACK`].
    pub memory: Vec<u8>,
}
