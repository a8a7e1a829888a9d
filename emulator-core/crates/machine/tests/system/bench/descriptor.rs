//! Descriptors and gates as they lie in memory (Intel SDM vol. 3, 3.4.5, 5.8.3 and 6.11).

/// Access byte of present segments of level 0; [`level`] and [`absent`] change it.
pub const READ_ONLY: u8 = 0x91;
pub const READ_WRITE: u8 = 0x93;
pub const EXPAND_DOWN: u8 = 0x97;
pub const EXECUTE_ONLY: u8 = 0x99;
pub const CODE: u8 = 0x9b;
pub const CONFORMING: u8 = 0x9f;
pub const LDT_TYPE: u8 = 0x82;
pub const TSS16: u8 = 0x81;
pub const TSS32: u8 = 0x89;
pub const CALL_GATE16: u8 = 0x84;
pub const CALL_GATE32: u8 = 0x8c;
pub const TASK_GATE: u8 = 0x85;
pub const INTERRUPT_GATE16: u8 = 0x86;
pub const INTERRUPT_GATE32: u8 = 0x8e;
pub const TRAP_GATE32: u8 = 0x8f;

/// The same at privilege level `dpl`.
pub const fn level(access: u8, dpl: u8) -> u8 {
    access & 0x9f | dpl << 5
}

/// The same with P clear.
pub const fn absent(access: u8) -> u8 {
    access & 0x7f
}

/// D/B: 32-bit operands and stack pointers.
const BIG: u64 = 1 << 54;

/// A segment with a limit in bytes (below 1 MiB) or, above that, in pages.
pub const fn segment16(base: u64, limit: u64, access: u8) -> u64 {
    let (raw, granular) = if limit >> 20 == 0 { (limit, 0) } else { (limit >> 12, 1 << 55) };
    granular | raw & 0xffff | (raw >> 16) << 48 | (base & 0xff_ffff) << 16 | (access as u64) << 40 | (base >> 24) << 56
}

/// A segment with D/B set.
pub const fn segment(base: u64, limit: u64, access: u8) -> u64 {
    segment16(base, limit, access) | BIG
}

/// A flat segment.
pub const fn flat(access: u8) -> u64 {
    segment(0, 0xffff_ffff, access)
}

/// A flat 64-bit code segment.
pub const fn flat64(access: u8) -> u64 {
    segment16(0, 0xffff_ffff, access) | 1 << 53
}

/// A gate; call gates copy `parameters`, gates of 64-bit mode have an interrupt stack of that number.
pub const fn gate(selector: u16, offset: u64, access: u8, parameters: u64) -> u64 {
    offset & 0xffff | (selector as u64) << 16 | parameters << 32 | (access as u64) << 40 | (offset >> 16 & 0xffff) << 48
}
