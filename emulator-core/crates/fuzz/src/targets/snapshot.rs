//! Snapshots: whatever their bytes, they are refused, or make a machine that runs and can be saved again.

use std::io::{Read, Write};
use std::rc::Rc;

use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use machine::{Boot, Clock, Config, Machine, MachineError};

use super::Target;

pub(super) const TARGET: Target = Target { name: "snapshot", run, seeds, longest: 9000, bounded: 1_500 };

const MAGIC: &[u8] = b"TERRASNP";
const HEADER: usize = 20;
const LENGTH_AT: usize = 12;
/// Behind the last page.
const END: [u8; 4] = [0xff; 4];
const INSTRUCTIONS: u64 = 300;
/// Machines with more are not saved again: it takes too long.
const MOST_MEMORY: u64 = 8 << 20;

/// What the bytes of an input are, by its first.
const FILE: u8 = 0;
const BODY: u8 = 1;
const HEAD: u8 = 2;

fn run(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    let (file, head) = match kind % 3 {
        FILE => (bytes.to_vec(), &[][..]),
        BODY => (frame(bytes), bytes.get(8..).unwrap_or_default()),
        // Damage to the frame is found by its checksum; this reaches behind it.
        _ => (frame(&[&(bytes.len() as u64).to_le_bytes(), bytes, &END].concat()), bytes),
    };
    let Ok(mut machine) = Machine::restore(&file) else { return };
    machine.run(0, INSTRUCTIONS);
    machine.run(1_000_000, INSTRUCTIONS);
    if memory_bytes(head).is_some_and(|bytes| bytes <= MOST_MEMORY) {
        let again = machine.snapshot();
        assert!(Machine::restore(&again).is_ok(), "a machine that was restored cannot be restored again");
    }
}

/// The first field of the configuration, with which a head begins: seven bits a byte, the lowest first.
fn memory_bytes(head: &[u8]) -> Option<u64> {
    let end = head.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    Some(head[..=end].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}

/// The format snapshots have: one of another format is refused with its number.
fn format() -> u32 {
    match Machine::restore(&[MAGIC, &[0; 12]].concat()) {
        Err(MachineError::SnapshotVersion { wanted, .. }) => wanted,
        _ => 0,
    }
}

/// A snapshot file around `body`.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut file = [MAGIC, &format().to_le_bytes()[..], &[0; 8]].concat();
    let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().content_checksum(true), &mut file);
    encoder.write_all(body).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte");
    let length = (file.len() - HEADER) as u64;
    file[LENGTH_AT..HEADER].copy_from_slice(&length.to_le_bytes());
    file
}

fn seeds() -> Vec<Vec<u8>> {
    let config = Config {
        memory_bytes: 2 << 20,
        clock: Clock::Instructions { ns_per_kilo_instruction: 1000 },
        ..Config::default()
    };
    let boot = Boot::Firmware { rom: Rc::new(vec![0xf4; 64 << 10]) };
    let mut machine = Machine::new(config, &boot).expect("firmware boots");
    machine.run(0, INSTRUCTIONS);
    let file = machine.snapshot();
    let mut body = Vec::new();
    FrameDecoder::new(&file[HEADER..]).read_to_end(&mut body).expect("our own snapshot");
    let head = u64::from_le_bytes(body[..8].try_into().expect("eight bytes")) as usize;
    vec![[&[FILE], &file[..]].concat(), [&[BODY], &body[..]].concat(), [&[HEAD], &body[8..8 + head]].concat()]
}
