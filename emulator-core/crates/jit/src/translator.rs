//! The processor's translator: regions to functions, as many in a module as come together.

use rustc_hash::FxHashMap;

use cpu::compiled::{Code, Enter, Region, RegionCounts, Shared, Translation, Translator, TranslatorStats};
use x86::Op;

use crate::module::RegionCode;
use crate::{Compiled, Counters, compile, named_module, region_module, stub_module};

/// Puts modules where the processor can call them. What it is given has been validated by nobody; it is our own.
pub trait Linker {
    /// Instantiates the module of [`stub_module`]: gives its function `enter`, and keeps `leave` for the modules to come.
    fn link_stubs(&mut self, module: &[u8], shared: &Shared) -> Enter;
    /// A free slot of the function table.
    fn allocate(&mut self) -> u32;
    /// Instantiates a module of [`region_module`], which puts its functions into their slots by itself.
    fn link(&mut self, module: &[u8]);
    /// Empties a slot.
    fn free(&mut self, slot: u32);
    /// Any clock, in nanoseconds.
    fn now(&self) -> u64;
}

/// See the module.
pub struct Jit<L> {
    linker: L,
    shared: Option<Shared>,
    /// Regions count what they do, and their code is kept for those who want to read it.
    profiles: bool,
    /// What may be entered, by slot.
    linked: FxHashMap<u32, Linked>,
    /// Modules with regions that may be, by number.
    modules: FxHashMap<u64, Held>,
    stats: TranslatorStats,
}

/// A region that may be entered.
struct Linked {
    /// They have to stay where they are.
    _ops: Vec<Vec<Op>>,
    module: u64,
    profile: Option<Profile>,
}

/// What a profile tells of a region.
struct Profile {
    /// In a box: it has to stay where it is.
    counters: Box<Counters>,
    module: Vec<u8>,
}

/// A module that the host keeps for its regions' sake.
struct Held {
    bytes: u64,
    regions: usize,
}

impl<L: Linker> Jit<L> {
    /// A translator that has compiled nothing; with `profiles`, of regions that count what they do.
    pub fn new(linker: L, profiles: bool) -> Jit<L> {
        let (linked, modules) = (FxHashMap::default(), FxHashMap::default());
        Jit { linker, shared: None, profiles, linked, modules, stats: TranslatorStats::default() }
    }

    fn compile(&self, region: Region, shared: &Shared) -> Option<(Compiled, Option<Profile>)> {
        let counters = self.profiles.then(Box::<Counters>::default);
        let compiled = compile(region, shared, counters.as_deref())?;
        let profile = counters.map(|counters| Profile { counters, module: named_module(&compiled) });
        Some((compiled, profile))
    }

    fn link(&mut self, regions: &[RegionCode<'_>]) {
        let module = region_module(regions);
        self.linker.link(&module);
        let bytes = module.len() as u64;
        self.stats.modules += 1;
        self.stats.module_bytes += bytes;
        self.stats.held_module_bytes += bytes;
        self.modules.insert(self.stats.modules, Held { bytes, regions: regions.len() });
    }
}

impl<L: Linker> Translator for Jit<L> {
    fn prepare(&mut self, shared: &Shared) -> Enter {
        self.shared = Some(*shared);
        self.linker.link_stubs(&stub_module(shared), shared)
    }

    fn translate(&mut self, regions: Vec<Region>) -> Vec<Option<Translation>> {
        let Some(shared) = self.shared else { return regions.iter().map(|_| None).collect() };
        let start = self.linker.now();
        let compiled: Vec<_> = regions.into_iter().map(|region| self.compile(region, &shared)).collect();
        let slots: Vec<_> = compiled.iter().map(|one| one.as_ref().map(|_| self.linker.allocate())).collect();
        let codes: Vec<_> = slots
            .iter()
            .zip(&compiled)
            .filter_map(|(slot, compiled)| Some(RegionCode { slot: (*slot)?, compiled: &compiled.as_ref()?.0 }))
            .collect();
        if !codes.is_empty() {
            self.link(&codes);
        }
        let module = self.stats.modules;
        let mut keep = |slot: u32, (compiled, profile): (Compiled, Option<Profile>)| {
            self.linked.insert(slot, Linked { _ops: compiled.ops, module, profile });
            Translation { code: Code(slot), entries: compiled.entries }
        };
        let translations =
            slots.into_iter().zip(compiled).map(|(slot, compiled)| Some(keep(slot?, compiled?))).collect();
        let took = self.linker.now() - start;
        self.stats.compile_ns += took;
        self.stats.longest_compile_ns = self.stats.longest_compile_ns.max(took);
        self.stats.regions = self.linked.len() as u64;
        translations
    }

    fn release(&mut self, code: Code) {
        let Some(linked) = self.linked.remove(&code.0) else { return };
        self.linker.free(code.0);
        self.stats.regions = self.linked.len() as u64;
        let Some(held) = self.modules.get_mut(&linked.module) else { return };
        held.regions -= 1;
        if held.regions == 0 {
            self.stats.held_module_bytes -= held.bytes;
            self.modules.remove(&linked.module);
        }
    }

    fn stats(&self) -> TranslatorStats {
        self.stats
    }

    fn counts(&self, code: Code) -> Option<RegionCounts> {
        let counters = &self.linked.get(&code.0)?.profile.as_ref()?.counters;
        Some(RegionCounts { instructions: counters.instructions(), entries: counters.entries() })
    }

    fn listing(&self, code: Code) -> Option<&[u8]> {
        Some(&self.linked.get(&code.0)?.profile.as_ref()?.module)
    }
}
