//! PVH: 32-bit entry of an ELF kernel with the start info structure in EBX
//! (xen/docs/misc/pvh.pandoc; xen/include/public/arch-x86/hvm/start_info.h).

use super::{EntryState, File, Loader, Registers32, elf};
use crate::{Entry, MachineError, layout};

const START_INFO_MAGIC: u32 = 0x336e_c578;
const START_INFO_BYTES: u64 = 56;
const MODULE_BYTES: u64 = 32;

/// Loads an ELF kernel that has a PVH note.
pub(super) fn load(
    loader: &mut Loader<'_>,
    file: &[u8],
    initrd: Option<&dyn File>,
    command_line: &str,
) -> Result<EntryState, MachineError> {
    let image = elf::Image::parse(file)?;
    let kernel_end = image.load(loader, elf::Source::File(file))?;
    enter(loader, &image, kernel_end, initrd, command_line)
}

/// Starts an image that is loaded already.
pub(super) fn enter(
    loader: &mut Loader<'_>,
    image: &elf::Image,
    kernel_end: u64,
    initrd: Option<&dyn File>,
    command_line: &str,
) -> Result<EntryState, MachineError> {
    let entry = image.pvh_entry();
    let eip = entry.ok_or_else(|| MachineError::EntryNotOffered { entry: Entry::Pvh.name().to_owned() })?;
    loader.put_command_line(command_line, layout::COMMAND_LINE_ROOM - 1)?;
    let initrd = initrd.filter(|file| file.length() > 0);
    let module = match initrd {
        Some(file) => Some((loader.put_initrd(file, kernel_end, loader.ram_bytes())?, file.length() as u64)),
        None => None,
    };
    put_start_info(loader, module)?;
    Ok(EntryState::Protected32(Registers32 { eip, ebx: layout::PVH_INFO as u32, ..Registers32::default() }))
}

fn put_start_info(loader: &mut Loader<'_>, module: Option<(u64, u64)>) -> Result<(), MachineError> {
    let modules = layout::PVH_INFO + START_INFO_BYTES;
    let memory_map = modules + MODULE_BYTES;
    let map = loader.memory_map();
    let mut bytes = Vec::new();
    let (version, flags) = (1u32, 0u32);
    for word in [START_INFO_MAGIC, version, flags, u32::from(module.is_some())] {
        bytes.extend(word.to_le_bytes());
    }
    for address in [modules, layout::COMMAND_LINE, loader.rsdp.0, memory_map] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend((map.len() as u64).to_le_bytes());
    let (address, length) = module.unwrap_or_default();
    let (module_command_line, reserved) = (0u64, 0u64);
    for field in [address, length, module_command_line, reserved] {
        bytes.extend(field.to_le_bytes());
    }
    for range in map {
        for field in [range.start, range.bytes, range.kind as u64] {
            bytes.extend(field.to_le_bytes());
        }
    }
    loader.put(layout::PVH_INFO, &bytes)
}
