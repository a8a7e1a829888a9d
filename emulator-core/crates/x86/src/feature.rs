//! CPUID features: what an encoding belongs to, and what a model of processor has.

/// A feature that CPUID tells of, named as the manual names it (Intel SDM vol. 2, CPUID). Most have encodings; the others change what
/// control registers and model-specific registers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Feature {
    /// Every processor has it; no bit tells.
    Base,
    /// New with the P6 family, and no bit tells: hint and no-operation opcodes, performance counters, and the registers of their time.
    P6,
    Fpu,
    Vme,
    De,
    Pse,
    Tsc,
    Msr,
    Pae,
    Mce,
    Cx8,
    Apic,
    Sep,
    Mtrr,
    Pge,
    Mca,
    Cmov,
    Pat,
    Pse36,
    Clfsh,
    Mmx,
    Fxsr,
    Sse,
    Sse2,
    Sse3,
    Ssse3,
    Sse41,
    Sse42,
    Popcnt,
    Cx16,
    Pcid,
    X2apic,
    TscDeadline,
    Hypervisor,
    Movbe,
    Rdrand,
    Xsave,
    LongMode,
    Syscall,
    Nx,
    Rdtscp,
    LahfLm,
    TscAdjust,
    Smep,
    Erms,
    Smap,
    Umip,
    AlwaysRunningTimer,
    InvariantTsc,
    Fsgsbase,
    Invpcid,
    Lzcnt,
    Bmi1,
    Bmi2,
    Rdseed,
    Rdpid,
    Clflushopt,
    Xsaveopt,
    Xsavec,
    /// `XGETBV` tells which components are in use.
    Xgetbv1,
    Avx,
    Avx2,
    Fma,
    F16c,
    Aes,
    Pclmulqdq,
    Sha,
    Adx,
    Xsaves,
}

/// A set of features; [`Feature::Base`] is in every one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureSet(u128);

impl FeatureSet {
    /// Every feature there is.
    pub const ALL: FeatureSet = FeatureSet(u128::MAX);

    /// The features listed.
    #[must_use]
    pub const fn of(features: &[Feature]) -> FeatureSet {
        FeatureSet(1).with(features)
    }

    /// These features and those listed.
    #[must_use]
    pub const fn with(self, features: &[Feature]) -> FeatureSet {
        let mut set = self.0;
        let mut at = 0;
        while at < features.len() {
            set |= 1 << features[at] as u8;
            at += 1;
        }
        FeatureSet(set)
    }

    /// Whether `feature` is among them.
    #[must_use]
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 != 0
    }
}
