//! The 16-bit entry point of the Linux boot protocol: the kernel's own setup code in real mode, on our BIOS.
//!
//! Our BIOS runs its power-on self-test from the reset vector, then starts what its boot record names. The record and
//! the address map that INT 15h E820 answers are filled in here, at the offsets bios/terrarium-bios/README.md gives.

use super::linux::{LOADER_TYPE, Linux};
use super::setup_header::HEADER;
use super::{EntryState, Loader};
use crate::{MachineError, layout};

/// Where the BIOS keeps its boot record, as an offset into the F segment: a signature, then the words of
/// [`BootRecord`] and the address map.
const RECORD: usize = 0x0010;
const RECORD_SIGNATURE: [u8; 4] = *b"TBR1";
/// Address map: a count, then 20-byte ranges as E820 returns them.
const MAP: usize = 0x0040;

/// Load flags (boot.rst): the heap end pointer is valid.
const CAN_USE_HEAP: u8 = 0x80;
const TYPE_OF_LOADER: usize = 0x210;
const LOADFLAGS: usize = 0x211;
const CODE32_START: usize = 0x214;
const HEAP_END_PTR: usize = 0x224;
/// Heap offsets are counted from the end of the boot sector.
const HEAP_BASE: u64 = 0x200;

/// Loads setup code and kernel; the processor starts at the reset vector.
pub(super) fn load(loader: &mut Loader<'_>, linux: &Linux<'_>) -> Result<EntryState, MachineError> {
    let header = &linux.header;
    let mut setup = linux.file.head(header.setup_bytes);
    if setup.len() as u64 > layout::SETUP_HEAP_END - HEAP_BASE {
        let reason = format!("its setup code is {} bytes long", setup.len());
        return Err(MachineError::KernelUnsupported { reason });
    }
    // The setup code jumps to code32_start, 1 MiB in every bzImage; a relocatable kernel then moves itself.
    let kernel_end = layout::KERNEL + header.occupied();
    if kernel_end > loader.ram_bytes() {
        return Err(MachineError::MemoryTooSmall { needed: kernel_end, configured: loader.ram_bytes() });
    }
    linux.put_kernel(loader, layout::KERNEL)?;
    let moved_end = header.load_address(loader.ram_bytes())? + header.occupied();
    for (offset, value) in linux.put_inputs(loader, kernel_end.max(moved_end))? {
        setup[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    setup[TYPE_OF_LOADER] = LOADER_TYPE;
    setup[LOADFLAGS] |= CAN_USE_HEAP;
    setup[CODE32_START..CODE32_START + 4].copy_from_slice(&(layout::KERNEL as u32).to_le_bytes());
    let heap_end = (layout::SETUP_HEAP_END - HEAP_BASE) as u16;
    setup[HEAP_END_PTR..HEAP_END_PTR + 2].copy_from_slice(&heap_end.to_le_bytes());
    debug_assert!(setup.len() > HEADER);
    loader.put(layout::SETUP_CODE, &setup)?;
    put_boot_record(loader);
    Ok(EntryState::ResetVector)
}

/// The setup code starts 0x20 paragraphs behind its own segment, with every data segment at its beginning and the
/// stack at the heap's end (boot.rst, "Running the Kernel").
fn put_boot_record(loader: &mut Loader<'_>) {
    let data_segment = (layout::SETUP_CODE >> 4) as u16;
    let (code_segment, instruction_pointer) = (data_segment + 0x20, 0u16);
    let stack_pointer = layout::SETUP_HEAP_END as u16;
    let ram_bytes = loader.ram_bytes();
    let extended_kib = (ram_bytes - layout::ONE_MIB) >> 10;
    let map = loader.memory_map();
    let bios = loader.rom();
    assert_eq!(bios[RECORD..RECORD + 4], RECORD_SIGNATURE, "our own BIOS has a boot record");
    let words = [instruction_pointer, code_segment, data_segment, stack_pointer];
    for (index, word) in words.into_iter().enumerate() {
        bios[RECORD + 4 + 2 * index..][..2].copy_from_slice(&word.to_le_bytes());
    }
    bios[RECORD + 12..RECORD + 16].copy_from_slice(&(extended_kib as u32).to_le_bytes());
    bios[MAP..MAP + 2].copy_from_slice(&(map.len() as u16).to_le_bytes());
    for (range, slot) in map.iter().zip(bios[MAP + 2..].chunks_exact_mut(20)) {
        slot[..8].copy_from_slice(&range.start.to_le_bytes());
        slot[8..16].copy_from_slice(&range.bytes.to_le_bytes());
        slot[16..].copy_from_slice(&(range.kind as u32).to_le_bytes());
    }
}
