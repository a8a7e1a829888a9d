//! Boot protocols: what a firmware and a boot loader do between power-on and the kernel's first instruction.
//!
//! Invariant: everything read from a kernel file is hostile. It is bounds-checked, and refused with a typed error.

mod elf;
mod file;
mod firmware;
mod kind;
mod linux;
mod loader;
mod multiboot;
mod payload;
mod pvh;
mod real_mode;
mod record;
mod setup_header;

pub use file::File;
pub(crate) use firmware::{can_be_mapped, system_rom};
use kind::KernelKind;
pub(crate) use loader::Loader;
use setup_header::SetupHeader;

use crate::{Boot, Entry, MachineError};

/// The processor's state at the first instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryState {
    /// As after RESET#: firmware of the caller's takes over.
    ResetVector,
    /// The same with our own BIOS, which starts what its boot record names.
    SystemBios,
    /// Protected mode without paging, flat 4 GiB segments, interrupts off.
    Protected32(Registers32),
    /// Long mode over identity-mapping page tables, flat segments, interrupts off.
    Long64 {
        /// First instruction.
        rip: u64,
        /// Zero page, in RSI.
        rsi: u64,
    },
}

/// What 32-bit protocols hand over in registers; the others are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Registers32 {
    pub eip: u32,
    pub eax: u32,
    pub ebx: u32,
    pub esi: u32,
}

/// Puts what `boot` names into memory and says in which state the processor starts.
pub(crate) fn load(boot: &Boot, loader: &mut Loader<'_>) -> Result<EntryState, MachineError> {
    match boot {
        Boot::Firmware { .. } => Ok(EntryState::ResetVector),
        Boot::Kernel { kernel, initrd, modules, command_line, entry } => {
            let initrd = initrd.as_deref();
            let head = kernel.head(setup_header::LONGEST);
            // Other kernels name their parts anywhere in the file.
            let bytes = if SetupHeader::is_present(&head) { head } else { kernel.part(0, kernel.length()) };
            let kind = KernelKind::detect(&bytes)?;
            if kind != KernelKind::Multiboot && !modules.is_empty() {
                let reason = "it takes no modules, which only multiboot kernels do: give it an initrd".to_owned();
                return Err(MachineError::KernelUnsupported { reason });
            }
            match kind {
                KernelKind::BzImage => linux::load(loader, &**kernel, initrd, command_line, *entry),
                KernelKind::PvhElf if matches!(entry, Entry::Auto | Entry::Pvh) => {
                    pvh::load(loader, &bytes, initrd, command_line)
                }
                KernelKind::Multiboot if *entry == Entry::Auto => {
                    let first = initrd.map(|file| (file, ""));
                    let others = modules.iter().map(|module| (&*module.file, &module.command_line[..]));
                    multiboot::load(loader, &bytes, command_line, &first.into_iter().chain(others).collect::<Vec<_>>())
                }
                KernelKind::PvhElf | KernelKind::Multiboot => {
                    Err(MachineError::EntryNotOffered { entry: entry.name().to_owned() })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
