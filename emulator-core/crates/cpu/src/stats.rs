//! Counters since power-on, for `vm.stats()`. What compiled code does is counted where it leaves, never on its way.

use serde::Serialize;

/// What a processor has done since power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuStats {
    /// Instructions retired. A delivery of an exception counts as one. They are the sum of the next four.
    pub instructions: u64,
    /// Of them, those that the interpreter retired, from block to block.
    pub interpreted_instructions: u64,
    /// Those that compiled code retired by itself.
    pub compiled_instructions: u64,
    /// Those in the midst of compiled code that it had a helper run.
    pub helped_instructions: u64,
    /// Those of before the snapshot that the machine comes from.
    pub restored_instructions: u64,
    /// Blocks decoded.
    pub blocks_decoded: u64,
    /// Blocks dropped because their bytes were written.
    pub blocks_invalidated: u64,
    /// Data and fetch translations that missed the TLB.
    pub tlb_misses: u64,
    /// Hardware interrupts delivered.
    pub interrupts: u64,
    /// Exceptions delivered.
    pub exceptions: u64,
    /// Times compiled code was entered: the sum of `compiled_exits`.
    pub compiled_entries: u64,
    /// Why it was left.
    pub compiled_exits: Exits,
    /// Regions of compiled code that can be entered now.
    pub regions: u64,
    /// Regions dropped because their bytes were written.
    pub regions_invalidated: u64,
    /// Regions dropped because there were too many.
    pub regions_evicted: u64,
    /// WebAssembly modules compiled.
    pub modules: u64,
    /// Bytes of them.
    pub module_bytes: u64,
    /// Bytes of those of which some region can still be entered: what the host has to keep.
    pub held_module_bytes: u64,
    /// Nanoseconds compiling took, as far as the guest waited for it.
    pub compile_ns: u64,
    /// The longest it waited at a time.
    pub longest_compile_ns: u64,
    /// Nanoseconds compiling took in another thread, while the guest ran on.
    pub aside_compile_ns: u64,
}

/// How often compiled code was left, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exits {
    /// The TLB did not cover an access of memory: a miss, two pages, a store to a page that holds code.
    pub access: u64,
    /// An instruction was about to access a device.
    pub device: u64,
    /// Operands that the interpreter has to see: unusual floating-point numbers, an unaligned vector, an offset beyond its segment.
    pub operands: u64,
    /// An exception.
    pub exception: u64,
    /// Less was left of the slice than a region may take.
    pub slice: u64,
    /// It went on to where there is no compiled code, or to an instruction that never is compiled.
    pub no_code: u64,
    /// An instruction has changed the mode, mappings, or code.
    pub changed: u64,
    /// An instruction has made something due: an interrupt, or the board's turn.
    pub event: u64,
}

/// Why compiled code was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Exit {
    /// See [`Exits::access`].
    Access = 1,
    /// See [`Exits::operands`].
    Operands,
    /// See [`Exits::changed`].
    Changed,
    /// See [`Exits::event`].
    Event,
    /// See [`Exits::device`].
    Device,
    /// See [`Exits::exception`].
    Exception,
    /// See [`Exits::slice`].
    Slice,
    /// See [`Exits::no_code`].
    NoCode,
}

/// What is counted when compiled code runs.
#[derive(Default)]
pub(crate) struct Counters {
    /// Instructions from entry to exit.
    pub(crate) instructions: u64,
    /// Of them, those that helpers ran.
    pub(crate) helped: u64,
    pub(crate) exits: Exits,
    /// [`crate::Cpu::retired`] at the last exit, if that was one for an access.
    pub(crate) access_at: Option<u64>,
}

impl Counters {
    pub(crate) fn left(&mut self, exit: Exit, instructions: u64, retired: u64) {
        self.instructions += instructions;
        *self.exits.of(exit) += 1;
        self.access_at = (exit == Exit::Access).then_some(retired);
    }

    /// The instruction behind `retired` others accesses a device: if compiled code was left for an access of it, it was this one.
    pub(crate) fn device_met(&mut self, retired: u64) {
        if self.access_at.take() == Some(retired) {
            self.exits.access -= 1;
            self.exits.device += 1;
        }
    }
}

impl Exit {
    /// The one with this number; none for zero, which is what compiled code leaves where it does not say.
    pub(crate) fn numbered(number: u32) -> Option<Exit> {
        use Exit::{Access, Changed, Device, Event, Exception, NoCode, Operands, Slice};
        let all = [Access, Operands, Changed, Event, Device, Exception, Slice, NoCode];
        all.into_iter().find(|&exit| exit as u32 == number)
    }
}

impl Exits {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let Exits { access, device, operands, exception, slice, no_code, changed, event } = self;
        access + device + operands + exception + slice + no_code + changed + event
    }

    fn of(&mut self, exit: Exit) -> &mut u64 {
        match exit {
            Exit::Access => &mut self.access,
            Exit::Operands => &mut self.operands,
            Exit::Changed => &mut self.changed,
            Exit::Event => &mut self.event,
            Exit::Device => &mut self.device,
            Exit::Exception => &mut self.exception,
            Exit::Slice => &mut self.slice,
            Exit::NoCode => &mut self.no_code,
        }
    }
}
