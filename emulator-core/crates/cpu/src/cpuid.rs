//! What the processor says of itself: an x86-64-v2 processor that executes in order (Intel SDM vol. 2, CPUID).
//!
//! The signature is that of an Atom of the Saltwell generation. Operating systems know it as a design without speculative
//! execution, which is true of an interpreter, and leave out their mitigations.

use crate::exec::Exec;
use crate::mmu::PHYSICAL_BITS;

/// Leaf 1, EAX: family 6, model 0x36, stepping 1. EDX holds it after reset.
pub(crate) const SIGNATURE: u32 = 0x0003_0661;

const VENDOR: &[u8; 12] = b"GenuineIntel";
const HYPERVISOR: &[u8; 12] = b"Terrarium\0\0\0";
const BRAND: &[u8; 48] = b"Terrarium x86-64-v2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Highest basic leaf.
const MAX_BASIC: u32 = 0x16;
const HYPERVISOR_BASE: u32 = 0x4000_0000;
const EXTENDED_BASE: u32 = 0x8000_0000;
const MAX_EXTENDED: u32 = 0x8000_0008;

/// Frequency of the TSC and of the APIC timer's clock, in Hertz: both count nanoseconds of guest time.
const CRYSTAL_HZ: u32 = 1_000_000_000;
const LINEAR_BITS: u32 = 48;
const CACHE_LINE: u32 = 64;

/// Bits of a register from their numbers.
const fn bits(numbers: &[u32]) -> u32 {
    let mut value = 0;
    let mut at = 0;
    while at < numbers.len() {
        value |= 1 << numbers[at];
        at += 1;
    }
    value
}

/// Leaf 1, ECX: SSE3, SSSE3, CMPXCHG16B, PCID, SSE4.1, SSE4.2, x2APIC, POPCNT, TSC-deadline, RDRAND, hypervisor.
const FEATURES_ECX: u32 = bits(&[0, 9, 13, 17, 19, 20, 21, 23, 24, 30, 31]);
/// Leaf 1, EDX: FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR,
/// SSE, SSE2.
const FEATURES_EDX: u32 = bits(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26]);
/// Leaf 7, EBX: TSC_ADJUST, SMEP, enhanced REP MOVSB, SMAP.
const STRUCTURED_EBX: u32 = bits(&[1, 7, 9, 20]);
/// Leaf 7, ECX: UMIP.
const STRUCTURED_ECX: u32 = bits(&[2]);
/// Leaf 0x80000001, ECX: LAHF and SAHF in 64-bit mode.
const EXTENDED_ECX: u32 = bits(&[0]);
/// Leaf 0x80000001, EDX: SYSCALL, NX, RDTSCP, long mode.
const EXTENDED_EDX: u32 = bits(&[11, 20, 27, 29]);
/// Leaf 0x80000001, EDX bit 11 is reported in 64-bit mode only.
const SYSCALL: u32 = bits(&[11]);
/// Leaf 6, EAX: the APIC timer runs in every power state.
const ALWAYS_RUNNING_TIMER: u32 = bits(&[2]);
/// Leaf 0x80000007, EDX.
const INVARIANT_TSC: u32 = bits(&[8]);

/// EAX, EBX, ECX, EDX.
type Registers = [u32; 4];

/// The answer for `leaf` and `subleaf`; `code64` where 64-bit code asks.
pub(crate) fn cpuid(leaf: u32, subleaf: u32, code64: bool) -> Registers {
    match leaf {
        HYPERVISOR_BASE => {
            let [a, b, c] = words(HYPERVISOR);
            [HYPERVISOR_BASE, a, b, c]
        }
        EXTENDED_BASE..=MAX_EXTENDED => extended(leaf, code64),
        0..=MAX_BASIC => basic(leaf, subleaf),
        // Past the end of either range the highest basic leaf answers.
        _ => basic(MAX_BASIC, subleaf),
    }
}

fn basic(leaf: u32, subleaf: u32) -> Registers {
    match leaf {
        0 => {
            let [b, d, c] = words(VENDOR);
            [MAX_BASIC, b, c, d]
        }
        // One logical processor with APIC ID 0; CLFLUSH works on units of eight bytes.
        1 => [SIGNATURE, 1 << 16 | (CACHE_LINE / 8) << 8, FEATURES_ECX, FEATURES_EDX],
        // Descriptor 0xff: leaf 4 tells of the caches.
        2 => [0x00ff_0001, 0, 0, 0],
        4 => cache(subleaf),
        6 => [ALWAYS_RUNNING_TIMER, 0, 0, 0],
        7 if subleaf == 0 => [0, STRUCTURED_EBX, STRUCTURED_ECX, 0],
        0xb => topology(subleaf),
        0x15 => [1, 1, CRYSTAL_HZ, 0],
        0x16 => [CRYSTAL_HZ / 1_000_000, CRYSTAL_HZ / 1_000_000, 100, 0],
        _ => [0; 4],
    }
}

fn extended(leaf: u32, code64: bool) -> Registers {
    match leaf {
        EXTENDED_BASE => [MAX_EXTENDED, 0, 0, 0],
        0x8000_0001 => [0, 0, EXTENDED_ECX, if code64 { EXTENDED_EDX } else { EXTENDED_EDX & !SYSCALL }],
        0x8000_0002..=0x8000_0004 => {
            let at = (leaf - 0x8000_0002) as usize * 16;
            let mut part = [0u8; 16];
            part.copy_from_slice(&BRAND[at..at + 16]);
            words(&part)
        }
        // L2: 512 KiB, 8 ways (code 6), lines of 64 bytes.
        0x8000_0006 => [0, 0, 512 << 16 | 6 << 12 | CACHE_LINE, 0],
        0x8000_0007 => [0, 0, 0, INVARIANT_TSC],
        0x8000_0008 => [LINEAR_BITS << 8 | PHYSICAL_BITS, 0, 0, 0],
        _ => [0; 4],
    }
}

/// Leaf 4: first-level data and instruction caches of 32 KiB, second-level cache of 512 KiB; all 8 ways.
fn cache(subleaf: u32) -> Registers {
    const WAYS: u32 = 8;
    let (kind, level, bytes) = match subleaf {
        0 => (1, 1, 32 << 10),
        1 => (2, 1, 32 << 10),
        2 => (3, 2, 512 << 10),
        _ => return [0; 4],
    };
    let sets = bytes / (WAYS * CACHE_LINE);
    const SELF_INITIALISING: u32 = 1 << 8;
    [kind | level << 5 | SELF_INITIALISING, (WAYS - 1) << 22 | (CACHE_LINE - 1), sets - 1, 0]
}

/// Leaf 0xb: one thread in one core.
fn topology(subleaf: u32) -> Registers {
    const THREAD: u32 = 1;
    const CORE: u32 = 2;
    match subleaf {
        0 => [0, 1, THREAD << 8, 0],
        1 => [0, 1, CORE << 8 | 1, 0],
        _ => [0, 0, subleaf & 0xff, 0],
    }
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    words
}

impl Exec<'_> {
    pub(crate) fn cpuid(&mut self) -> Result<(), x86::Exception> {
        const RAX: usize = 0;
        const RCX: usize = 1;
        const RDX: usize = 2;
        const RBX: usize = 3;
        let regs = &mut self.cpu.state.regs;
        let (leaf, subleaf) = (regs.get(RAX) as u32, regs.get(RCX) as u32);
        let code64 = self.cpu.mode.code == x86::Width::W64;
        let answer = cpuid(leaf, subleaf, code64);
        for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(answer) {
            regs.set(number, u64::from(value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_and_brand_read_as_text() {
        let [_, b, c, d] = cpuid(0, 0, true);
        let vendor: Vec<u8> = [b, d, c].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(vendor, b"GenuineIntel");
        let brand: Vec<u8> =
            (0x8000_0002..=0x8000_0004).flat_map(|leaf| cpuid(leaf, 0, true)).flat_map(u32::to_le_bytes).collect();
        assert!(brand.starts_with(b"Terrarium x86-64-v2\0"));
    }

    /// The SDM's family and model arithmetic (CPUID, figure 3-6).
    #[test]
    fn the_signature_is_family_6_model_36h() {
        let family = SIGNATURE >> 8 & 15;
        let model = SIGNATURE >> 4 & 15 | SIGNATURE >> 12 & 0xf0;
        assert_eq!((family, model), (6, 0x36));
    }

    /// The x86-64 psABI's list for level v2.
    #[test]
    fn every_feature_of_x86_64_v2_is_there() {
        let [_, _, c, d] = cpuid(1, 0, true);
        for (name, bit) in [("SSE3", 0), ("SSSE3", 9), ("CX16", 13), ("SSE4.1", 19), ("SSE4.2", 20), ("POPCNT", 23)] {
            assert_ne!(c >> bit & 1, 0, "{name}");
        }
        for (name, bit) in [("FPU", 0), ("CX8", 8), ("CMOV", 15), ("MMX", 23), ("FXSR", 24), ("SSE", 25), ("SSE2", 26)]
        {
            assert_ne!(d >> bit & 1, 0, "{name}");
        }
        let [_, _, c, d] = cpuid(0x8000_0001, 0, true);
        assert_ne!(c & 1, 0, "LAHF-SAHF");
        assert_ne!(d >> 11 & 1, 0, "SYSCALL");
    }

    /// Cache size by the formula of leaf 4: ways * partitions * line * sets.
    #[test]
    fn cache_parameters_give_their_sizes() {
        let size = |subleaf| {
            let [_, b, c, _] = cpuid(4, subleaf, true);
            ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1)
        };
        assert_eq!([size(0), size(1), size(2)], [32 << 10, 32 << 10, 512 << 10]);
    }
}
