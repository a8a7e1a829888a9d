//! The processors to choose from: what each says of itself and what it has (Intel SDM vol. 2, CPUID; the application notes of their time).
//!
//! The two named after levels of the x86-64 psABI present themselves as an Atom of the Saltwell generation. Operating systems know it
//! as a design without speculative execution, which is true of an interpreter, and leave out their mitigations.

use serde::{Deserialize, Serialize};
use x86::Feature::*;
use x86::FeatureSet;

/// A model of processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum CpuModel {
    /// Intel486 DX4.
    I486,
    /// Pentium (P54C).
    Pentium,
    /// Pentium III (Coppermine).
    Pentium3,
    /// Core 2 Duo (Conroe).
    Core2,
    /// Level v2 of the x86-64 psABI.
    #[default]
    X86_64V2,
    /// Level v3 of the x86-64 psABI.
    X86_64V3,
}

/// What a model is.
pub(crate) struct Description {
    pub(crate) name: &'static str,
    /// Leaf 1, EAX: family, model and stepping. EDX holds it after reset.
    pub(crate) signature: u32,
    /// Highest basic leaf.
    pub(crate) max_basic: u32,
    /// Highest extended leaf; 0 where there is none.
    pub(crate) max_extended: u32,
    /// Leaf 2, where it has descriptors of its own: EAX, EBX, ECX, EDX (Intel SDM vol. 2, table 3-12).
    pub(crate) cache_descriptors: [u32; 4],
    pub(crate) features: FeatureSet,
}

const I486: FeatureSet = FeatureSet::of(&[Fpu, Vme]);
const PENTIUM: FeatureSet = I486.with(&[De, Pse, Tsc, Msr, Mce, Cx8, Apic]);
const PENTIUM3: FeatureSet = PENTIUM.with(&[P6, Pae, Sep, Mtrr, Pge, Mca, Cmov, Pat, Pse36, Mmx, Fxsr, Sse]);
const CORE2: FeatureSet = PENTIUM3.with(&[Clfsh, Sse2, Sse3, Ssse3, Cx16, LongMode, Syscall, Nx, LahfLm]);
const X86_64_V2: FeatureSet = CORE2
    .with(&[Sse41, Sse42, Popcnt, Pcid, X2apic, TscDeadline, Hypervisor, Rdrand, Rdtscp])
    .with(&[TscAdjust, Smep, Erms, Smap, Umip, AlwaysRunningTimer, InvariantTsc]);
const X86_64_V3: FeatureSet = X86_64_V2
    .with(&[Movbe, Fsgsbase, Invpcid, Lzcnt, Bmi1, Bmi2, Rdseed, Rdpid, Clflushopt])
    .with(&[Xsave, Xsaveopt, Xsavec, Xgetbv1, Xsaves])
    .with(&[Avx, Avx2, Fma, F16c, Aes, Pclmulqdq, Sha, Adx]);

/// Descriptor 0xff: leaf 4 tells of the caches.
const BY_LEAF_4: [u32; 4] = [0x00ff_0001, 0, 0, 0];

impl CpuModel {
    /// All of them, oldest first.
    pub const ALL: [CpuModel; 6] = [
        CpuModel::I486,
        CpuModel::Pentium,
        CpuModel::Pentium3,
        CpuModel::Core2,
        CpuModel::X86_64V2,
        CpuModel::X86_64V3,
    ];

    /// The name used in options and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The model with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<CpuModel> {
        CpuModel::ALL.into_iter().find(|model| model.name() == name)
    }

    /// What it has.
    #[must_use]
    pub fn features(self) -> FeatureSet {
        self.description().features
    }

    pub(crate) fn description(self) -> Description {
        match self {
            CpuModel::I486 => Description {
                name: "486",
                signature: 0x480,
                max_basic: 1,
                max_extended: 0,
                cache_descriptors: [0; 4],
                features: I486,
            },
            CpuModel::Pentium => Description {
                name: "pentium",
                signature: 0x52c,
                max_basic: 1,
                max_extended: 0,
                cache_descriptors: [0; 4],
                features: PENTIUM,
            },
            CpuModel::Pentium3 => Description {
                name: "pentium3",
                signature: 0x686,
                max_basic: 2,
                max_extended: 0,
                // TLBs of 4-KiB and 4-MiB pages; 16 KiB of instructions and of data, 256 KiB of both.
                cache_descriptors: [0x0302_0101, 0, 0, 0x0c04_0882],
                features: PENTIUM3,
            },
            CpuModel::Core2 => Description {
                name: "core2",
                signature: 0x6f6,
                max_basic: 10,
                max_extended: 0x8000_0008,
                // TLBs and prefetching as Conroe has them; the caches of leaf 4.
                cache_descriptors: [0x05b0_b101, 0x0056_57f0, 0, 0x2cb4_3080],
                features: CORE2,
            },
            CpuModel::X86_64V2 => level("x86-64-v2", X86_64_V2),
            CpuModel::X86_64V3 => level("x86-64-v3", X86_64_V3),
        }
    }
}

/// Family 6, model 0x36, stepping 1.
const fn level(name: &'static str, features: FeatureSet) -> Description {
    Description {
        name,
        signature: 0x0003_0661,
        max_basic: 0x16,
        max_extended: 0x8000_0008,
        cache_descriptors: BY_LEAF_4,
        features,
    }
}

#[cfg(test)]
mod tests;
