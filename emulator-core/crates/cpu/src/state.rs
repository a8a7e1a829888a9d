//! The architectural state: what a snapshot holds and a boot protocol sets.

use serde::{Deserialize, Serialize};
use x86::{SLOTS, Width, flags, seg};

/// The general registers and two constant slots, addressed by byte offset ([`x86::gpr_slot`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C, align(16))]
pub struct RegisterFile([u64; SLOTS]);

impl RegisterFile {
    /// All zero.
    #[must_use]
    pub const fn new() -> RegisterFile {
        RegisterFile([0; SLOTS])
    }

    /// The 64-bit register `number` (0..=15: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15).
    #[inline(always)]
    #[must_use]
    pub const fn get(&self, number: usize) -> u64 {
        self.0[number]
    }

    /// Sets a 64-bit register.
    #[inline(always)]
    pub const fn set(&mut self, number: usize, value: u64) {
        self.0[number] = value;
    }

    /// Reads `w` bits at byte offset `slot`, zero-extended.
    #[inline(always)]
    #[must_use]
    pub fn read(&self, w: Width, slot: u8) -> u64 {
        debug_assert!(usize::from(slot) + w.bytes() as usize <= SLOTS * 8);
        // SAFETY: slots come from the decoder: a multiple of 8 below SLOTS * 8, or an 8-bit access at 1, 9, 17 or 25.
        // Every such access lies inside the array, which is initialised; unaligned reads are asked for.
        unsafe {
            let at = self.0.as_ptr().cast::<u8>().add(usize::from(slot));
            match w {
                Width::W8 => u64::from(at.read()),
                Width::W16 => u64::from(at.cast::<u16>().read_unaligned()),
                Width::W32 => u64::from(at.cast::<u32>().read_unaligned()),
                Width::W64 => at.cast::<u64>().read_unaligned(),
            }
        }
    }

    /// Writes `w` bits at byte offset `slot`; a 32-bit write clears the upper half (Intel SDM vol. 1, 3.4.1.1).
    #[inline(always)]
    pub fn write(&mut self, w: Width, slot: u8, value: u64) {
        debug_assert!(usize::from(slot) + w.bytes() as usize <= SLOTS * 8);
        // SAFETY: as in `read`; a 32-bit access is at a multiple of 8, so the 64-bit write stays in its slot.
        unsafe {
            let at = self.0.as_mut_ptr().cast::<u8>().add(usize::from(slot));
            match w {
                Width::W8 => at.write(value as u8),
                Width::W16 => at.cast::<u16>().write_unaligned(value as u16),
                Width::W32 => at.cast::<u64>().write_unaligned(u64::from(value as u32)),
                Width::W64 => at.cast::<u64>().write_unaligned(value),
            }
        }
    }
}

impl Default for RegisterFile {
    fn default() -> Self {
        RegisterFile::new()
    }
}

/// Access-rights word of a segment: bits 7:0 are byte 5 of the descriptor, bits 15:12 its G, D/B, L and AVL bits
/// (Intel SDM vol. 3, 24.4.1, the layout VMX uses), bit 16 set when the register holds no usable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access(pub u32);

#[allow(missing_docs, reason = "the names are the manual's")]
impl Access {
    pub const UNUSABLE: u32 = 1 << 16;

    #[must_use]
    pub const fn kind(self) -> u8 {
        self.0 as u8 & 15
    }
    /// Code or data (1) as opposed to system (0).
    #[must_use]
    pub const fn code_or_data(self) -> bool {
        self.0 & 1 << 4 != 0
    }
    #[must_use]
    pub const fn dpl(self) -> u8 {
        (self.0 >> 5) as u8 & 3
    }
    #[must_use]
    pub const fn present(self) -> bool {
        self.0 & 1 << 7 != 0
    }
    #[must_use]
    pub const fn long(self) -> bool {
        self.0 & 1 << 13 != 0
    }
    /// D/B: 32-bit default size.
    #[must_use]
    pub const fn big(self) -> bool {
        self.0 & 1 << 14 != 0
    }
    #[must_use]
    pub const fn granular(self) -> bool {
        self.0 & 1 << 15 != 0
    }
    #[must_use]
    pub const fn unusable(self) -> bool {
        self.0 & Self::UNUSABLE != 0
    }
    #[must_use]
    pub const fn is_code(self) -> bool {
        self.code_or_data() && self.kind() & 8 != 0
    }
    /// Data that may be written.
    #[must_use]
    pub const fn writable(self) -> bool {
        self.code_or_data() && self.kind() & 10 == 2
    }
    #[must_use]
    pub const fn readable(self) -> bool {
        self.code_or_data() && self.kind() & 10 != 8
    }
    #[must_use]
    pub const fn expand_down(self) -> bool {
        self.code_or_data() && self.kind() & 12 == 4
    }
    #[must_use]
    pub const fn conforming(self) -> bool {
        self.code_or_data() && self.kind() & 12 == 12
    }
}

/// A segment register with its hidden part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Segment {
    /// Visible selector.
    pub selector: u16,
    /// Base, linear.
    pub base: u64,
    /// Limit in bytes, granularity already applied: the last valid offset (expand-down: the last invalid one).
    pub limit: u32,
    /// Access rights.
    pub access: Access,
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DescriptorTable {
    /// Linear base.
    pub base: u64,
    /// Last valid byte.
    pub limit: u16,
}

/// Model-specific registers the core holds itself.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub struct Msrs {
    pub efer: u64,
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub sfmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub tsc_aux: u64,
    /// Added to the board clock to give the guest's TSC.
    pub tsc_offset: u64,
    pub tsc_adjust: u64,
    pub pat: u64,
    pub misc_enable: u64,
    pub mtrr_def_type: u64,
    pub mtrr_fixed: [u64; 11],
    pub mtrr_variable: [u64; 16],
    pub debug_control: u64,
    pub microcode_revision: u64,
}

/// x87 state. `registers[i]` is physical register Ri; `ST(i)` is `registers[(top + i) & 7]`, top in `status` bits 13:11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct X87 {
    /// Significand (and MMX register) and sign-exponent of each physical register.
    pub registers: [(u64, u16); 8],
    /// Control word.
    pub control: u16,
    /// Status word, TOP included.
    pub status: u16,
    /// Full tag word, two bits a physical register (3: empty).
    pub tags: u16,
    /// Last opcode, 11 bits.
    pub opcode: u16,
    /// Last instruction pointer.
    pub ip: u64,
    /// Its selector.
    pub cs: u16,
    /// Last data pointer.
    pub dp: u64,
    /// Its selector.
    pub ds: u16,
}

impl Default for X87 {
    /// As after power-on (Intel SDM vol. 3, table 10-1).
    fn default() -> X87 {
        X87 { registers: [(0, 0); 8], control: 0x40, status: 0, tags: 0x5555, opcode: 0, ip: 0, cs: 0, dp: 0, ds: 0 }
    }
}

/// Everything software can see of a processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub struct State {
    pub regs: RegisterFile,
    /// Offset of the next instruction in CS.
    pub rip: u64,
    /// Lazy status flags, see [`x86::flags`].
    pub flag_result: u64,
    pub flag_carries: u64,
    /// RFLAGS without the six status flags; bit 1 is always set.
    pub system_flags: u64,
    /// ES, CS, SS, DS, FS, GS, then the flat segment [`x86::SEG_NONE`] (base 0, never checked).
    pub segs: [Segment; 7],
    pub ldtr: Segment,
    pub tr: Segment,
    pub gdtr: DescriptorTable,
    pub idtr: DescriptorTable,
    /// Current privilege level.
    pub cpl: u8,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub dr: [u64; 8],
    /// PAE page-directory-pointer entries, loaded with CR3 (Intel SDM vol. 3, 4.4.1).
    pub pdptes: [u64; 4],
    pub msrs: Msrs,
    pub x87: X87,
    pub xmm: [u128; 16],
    /// Bits 255:128 of the YMM registers.
    pub ymm_high: [u128; 16],
    /// State components that instructions may use (Intel SDM vol. 1, 13.3).
    pub xcr0: u64,
    pub mxcsr: u32,
    /// What waits until the next instruction has run.
    pub interrupt_shadow: InterruptShadow,
    /// An NMI is being handled: further ones wait for IRET.
    pub nmi_blocked: bool,
    /// In HLT.
    pub halted: bool,
    /// DR6 bits of the traps that follow the last instruction: single step, data and I/O breakpoints, a task's T flag.
    pub pending_debug: u64,
    /// State of the generator behind `RDRAND`; the board seeds it.
    pub random: u64,
}

/// The instruction boundary at which events are inhibited (Intel SDM vol. 3, 6.8.1 and 6.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[repr(u8)]
pub enum InterruptShadow {
    /// None is.
    #[default]
    None,
    /// Behind STI: interrupts wait.
    Sti,
    /// Behind MOV SS or POP SS: debug exceptions wait as well.
    MovSs,
}

/// MXCSR after reset: all exceptions masked.
pub(crate) const MXCSR_RESET: u32 = 0x1f80;

/// EFLAGS bits that are not status flags.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod eflags {
    pub const TF: u64 = 1 << 8;
    pub const IF: u64 = 1 << 9;
    pub const DF: u64 = 1 << 10;
    pub const IOPL: u64 = 3 << 12;
    pub const NT: u64 = 1 << 14;
    pub const RF: u64 = 1 << 16;
    pub const VM: u64 = 1 << 17;
    pub const AC: u64 = 1 << 18;
    pub const VIF: u64 = 1 << 19;
    pub const VIP: u64 = 1 << 20;
    pub const ID: u64 = 1 << 21;
    /// Always one.
    pub const FIXED: u64 = 1 << 1;
    /// Every flag there is, those of status included (Intel SDM vol. 1, figure 3-8).
    pub const ALL: u64 = 0x3f_7fd7;
}

/// CR0, CR4 and EFER bits.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod control {
    pub const CR0_PE: u64 = 1 << 0;
    pub const CR0_MP: u64 = 1 << 1;
    pub const CR0_EM: u64 = 1 << 2;
    pub const CR0_TS: u64 = 1 << 3;
    pub const CR0_ET: u64 = 1 << 4;
    pub const CR0_NE: u64 = 1 << 5;
    pub const CR0_WP: u64 = 1 << 16;
    pub const CR0_AM: u64 = 1 << 18;
    pub const CR0_NW: u64 = 1 << 29;
    pub const CR0_CD: u64 = 1 << 30;
    pub const CR0_PG: u64 = 1 << 31;
    pub const CR4_VME: u64 = 1 << 0;
    pub const CR4_PVI: u64 = 1 << 1;
    pub const CR4_TSD: u64 = 1 << 2;
    pub const CR4_DE: u64 = 1 << 3;
    pub const CR4_PSE: u64 = 1 << 4;
    pub const CR4_PAE: u64 = 1 << 5;
    pub const CR4_MCE: u64 = 1 << 6;
    pub const CR4_PGE: u64 = 1 << 7;
    pub const CR4_PCE: u64 = 1 << 8;
    pub const CR4_OSFXSR: u64 = 1 << 9;
    pub const CR4_OSXMMEXCPT: u64 = 1 << 10;
    pub const CR4_UMIP: u64 = 1 << 11;
    pub const CR4_FSGSBASE: u64 = 1 << 16;
    pub const CR4_PCIDE: u64 = 1 << 17;
    pub const CR4_OSXSAVE: u64 = 1 << 18;
    pub const CR4_SMEP: u64 = 1 << 20;
    pub const CR4_SMAP: u64 = 1 << 21;
    pub const EFER_SCE: u64 = 1 << 0;
    pub const EFER_LME: u64 = 1 << 8;
    pub const EFER_LMA: u64 = 1 << 10;
    pub const EFER_NXE: u64 = 1 << 11;
}

impl State {
    /// RFLAGS in full.
    #[must_use]
    pub fn rflags(&self) -> u64 {
        self.system_flags | flags::pack(self.flag_result, self.flag_carries)
    }

    /// Sets RFLAGS in full; bit 1 is set whatever `value` says.
    pub fn set_rflags(&mut self, value: u64) {
        (self.flag_result, self.flag_carries) = flags::unpack(value);
        self.system_flags = (value & !flags::STATUS) | eflags::FIXED;
    }

    /// Protected mode, and not virtual-8086 mode.
    #[must_use]
    pub fn protected(&self) -> bool {
        self.cr0 & control::CR0_PE != 0 && self.system_flags & eflags::VM == 0
    }

    /// Virtual-8086 mode.
    #[must_use]
    pub fn virtual_8086(&self) -> bool {
        self.cr0 & control::CR0_PE != 0 && self.system_flags & eflags::VM != 0
    }

    /// IA-32e mode: 64-bit or compatibility.
    #[must_use]
    pub fn long_mode(&self) -> bool {
        self.msrs.efer & control::EFER_LMA != 0
    }

    /// 64-bit mode.
    #[must_use]
    pub fn code64(&self) -> bool {
        self.long_mode() && self.segs[usize::from(seg::CS)].access.long()
    }
}

/// What decoding and memory access depend on, derived from [`State`] whenever a part of it changes. Part of the key of a decoded block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Mode {
    /// Width of the code segment.
    pub code: Width,
    /// Address size of the stack.
    pub stack: Width,
    /// Segment limits and rights need no check: 64-bit mode, or all of ES, CS, SS, DS are usable, flat and writable as needed
    /// (FS and GS are always checked outside 64-bit mode).
    pub flat: bool,
    /// Data accesses have user privilege.
    pub user: bool,
    /// Alignment is checked (CR0.AM, EFLAGS.AC, CPL 3).
    pub aligned: bool,
    /// VEX prefixes are known: protected mode (Intel SDM vol. 2, 2.3.5.1).
    pub vex: bool,
    /// One instruction a block: EFLAGS.TF, an interrupt shadow, or an enabled breakpoint in DR7.
    pub single: bool,
}
