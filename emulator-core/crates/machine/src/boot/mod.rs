//! Boot protocols: what a firmware and a boot loader do between power-on and the kernel's first instruction.
//!
//! Invariant: everything read from a kernel file is hostile. It is bounds-checked, and refused with a typed error.

mod elf;
mod firmware;
mod kind;
mod linux;
mod loader;
mod multiboot;
mod payload;
mod pvh;
mod real_mode;
mod setup_header;

pub(crate) use firmware::system_rom;
pub use kind::KernelKind;
pub(crate) use loader::Loader;

use crate::{Boot, Entry, MachineError};

/// The processor's state at the first instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryState {
    /// As after RESET#: firmware takes over.
    ResetVector,
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
        Boot::Multiboot { kernel, command_line, modules } => {
            let modules: Vec<_> = modules.iter().map(|m| (&m.bytes[..], &m.command_line[..])).collect();
            multiboot::load(loader, kernel, command_line, &modules)
        }
        Boot::Linux { kernel, initrd, command_line, entry } => {
            let initrd = initrd.as_deref();
            match KernelKind::detect(kernel)? {
                KernelKind::BzImage => linux::load(loader, kernel, initrd, command_line, *entry),
                KernelKind::PvhElf if matches!(entry, Entry::Auto | Entry::Pvh) => {
                    pvh::load(loader, kernel, initrd, command_line)
                }
                KernelKind::Multiboot if *entry == Entry::Auto => {
                    let modules: Vec<_> = initrd.map(|bytes| (bytes, "")).into_iter().collect();
                    multiboot::load(loader, kernel, command_line, &modules)
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
