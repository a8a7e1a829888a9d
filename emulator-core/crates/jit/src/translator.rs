//! The processor's translator: regions to functions, as many in a module as come together.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use cpu::compiled::{Code, Enter, Region, RegionCounts, Shared, Translation, Translator, TranslatorStats};
use x86::Op;

use crate::job::{Job, job};
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
    /// There is somebody who compiles aside, and takes jobs.
    fn has_aside(&self) -> bool {
        false
    }
    /// Has a [`job`] done aside; false where there is nobody to do it any more.
    fn send(&mut self, _job: &Job) -> bool {
        false
    }
    /// Links what came of the oldest job that was sent and not told of yet; none while it is being done.
    fn receive(&mut self) -> Option<Answer> {
        None
    }
    /// Any clock, in nanoseconds.
    fn now(&self) -> u64;
}

/// What came of a job. Of one that got lost, nothing: no places.
#[derive(Default)]
pub struct Answer {
    /// [`crate::Work::places`].
    pub places: Vec<u32>,
    /// Size of the module.
    pub module_bytes: u64,
    /// Nanoseconds it took.
    pub took_ns: u64,
}

/// See the module.
pub struct Jit<L> {
    linker: L,
    shared: Option<Shared>,
    /// Regions count what they do, and their code is kept for those who want to read it. They are compiled here.
    profiles: bool,
    /// What is being compiled aside, the oldest first: regions and their slots.
    sent: VecDeque<Vec<(u32, Region)>>,
    /// Who worked aside has died, and all that was sent with it.
    alone: bool,
    /// What has been compiled here and not been told of.
    done: VecDeque<Vec<Option<Translation>>>,
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
        let (sent, done) = (VecDeque::new(), VecDeque::new());
        Jit {
            linker,
            shared: None,
            profiles,
            sent,
            alone: false,
            done,
            linked,
            modules,
            stats: TranslatorStats::default(),
        }
    }

    fn compile(&self, region: &Region, shared: &Shared) -> Option<(Compiled, Option<Profile>)> {
        let counters = self.profiles.then(Box::<Counters>::default);
        let compiled = compile(region, shared, counters.as_deref())?;
        let profile = counters.map(|counters| Profile { counters, module: named_module(&compiled) });
        Some((compiled, profile))
    }

    fn link(&mut self, regions: &[RegionCode<'_>]) {
        let module = region_module(regions);
        self.linker.link(&module);
        self.count_module(module.len() as u64, regions.len());
    }

    fn count_module(&mut self, bytes: u64, regions: usize) {
        self.stats.modules += 1;
        self.stats.module_bytes += bytes;
        self.stats.held_module_bytes += bytes;
        self.modules.insert(self.stats.modules, Held { bytes, regions });
    }

    /// Counts time since `start` for which the guest has waited.
    fn count_wait(&mut self, start: u64) {
        let took = self.linker.now() - start;
        self.stats.compile_ns += took;
        self.stats.longest_compile_ns = self.stats.longest_compile_ns.max(took);
        self.stats.regions = self.linked.len() as u64;
    }

    /// Has `regions` compiled aside; gives them back where nobody is there to do it.
    fn send(&mut self, regions: Vec<Region>, shared: &Shared) -> Result<(), Vec<Region>> {
        if !self.works_aside() {
            return Err(regions);
        }
        let regions: Vec<_> = regions.into_iter().map(|region| (self.linker.allocate(), region)).collect();
        if self.linker.send(&job(shared, &regions)) {
            self.sent.push_back(regions);
            return Ok(());
        }
        self.alone = true;
        regions.iter().for_each(|&(slot, _)| self.linker.free(slot));
        Err(regions.into_iter().map(|(_, region)| region).collect())
    }

    fn translate(&mut self, regions: Vec<Region>, shared: &Shared) -> Vec<Option<Translation>> {
        let compiled: Vec<_> = regions.iter().map(|region| self.compile(region, shared)).collect();
        let slots: Vec<_> = compiled.iter().map(|one| one.as_ref().map(|_| self.linker.allocate())).collect();
        let codes: Vec<_> = slots
            .iter()
            .zip(&compiled)
            .filter_map(|(slot, compiled)| Some(RegionCode { slot: (*slot)?, compiled: &compiled.as_ref()?.0 }))
            .collect();
        if !codes.is_empty() {
            self.link(&codes);
        }
        let mut keep = |(slot, region): (Option<u32>, Region), compiled: Option<(Compiled, Option<Profile>)>| {
            let (Compiled { homes, entries, .. }, profile) = compiled?;
            Some(self.keep(slot?, region, &homes, entries, profile))
        };
        slots.into_iter().zip(regions).zip(compiled).map(|(region, compiled)| keep(region, compiled)).collect()
    }

    /// Compiles here what was sent, and has been lost with who was to do it.
    fn translate_lost(&mut self, regions: Vec<(u32, Region)>, shared: &Shared) -> Vec<Option<Translation>> {
        regions.iter().for_each(|&(slot, _)| self.linker.free(slot));
        self.translate(regions.into_iter().map(|(_, region)| region).collect(), shared)
    }

    /// What came of `regions`, which were sent.
    fn take(&mut self, regions: Vec<(u32, Region)>, answer: &Answer) -> Vec<Option<Translation>> {
        let mut words = answer.places.iter().map(|&word| word as usize);
        let mut list = || -> Vec<usize> {
            let count = words.next().unwrap_or(0);
            words.by_ref().take(count).collect()
        };
        let places: Vec<_> = regions.iter().map(|_| (list(), list())).collect();
        let compiled = places.iter().filter(|(entries, _)| !entries.is_empty()).count();
        if compiled > 0 {
            self.count_module(answer.module_bytes, compiled);
        }
        let mut keep = |(slot, region), (entries, homes): (Vec<usize>, Vec<usize>)| {
            if entries.is_empty() {
                self.linker.free(slot);
                return None;
            }
            Some(self.keep(slot, region, &homes, entries, None))
        };
        regions.into_iter().zip(places).map(|(region, places)| keep(region, places)).collect()
    }

    /// Keeps what the code of a region of the last module needs.
    fn keep(
        &mut self,
        slot: u32,
        mut region: Region,
        homes: &[usize],
        entries: Vec<usize>,
        profile: Option<Profile>,
    ) -> Translation {
        let ops = homes.iter().map(|&place| core::mem::take(&mut region.blocks[place].ops)).collect();
        self.linked.insert(slot, Linked { _ops: ops, module: self.stats.modules, profile });
        Translation { code: Code(slot), entries }
    }
}

impl<L: Linker> Translator for Jit<L> {
    fn prepare(&mut self, shared: &Shared) -> Enter {
        self.shared = Some(*shared);
        self.linker.link_stubs(&stub_module(shared), shared)
    }

    fn begin(&mut self, regions: Vec<Region>) {
        let Some(shared) = self.shared else {
            self.done.push_back(regions.iter().map(|_| None).collect());
            return;
        };
        let start = self.linker.now();
        if let Err(regions) = self.send(regions, &shared) {
            let translations = self.translate(regions, &shared);
            self.done.push_back(translations);
        }
        self.count_wait(start);
    }

    fn finished(&mut self) -> Option<Vec<Option<Translation>>> {
        if self.sent.is_empty() {
            return self.done.pop_front();
        }
        let start = self.linker.now();
        let answer = if self.alone { Answer::default() } else { self.linker.receive()? };
        let regions = self.sent.pop_front()?;
        let translations = if answer.places.is_empty() {
            let shared = self.shared?;
            self.translate_lost(regions, &shared)
        } else {
            self.take(regions, &answer)
        };
        self.stats.aside_ns += answer.took_ns;
        self.count_wait(start);
        Some(translations)
    }

    fn works_aside(&self) -> bool {
        !self.profiles && !self.alone && self.linker.has_aside()
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
