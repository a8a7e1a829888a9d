//! Boot protocols on small kernels made up here, byte by byte as their specifications say.

use std::rc::Rc;

use platform::{GuestMemory, PhysAddr};

use super::*;
use crate::{Module, layout};

const MIB: u64 = 1 << 20;
const RSDP: u64 = 0xe_0000;

fn memory(ram_bytes: u64) -> GuestMemory {
    GuestMemory::new(ram_bytes + layout::FIRMWARE_MINIMUM).unwrap()
}

fn load_into(memory: &mut GuestMemory, boot: &Boot) -> Result<EntryState, MachineError> {
    let ram_bytes = memory.bytes() as u64 - layout::FIRMWARE_MINIMUM;
    system_rom(&linux(Vec::new(), None, ""))?.read(0, &mut memory.as_mut_slice()[ram_bytes as usize..]);
    load(boot, &mut Loader::new(memory, ram_bytes, PhysAddr(RSDP), false, true))
}

fn linux(kernel: Vec<u8>, initrd: Option<Vec<u8>>, command_line: &str) -> Boot {
    let initrd = initrd.map(|bytes| Rc::new(bytes) as Rc<dyn File>);
    let command_line = command_line.to_owned();
    Boot::Kernel { kernel: Rc::new(kernel), initrd, modules: Vec::new(), command_line, entry: Entry::Auto }
}

fn with_modules(kernel: Vec<u8>, initrd: Option<Vec<u8>>, given: Vec<Module>) -> Boot {
    let mut boot = linux(kernel, initrd, "go");
    if let Boot::Kernel { modules, .. } = &mut boot {
        *modules = given;
    }
    boot
}

fn module(contents: &'static str, words: &str) -> Module {
    Module { file: Rc::new(contents), command_line: words.to_owned() }
}

fn with_entry(boot: &Boot, chosen: Entry) -> Boot {
    let mut boot = boot.clone();
    if let Boot::Kernel { entry, .. } = &mut boot {
        *entry = chosen;
    }
    boot
}

fn dword(memory: &GuestMemory, address: u64) -> u64 {
    u32::from_le_bytes(memory.get(PhysAddr(address), 4).unwrap().try_into().unwrap()).into()
}

fn qword(memory: &GuestMemory, address: u64) -> u64 {
    u64::from_le_bytes(memory.get(PhysAddr(address), 8).unwrap().try_into().unwrap())
}

fn text(memory: &GuestMemory, address: u64) -> String {
    let bytes = &memory.as_slice()[address as usize..];
    let length = bytes.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

fn set(file: &mut [u8], offset: usize, bytes: &[u8]) {
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// A bzImage of protocol 2.15 with one setup sector and 4 KiB of kernel, which needs 1 MiB.
fn bz_image() -> Vec<u8> {
    let mut file = vec![0; 1024 + 4096];
    file[0x1f1] = 1;
    set(&mut file, 0x1f4, &(4096u32 / 16).to_le_bytes());
    set(&mut file, 0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    set(&mut file, 0x202, b"HdrS");
    set(&mut file, 0x206, &0x020fu16.to_le_bytes());
    file[0x211] = 1;
    set(&mut file, 0x214, &0x10_0000u32.to_le_bytes());
    set(&mut file, 0x22c, &0x7fff_ffffu32.to_le_bytes());
    set(&mut file, 0x230, &0x20_0000u32.to_le_bytes());
    file[0x234] = 1;
    set(&mut file, 0x236, &0x3fu16.to_le_bytes());
    set(&mut file, 0x238, &2047u32.to_le_bytes());
    set(&mut file, 0x258, &0x100_0000u64.to_le_bytes());
    set(&mut file, 0x260, &0x10_0000u32.to_le_bytes());
    file[1024..].fill(0x90);
    file
}

/// A 64-bit ELF with one segment of code at 16 MiB, 16 bytes long in the file and 4 KiB in memory, and a PVH note.
fn pvh_elf() -> Vec<u8> {
    let mut file = vec![0; 0x200];
    set(&mut file, 0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    set(&mut file, 16, &2u16.to_le_bytes());
    set(&mut file, 18, &62u16.to_le_bytes());
    set(&mut file, 20, &1u32.to_le_bytes());
    set(&mut file, 24, &0x100_0000u64.to_le_bytes());
    set(&mut file, 32, &64u64.to_le_bytes());
    set(&mut file, 52, &[64, 0, 56, 0, 2, 0]);
    let program_header = |kind: u32, offset: u64, address: u64, file_bytes: u64, memory_bytes: u64| {
        let mut header = [kind.to_le_bytes(), 7u32.to_le_bytes()].concat();
        for field in [offset, 0xffff_ffff_8000_0000 + address, address, file_bytes, memory_bytes, 4] {
            header.extend(field.to_le_bytes());
        }
        header
    };
    set(&mut file, 64, &program_header(1, 0x100, 0x100_0000, 16, 4096));
    set(&mut file, 120, &program_header(4, 0x180, 0, 24, 24));
    set(&mut file, 0x100, &[0xcc; 16]);
    for (index, word) in [4u32, 8, 18].into_iter().enumerate() {
        set(&mut file, 0x180 + 4 * index, &word.to_le_bytes());
    }
    set(&mut file, 0x18c, b"Xen\0");
    set(&mut file, 0x190, &0x100_0008u64.to_le_bytes());
    file
}

/// A multiboot kernel with address fields: header at 16, loaded to 1 MiB from the file's start, 32 bytes of bss.
fn multiboot_flat() -> Vec<u8> {
    let mut file = vec![0xf4; 64];
    let flags = 0x1_0003u32;
    let checksum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let words = [0x1bad_b002, flags, checksum, 0x10_0010, 0x10_0000, 0x10_0040, 0x10_0060, 0x10_0030];
    for (index, word) in words.into_iter().enumerate() {
        set(&mut file, 16 + 4 * index, &word.to_le_bytes());
    }
    file
}

#[test]
fn each_kind_of_kernel_is_recognised_by_its_header() {
    assert_eq!(KernelKind::detect(&bz_image()), Ok(KernelKind::BzImage));
    assert_eq!(KernelKind::detect(&pvh_elf()), Ok(KernelKind::PvhElf));
    assert_eq!(KernelKind::detect(&multiboot_flat()), Ok(KernelKind::Multiboot));
}

#[test]
fn what_is_no_kernel_is_refused_with_its_length() {
    for file in [&b""[..], b"#!/bin/sh\n", &[0; 100_000]] {
        let error = MachineError::KernelNotRecognised { bytes: file.len() as u64 };
        assert_eq!(KernelKind::detect(file), Err(error));
    }
}

#[test]
fn a_kernel_with_a_64_bit_entry_starts_there_with_the_zero_page_in_rsi() {
    let mut memory = memory(64 * MIB);
    let entry = load_into(&mut memory, &linux(bz_image(), Some(vec![7; 5000]), "console=ttyS0")).unwrap();
    assert_eq!(entry, EntryState::Long64 { rip: 0x100_0200, rsi: layout::ZERO_PAGE });
    assert_eq!(memory.get(PhysAddr(0x100_0000), 4096).unwrap(), [0x90; 4096]);

    let zero_page = |offset: u64| layout::ZERO_PAGE + offset;
    assert_eq!(memory.get(PhysAddr(zero_page(0x202)), 4).unwrap(), b"HdrS");
    assert_eq!(text(&memory, dword(&memory, zero_page(0x228))), "console=ttyS0");
    let (initrd, length) = (dword(&memory, zero_page(0x218)), dword(&memory, zero_page(0x21c)));
    assert_eq!((initrd, length), (64 * MIB - 8192, 5000));
    assert_eq!(memory.get(PhysAddr(initrd), 5000).unwrap(), [7; 5000]);
    assert_eq!(qword(&memory, zero_page(0x70)), RSDP);
    assert_eq!(memory.get(PhysAddr(zero_page(0x210)), 1).unwrap(), [0xff], "loader without a number");
    let ranges = memory.get(PhysAddr(zero_page(0x1e8)), 1).unwrap()[0];
    let total: u64 = (0..u64::from(ranges))
        .map(|range| zero_page(0x2d0) + 20 * range)
        .filter(|range| dword(&memory, range + 16) == 1)
        .map(|range| qword(&memory, range + 8))
        .sum();
    assert_eq!(total, 63 * MIB + 0x9_fc00, "usable RAM");
}

#[test]
fn the_32_bit_entry_is_the_load_address() {
    let boot = with_entry(&linux(bz_image(), None, ""), Entry::Protected32);
    let entry = load_into(&mut memory(64 * MIB), &boot).unwrap();
    let registers = Registers32 { eip: 0x100_0000, esi: layout::ZERO_PAGE as u32, ..Registers32::default() };
    assert_eq!(entry, EntryState::Protected32(registers));
}

#[test]
fn a_relocatable_kernel_goes_lower_when_it_does_not_fit_where_it_prefers() {
    let entry = load_into(&mut memory(8 * MIB), &linux(bz_image(), None, "")).unwrap();
    assert_eq!(entry, EntryState::Long64 { rip: 0x20_0200, rsi: layout::ZERO_PAGE });
    let error = load_into(&mut memory(2 * MIB), &linux(bz_image(), None, "")).unwrap_err();
    assert_eq!(error, MachineError::MemoryTooSmall { needed: 3 * MIB, configured: 2 * MIB });
}

#[test]
fn a_kernel_without_a_64_bit_entry_starts_in_32_bits_and_refuses_the_other() {
    let mut kernel = bz_image();
    kernel[0x236] = 0;
    let boot = linux(kernel, None, "");
    let entry = load_into(&mut memory(64 * MIB), &boot).unwrap();
    assert!(matches!(entry, EntryState::Protected32(_)));
    let error = load_into(&mut memory(64 * MIB), &with_entry(&boot, Entry::Long64)).unwrap_err();
    assert_eq!(error, MachineError::EntryNotOffered { entry: "64-bit".to_owned() });
}

#[test]
fn a_kernel_with_both_entries_starts_in_32_bits_on_a_processor_without_64_bit_mode() {
    let mut memory = memory(64 * MIB);
    let mut loader = Loader::new(&mut memory, 64 * MIB, PhysAddr(RSDP), false, false);
    let entry = load(&linux(bz_image(), None, ""), &mut loader).unwrap();
    assert!(matches!(entry, EntryState::Protected32(_)));
}

#[test]
fn the_16_bit_entry_runs_the_bios_which_knows_where_the_setup_code_is() {
    let mut memory = memory(64 * MIB);
    let boot = with_entry(&linux(bz_image(), None, "quiet"), Entry::Real16);
    assert_eq!(load_into(&mut memory, &boot), Ok(EntryState::SystemBios));
    let setup = layout::SETUP_CODE;
    assert_eq!(memory.get(PhysAddr(setup + 0x202), 4).unwrap(), b"HdrS");
    assert_eq!(memory.get(PhysAddr(setup + 0x211), 1).unwrap()[0] & 0x80, 0x80, "heap may be used");
    assert_eq!(text(&memory, dword(&memory, setup + 0x228)), "quiet");
    assert_eq!(memory.get(PhysAddr(0x10_0000), 4096).unwrap(), [0x90; 4096]);
    let record = memory.get(PhysAddr(64 * MIB + 0x14), 8).unwrap();
    assert_eq!(record, [0x00, 0x00, 0x20, 0x10, 0x00, 0x10, 0x00, 0xe0], "1020:0000, data 1000, stack e000");
    assert_eq!(dword(&memory, 64 * MIB + 0x1c), 63 * 1024, "KiB above 1 MiB");
}

#[test]
fn an_initrd_that_does_not_fit_says_how_much_would() {
    let error = load_into(&mut memory(64 * MIB), &linux(bz_image(), Some(vec![1; 48 << 20]), "")).unwrap_err();
    assert_eq!(error, MachineError::InitrdDoesNotFit { needed: 48 * MIB, available: 47 * MIB });
}

#[test]
fn an_initrd_stays_below_the_address_the_kernel_names() {
    let mut kernel = bz_image();
    set(&mut kernel, 0x22c, &0x1ff_ffffu32.to_le_bytes());
    let mut memory = memory(64 * MIB);
    load_into(&mut memory, &linux(kernel, Some(vec![1; 4096]), "")).unwrap();
    assert_eq!(dword(&memory, layout::ZERO_PAGE + 0x218), 0x200_0000 - 4096);
}

#[test]
fn a_command_line_longer_than_the_kernel_takes_is_refused() {
    let error = load_into(&mut memory(64 * MIB), &linux(bz_image(), None, &"x".repeat(2048))).unwrap_err();
    assert_eq!(error, MachineError::CommandLineTooLong { limit: 2047, length: 2048 });
    assert!(load_into(&mut memory(64 * MIB), &linux(bz_image(), None, &"x".repeat(2047))).is_ok());
}

#[test]
fn kernels_older_than_this_board_understands_are_refused_by_version() {
    let mut kernel = bz_image();
    set(&mut kernel, 0x206, &0x0201u16.to_le_bytes());
    let error = load_into(&mut memory(64 * MIB), &linux(kernel, None, "")).unwrap_err();
    assert_eq!(error.code(), "KERNEL_UNSUPPORTED");
    assert!(error.to_string().contains("2.01"), "{error}");
}

#[test]
fn a_pvh_kernel_starts_at_its_note_with_the_start_info_in_ebx() {
    let mut memory = memory(64 * MIB);
    let entry = load_into(&mut memory, &linux(pvh_elf(), Some(vec![3; 100]), "root=x")).unwrap();
    let info = layout::PVH_INFO;
    let registers = Registers32 { eip: 0x100_0008, ebx: info as u32, ..Registers32::default() };
    assert_eq!(entry, EntryState::Protected32(registers));
    assert_eq!(memory.get(PhysAddr(0x100_0000), 17).unwrap(), [&[0xcc; 16][..], &[0]].concat());
    assert_eq!((dword(&memory, info), dword(&memory, info + 4)), (0x336e_c578, 1));
    assert_eq!(dword(&memory, info + 12), 1, "one module");
    let module = qword(&memory, info + 16);
    assert_eq!((qword(&memory, module), qword(&memory, module + 8)), (64 * MIB - 4096, 100));
    assert_eq!(text(&memory, qword(&memory, info + 24)), "root=x");
    assert_eq!(qword(&memory, info + 32), RSDP);
    let (map, entries) = (qword(&memory, info + 40), dword(&memory, info + 48));
    assert_eq!((qword(&memory, map), qword(&memory, map + 8), dword(&memory, map + 16)), (0, 0x9_fc00, 1));
    assert_eq!(entries, 6);
}

/// A bzImage whose payload is `elf`, one literal run of an LZ4 block.
fn bz_image_around(elf: &[u8]) -> Vec<u8> {
    let block = lz4_flex::block::compress(elf);
    let length = |bytes: usize| (bytes as u32).to_le_bytes();
    let payload = [&[0x02, 0x21, 0x4c, 0x18], &length(block.len()), &block[..], &length(elf.len())].concat();
    let mut kernel = bz_image();
    set(&mut kernel, 0x248, &256u32.to_le_bytes());
    set(&mut kernel, 0x24c, &length(payload.len()));
    set(&mut kernel, 1024 + 256, &payload);
    kernel
}

#[test]
fn a_kernel_unpacked_on_the_host_starts_at_its_own_entry_point() {
    let mut memory = memory(64 * MIB);
    let boot = linux(bz_image_around(&pvh_elf()), None, "quiet");
    let mut loader = Loader::new(&mut memory, 64 * MIB, PhysAddr(RSDP), true, true);
    let entry = load(&boot, &mut loader).unwrap();
    assert_eq!(entry, EntryState::Long64 { rip: 0x100_0000, rsi: layout::ZERO_PAGE });
    assert_eq!(memory.get(PhysAddr(0x100_0000), 16).unwrap(), [0xcc; 16]);
    assert!(memory.as_slice()[(64 * MIB - 4096) as usize..(64 * MIB) as usize].iter().all(|byte| *byte == 0));
}

#[test]
fn pvh_finds_its_entry_inside_a_bz_image() {
    let boot = with_entry(&linux(bz_image_around(&pvh_elf()), None, ""), Entry::Pvh);
    let entry = load_into(&mut memory(64 * MIB), &boot).unwrap();
    assert!(matches!(entry, EntryState::Protected32(Registers32 { eip: 0x100_0008, .. })));
    let error = load_into(&mut memory(16 * MIB), &boot).unwrap_err();
    assert_eq!(error, MachineError::MemoryTooSmall { needed: 16 * MIB + 4096 + 0x200, configured: 16 * MIB });
}

#[test]
fn an_elf_segment_outside_memory_is_refused() {
    for (address, code) in
        [(0x7000_0000u64, "MEMORY_TOO_SMALL"), (0x8000, "KERNEL_UNSUPPORTED"), (u64::MAX, "KERNEL_DAMAGED")]
    {
        let mut kernel = pvh_elf();
        set(&mut kernel, 64 + 24, &address.to_le_bytes());
        let error = load_into(&mut memory(64 * MIB), &linux(kernel, None, "")).unwrap_err();
        assert_eq!(error.code(), code, "{address:#x}");
    }
}

#[test]
fn a_multiboot_kernel_gets_its_modules_and_strings() {
    let mut memory = memory(64 * MIB);
    let modules = ["first", "second"].map(|name| module(name, &format!("{name} module")));
    let boot = with_modules(multiboot_flat(), None, modules.to_vec());
    let entry = load_into(&mut memory, &boot).unwrap();
    let info = layout::MULTIBOOT_INFO;
    assert_eq!(entry, EntryState::SystemBios);
    let record = 64 * MIB + 0x20;
    let registers = [0, 4, 8].map(|field| dword(&memory, record + field));
    assert_eq!(registers, [0x10_0030, 0x2bad_b002, info], "EIP, EAX, EBX in the BIOS's boot record");
    assert_eq!(memory.get(PhysAddr(0x10_0000), 64).unwrap(), multiboot_flat());
    assert_eq!(memory.get(PhysAddr(0x10_0040), 32).unwrap(), [0; 32], "bss");
    assert_eq!((dword(&memory, info + 4), dword(&memory, info + 8)), (639, 63 * 1024), "lower and upper KiB");
    assert_eq!(text(&memory, dword(&memory, info + 16)), "kernel go");
    assert_eq!(dword(&memory, info + 20), 2);
    let second = dword(&memory, info + 24) + 16;
    let (start, end) = (dword(&memory, second), dword(&memory, second + 4));
    assert_eq!(start % 4096, 0);
    assert_eq!(memory.get(PhysAddr(start), (end - start) as usize).unwrap(), b"second");
    assert_eq!(text(&memory, dword(&memory, second + 8)), "second module");
    assert_eq!(dword(&memory, dword(&memory, info + 48)), 20, "size of a map entry without its size field");
    assert_eq!(text(&memory, dword(&memory, info + 64)), "Terrarium");
}

#[test]
fn an_initrd_becomes_the_first_module_of_a_multiboot_kernel() {
    let mut memory = memory(64 * MIB);
    let second = module("second", "");
    load_into(&mut memory, &with_modules(multiboot_flat(), Some(b"ramdisk".to_vec()), vec![second])).unwrap();
    assert_eq!(dword(&memory, layout::MULTIBOOT_INFO + 20), 2);
    let module = dword(&memory, layout::MULTIBOOT_INFO + 24);
    assert_eq!(memory.get(PhysAddr(dword(&memory, module)), 7).unwrap(), b"ramdisk");
}

#[test]
fn modules_for_a_kernel_that_takes_none_are_refused() {
    let error =
        load_into(&mut memory(64 * MIB), &with_modules(bz_image(), None, vec![module("module", "")])).unwrap_err();
    assert!(error.code() == "KERNEL_UNSUPPORTED" && error.to_string().contains("give it an initrd"), "{error}");
}

#[test]
fn a_multiboot_demand_nobody_can_meet_is_refused() {
    let mut kernel = multiboot_flat();
    let flags = 0x1_0007u32;
    set(&mut kernel, 20, &flags.to_le_bytes());
    set(&mut kernel, 24, &0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags).to_le_bytes());
    let error = load_into(&mut memory(64 * MIB), &linux(kernel, None, "")).unwrap_err();
    assert!(error.to_string().contains("a video mode"), "{error}");
}

#[test]
fn every_truncation_of_every_kernel_is_refused_without_a_panic() {
    let entries = [Entry::Auto, Entry::Real16, Entry::Protected32, Entry::Pvh];
    for kernel in [bz_image(), pvh_elf(), multiboot_flat()] {
        // The last bytes of the ELF are padding that nothing refers to.
        let needed = if kernel.starts_with(b"\x7fELF") { 0x198 } else { kernel.len() };
        for length in 0..needed {
            let mut memory = memory(4 * MIB);
            for entry in entries {
                let boot = with_entry(&linux(kernel[..length].to_vec(), None, ""), entry);
                assert!(load_into(&mut memory, &boot).is_err(), "{length} bytes, {entry:?}");
            }
        }
    }
}

#[test]
fn no_change_of_a_header_byte_makes_a_loader_panic() {
    let mut memory = memory(32 * MIB);
    for kernel in [bz_image(), pvh_elf(), multiboot_flat()] {
        for offset in 0..kernel.len().min(0x270) {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut kernel = kernel.clone();
                kernel[offset] = value;
                for entry in [Entry::Auto, Entry::Real16, Entry::Pvh] {
                    let boot = with_entry(&linux(kernel.clone(), Some(vec![0; 100]), "x"), entry);
                    // Only that it comes back matters.
                    let _ = load_into(&mut memory, &boot);
                }
            }
        }
    }
}
