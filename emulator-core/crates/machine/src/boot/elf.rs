//! ELF kernels of either class: their loadable segments, entry point and PVH note.

use core::ops::Range;

use object::elf::{self, FileHeader32, FileHeader64, PT_LOAD, PT_NOTE};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader};

use super::Loader;
use crate::{MachineError, layout};

/// Note type of the PVH entry point, in notes named "Xen" (xen/include/public/elfnote.h).
const XEN_ELFNOTE_PHYS32_ENTRY: elf::NoteType = elf::NoteType(18);
const LE: LittleEndian = LittleEndian;

/// Whether a file starts with the ELF magic.
pub(super) fn is_elf(file: &[u8]) -> bool {
    file.starts_with(&elf::ELFMAG)
}

/// A segment to load: bytes of the file, which contains them, then zeros.
struct Segment {
    virtual_address: u64,
    address: u64,
    file: Range<usize>,
    memory_bytes: u64,
}

/// Where the file of an image is.
#[derive(Clone, Copy)]
pub(super) enum Source<'f> {
    /// In a buffer of the caller's.
    File(&'f [u8]),
    /// In guest memory, from this address on.
    Memory(u64),
}

/// What the headers of an ELF file say, checked against its length.
pub(super) struct Image {
    is_64: bool,
    entry: u64,
    pvh_entry: Option<u32>,
    segments: Vec<Segment>,
}

impl Image {
    /// Reads headers and notes of an x86 executable.
    pub fn parse(file: &[u8]) -> Result<Image, MachineError> {
        match file.get(4).map(|class| elf::FileClass(*class)) {
            Some(elf::ELFCLASS32) => parse_class::<FileHeader32<LittleEndian>>(file, elf::EM_386, false),
            Some(elf::ELFCLASS64) => parse_class::<FileHeader64<LittleEndian>>(file, elf::EM_X86_64, true),
            _ => Err(damaged("its ELF header names no class")),
        }
    }

    /// Whether it is of the 64-bit class.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// The PVH entry point, if a note names one.
    pub fn pvh_entry(&self) -> Option<u32> {
        self.pvh_entry
    }

    /// Lowest physical address of a segment.
    pub fn lowest(&self) -> u64 {
        self.segments.iter().map(|segment| segment.address).min().unwrap_or(0)
    }

    /// The entry point as a physical address: kernels link theirs either so or virtually, inside a segment.
    pub fn entry(&self) -> u64 {
        let segment = self.segments.iter().find(|segment| {
            self.entry.checked_sub(segment.virtual_address).is_some_and(|offset| offset < segment.memory_bytes)
        });
        segment.map_or(self.entry, |segment| self.entry - segment.virtual_address + segment.address)
    }

    /// Copies the segments from `source`, the file that was parsed, to their physical addresses, and returns the end of
    /// the highest. A source in memory lies above all of them.
    pub fn load(&self, loader: &mut Loader<'_>, source: Source<'_>) -> Result<u64, MachineError> {
        let mut end = 0;
        for segment in &self.segments {
            let Segment { address, memory_bytes, ref file, .. } = *segment;
            if address < layout::ONE_MIB {
                let reason = format!("it wants to be loaded at {address:#x}, below 1 MiB");
                return Err(MachineError::KernelUnsupported { reason });
            }
            let file_bytes = file.len() as u64;
            loader.slice(address, memory_bytes)?[file.len()..].fill(0);
            match source {
                Source::File(bytes) => loader.put(address, &bytes[file.clone()])?,
                Source::Memory(base) => loader.copy(base + file.start as u64, address, file_bytes)?,
            }
            end = end.max(address + memory_bytes);
        }
        Ok(end)
    }

    /// End of the highest segment, in bytes; saturated where a segment wraps around.
    pub fn end(&self) -> u64 {
        self.segments.iter().map(|segment| segment.address.saturating_add(segment.memory_bytes)).max().unwrap_or(0)
    }
}

fn parse_class<H>(file: &[u8], machine: elf::Machine, is_64: bool) -> Result<Image, MachineError>
where
    H: FileHeader<Endian = LittleEndian>,
    H::Word: Into<u64>,
{
    let header = H::parse(file).map_err(|_| damaged("its ELF header is malformed"))?;
    if !header.is_little_endian() || header.e_machine(LE) != machine {
        let reason = "its ELF header is not for an x86 processor".to_owned();
        return Err(MachineError::KernelUnsupported { reason });
    }
    let program_headers = header.program_headers(LE, file).map_err(|_| damaged("its program headers are cut off"))?;
    let mut image = Image { is_64, entry: header.e_entry(LE).into(), pvh_entry: None, segments: Vec::new() };
    for program_header in program_headers {
        match program_header.p_type(LE) {
            PT_LOAD => image.segments.extend(segment::<H>(program_header, file)?),
            PT_NOTE => image.pvh_entry = image.pvh_entry.or(pvh_note::<H>(program_header, file)),
            _ => {}
        }
    }
    if image.segments.is_empty() {
        return Err(damaged("its ELF image has nothing to load"));
    }
    Ok(image)
}

fn segment<H>(header: &H::ProgramHeader, file: &[u8]) -> Result<Option<Segment>, MachineError>
where
    H: FileHeader<Endian = LittleEndian>,
    H::Word: Into<u64>,
{
    let (offset, length): (u64, u64) = (header.p_offset(LE).into(), header.p_filesz(LE).into());
    let memory_bytes: u64 = header.p_memsz(LE).into();
    if memory_bytes == 0 {
        return Ok(None);
    }
    let end = offset.checked_add(length).ok_or_else(|| damaged("an ELF segment wraps around"))?;
    if end > file.len() as u64 {
        return Err(MachineError::KernelTruncated { needed: end, found: file.len() as u64 });
    }
    if length > memory_bytes {
        return Err(damaged("an ELF segment is longer in the file than in memory"));
    }
    let (virtual_address, address) = (header.p_vaddr(LE).into(), header.p_paddr(LE).into());
    Ok(Some(Segment { virtual_address, address, file: offset as usize..end as usize, memory_bytes }))
}

fn pvh_note<H>(header: &H::ProgramHeader, file: &[u8]) -> Option<u32>
where
    H: FileHeader<Endian = LittleEndian>,
{
    let mut notes = header.notes(LE, file).ok()??;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"Xen" && note.n_type(LE) == XEN_ELFNOTE_PHYS32_ENTRY {
            // 4 bytes from 32-bit kernels, 8 from 64-bit ones; the address is below 4 GiB either way.
            return note.desc().first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        }
    }
    None
}

fn damaged(reason: &str) -> MachineError {
    MachineError::KernelDamaged { reason: reason.to_owned() }
}
