//! What a caller says about a machine before it is switched on. Plain data.

use std::rc::Rc;

use cpu::CpuModel;
use serde::{Deserialize, Serialize};

use crate::MachineError;
use crate::boot::File;

/// Everything a machine's behaviour depends on, apart from what it boots and its inputs while it runs. Goes into snapshots as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Guest RAM in bytes; rounded down to whole 4 KiB pages.
    pub memory_bytes: u64,
    /// Model of the processor.
    pub cpu: CpuModel,
    /// Wall-clock time at power-on, in seconds since 1970-01-01 UTC; the guest's real-time clock starts there.
    pub unix_seconds: i64,
    /// Seed of the processor's random numbers (`RDRAND`): the same seed gives the same numbers.
    pub random_seed: u64,
    /// Nobody will start the guest again after a reset: report a triple fault as a fault, with the processor's state.
    pub no_reboot: bool,
    /// Categories to trace from the first instruction on, as [`crate::Machine::set_trace`] takes them.
    pub trace: String,
    /// What drives guest time.
    pub clock: Clock,
    /// Unpack a Linux bzImage here instead of letting its own code do it in the guest.
    pub decompress_on_host: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            memory_bytes: 512 << 20,
            cpu: CpuModel::default(),
            unix_seconds: 0,
            random_seed: 0,
            no_reboot: false,
            trace: String::new(),
            clock: Clock::Realtime,
            decompress_on_host: false,
        }
    }
}

/// The model of processor with that name.
///
/// # Errors
/// [`MachineError::OptionInvalid`] where there is none.
pub fn cpu_model(name: &str) -> Result<CpuModel, MachineError> {
    CpuModel::named(name).ok_or_else(|| MachineError::OptionInvalid {
        option: "cpu".to_owned(),
        value: name.to_owned(),
        expected: format!("one of {}", CpuModel::ALL.map(CpuModel::name).join(", ")),
    })
}

/// What drives guest time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clock {
    /// Guest time follows the host time given to [`crate::Machine::run`].
    Realtime,
    /// Guest time is a function of the instructions retired; an idle guest jumps to its next deadline. A run is
    /// then a function of the configuration and the inputs.
    Instructions {
        /// Guest nanoseconds for every 1,000 instructions.
        ns_per_kilo_instruction: u32,
    },
}

/// What to start. A machine copies it into guest memory and keeps nothing of it.
#[derive(Debug, Clone)]
pub enum Boot {
    /// A kernel: a Linux bzImage, an ELF with a PVH note, or (with [`Entry::Auto`]) a multiboot 1 kernel.
    Kernel {
        /// The kernel file.
        kernel: Rc<dyn File>,
        /// Initial RAM disk; a multiboot kernel gets it as its first module.
        initrd: Option<Rc<dyn File>>,
        /// Modules in order, which only multiboot kernels take.
        modules: Vec<Module>,
        /// Kernel command line.
        command_line: String,
        /// Which of the kernel's entry points to use.
        entry: Entry,
    },
    /// A flat firmware image, started at the reset vector.
    Firmware {
        /// The image; its last byte is mapped at 0xffffffff, its last 128 KiB also end at 0xfffff.
        rom: Rc<dyn File>,
    },
}

/// A multiboot module.
#[derive(Debug, Clone)]
pub struct Module {
    /// Contents.
    pub file: Rc<dyn File>,
    /// The string handed to the kernel with it.
    pub command_line: String,
}

/// An entry point of a Linux kernel (Documentation/arch/x86/boot.rst) or PVH kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The fastest one the kernel offers.
    Auto,
    /// The 16-bit setup code, on our own small BIOS.
    Real16,
    /// The 32-bit boot protocol.
    Protected32,
    /// The 64-bit boot protocol.
    Long64,
    /// PVH: the ELF image's `XEN_ELFNOTE_PHYS32_ENTRY`.
    Pvh,
}

impl Entry {
    /// The name used in options and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Entry::Auto => "auto",
            Entry::Real16 => "16-bit",
            Entry::Protected32 => "32-bit",
            Entry::Long64 => "64-bit",
            Entry::Pvh => "pvh",
        }
    }
}

impl core::str::FromStr for Entry {
    type Err = MachineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Entry::Auto, Entry::Real16, Entry::Protected32, Entry::Long64, Entry::Pvh]
            .into_iter()
            .find(|entry| entry.name() == text)
            .ok_or_else(|| MachineError::OptionInvalid {
                option: "entry".to_owned(),
                value: text.to_owned(),
                expected: "one of auto, 16-bit, 32-bit, 64-bit, pvh".to_owned(),
            })
    }
}
