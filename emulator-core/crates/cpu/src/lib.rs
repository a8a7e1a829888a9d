//! One architectural x86 processor: state, MMU and TLB, exceptions, irregular instructions and the interpreter.
//!
//! Invariant: the processor names no device. Everything outside it is behind [`platform::Bus`].

mod blocks;
mod clock;
pub mod compiled;
mod cpuid;
mod exceptions;
mod exec;
#[cfg(test)]
mod hostile_tests;
mod hot;
mod interpreter;
mod mmu;
mod mode;
mod model;
mod msr;
mod pages;
mod reset;
mod segments;
mod spaces;
mod state;
mod stats;
mod system;
#[cfg(test)]
mod testing;
mod tlb;
mod trace;
mod vector;
mod x87;

use platform::{Bus, Nanos, PhysAddr, RestoreError, Section, Vcpu, VcpuExit};
use serde::{Deserialize, Serialize};
use x86::{FeatureSet, Op};

/// The TLB's layout, which compiled code indexes.
pub mod tlb_layout {
    pub use crate::tlb::{ENTRIES, Entry, PAGE_MASK, Use, least_difference};
}

pub use model::CpuModel;
pub use state::{
    Access, DescriptorTable, InterruptShadow, Mode, Msrs, RegisterFile, Segment, State, X87, control, eflags,
};

pub use stats::{CpuStats, Exit, Exits};

use blocks::BlockCache;
use clock::SliceClock;
use compiled::{Compiler, Context};
use exec::Exec;
use stats::Counters;
use tlb::Tlb;
use trace::Trace;
pub use trace::dump;

/// Changes with the encoding of [`Saved`].
const SECTION_VERSION: u16 = 2;

/// A processor: its architectural [`State`] and what is derived from it (translations, decoded blocks).
pub struct Cpu {
    /// The architectural state. After changing anything but general registers and status flags, call [`Cpu::state_changed`].
    pub state: State,
    model: CpuModel,
    /// What `model` has.
    pub(crate) features: FeatureSet,
    /// Derived from `state`; see [`Mode`].
    pub(crate) mode: Mode,
    /// `mode` packed, for the jump cache.
    pub(crate) mode_bits: u16,
    pub(crate) tlb: Tlb,
    pub(crate) blocks: BlockCache,
    /// Room for the operations of a block while it is decoded.
    pub(crate) decoded: Vec<Op>,
    pub(crate) clock: SliceClock,
    /// Instructions retired since power-on.
    pub(crate) retired: u64,
    /// Of them, those of before the snapshot that this processor comes from.
    restored: u64,
    /// Bytes that repeated string instructions have moved many at a time, and when the run began.
    pub(crate) moved: u64,
    pub(crate) moved_at_start: u64,
    /// Something must be looked at before the next block: an interrupt, the shadow, HLT.
    pub(crate) attention: bool,
    /// A bus access may have changed a line or a deadline: give the board its turn after this block.
    pub(crate) leave: bool,
    /// Nothing else runs beside what is at work now: devices may be accessed.
    pub(crate) alone: bool,
    /// The instruction at work was stopped before it accessed a device, because it is not alone.
    pub(crate) meets_device: bool,
    pub(crate) nmi_pending: bool,
    /// A single-step trap follows the instruction at work: EFLAGS.TF was set when it began.
    pub(crate) stepping: bool,
    /// Linear address of the page fault raised last, for CR2 when it is delivered.
    pub(crate) fault_address: u64,
    /// Whether operations are decoded to forms of their own where there are such.
    pub(crate) specialises: bool,
    /// Triple fault.
    pub(crate) shut_down: bool,
    /// Hardware interrupts delivered.
    pub(crate) interrupts: u64,
    /// Exceptions delivered.
    pub(crate) faults: u64,
    pub(crate) trace: Option<Box<Trace>>,
    pub(crate) context: Context,
    pub(crate) counters: Counters,
    pub(crate) compiler: Option<Box<Compiler>>,
}

/// What [`Cpu`] saves: the architectural state and the counter guest time is derived from.
#[derive(Serialize, Deserialize)]
struct Saved {
    model: CpuModel,
    state: State,
    retired: u64,
    nmi_pending: bool,
    shut_down: bool,
}

impl Cpu {
    /// A processor of the default model, as after power-on.
    #[must_use]
    pub fn new() -> Cpu {
        Cpu::of_model(CpuModel::default())
    }

    /// A processor as after power-on.
    #[must_use]
    pub fn of_model(model: CpuModel) -> Cpu {
        let state = State::at_reset(model);
        let mode = Mode::of(&state);
        let mut cpu = Cpu {
            state,
            model,
            features: model.features(),
            mode,
            mode_bits: mode.bits(),
            tlb: Tlb::new(),
            blocks: BlockCache::new(),
            decoded: Vec::new(),
            clock: SliceClock::default(),
            retired: 0,
            restored: 0,
            moved: 0,
            moved_at_start: 0,
            attention: true,
            leave: false,
            alone: true,
            meets_device: false,
            nmi_pending: false,
            stepping: false,
            fault_address: 0,
            specialises: true,
            shut_down: false,
            interrupts: 0,
            faults: 0,
            trace: None,
            context: Context::new(),
            counters: Counters::default(),
            compiler: None,
        };
        cpu.state_changed();
        cpu
    }

    /// The same processor, running everything by the generic descriptions behind the dispatch: tests compare the two.
    #[must_use]
    pub fn generic(self) -> Cpu {
        Cpu { specialises: false, ..self }
    }

    /// Which model it is.
    #[must_use]
    pub fn model(&self) -> CpuModel {
        self.model
    }

    /// Counters since power-on.
    #[must_use]
    pub fn stats(&self) -> CpuStats {
        let Counters { instructions, helped, exits, .. } = self.counters;
        let translator = self.compiler.as_deref().map(Compiler::translator_stats).unwrap_or_default();
        CpuStats {
            instructions: self.retired,
            interpreted_instructions: self.retired - self.restored - instructions,
            compiled_instructions: instructions - helped,
            helped_instructions: helped,
            restored_instructions: self.restored,
            blocks_decoded: self.blocks.decoded,
            blocks_invalidated: self.blocks.invalidated,
            tlb_misses: self.tlb.misses,
            interrupts: self.interrupts,
            exceptions: self.faults,
            compiled_entries: exits.sum(),
            compiled_exits: exits,
            regions: translator.regions,
            regions_invalidated: self.blocks.code.invalidated,
            regions_evicted: self.blocks.code.evicted,
            modules: translator.modules,
            module_bytes: translator.module_bytes,
            held_module_bytes: translator.held_module_bytes,
            compile_ns: translator.compile_ns,
            longest_compile_ns: translator.longest_compile_ns,
            aside_compile_ns: translator.aside_ns,
        }
    }

    /// Seeds the generator behind `RDRAND`.
    pub fn seed_random(&mut self, seed: u64) {
        self.state.random = msr::random_state(seed);
    }

    /// Drops every decoded block and every translation: guest memory was replaced from outside.
    pub fn forget_derived(&mut self) {
        self.tlb.flush(false);
        self.blocks.forget();
    }

    /// Whether code has been decoded from the physical page of `phys`.
    pub(crate) fn holds_code(&self, phys: PhysAddr) -> bool {
        self.blocks.holds_code(phys.0)
    }

    /// Bytes of a page that holds code are about to change, or just have.
    pub(crate) fn code_written(&mut self, phys: PhysAddr, bytes: u64) {
        self.blocks.invalidate(phys.0, bytes);
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu::new()
    }
}

impl Vcpu for Cpu {
    fn run(&mut self, bus: &mut dyn Bus, now: Nanos, ns_per_kilo_instruction: u32, budget: u64) -> VcpuExit {
        self.clock = SliceClock::new(now, self.retired, ns_per_kilo_instruction);
        self.moved_at_start = self.moved;
        if bus.take_map_changed() {
            self.tlb.flush(false);
            self.blocks.forget_jumps();
        }
        self.settle_compiler();
        let limit = self.retired.saturating_add(budget);
        self.alone = false;
        let exit = Exec { cpu: self, bus }.run_blocks(limit);
        self.alone = true;
        exit
    }

    fn instructions(&self) -> u64 {
        self.retired
    }

    fn work(&self) -> u64 {
        self.retired + self.moved / system::WORK_BYTES
    }

    fn reset(&mut self) {
        // The random number generator is not a register: a reset does not make it repeat itself.
        let random = self.state.random;
        self.state = State { random, ..State::at_reset(self.model) };
        self.nmi_pending = false;
        self.shut_down = false;
        self.attention = true;
        self.forget_derived();
        self.state_changed();
    }

    fn save(&self) -> Section {
        let saved = Saved {
            model: self.model,
            state: self.state.clone(),
            retired: self.retired,
            nmi_pending: self.nmi_pending,
            shut_down: self.shut_down,
        };
        Section::encode("cpu.0", SECTION_VERSION, &saved)
    }

    fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let saved: Saved = section.decode(SECTION_VERSION)?;
        if saved.model != self.model || !saved.state.is_consistent(self.features) {
            return Err(section.damaged());
        }
        self.state = saved.state;
        self.retired = saved.retired;
        self.restored = saved.retired;
        self.counters = Counters::default();
        self.nmi_pending = saved.nmi_pending;
        self.shut_down = saved.shut_down;
        self.attention = true;
        self.forget_derived();
        self.state_changed();
        Ok(())
    }
}
