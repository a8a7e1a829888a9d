//! What the processor says of itself (Intel SDM vol. 2, CPUID): what its model says and has, and what follows from that.

use x86::Feature::{self, *};

use crate::CpuModel;
use crate::exec::Exec;
use crate::mmu::PHYSICAL_BITS;
use crate::model::Description;
use crate::state::control::CR4_OSXSAVE;
use crate::x87::xsave;

const VENDOR: &[u8; 12] = b"GenuineIntel";
const HYPERVISOR: &[u8; 12] = b"Terrarium\0\0\0";

const HYPERVISOR_BASE: u32 = 0x4000_0000;
const EXTENDED_BASE: u32 = 0x8000_0000;

/// Frequency of the TSC and of the APIC timer's clock, in Hertz: both count nanoseconds of guest time.
const CRYSTAL_HZ: u32 = 1_000_000_000;
const LINEAR_BITS: u32 = 48;
const CACHE_LINE: u32 = 64;

/// Features and the number of the bit that tells of each.
type Bits = &'static [(Feature, u32)];

const LEAF_1_ECX: Bits = &[
    (Sse3, 0),
    (Pclmulqdq, 1),
    (Ssse3, 9),
    (Fma, 12),
    (Cx16, 13),
    (Pcid, 17),
    (Sse41, 19),
    (Sse42, 20),
    (X2apic, 21),
    (Movbe, 22),
    (Popcnt, 23),
    (TscDeadline, 24),
    (Aes, 25),
    (Xsave, 26),
    (Avx, 28),
    (F16c, 29),
    (Rdrand, 30),
    (Hypervisor, 31),
];
const LEAF_1_EDX: Bits = &[
    (Fpu, 0),
    (Vme, 1),
    (De, 2),
    (Pse, 3),
    (Tsc, 4),
    (Msr, 5),
    (Pae, 6),
    (Mce, 7),
    (Cx8, 8),
    (Apic, 9),
    (Sep, 11),
    (Mtrr, 12),
    (Pge, 13),
    (Mca, 14),
    (Cmov, 15),
    (Pat, 16),
    (Pse36, 17),
    (Clfsh, 19),
    (Mmx, 23),
    (Fxsr, 24),
    (Sse, 25),
    (Sse2, 26),
];
const LEAF_6_EAX: Bits = &[(AlwaysRunningTimer, 2)];
const LEAF_7_EBX: Bits = &[
    (Fsgsbase, 0),
    (TscAdjust, 1),
    (Bmi1, 3),
    (Avx2, 5),
    (Smep, 7),
    (Bmi2, 8),
    (Erms, 9),
    (Invpcid, 10),
    (Rdseed, 18),
    (Adx, 19),
    (Smap, 20),
    (Clflushopt, 23),
    (Sha, 29),
];
const LEAF_7_ECX: Bits = &[(Umip, 2), (Rdpid, 22)];
const EXTENDED_1_ECX: Bits = &[(LahfLm, 0), (Lzcnt, 5)];
const EXTENDED_1_EDX: Bits = &[(Syscall, 11), (Nx, 20), (Rdtscp, 27), (LongMode, 29)];
/// Leaf 1, ECX: CR4.OSXSAVE.
const OSXSAVE: u32 = 1 << 27;
const LEAF_13_1_EAX: Bits = &[(Xsaveopt, 0), (Xsavec, 1), (Xgetbv1, 2), (Xsaves, 3)];
/// `SYSCALL` is reported in 64-bit mode only.
const SYSCALL: u32 = 1 << 11;
const EXTENDED_7_EDX: Bits = &[(InvariantTsc, 8)];

/// EAX, EBX, ECX, EDX.
type Registers = [u32; 4];

/// Who answers.
pub(crate) struct Asked {
    pub(crate) model: CpuModel,
    /// 64-bit code asks.
    pub(crate) code64: bool,
    /// CR4.OSXSAVE is set.
    pub(crate) osxsave: bool,
    pub(crate) xcr0: u64,
}

impl Asked {
    /// The answer for `leaf` and `subleaf`.
    pub(crate) fn answer(&self, leaf: u32, subleaf: u32) -> Registers {
        let Description { max_basic, max_extended, features, .. } = self.model.description();
        match leaf {
            HYPERVISOR_BASE if features.contains(Hypervisor) => {
                let [a, b, c] = words(HYPERVISOR);
                [HYPERVISOR_BASE, a, b, c]
            }
            EXTENDED_BASE.. if leaf <= max_extended => self.extended(leaf),
            // Past the end of either range the highest basic leaf answers.
            _ => self.basic(leaf.min(max_basic), subleaf),
        }
    }

    fn bits(&self, bits: Bits) -> u32 {
        let features = self.model.features();
        bits.iter().filter(|(feature, _)| features.contains(*feature)).fold(0, |all, (_, bit)| all | 1 << bit)
    }

    fn basic(&self, leaf: u32, subleaf: u32) -> Registers {
        let Description { signature, max_basic, cache_descriptors, features, .. } = self.model.description();
        match leaf {
            0 => {
                let [b, d, c] = words(VENDOR);
                [max_basic, b, c, d]
            }
            1 => {
                // One logical processor with APIC ID 0; CLFLUSH works on units of eight bytes.
                let line = if features.contains(Clfsh) { 1 << 16 | (CACHE_LINE / 8) << 8 } else { 0 };
                let osxsave = if self.osxsave { OSXSAVE } else { 0 };
                [signature, line, self.bits(LEAF_1_ECX) | osxsave, self.bits(LEAF_1_EDX)]
            }
            2 => cache_descriptors,
            4 => cache(subleaf),
            6 => [self.bits(LEAF_6_EAX), 0, 0, 0],
            7 if subleaf == 0 => [0, self.bits(LEAF_7_EBX), self.bits(LEAF_7_ECX), 0],
            0xb => topology(subleaf),
            0xd if features.contains(Xsave) => self.extended_state(subleaf),
            0x15 => [1, 1, CRYSTAL_HZ, 0],
            0x16 => [CRYSTAL_HZ / 1_000_000, CRYSTAL_HZ / 1_000_000, 100, 0],
            _ => [0; 4],
        }
    }

    /// Leaf 0xd: the components of the extended state and the sizes of their areas.
    fn extended_state(&self, subleaf: u32) -> Registers {
        let components = xsave::components(self.model.features());
        let bytes = |components| xsave::area_bytes(components) as u32;
        match subleaf {
            0 => [components as u32, bytes(self.xcr0), bytes(components), 0],
            1 => [self.bits(LEAF_13_1_EAX), bytes(self.xcr0), 0, 0],
            2 if components & xsave::XCR0_AVX != 0 => [256, 576, 0, 0],
            _ => [0; 4],
        }
    }

    fn extended(&self, leaf: u32) -> Registers {
        match leaf {
            EXTENDED_BASE => [self.model.description().max_extended, 0, 0, 0],
            0x8000_0001 => {
                let edx = self.bits(EXTENDED_1_EDX);
                [0, 0, self.bits(EXTENDED_1_ECX), if self.code64 { edx } else { edx & !SYSCALL }]
            }
            0x8000_0002..=0x8000_0004 => {
                let brand = format!("Terrarium {}", self.model.name());
                let at = (leaf - 0x8000_0002) as usize * 16;
                let mut part = [0u8; 16];
                part.iter_mut().zip(brand.bytes().skip(at)).for_each(|(to, from)| *to = from);
                words(&part)
            }
            // L2: 512 KiB, 8 ways (code 6), lines of 64 bytes.
            0x8000_0006 => [0, 0, 512 << 16 | 6 << 12 | CACHE_LINE, 0],
            0x8000_0007 => [0, 0, 0, self.bits(EXTENDED_7_EDX)],
            0x8000_0008 => [LINEAR_BITS << 8 | PHYSICAL_BITS, 0, 0, 0],
            _ => [0; 4],
        }
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
        let state = &self.cpu.state;
        let asked = Asked {
            model: self.cpu.model(),
            code64: self.cpu.mode.code == x86::Width::W64,
            osxsave: state.cr4 & CR4_OSXSAVE != 0,
            xcr0: state.xcr0,
        };
        let regs = &mut self.cpu.state.regs;
        let answer = asked.answer(regs.get(RAX) as u32, regs.get(RCX) as u32);
        for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(answer) {
            regs.set(number, u64::from(value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpuid(model: CpuModel, leaf: u32) -> Registers {
        Asked { model, code64: true, osxsave: false, xcr0: 1 }.answer(leaf, 0)
    }

    #[test]
    fn vendor_and_brand_read_as_text() {
        let [_, b, c, d] = cpuid(CpuModel::X86_64V2, 0);
        let vendor: Vec<u8> = [b, d, c].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(vendor, b"GenuineIntel");
        let leaves = 0x8000_0002..=0x8000_0004;
        let brand: Vec<u8> =
            leaves.flat_map(|leaf| cpuid(CpuModel::X86_64V2, leaf)).flat_map(u32::to_le_bytes).collect();
        assert!(brand.starts_with(b"Terrarium x86-64-v2\0"));
    }

    /// The SDM's family and model arithmetic (CPUID, figure 3-6), and the numbers of the processors named.
    #[test]
    fn signatures_are_those_of_the_processors_named() {
        let expected = [(4, 8), (5, 2), (6, 8), (6, 15), (6, 0x36), (6, 0x36)];
        for (model, expected) in CpuModel::ALL.into_iter().zip(expected) {
            let [signature, ..] = cpuid(model, 1);
            let family = signature >> 8 & 15;
            let extended = if family == 6 { signature >> 12 & 0xf0 } else { 0 };
            assert_eq!((family, signature >> 4 & 15 | extended), expected, "{}", model.name());
        }
    }

    /// EDX of leaf 1 as the manuals of the time list it for the parts these processors have of it here; ECX says nothing before SSE3.
    #[test]
    fn old_processors_have_what_they_had() {
        assert_eq!(cpuid(CpuModel::I486, 1), [0x480, 0, 0, 0x3]);
        assert_eq!(cpuid(CpuModel::Pentium, 1)[2..], [0, 0x3bf]);
        assert_eq!(cpuid(CpuModel::Pentium3, 1)[2..], [0, 0x0383_fbff]);
        assert_eq!(cpuid(CpuModel::Core2, 1)[2..], [0x2201, 0x078b_fbff]);
    }

    /// Intel SDM vol. 2, CPUID: an input past the highest leaf is answered as the highest basic leaf.
    #[test]
    fn a_processor_without_extended_leaves_answers_with_its_highest() {
        for leaf in [0x8000_0000, 0x8000_0001, 0x4000_0000, 7] {
            assert_eq!(cpuid(CpuModel::I486, leaf), cpuid(CpuModel::I486, 1), "{leaf:#x}");
        }
    }

    /// The x86-64 psABI's list for level v2.
    #[test]
    fn every_feature_of_x86_64_v2_is_there() {
        let [_, _, c, d] = cpuid(CpuModel::X86_64V2, 1);
        for (name, bit) in [("SSE3", 0), ("SSSE3", 9), ("CX16", 13), ("SSE4.1", 19), ("SSE4.2", 20), ("POPCNT", 23)] {
            assert_ne!(c >> bit & 1, 0, "{name}");
        }
        for (name, bit) in [("FPU", 0), ("CX8", 8), ("CMOV", 15), ("MMX", 23), ("FXSR", 24), ("SSE", 25), ("SSE2", 26)]
        {
            assert_ne!(d >> bit & 1, 0, "{name}");
        }
        let [_, _, c, d] = cpuid(CpuModel::X86_64V2, 0x8000_0001);
        assert_ne!(c & 1, 0, "LAHF-SAHF");
        assert_ne!(d >> 11 & 1, 0, "SYSCALL");
    }

    /// The x86-64 psABI's list for level v3, beyond v2. OSXSAVE is the operating system's.
    #[test]
    fn every_feature_of_x86_64_v3_is_there() {
        let [_, _, c, _] = cpuid(CpuModel::X86_64V3, 1);
        for (name, bit) in [("FMA", 12), ("MOVBE", 22), ("XSAVE", 26), ("AVX", 28), ("F16C", 29)] {
            assert_ne!(c >> bit & 1, 0, "{name}");
        }
        assert_eq!(c >> 27 & 1, 0, "OSXSAVE before CR4 says so");
        let [_, b, _, _] = cpuid(CpuModel::X86_64V3, 7);
        for (name, bit) in [("BMI1", 3), ("AVX2", 5), ("BMI2", 8)] {
            assert_ne!(b >> bit & 1, 0, "{name}");
        }
        let [_, _, c, _] = cpuid(CpuModel::X86_64V3, 0x8000_0001);
        assert_ne!(c >> 5 & 1, 0, "LZCNT");
    }

    /// Intel SDM vol. 1, 13.2 and 13.4: 512 bytes and the header, then 256 bytes of AVX state.
    #[test]
    fn sizes_of_the_extended_state_follow_from_what_is_enabled() {
        let asked = |xcr0| Asked { model: CpuModel::X86_64V3, code64: true, osxsave: true, xcr0 };
        assert_eq!(asked(3).answer(13, 0), [7, 576, 832, 0]);
        assert_eq!(asked(7).answer(13, 0), [7, 832, 832, 0]);
        assert_eq!(asked(7).answer(13, 1), [15, 832, 0, 0], "XSAVEOPT, XSAVEC, XGETBV with ECX = 1, XSAVES");
        assert_eq!(asked(7).answer(13, 2), [256, 576, 0, 0]);
        assert_eq!(asked(7).answer(1, 0)[2] >> 27 & 1, 1, "OSXSAVE");
        assert_eq!(cpuid(CpuModel::X86_64V2, 13), [0; 4]);
    }

    /// Cache size by the formula of leaf 4: ways * partitions * line * sets.
    #[test]
    fn cache_parameters_give_their_sizes() {
        let size = |subleaf| {
            let [_, b, c, _] = cache(subleaf);
            ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1)
        };
        assert_eq!([size(0), size(1), size(2)], [32 << 10, 32 << 10, 512 << 10]);
    }
}
