//! The processor's side of compiled code: what it shares with it, when code is compiled, and how it is entered.
//!
//! Who compiles is behind [`Translator`]; it is handed [`Region`]s of predecoded blocks and gives functions back. A region finds the guest's state in
//! memory and leaves it there, for the next region, which a tail call leads to, or for good. It is found through the jump cache, like a block.

mod cache;
mod compiler;
mod entry;
mod flags;
mod helpers;
mod profile;
mod region;
mod segments;
mod straddle;
mod targets;
pub mod x87;

use x86::{Exception, Width};

pub(crate) use cache::CodeCache;
pub use cache::Part;
pub(crate) use compiler::Compiler;
pub use compiler::{FORCED, HOT};
pub(crate) use entry::GlobalPages;
pub use flags::FlagKind;
pub use helpers::Helpers;
pub use profile::{RegionCounts, RegionProfile};
pub(crate) use region::Footing;
pub use region::{Region, RegionBlock};
use segments::segment_ends;
pub use segments::{SEGMENT_ENDS, SegmentEnds, end_of_code, end_of_data};
pub use straddle::Sharing;
pub(crate) use straddle::Straddles;
pub(crate) use targets::Targets;

pub use crate::system::FEW_ELEMENTS;

use crate::blocks::{JUMPS, Jump, MAX_REGION_OPS};
use crate::exec::Exec;
use crate::state::control;
use crate::tlb::{PAGE_MASK, View};
use crate::x87::xsave::{XCR0_AVX, XCR0_SSE};
use crate::{Cpu, Exit, InterruptShadow, State};

/// A compiled region, as a slot of the function table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub u32);

/// A compiled region, and where it may be entered.
pub struct Translation {
    /// The region.
    pub code: Code,
    /// By the number of the entry, places of blocks in the region; the first is the first here.
    pub entries: Vec<usize>,
}

/// A place compiled code can be entered at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) code: Code,
    /// Number and offset of the entry, see [`jump_layout`].
    pub(crate) place: u32,
}

impl Entry {
    /// Entry `number` of `code`, at `offset` from the region's first byte; none where it is too far away.
    pub(crate) fn new(code: Code, number: u32, offset: i64) -> Option<Entry> {
        const REACH: i64 = 1 << (31 - jump_layout::OFFSET_SHIFT);
        let place = number & jump_layout::NUMBER as u32 | (offset as u32) << jump_layout::OFFSET_SHIFT;
        (-REACH..REACH).contains(&offset).then_some(Entry { code, place })
    }

    /// The entry's offset from the region's first byte.
    pub(crate) fn offset(self) -> i64 {
        i64::from(self.place as i32 >> jump_layout::OFFSET_SHIFT)
    }
}

/// `(code, place, instructions)`: enters `code`, and returns when a region has left. Compiled code.
pub type Enter = unsafe extern "C" fn(u32, u32, i64);

/// Compiles regions.
pub trait Translator {
    /// Makes what all regions share: how they are entered and left.
    fn prepare(&mut self, shared: &Shared) -> Enter;
    /// Begins to compile `regions`.
    fn begin(&mut self, regions: Vec<Region>);
    /// What has become of the regions that were begun first and not told of yet; none while they are being compiled. A region that cannot be
    /// has no translation.
    fn finished(&mut self) -> Option<Vec<Option<Translation>>>;
    /// It compiles while the guest runs on; otherwise what was begun is finished.
    fn works_aside(&self) -> bool {
        false
    }
    /// Forgets a region that nothing enters any more.
    fn release(&mut self, code: Code);
    /// What it has done.
    fn stats(&self) -> TranslatorStats;
    /// What a region has run; none where it does not count that.
    fn counts(&self, _code: Code) -> Option<RegionCounts> {
        None
    }
    /// A module of a region that counts, to be read.
    fn listing(&self, _code: Code) -> Option<&[u8]> {
        None
    }
}

/// Counters of a [`Translator`] since it was made.
#[derive(Clone, Copy, Default, Debug)]
pub struct TranslatorStats {
    /// Modules compiled.
    pub modules: u64,
    /// Bytes of them.
    pub module_bytes: u64,
    /// Bytes of those of which some region can still be entered.
    pub held_module_bytes: u64,
    /// Nanoseconds compiling took, as far as the caller waits for it.
    pub compile_ns: u64,
    /// The most of it at a time.
    pub longest_compile_ns: u64,
    /// Nanoseconds compiling took aside, while the guest ran on.
    pub aside_ns: u64,
    /// Regions that can be entered now.
    pub regions: u64,
}

/// Where compiled code finds things, as addresses in the memory it shares with the processor, and whom it calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared {
    /// Of [`State`].
    pub state: usize,
    /// Of [`Context`].
    pub context: usize,
    /// Of the jump cache: [`JUMPS`] entries.
    pub jumps: usize,
    /// Of the TLB's tables for user mode.
    pub user_tlb: usize,
    /// Functions.
    pub helpers: Helpers,
}

/// What compiled code and the processor tell each other. Compiled code knows its layout.
#[repr(C)]
pub struct Context {
    /// What a helper answers.
    pub answers: [u64; 2],
    /// Instructions of the slice that are left; told by compiled code when it leaves.
    pub left: i64,
    /// What stands where the carry vector is, from region to region and when compiled code leaves.
    pub flag_kind: FlagKind,
    /// Tag of the jump cache's entries that are in force.
    pub tag: u64,
    /// Address of the TLB's tables for the view in force.
    pub tlb: usize,
    /// What instructions beside the general ones ask for in vain: those of [`ENABLED_SSE`] and its siblings that are not there.
    pub disabled: u32,
    /// Why compiled code leaves, the number of an [`Exit`], where that does not follow from all else. After [`Exit::Access`] and
    /// [`Exit::Operands`] the next instruction has to be interpreted.
    pub exit: u32,
    /// An interrupt waits until flags and shadow let it come.
    pub waiting: u32,
    /// Guest time: the first is when the run began, from where as many instructions as the second have passed when nothing is left of the slice, a thousand of
    /// them in as many nanoseconds as the third.
    pub time: [u64; 3],
    /// See [`SegmentEnds`]; as they are now, outside 64-bit mode.
    pub ends: SegmentEnds,
    /// `ends` may have changed.
    pub(crate) ends_changed: bool,
    /// An exception that a helper has found.
    fault: Option<Exception>,
    /// What [`crate::Cpu::retired`] is when nothing is left.
    limit: u64,
    /// The [`Exec`] compiled code runs for.
    exec: *mut (),
}

impl Context {
    pub(crate) fn new() -> Context {
        let exec = core::ptr::null_mut();
        Context {
            answers: [0; 2],
            left: 0,
            flag_kind: FlagKind::CARRIES,
            tag: 0,
            tlb: 0,
            disabled: u32::MAX,
            exit: 0,
            waiting: 0,
            time: [0; 3],
            ends: [0; SEGMENT_ENDS],
            ends_changed: true,
            fault: None,
            limit: 0,
            exec,
        }
    }
}

impl Cpu {
    /// Tells compiled code what may have changed with the mode.
    fn refresh_context(&mut self) {
        self.context.tag = self.blocks.tag(self.mode_bits);
        self.context.tlb = self.tlb.selected_address();
        self.context.disabled = !enabled(&self.state);
        if self.mode.code != Width::W64 && core::mem::take(&mut self.context.ends_changed) {
            self.context.ends = segment_ends(&self.state, self.mode.flat);
        }
    }

    /// Why compiled code has just left.
    fn exit(&mut self, raised: bool) -> Exit {
        let told = Exit::numbered(core::mem::take(&mut self.context.exit));
        match told {
            _ if raised && self.meets_device => Exit::Device,
            _ if raised => Exit::Exception,
            Some(exit) => exit,
            None if self.context.left < MAX_REGION_OPS as i64 => Exit::Slice,
            None => Exit::NoCode,
        }
    }

    fn shared(&self) -> Shared {
        Shared {
            state: core::ptr::from_ref::<State>(&self.state) as usize,
            context: core::ptr::from_ref::<Context>(&self.context) as usize,
            jumps: self.blocks.jumps_address(),
            user_tlb: self.tlb.address(View::User),
            helpers: Helpers::addresses(),
        }
    }
}

impl Exec<'_> {
    /// Runs compiled code from `entry` on, if the slice is long enough for it. True where a block is to be interpreted.
    #[inline(never)]
    pub(crate) fn try_code(&mut self, entry: Entry, limit: u64) -> Result<bool, Exception> {
        if limit - self.cpu.retired < MAX_REGION_OPS as u64 {
            return Ok(true);
        }
        Ok(self.run_code(entry, limit)? && self.cpu.retired < limit)
    }

    /// Runs compiled code from `entry` until it leaves; the guest's state is complete then. True where the next instruction has to be interpreted.
    fn run_code(&mut self, entry: Entry, limit: u64) -> Result<bool, Exception> {
        let this: *mut () = core::ptr::from_mut(self).cast();
        let cpu = &mut *self.cpu;
        let Some(compiler) = &mut cpu.compiler else { return Ok(true) };
        let Some((_, enter)) = compiler.ready else { return Ok(true) };
        cpu.blocks.forget_last();
        let before = cpu.retired;
        let limit = if compiler.brief { before + MAX_REGION_OPS as u64 } else { limit };
        let context = &mut cpu.context;
        context.limit = limit;
        context.time = cpu.clock.before(limit);
        context.exec = this;
        context.flag_kind = FlagKind::CARRIES;
        context.waiting = u32::from(self.bus.interrupt_asserted());
        cpu.refresh_context();
        let left = (limit - before) as i64;
        // SAFETY: `entry.code` is the slot of a region that the jump cache leads to, so that it has not been released. It was compiled
        // for this state, context, jump cache and TLB (`settle_compiler`), stays in guest memory by the TLB's entries as the interpreter
        // does, and comes back to Rust through helpers, which take `self` from `context.exec` while nothing here uses it.
        unsafe { enter(entry.code.0, entry.place, left) };
        let cpu = &mut *self.cpu;
        cpu.retired = limit - cpu.context.left as u64;
        cpu.state.flag_carries = cpu.context.flag_kind.carries(cpu.state.flag_result, cpu.state.flag_carries);
        if let Some(compiler) = &mut cpu.compiler {
            cpu.leave |= compiler.brief;
        }
        let exception = cpu.context.fault.take();
        let exit = cpu.exit(exception.is_some());
        cpu.counters.left(exit, cpu.retired - before, cpu.retired);
        let slow = matches!(exit, Exit::Access | Exit::Operands);
        cpu.attention |= cpu.context.waiting != 0;
        // Compiled code has left at the instruction behind STI: unless that faults, it runs in the shadow.
        if cpu.state.interrupt_shadow != InterruptShadow::None && !cpu.mode.single {
            if slow {
                cpu.attention = true;
                cpu.state_changed();
            } else {
                cpu.state.interrupt_shadow = InterruptShadow::None;
            }
        }
        match exit {
            Exit::Access => self.left_in_vain(self.cpu.tlb.misses, CodeCache::take_apart),
            // Operands are looked at whatever the TLB misses.
            Exit::Operands if !x87::is_usual(self.cpu.state.x87.control) => {
                self.left_in_vain(0, CodeCache::expect_unusual_x87);
            }
            _ => (),
        }
        match exception {
            Some(exception) => Err(exception),
            None => Ok(slow),
        }
    }
}

impl Exec<'_> {
    /// Compiled code has left for what it was not compiled for. Where it does so here again and again, without the TLB's having missed anything meanwhile,
    /// the regions around go as `compile_anew` says, to be compiled for what is.
    fn left_in_vain(&mut self, misses: u64, compile_anew: fn(&mut CodeCache, u64) -> bool) {
        let linear = self.code_linear(self.cpu.state.rip);
        let Cpu { blocks, tlb, .. } = &mut *self.cpu;
        if blocks.code.straddles.note(linear, misses)
            && let Some(page) = tlb.code_page(linear)
            && compile_anew(&mut blocks.code, page.0 | linear & !PAGE_MASK)
        {
            blocks.forget_jumps_to_gone();
        }
    }
}

/// Bits that [`Context::disabled`] has where this does not hold: SSE instructions may run.
pub const ENABLED_SSE: u32 = 1;
/// VEX-encoded instructions may run.
pub const ENABLED_AVX: u32 = 2;
/// x87 instructions may run, none of their exceptions waits, and all are masked.
pub const ENABLED_X87: u32 = 4;
/// SSE arithmetic rounds to nearest, with neither DAZ nor FTZ; everything is masked, and PE is set.
pub const ENABLED_USUAL_ROUNDING: u32 = 8;
/// The privilege level is 0: CLI and the like do what they are for.
pub const ENABLED_PRIVILEGED: u32 = 16;

/// RDTSC is for this privilege level.
pub const ENABLED_TIME: u32 = 32;
/// The x87 rounds to nearest in extended precision. Compiled code notes it where it loads the control word.
pub const ENABLED_USUAL_X87: u32 = 64;

/// See [`Context::disabled`]: Intel SDM vol. 3, table 2-2, and vol. 1, 8.1.5, 10.2.3 and 14.5.
fn enabled(state: &State) -> u32 {
    const X87_MASKS: u16 = 0x3f;
    // ES and B.
    const X87_WAITING: u16 = 0x8080;
    // All of MXCSR but the flags; and PE.
    const MXCSR_LOOKED_AT: u32 = 0xffe0;
    const MXCSR_USUAL: u32 = 0x1fa0;
    let unit = state.cr0 & (control::CR0_EM | control::CR0_TS) == 0;
    let quiet = state.x87.control & X87_MASKS == X87_MASKS && state.x87.status & X87_WAITING == 0;
    let components = XCR0_SSE | XCR0_AVX;
    let avx = state.cr0 & control::CR0_TS == 0
        && state.cr4 & control::CR4_OSXSAVE != 0
        && state.xcr0 & components == components;
    let bit = |enabled, bit| if enabled { bit } else { 0 };
    bit(unit && state.cr4 & control::CR4_OSFXSR != 0, ENABLED_SSE)
        | bit(avx, ENABLED_AVX)
        | bit(unit && quiet, ENABLED_X87)
        | bit(x87::is_usual(state.x87.control), ENABLED_USUAL_X87)
        | bit(state.mxcsr & MXCSR_LOOKED_AT == MXCSR_USUAL, ENABLED_USUAL_ROUNDING)
        | bit(state.cpl == 0, ENABLED_PRIVILEGED)
        | bit(state.cpl == 0 || state.cr4 & control::CR4_TSD == 0, ENABLED_TIME)
}

/// The layout of the jump cache, which compiled code looks into.
pub mod jump_layout {
    use core::mem::offset_of;

    use super::{JUMPS, Jump};

    /// Entries: a power of two.
    pub const ENTRIES: usize = JUMPS;
    /// Bytes of an entry.
    pub const BYTES: usize = size_of::<Jump>();
    const _: () = assert!(BYTES.is_power_of_two());
    /// Offset of the linear address.
    pub const LINEAR: usize = offset_of!(Jump, linear);
    /// Offset of the tag.
    pub const TAG: usize = offset_of!(Jump, tag);
    /// Offset of the code's slot; [`NO_CODE`] where there is none.
    pub const CODE: usize = offset_of!(Jump, code);
    /// Offset of the place in the code: the number of the entry, and above it the entry's offset from the region's first byte, signed.
    pub const PLACE: usize = offset_of!(Jump, place);
    /// Where the offset begins.
    pub const OFFSET_SHIFT: i32 = 9;
    /// The number's bits.
    pub const NUMBER: i32 = (1 << OFFSET_SHIFT) - 1;
    const _: () = assert!(MAX_REGION_OPS <= NUMBER as usize, "every block may be an entry");
    /// The index of a linear address is `(linear ^ linear >> SHIFT) % ENTRIES`.
    pub const SHIFT: u32 = crate::blocks::JUMP_SHIFT;
    /// Most instructions in a region: a slice shorter than that is interpreted.
    pub use crate::blocks::MAX_REGION_OPS;
    pub use crate::blocks::NO_CODE;
}
