//! Which encodings exist, and how long they are: every opcode of every map with every prefix that selects instructions, compared
//! with what the host refuses (#UD) and where it goes on.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::case::Case;
use oracle::host::Host;
use oracle::{DATA, ENTRY, STACK_WINDOW};
use x86::decode::decode;
use x86::instructions::{integer::Int, system::Sys};
use x86::{Inst, Sem, Width};

const INVALID_OPCODE: u8 = 6;
const RSP: usize = 4;
const PREFIXES: [&[u8]; 4] = [&[], &[0x66], &[0xf2], &[0xf3]];
const MAPS: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];

/// What must not run on the host, because it enters the kernel, leaves the test's segments or overwrites registers the harness
/// itself needs; and the prefixes, which are no opcodes.
fn is_off_limits(map: usize, opcode: u8, modrm: u8) -> bool {
    let extension = modrm >> 3 & 7;
    match map {
        0 => match opcode {
            0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 | 0x0f => true,
            // Segment loads and far transfers; VEX, EVEX and XOP where they are not LES, LDS and POP.
            0x07 | 0x17 | 0x1f | 0x8e | 0xc4 | 0xc5 | 0x62 | 0x9a | 0xea | 0xca | 0xcb | 0xcf => true,
            // Software interrupts.
            0xcc | 0xcd | 0xce | 0xf1 => true,
            0x8f => extension != 0,
            0xff => matches!(extension, 3 | 5),
            _ => false,
        },
        1 => match opcode {
            // System calls, segment loads, hypervisor calls, registers of the thread.
            0x05 | 0x07 | 0x34 | 0x35 | 0xa1 | 0xa9 | 0xb2 | 0xb4 | 0xb5 | 0x01 => true,
            0xae => modrm >= 0xc0 || extension == 5,
            // 3DNow!, which AMD's processors no longer have, and the escape bytes of the other maps.
            0x0f | 0x38 | 0x3a => true,
            // Interruptibility, monitors, and what differs by vendor: reserved NOPs, UD0 without ModR/M.
            0xff | 0x0d => true,
            _ => false,
        },
        _ => false,
    }
}

struct Encoding {
    mode: Width,
    bytes: Vec<u8>,
    name: String,
}

fn encodings(mode: Width) -> Vec<Encoding> {
    let mut all = Vec::new();
    for (map, escape) in MAPS.iter().enumerate() {
        for (prefix, opcode) in PREFIXES.iter().flat_map(|prefix| (0..=255u8).map(move |opcode| (prefix, opcode))) {
            for (form, modrm) in (0..8).flat_map(|extension| [(extension, 0x03), (extension, 0xc1)]) {
                let modrm = modrm | form << 3;
                if is_off_limits(map, opcode, modrm) {
                    continue;
                }
                let bytes = [prefix, *escape, &[opcode, modrm], &[0; 10]].concat();
                let kind = if modrm < 0xc0 { "memory" } else { "register" };
                let name = format!("{prefix:02x?} map {map} {opcode:02x} /{form} {kind}, {}-bit", mode.bits());
                all.push(Encoding { mode, bytes, name });
            }
        }
    }
    all
}

/// What decodes and raises #UD when it runs: the undefined instructions themselves and control registers that do not exist.
fn is_refused_later(inst: &Inst) -> bool {
    matches!(inst.row().sem, Sem::Int(Int::Ud) | Sem::Sys(Sys::LoadControl | Sys::StoreControl))
}

/// Every register points to data, but RSP.
fn case(encoding: &Encoding, length: usize) -> Case {
    let mut case = Case::new(encoding.bytes[..length].to_vec(), encoding.mode);
    case.registers.gpr = [DATA + 0x1000; 16];
    case.registers.gpr[RSP] = STACK_WINDOW.start + 0x80;
    case
}

#[test]
fn encodings_the_host_refuses_are_refused_and_lengths_agree() {
    let mut host = Host::new();
    let mut failures = Vec::new();
    for encoding in [Width::W64, Width::W32].into_iter().flat_map(encodings) {
        // The host knows instructions that ours does not offer.
        let Ok(inst) = decode(&encoding.bytes, encoding.mode) else { continue };
        if is_refused_later(&inst) {
            continue;
        }
        // What follows is a trap: an instruction that is longer takes it for a part of itself.
        let outcome = host.run(&case(&encoding, usize::from(inst.len)));
        let (name, mnemonic) = (&encoding.name, inst.row().mnemonic);
        if outcome.exception == Some(INVALID_OPCODE) {
            failures.push(format!("{name}: {mnemonic} is no instruction"));
        }
        let length = outcome.registers.rip.wrapping_sub(ENTRY);
        if outcome.exception.is_none() && !inst.row().has_note("end") && length != u64::from(inst.len) {
            failures.push(format!("{name}: {mnemonic} has {length} bytes, not {}", inst.len));
        }
    }
    assert!(failures.is_empty(), "{} encodings differ:\n{}", failures.len(), failures.join("\n"));
}
