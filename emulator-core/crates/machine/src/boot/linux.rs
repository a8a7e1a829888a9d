//! The Linux boot protocol (Documentation/arch/x86/boot.rst): 16-, 32- and 64-bit entry points, zero page, initrd.

use super::setup_header::{HEADER, LONGEST, SetupHeader};
use super::{EntryState, File, Loader, Registers32, elf, payload, pvh, real_mode};
use crate::{Entry, MachineError, layout};

/// Boot loader type "unknown loader" without an assigned number.
pub(super) const LOADER_TYPE: u8 = 0xff;

// Fields of the setup header and of `struct boot_params` (Documentation/arch/x86/zero-page.rst) that a loader writes.
const EXT_MEM_K: usize = 0x002;
const ACPI_RSDP_ADDR: usize = 0x070;
const ALT_MEM_K: usize = 0x1e0;
const E820_ENTRIES: usize = 0x1e8;
const TYPE_OF_LOADER: usize = 0x210;
const CODE32_START: usize = 0x214;
const RAMDISK_IMAGE: usize = 0x218;
const RAMDISK_SIZE: usize = 0x21c;
const CMD_LINE_PTR: usize = 0x228;
const E820_TABLE: usize = 0x2d0;
const ZERO_PAGE_BYTES: usize = 4096;
/// The 64-bit entry point, counted from the load address.
const ENTRY_64: u64 = 0x200;

/// Loads a bzImage and chooses the entry point.
pub(super) fn load(
    loader: &mut Loader<'_>,
    file: &dyn File,
    initrd: Option<&dyn File>,
    command_line: &str,
    entry: Entry,
) -> Result<EntryState, MachineError> {
    let header = SetupHeader::parse(&file.head(LONGEST), file.length())?;
    let linux = Linux { header, file, initrd, command_line };
    match entry {
        Entry::Real16 => real_mode::load(loader, &linux),
        Entry::Pvh => {
            let unpacked = linux.unpack(loader)?;
            pvh::enter(loader, &unpacked.image, unpacked.kernel_end, initrd, command_line)
        }
        Entry::Long64 if !header.entry_64 => Err(MachineError::EntryNotOffered { entry: entry.name().to_owned() }),
        Entry::Auto if loader.decompress_on_host => linux.load_unpacked(loader),
        Entry::Auto => linux.load_packed(loader, header.entry_64 && loader.long_mode),
        Entry::Long64 | Entry::Protected32 => linux.load_packed(loader, entry == Entry::Long64),
    }
}

/// A kernel taken out of its bzImage and loaded.
struct Unpacked {
    image: elf::Image,
    kernel_end: u64,
}

/// A bzImage on its way into memory.
pub(super) struct Linux<'a> {
    pub header: SetupHeader,
    pub file: &'a dyn File,
    pub initrd: Option<&'a dyn File>,
    pub command_line: &'a str,
}

impl Linux<'_> {
    /// Puts the protected-mode part of the file to `address`.
    pub fn put_kernel(&self, loader: &mut Loader<'_>, address: u64) -> Result<(), MachineError> {
        loader.put_file(address, self.file, self.header.setup_bytes, self.header.kernel_bytes)
    }

    /// Unpacks the payload at the end of RAM, loads the ELF image it turns out to be, and wipes the end again: the
    /// unpacked kernel is never allocated beside guest memory.
    fn unpack(&self, loader: &mut Loader<'_>) -> Result<Unpacked, MachineError> {
        let (offset, length) = self.header.payload;
        if length == 0 {
            let reason = "its boot protocol is older than 2.08 and does not say where its payload is".to_owned();
            return Err(MachineError::KernelUnsupported { reason });
        }
        let payload = self.file.part(self.header.setup_bytes + offset, length);
        let bytes = payload::unpacked_bytes(&payload)?;
        let configured = loader.ram_bytes();
        let base = configured.checked_sub(bytes).filter(|base| *base >= layout::KERNEL);
        let base = base.ok_or(MachineError::MemoryTooSmall { needed: layout::KERNEL + bytes, configured })?;
        payload::unpack(&payload, loader.slice(base, bytes)?)?;
        let image = elf::Image::parse(loader.slice(base, bytes)?)?;
        if image.end() > base {
            let needed = image.end().saturating_add(bytes);
            return Err(MachineError::MemoryTooSmall { needed, configured });
        }
        let kernel_end = image.load(loader, elf::Source::Memory(base))?;
        loader.slice(base, bytes)?.fill(0);
        Ok(Unpacked { image, kernel_end })
    }

    fn load_packed(&self, loader: &mut Loader<'_>, long: bool) -> Result<EntryState, MachineError> {
        let address = self.header.load_address(loader.ram_bytes())?;
        self.put_kernel(loader, address)?;
        self.put_zero_page(loader, address, address + self.header.occupied())?;
        if long {
            Ok(EntryState::Long64 { rip: address + ENTRY_64, rsi: layout::ZERO_PAGE })
        } else {
            Ok(EntryState::Protected32(Registers32 {
                eip: address as u32,
                esi: layout::ZERO_PAGE as u32,
                ..Registers32::default()
            }))
        }
    }

    fn load_unpacked(&self, loader: &mut Loader<'_>) -> Result<EntryState, MachineError> {
        let Unpacked { image, kernel_end } = self.unpack(loader)?;
        self.put_zero_page(loader, image.lowest(), kernel_end)?;
        if image.is_64() {
            Ok(EntryState::Long64 { rip: image.entry(), rsi: layout::ZERO_PAGE })
        } else {
            let eip = image.entry() as u32;
            Ok(EntryState::Protected32(Registers32 { eip, esi: layout::ZERO_PAGE as u32, ..Registers32::default() }))
        }
    }

    /// Writes initrd and command line and returns the header's fields that name them.
    pub fn put_inputs(&self, loader: &mut Loader<'_>, kernel_end: u64) -> Result<[(usize, u32); 3], MachineError> {
        loader.put_command_line(self.command_line, self.header.command_line_max)?;
        let initrd = self.initrd.filter(|file| file.length() > 0);
        let (address, length) = match initrd {
            None => (0, 0),
            Some(file) => {
                (loader.put_initrd(file, kernel_end, self.header.initrd_max.saturating_add(1))?, file.length())
            }
        };
        Ok([
            (CMD_LINE_PTR, layout::COMMAND_LINE as u32),
            (RAMDISK_IMAGE, address as u32),
            (RAMDISK_SIZE, length as u32),
        ])
    }

    fn put_zero_page(&self, loader: &mut Loader<'_>, address: u64, kernel_end: u64) -> Result<(), MachineError> {
        let fields = self.put_inputs(loader, kernel_end)?;
        let mut page = [0u8; ZERO_PAGE_BYTES];
        let head = self.file.head(self.header.header_end);
        page[HEADER..head.len()].copy_from_slice(&head[HEADER..]);
        page[TYPE_OF_LOADER] = LOADER_TYPE;
        for (offset, value) in fields.into_iter().chain([(CODE32_START, address as u32)]) {
            page[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        page[ACPI_RSDP_ADDR..ACPI_RSDP_ADDR + 8].copy_from_slice(&loader.rsdp.0.to_le_bytes());
        let extended_kib = (loader.ram_bytes() - layout::ONE_MIB) >> 10;
        page[EXT_MEM_K..EXT_MEM_K + 2].copy_from_slice(&(extended_kib.min(0xffff) as u16).to_le_bytes());
        page[ALT_MEM_K..ALT_MEM_K + 4].copy_from_slice(&(extended_kib as u32).to_le_bytes());
        let map = loader.memory_map();
        page[E820_ENTRIES] = map.len() as u8;
        for (range, slot) in map.iter().zip(page[E820_TABLE..].chunks_exact_mut(20)) {
            slot[..8].copy_from_slice(&range.start.to_le_bytes());
            slot[8..16].copy_from_slice(&range.bytes.to_le_bytes());
            slot[16..].copy_from_slice(&(range.kind as u32).to_le_bytes());
        }
        loader.put(layout::ZERO_PAGE, &page)
    }
}
