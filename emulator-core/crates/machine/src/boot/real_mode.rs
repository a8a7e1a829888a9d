//! The 16-bit entry point of the Linux boot protocol: the kernel's own setup code in real mode, on our BIOS.

use super::linux::{LOADER_TYPE, Linux};
use super::record::{self, Program};
use super::setup_header::HEADER;
use super::{EntryState, Loader};
use crate::{MachineError, layout};

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
    // It starts 0x20 paragraphs behind its own segment, with every data segment at its beginning and the stack at the
    // heap's end (boot.rst, "Running the Kernel").
    let data_segment = (layout::SETUP_CODE >> 4) as u16;
    let (ip, cs, sp) = (0, data_segment + 0x20, layout::SETUP_HEAP_END as u16);
    record::put(loader, Program::Real { ip, cs, data_segment, sp });
    Ok(EntryState::SystemBios)
}
