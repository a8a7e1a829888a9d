//! Multiboot 1 (Multiboot Specification 0.6.96): ELF kernels and kernels with address fields.

use platform::PAGE_BYTES;

use super::record::{self, Program};
use super::{EntryState, File, Loader, elf};
use crate::{MachineError, layout};

const HEADER_MAGIC: u32 = 0x1bad_b002;
/// What EAX says to the kernel.
const LOADER_MAGIC: u32 = 0x2bad_b002;
/// The header lies in the first 8 KiB, 4-byte aligned (3.1).
const SEARCHED: usize = 8192;
const LOADER_NAME: &[u8] = b"Terrarium\0";
const INFO_BYTES: u64 = 88;
/// Boot loaders put the kernel's path in front of its command line, and kernels skip the first word; this stands for it.
const KERNEL_NAME: &str = "kernel";

/// Header flags (3.1.2). Bits 0 to 15 are demands a loader must refuse when it does not know them; page-aligned
/// modules (bit 0) and memory information (bit 1) are always given.
const FLAG_KNOWN_DEMANDS: u32 = 0b11;
const FLAG_DEMANDS: u32 = 0xffff;
const FLAG_VIDEO: u32 = 1 << 2;
const FLAG_ADDRESSES: u32 = 1 << 16;

/// Information flags (3.3).
const INFO_MEMORY: u32 = 1 << 0;
const INFO_COMMAND_LINE: u32 = 1 << 2;
const INFO_MODULES: u32 = 1 << 3;
const INFO_MEMORY_MAP: u32 = 1 << 6;
const INFO_LOADER_NAME: u32 = 1 << 9;

/// The multiboot header of a kernel.
pub(super) struct Header<'f> {
    offset: usize,
    flags: u32,
    rest: &'f [u8],
}

/// Finds the header: magic, flags and a checksum that makes the three words sum to zero.
pub(super) fn header(file: &[u8]) -> Option<Header<'_>> {
    let searched = &file[..file.len().min(SEARCHED)];
    (0..searched.len().saturating_sub(11)).step_by(4).find_map(|offset| {
        let [magic, flags, checksum] = [0, 4, 8].map(|field| word(searched, offset + field));
        let found = magic? == HEADER_MAGIC && magic?.wrapping_add(flags?).wrapping_add(checksum?) == 0;
        found.then_some(Header { offset, flags: flags?, rest: &file[offset..] })
    })
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..offset + 4).map(|slice| u32::from_le_bytes(slice.try_into().expect("four bytes")))
}

/// Loads the kernel, then the modules behind it, each on its own pages. It starts over our BIOS: kernels that a boot loader started on a PC
/// read the BIOS data area, and some go back to real mode to ask the BIOS.
pub(super) fn load(
    loader: &mut Loader<'_>,
    file: &[u8],
    command_line: &str,
    modules: &[(&dyn File, &str)],
) -> Result<EntryState, MachineError> {
    let not_recognised = MachineError::KernelNotRecognised { bytes: file.len() as u64 };
    let header = header(file).ok_or(not_recognised)?;
    let unknown = header.flags & FLAG_DEMANDS & !FLAG_KNOWN_DEMANDS;
    if unknown != 0 {
        let demand = if unknown & FLAG_VIDEO != 0 { "a video mode" } else { "multiboot features nobody has defined" };
        return Err(MachineError::KernelUnsupported { reason: format!("it demands {demand}") });
    }
    let (eip, kernel_end) = if header.flags & FLAG_ADDRESSES != 0 {
        header.load_by_addresses(loader, file)?
    } else {
        let image = elf::Image::parse(file)?;
        let kernel_end = image.load(loader, elf::Source::File(file))?;
        (image.entry() as u32, kernel_end)
    };
    let placed = put_modules(loader, modules, kernel_end)?;
    put_information(loader, format!("{KERNEL_NAME} {command_line}").trim_end(), modules, &placed)?;
    record::put(loader, Program::Protected { eip, eax: LOADER_MAGIC, ebx: layout::MULTIBOOT_INFO as u32 });
    Ok(EntryState::SystemBios)
}

impl Header<'_> {
    /// The "a.out kludge" (3.1.3): the header itself says which part of the file goes where.
    fn load_by_addresses(&self, loader: &mut Loader<'_>, file: &[u8]) -> Result<(u32, u64), MachineError> {
        let damaged = |reason: &str| MachineError::KernelDamaged { reason: reason.to_owned() };
        let truncated = MachineError::KernelTruncated { needed: self.offset as u64 + 32, found: file.len() as u64 };
        let fields = [12, 16, 20, 24, 28].map(|offset| word(self.rest, offset));
        let [Some(header), Some(load), Some(load_end), Some(bss_end), Some(entry)] = fields else {
            return Err(truncated);
        };
        let before = header.checked_sub(load).map(|distance| distance as usize);
        let start = before.and_then(|before| self.offset.checked_sub(before));
        let start = start.ok_or_else(|| damaged("its load address does not match its multiboot header"))?;
        let available = file.len() - start;
        let copied = match load_end {
            0 => available,
            end => end.checked_sub(load).ok_or_else(|| damaged("its load address is above its end"))? as usize,
        };
        if copied > available {
            let needed = start as u64 + copied as u64;
            return Err(MachineError::KernelTruncated { needed, found: file.len() as u64 });
        }
        if u64::from(load) < layout::ONE_MIB {
            let reason = format!("it wants to be loaded at {load:#x}, below 1 MiB");
            return Err(MachineError::KernelUnsupported { reason });
        }
        loader.put(load.into(), &file[start..start + copied])?;
        let loaded_end = u64::from(load) + copied as u64;
        let end = loaded_end.max(bss_end.into());
        loader.slice(loaded_end, end - loaded_end)?.fill(0);
        Ok((entry, end))
    }
}

fn put_modules(
    loader: &mut Loader<'_>,
    modules: &[(&dyn File, &str)],
    kernel_end: u64,
) -> Result<Vec<u64>, MachineError> {
    let mut next = kernel_end;
    let mut placed = Vec::new();
    for (module, _) in modules {
        let start = next.next_multiple_of(PAGE_BYTES);
        let (needed, available) = (module.length() as u64, loader.ram_bytes().saturating_sub(start));
        if needed > available {
            return Err(MachineError::InitrdDoesNotFit { needed, available });
        }
        loader.put_file(start, *module, 0, module.length())?;
        placed.push(start);
        next = start + needed;
    }
    Ok(placed)
}

/// Writes the information structure, and behind it the memory map, the module list and all strings.
fn put_information(
    loader: &mut Loader<'_>,
    command_line: &str,
    modules: &[(&dyn File, &str)],
    placed: &[u64],
) -> Result<(), MachineError> {
    const MAP_ENTRY_BYTES: u32 = 24;
    loader.put_command_line(command_line, layout::COMMAND_LINE_ROOM - 1)?;
    let map = loader.memory_map();
    let map_at = layout::MULTIBOOT_INFO + INFO_BYTES;
    let name_at = map_at + u64::from(MAP_ENTRY_BYTES) * map.len() as u64;
    let modules_at = (name_at + LOADER_NAME.len() as u64).next_multiple_of(4);
    let mut strings = layout::COMMAND_LINE + command_line.len() as u64 + 1;

    let flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME;
    let mut info = [0u8; INFO_BYTES as usize];
    let mut set = |offset: usize, value: u64| info[offset..offset + 4].copy_from_slice(&(value as u32).to_le_bytes());
    set(0, flags.into());
    set(4, layout::EBDA >> 10);
    set(8, (loader.ram_bytes() - layout::ONE_MIB) >> 10);
    set(16, layout::COMMAND_LINE);
    set(20, modules.len() as u64);
    set(24, modules_at);
    set(44, u64::from(MAP_ENTRY_BYTES) * map.len() as u64);
    set(48, map_at);
    set(64, name_at);
    loader.put(layout::MULTIBOOT_INFO, &info)?;

    for (index, range) in map.iter().enumerate() {
        let mut entry = [0u8; MAP_ENTRY_BYTES as usize];
        entry[..4].copy_from_slice(&(MAP_ENTRY_BYTES - 4).to_le_bytes());
        entry[4..12].copy_from_slice(&range.start.to_le_bytes());
        entry[12..20].copy_from_slice(&range.bytes.to_le_bytes());
        entry[20..].copy_from_slice(&(range.kind as u32).to_le_bytes());
        loader.put(map_at + index as u64 * u64::from(MAP_ENTRY_BYTES), &entry)?;
    }
    loader.put(name_at, LOADER_NAME)?;

    for (index, ((module, string), start)) in modules.iter().zip(placed).enumerate() {
        let room = layout::COMMAND_LINE + layout::COMMAND_LINE_ROOM - strings;
        let entry_at = modules_at + index as u64 * 16;
        if string.len() as u64 >= room || entry_at + 16 > layout::BOOT_PAGE_TABLES {
            return Err(MachineError::CommandLineTooLong {
                limit: room.saturating_sub(1),
                length: string.len() as u64,
            });
        }
        let mut entry = [0u8; 16];
        entry[..4].copy_from_slice(&(*start as u32).to_le_bytes());
        entry[4..8].copy_from_slice(&((start + module.length() as u64) as u32).to_le_bytes());
        entry[8..12].copy_from_slice(&(strings as u32).to_le_bytes());
        loader.put(entry_at, &entry)?;
        loader.put(strings, string.as_bytes())?;
        loader.put(strings + string.len() as u64, &[0])?;
        strings += string.len() as u64 + 1;
    }
    Ok(())
}
