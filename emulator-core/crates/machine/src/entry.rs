//! Puts the processor into the state a boot protocol asks for.

use cpu::{Access, Cpu, DescriptorTable, Segment, control};
use platform::{PAGE_BYTES, PhysAddr, Vcpu};
use x86::seg;

use crate::boot::{EntryState, Loader, Registers32};
use crate::{MachineError, layout};

/// Selectors the Linux boot protocol names (`__BOOT_CS`, `__BOOT_DS`); other protocols leave the choice open.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
const TASK_SELECTOR: u16 = 0x20;
/// Access rights: present, ring 0, accessed; 4 KiB granularity; 32-bit, 64-bit or big data.
const CODE_32: u32 = 0xc09b;
const CODE_64: u32 = 0xa09b;
const DATA: u32 = 0xc093;
/// Busy 32-bit TSS.
const TASK: u32 = 0x008b;
const TASK_LIMIT: u32 = 0x67;

const RAX: usize = 0;
const RBX: usize = 3;
const RSP: usize = 4;
const RSI: usize = 6;

/// Resets the processor and brings it to `entry`; descriptor and page tables go into memory.
pub(crate) fn enter(cpu: &mut Cpu, loader: &mut Loader<'_>, entry: EntryState) -> Result<(), MachineError> {
    cpu.reset();
    match entry {
        EntryState::ResetVector => {}
        EntryState::SystemBios => set_memory_types(&mut cpu.state.msrs),
        EntryState::Protected32(registers) => {
            set_memory_types(&mut cpu.state.msrs);
            flat_segments(cpu, loader, CODE_32)?;
            protected_32(cpu, registers);
        }
        EntryState::Long64 { .. } if !loader.long_mode => {
            let reason = format!("its entry point is for 64-bit mode, which a {} does not have", cpu.model().name());
            return Err(MachineError::KernelUnsupported { reason });
        }
        EntryState::Long64 { rip, rsi } => {
            set_memory_types(&mut cpu.state.msrs);
            flat_segments(cpu, loader, CODE_64)?;
            put_identity_tables(loader)?;
            long_64(cpu, rip, rsi);
        }
    }
    cpu.state_changed();
    Ok(())
}

/// Memory types as firmware leaves them (Intel SDM vol. 3, 11.11.2): write-back, but for the VGA window and everything from the
/// end of RAM's range to 4 GiB, and write-protected below 1 MiB where ROM is.
fn set_memory_types(msrs: &mut cpu::Msrs) {
    const WRITE_BACK: u64 = 0x0606_0606_0606_0606;
    const WRITE_PROTECTED: u64 = 0x0505_0505_0505_0505;
    const UNCACHED: u64 = 0;
    /// MTRRs and fixed ranges enabled, the default type.
    const ENABLED_WRITE_BACK: u64 = 0xc06;
    const VALID: u64 = 1 << 11;
    const PHYSICAL_ADDRESSES: u64 = 1 << 39;
    const UNCACHED_BYTES: u64 = layout::FOUR_GIB - layout::RAM_LIMIT;
    // 0 to 512 KiB, to 640 KiB, to 768 KiB (VGA), then 4-KiB pages to 1 MiB.
    msrs.mtrr_fixed = [WRITE_PROTECTED; 11];
    msrs.mtrr_fixed[..3].copy_from_slice(&[WRITE_BACK, WRITE_BACK, UNCACHED]);
    msrs.mtrr_variable[0] = layout::RAM_LIMIT | UNCACHED;
    msrs.mtrr_variable[1] = (PHYSICAL_ADDRESSES - UNCACHED_BYTES) | VALID;
    msrs.mtrr_def_type = ENABLED_WRITE_BACK;
}

fn protected_32(cpu: &mut Cpu, registers: Registers32) {
    let state = &mut cpu.state;
    state.cr0 = control::CR0_PE | control::CR0_ET;
    state.rip = registers.eip.into();
    for (register, value) in [(RAX, registers.eax), (RBX, registers.ebx), (RSI, registers.esi)] {
        state.regs.set(register, value.into());
    }
}

fn long_64(cpu: &mut Cpu, rip: u64, rsi: u64) {
    let state = &mut cpu.state;
    state.cr0 = control::CR0_PE | control::CR0_ET | control::CR0_PG;
    state.cr3 = layout::BOOT_PAGE_TABLES;
    state.cr4 = control::CR4_PAE;
    state.msrs.efer = control::EFER_LME | control::EFER_LMA;
    state.rip = rip;
    state.regs.set(RSI, rsi);
}

/// Flat segments in the hidden parts and, for a kernel that reloads them, in a descriptor table.
fn flat_segments(cpu: &mut Cpu, loader: &mut Loader<'_>, code: u32) -> Result<(), MachineError> {
    let flat = |selector, access| Segment { selector, base: 0, limit: u32::MAX, access: Access(access) };
    let state = &mut cpu.state;
    for number in [seg::ES, seg::SS, seg::DS, seg::FS, seg::GS] {
        state.segs[usize::from(number)] = flat(DATA_SELECTOR, DATA);
    }
    state.segs[usize::from(seg::CS)] = flat(CODE_SELECTOR, code);
    state.tr = Segment { selector: TASK_SELECTOR, base: 0, limit: TASK_LIMIT, access: Access(TASK) };
    // Nothing promises a stack, but a kernel that pushes before it sets one up finds conventional memory.
    state.regs.set(RSP, layout::BOOT_STACK);
    state.idtr = DescriptorTable::default();

    let available_task = TASK & !2;
    let table = [0, 0, descriptor(0xf_ffff, code), descriptor(0xf_ffff, DATA), descriptor(TASK_LIMIT, available_task)];
    let bytes: Vec<u8> = table.into_iter().flat_map(u64::to_le_bytes).collect();
    state.gdtr = DescriptorTable { base: layout::BOOT_GDT, limit: bytes.len() as u16 - 1 };
    loader.put(layout::BOOT_GDT, &bytes)
}

/// A segment descriptor with base 0 (Intel SDM vol. 3, figure 3-8).
fn descriptor(limit: u32, access: u32) -> u64 {
    let (limit, access) = (u64::from(limit), u64::from(access));
    limit & 0xffff | (access & 0xf0ff) << 40 | (limit & 0xf_0000) << 32
}

/// Maps the first 4 GiB to themselves with 2 MiB pages.
fn put_identity_tables(loader: &mut Loader<'_>) -> Result<(), MachineError> {
    const TABLE: u64 = 0b11;
    const LARGE_PAGE: u64 = 1 << 7 | TABLE;
    const DIRECTORIES: u64 = 4;
    const ENTRIES: u64 = 512;
    let pointers = layout::BOOT_PAGE_TABLES + PAGE_BYTES;
    let directory = |index: u64| pointers + PAGE_BYTES * (1 + index);
    loader.put(layout::BOOT_PAGE_TABLES, &(pointers | TABLE).to_le_bytes())?;
    for index in 0..DIRECTORIES {
        loader.put(pointers + 8 * index, &(directory(index) | TABLE).to_le_bytes())?;
        let pages = (0..ENTRIES).map(|page| (index * ENTRIES + page) << 21 | LARGE_PAGE);
        let bytes: Vec<u8> = pages.flat_map(u64::to_le_bytes).collect();
        loader.put(PhysAddr(directory(index)).0, &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_64_bit_entry_on_a_32_bit_processor_is_refused() {
        let mut memory = platform::GuestMemory::new(16 << 20).unwrap();
        let mut loader = Loader::new(&mut memory, 16 << 20, PhysAddr(0), false, false);
        let entered =
            enter(&mut Cpu::of_model(cpu::CpuModel::Pentium), &mut loader, EntryState::Long64 { rip: 0, rsi: 0 });
        assert_eq!(entered.unwrap_err().code(), "KERNEL_UNSUPPORTED");
    }

    #[test]
    fn descriptors_are_the_ones_every_x86_textbook_prints() {
        assert_eq!(descriptor(0xf_ffff, CODE_32), 0x00cf_9b00_0000_ffff);
        assert_eq!(descriptor(0xf_ffff, DATA), 0x00cf_9300_0000_ffff);
        assert_eq!(descriptor(0xf_ffff, CODE_64), 0x00af_9b00_0000_ffff);
    }
}
