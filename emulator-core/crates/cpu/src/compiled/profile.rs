//! What the compiled regions have run, for those who look for where a guest spends its time.

use super::cache::Compiled;
use super::{Code, Part};
use crate::{Cpu, Mode};

/// What a region counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionCounts {
    /// Instructions retired in it.
    pub instructions: u64,
    /// Times it was entered, from another region too.
    pub entries: u64,
}

/// A region that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionProfile {
    /// The region.
    pub code: Code,
    /// Linear address that led to its first block when it was compiled.
    pub linear: u64,
    /// Mode it was compiled for.
    pub mode: Mode,
    /// What it has run.
    pub counts: RegionCounts,
}

impl Cpu {
    /// All regions that count and can be entered now.
    #[must_use]
    pub fn profile(&self) -> Vec<RegionProfile> {
        let profile = |(code, region)| self.profile_of(code, region);
        self.blocks.code.regions().filter_map(profile).collect()
    }

    /// A region's bytes and its module, if it counts and is there still.
    #[must_use]
    pub fn region(&self, code: Code) -> Option<(RegionProfile, &[Part], &[u8])> {
        let region = self.blocks.code.region(code)?;
        let module = self.compiler.as_ref()?.translator.listing(code)?;
        Some((self.profile_of(code, region)?, &region.parts, module))
    }

    fn profile_of(&self, code: Code, region: &Compiled) -> Option<RegionProfile> {
        let counts = self.compiler.as_ref()?.translator.counts(code)?;
        Some(RegionProfile { code, linear: region.parts[0].linear, mode: region.entries[0].mode, counts })
    }
}
