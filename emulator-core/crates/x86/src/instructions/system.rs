//! Irregular instructions: far transfers, strings, port I/O, flag and control registers, descriptor tables, MSRs,
//! decimal adjustment. Rows only; the processor crate runs them.

mod atomic;
mod control;
mod descriptor;
mod far;
mod flags;
mod io;
mod legacy;
mod msr;
mod scatter;
mod strings;
mod xsave;

use super::{Family, family};

/// What an irregular instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the mnemonics")]
pub enum Sys {
    // Far transfers.
    JmpFar,
    CallFar,
    RetFar,
    Iret,
    Int,
    Int1,
    Int3,
    Into,
    Bound,
    Syscall,
    Sysret,
    Sysenter,
    Sysexit,
    // Strings.
    Movs,
    Cmps,
    Stos,
    Lods,
    Scas,
    Ins,
    Outs,
    // Flags and stack.
    Pushf,
    Popf,
    Lahf,
    Sahf,
    Cli,
    Sti,
    Pusha,
    Popa,
    Enter,
    PopMemory,
    PushSegment,
    PopSegment,
    Clac,
    Stac,
    // Segments and descriptor tables.
    StoreSegment,
    LoadSegment,
    Les,
    Lds,
    Lss,
    Lfs,
    Lgs,
    Sgdt,
    Sidt,
    Lgdt,
    Lidt,
    Sldt,
    Str,
    Lldt,
    Ltr,
    Verr,
    Verw,
    Lar,
    Lsl,
    Arpl,
    Swapgs,
    Rdfsbase,
    Rdgsbase,
    Wrfsbase,
    Wrgsbase,
    // Control registers and caches.
    LoadControl,
    StoreControl,
    LoadDebug,
    StoreDebug,
    Smsw,
    Lmsw,
    Clts,
    Invlpg,
    Invpcid,
    /// `INVD`, `WBINVD`: there is no cache to lose.
    FlushCaches,
    Clflush,
    Hlt,
    // Ports.
    InByte,
    In,
    OutByte,
    Out,
    // Model-specific registers and identification.
    Rdmsr,
    Wrmsr,
    Rdtsc,
    Rdtscp,
    Rdpmc,
    Cpuid,
    Rdrand,
    Rdpid,
    // Wide compare and exchange, checksum, scattered bits.
    Cmpxchg8b,
    Cmpxchg16b,
    Crc32Byte,
    Crc32,
    Pdep,
    Pext,
    // Extended state.
    Xgetbv,
    Xsetbv,
    Xsave,
    Xsaveopt,
    Xsavec,
    Xsaves,
    Xrstors,
    Xrstor,
    // Decimal adjustment and other relics.
    Daa,
    Das,
    Aaa,
    Aas,
    Aam,
    Aad,
    Salc,
}

/// Rows of all irregular instructions.
pub(super) const FAMILIES: &[Family] = &[
    family("system/atomic", &[atomic::ROWS]),
    family("system/control", &[control::ROWS]),
    family("system/descriptor", &[descriptor::ROWS]),
    family("system/far", &[far::ROWS]),
    family("system/flags", &[flags::ROWS]),
    family("system/io", &[io::ROWS]),
    family("system/legacy", &[legacy::ROWS]),
    family("system/msr", &[msr::ROWS]),
    family("system/scatter", &[scatter::ROWS]),
    family("system/strings", &[strings::ROWS]),
    family("system/xsave", &[xsave::ROWS]),
];
