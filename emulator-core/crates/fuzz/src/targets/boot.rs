//! Boot loaders: whatever a file says of itself, it is booted or refused, and a machine that was booted runs.

use std::rc::Rc;

use machine::{Boot, Clock, Config, Entry, File, Machine, Module};

use super::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target { name: "boot", run, seeds, longest: 9000, bounded: 400 };

const ENTRIES: [Entry; 5] = [Entry::Auto, Entry::Real16, Entry::Protected32, Entry::Long64, Entry::Pvh];
const MEMORY_MIB: [u64; 8] = [4, 4, 4, 20, 20, 2, 1, 0];
/// Bytes of an initrd; the largest do not fit beside the kernel.
const INITRD_BYTES: [usize; 8] = [0, 0, 1, 4095, 4097, 1 << 20, 3 << 20, 19 << 20];
const INSTRUCTIONS: u64 = 3000;

/// How payloads begin that are packed with xz, lzma, bzip2 and zstd.
const PACKED: [&[u8]; 4] =
    [b"\xfd7zXZ\0\0\x04", &[0x5d, 0, 0, 0x10, 0, 0, 2], b"BZh91AY&SY", &[0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x10]];

/// The choices [`run`] reads before the file.
const CHOICES: usize = 6;

fn run(input: &[u8]) {
    let (choices, file) = input.split_at(input.len().min(CHOICES));
    let mut input = Input(choices);
    let kind = input.below(4);
    let entry = input.pick(&ENTRIES);
    let memory_bytes = input.pick(&MEMORY_MIB) << 20;
    let initrd = vec![0x5a; input.pick(&INITRD_BYTES)];
    let command_line = "x".repeat(usize::from(input.byte()) * 16);
    let decompress_on_host = input.flag();
    let boot = match kind {
        0 => {
            let rom: Vec<u8> = file.iter().copied().cycle().take(firmware_bytes(file)).collect();
            Boot::Firmware { rom: Rc::new(rom) }
        }
        _ => {
            let initrd: Rc<dyn File> = Rc::new(initrd);
            let module = Module { file: initrd.clone(), command_line: command_line.clone() };
            let modules = if kind == 1 { vec![module; 3] } else { Vec::new() };
            let initrd = (initrd.length() > 0).then_some(initrd);
            Boot::Kernel { kernel: Rc::new(file.to_vec()), initrd, modules, command_line, entry }
        }
    };
    let clock = Clock::Instructions { ns_per_kilo_instruction: 1000 };
    let config = Config { memory_bytes, clock, decompress_on_host, no_reboot: true, ..Config::default() };
    match Machine::new(config, &boot) {
        Ok(mut machine) => {
            machine.run(0, INSTRUCTIONS);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Firmware of 64 KiB, sometimes of an odd size.
fn firmware_bytes(file: &[u8]) -> usize {
    match file.first() {
        Some(0) => file.len(),
        Some(_) => 64 << 10,
        None => 0,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut kernels =
        vec![bz_image(&[]), bz_image(&gzip(&elf())), bz_image(&lz4(&elf())), elf(), multiboot(), vec![0xf4; 64]];
    kernels.extend(PACKED.map(|magic| bz_image(&[magic, &[0; 200], &[0, 2, 0, 0]].concat())));
    for kernel in kernels {
        for kind in 0..3 {
            for entry in 0..5 {
                seeds.push([&[kind, entry, 3, 2, 1, entry & 1], &kernel[..]].concat());
            }
        }
    }
    seeds
}

fn set(file: &mut [u8], offset: usize, bytes: &[u8]) {
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// A bzImage of protocol 2.15 with one setup sector and `payload` at the start of its kernel (Documentation/arch/x86/boot.rst).
fn bz_image(payload: &[u8]) -> Vec<u8> {
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
    set(&mut file, 0x24c, &(payload.len() as u32).to_le_bytes());
    set(&mut file, 0x258, &0x100_0000u64.to_le_bytes());
    set(&mut file, 0x260, &0x10_0000u32.to_le_bytes());
    set(&mut file, 1024, payload);
    file
}

/// A 64-bit ELF with 16 bytes of code at 2 MiB and a PVH note.
fn elf() -> Vec<u8> {
    let mut file = vec![0; 0x200];
    set(&mut file, 0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    set(&mut file, 16, &[2, 0, 62, 0, 1]);
    set(&mut file, 24, &0x20_0000u64.to_le_bytes());
    set(&mut file, 32, &64u64.to_le_bytes());
    set(&mut file, 52, &[64, 0, 56, 0, 2, 0]);
    for (place, kind, offset, address, bytes) in [(64, 1u32, 0x100u64, 0x20_0000u64, 16u64), (120, 4, 0x180, 0, 24)] {
        set(&mut file, place, &kind.to_le_bytes());
        for (number, field) in [offset, address, address, bytes, bytes, 4].into_iter().enumerate() {
            set(&mut file, place + 8 + number * 8, &field.to_le_bytes());
        }
    }
    set(&mut file, 0x100, &[0xf4; 16]);
    set(&mut file, 0x180, &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0, 8, 0, 0x20]);
    file
}

/// A multiboot 1 kernel with address fields, at 1 MiB.
fn multiboot() -> Vec<u8> {
    let mut file = vec![0xf4; 64];
    let flags = 0x1_0003u32;
    let checksum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let words = [0x1bad_b002, flags, checksum, 0x10_0010, 0x10_0000, 0x10_0040, 0x10_0060, 0x10_0030];
    for (number, word) in words.into_iter().enumerate() {
        set(&mut file, 16 + 4 * number, &word.to_le_bytes());
    }
    file
}

/// `bytes` in a gzip file with one stored block, and their length behind it, as Linux's payloads end.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    let sum = (0u32, bytes.len() as u32);
    [&header, &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes, &sum.0.to_le_bytes(), &sum.1.to_le_bytes()]
        .concat()
}

/// `bytes` as one block of the lz4 tool's legacy format, and their length.
fn lz4(bytes: &[u8]) -> Vec<u8> {
    let block = lz4_flex::block::compress(bytes);
    let size = (block.len() as u32).to_le_bytes();
    [&[0x02, 0x21, 0x4c, 0x18], &size[..], &block, &(bytes.len() as u32).to_le_bytes()].concat()
}
