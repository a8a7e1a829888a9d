//! Snapshots: a header (magic, format, length of the rest), then one LZ4 frame with configuration and chips, then memory without its zero pages.
//!
//! Invariant: every byte of a snapshot is hostile. Sizes are bounded before anything is allocated, and whatever does
//! not decode is refused as damaged. Memory goes straight between frame and guest: no second copy of it exists.

use std::io::{Read, Write};

use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use platform::{PAGE_BYTES, Snapshot, Vcpu};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::{Config, MachineError, boot};

const MAGIC: [u8; 8] = *b"TERRASNP";
/// Changes whenever the layout below does.
const FORMAT: u32 = 3;
const HEADER_BYTES: usize = 20;
/// Where the header says how long the frame is: the decoder takes a frame that lost its end mark and checksum for a whole one.
const LENGTH_AT: usize = 12;
/// Largest head believed: chips hold some KiB.
const HEAD_LIMIT: u64 = 1 << 24;
const PAGE: usize = PAGE_BYTES as usize;
/// Page number behind the last page.
const END: u32 = u32::MAX;

/// Everything but memory.
#[derive(Serialize, Deserialize)]
struct Head {
    config: Config,
    guest_time: (u64, u64),
    parts: Snapshot,
    /// RAM, and behind it the ROM.
    memory_bytes: u64,
    foreign_firmware: bool,
}

impl Machine {
    /// The whole machine, for [`Machine::restore`].
    pub fn snapshot(&mut self) -> Vec<u8> {
        let (config, cpu, board, clock) = self.parts();
        let mut parts = Snapshot::default();
        parts.push(cpu.save());
        board.save(&mut parts);
        let (config, guest_time) = (config.clone(), clock.save());
        let foreign_firmware = board.has_foreign_firmware();
        let memory = self.parts_mut().1.memory().as_slice();
        let head = Head { config, guest_time, parts, memory_bytes: memory.len() as u64, foreign_firmware };
        let head = postcard::to_allocvec(&head).expect("plain data encodes into memory");

        let mut file = [&MAGIC[..], &FORMAT.to_le_bytes(), &[0; 8]].concat();
        let checked = FrameInfo::new().content_checksum(true);
        let mut frame = FrameEncoder::with_frame_info(checked, &mut file);
        let written = write_body(&mut frame, &head, memory);
        written
            .and_then(|()| frame.finish().map_err(std::io::Error::from).map(|_| ()))
            .expect("a vector takes every byte");
        let length = (file.len() - HEADER_BYTES) as u64;
        file[LENGTH_AT..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        file
    }

    /// A machine that goes on where the snapshot was taken.
    ///
    /// # Errors
    /// [`MachineError::SnapshotVersion`] for another format, [`MachineError::SnapshotDamaged`] for anything that is
    /// no snapshot of this one.
    pub fn restore(snapshot: &[u8]) -> Result<Machine, MachineError> {
        let mut frame = FrameDecoder::new(check_header(snapshot)?);
        let length = u64::from_le_bytes(read_array(&mut frame)?);
        if length > HEAD_LIMIT {
            return Err(damaged("it claims an impossible size"));
        }
        let mut bytes = Vec::new();
        frame.by_ref().take(length).read_to_end(&mut bytes).map_err(|_| damaged("it does not unpack"))?;
        let head: Head = postcard::from_bytes(&bytes).map_err(|_| damaged("it does not decode"))?;
        drop(bytes);

        let rom_bytes = head.memory_bytes.wrapping_sub(head.config.memory_bytes);
        if !boot::can_be_mapped(rom_bytes) {
            return Err(damaged("its memory has another size than its configuration says"));
        }
        let mut machine = Machine::assemble(head.config, rom_bytes, head.foreign_firmware)
            .map_err(|error| damaged(&error.to_string()))?;
        let (cpu, board, clock) = machine.parts_mut();
        read_memory(&mut frame, board.memory().as_mut_slice())?;
        board.restore(&head.parts)?;
        let name = cpu.save().name().to_owned();
        cpu.restore(head.parts.section(&name)?)?;
        clock.restore(head.guest_time);
        Ok(machine)
    }
}

fn damaged(reason: &str) -> MachineError {
    MachineError::SnapshotDamaged { reason: reason.to_owned() }
}

/// The frame behind a header that is right.
fn check_header(snapshot: &[u8]) -> Result<&[u8], MachineError> {
    let (header, frame) = snapshot.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("it is cut short"))?;
    if header[..8] != MAGIC {
        return Err(damaged("it is no snapshot of a machine"));
    }
    let found = u32::from_le_bytes(header[8..LENGTH_AT].try_into().expect("four bytes"));
    if found != FORMAT {
        return Err(MachineError::SnapshotVersion { found, wanted: FORMAT });
    }
    let length = u64::from_le_bytes(header[LENGTH_AT..].try_into().expect("eight bytes"));
    if length == frame.len() as u64 { Ok(frame) } else { Err(damaged("it is cut short")) }
}

fn write_body(frame: &mut impl Write, head: &[u8], memory: &[u8]) -> std::io::Result<()> {
    frame.write_all(&(head.len() as u64).to_le_bytes())?;
    frame.write_all(head)?;
    for (number, page) in (0u32..).zip(memory.chunks(PAGE)) {
        if page.iter().any(|byte| *byte != 0) {
            frame.write_all(&number.to_le_bytes())?;
            frame.write_all(page)?;
        }
    }
    frame.write_all(&END.to_le_bytes())
}

/// Fills memory that is all zero, up to the end of the frame, whose checksum must then be right.
fn read_memory(frame: &mut impl Read, memory: &mut [u8]) -> Result<(), MachineError> {
    loop {
        let number = u32::from_le_bytes(read_array(frame)?);
        if number == END {
            break;
        }
        let page =
            (number as usize).checked_mul(PAGE).and_then(|start| memory.get_mut(start..start.checked_add(PAGE)?));
        let page = page.ok_or_else(|| damaged("it has memory outside the machine"))?;
        frame.read_exact(page).map_err(|_| damaged("its memory does not unpack"))?;
    }
    match frame.read(&mut [0]) {
        Ok(0) => Ok(()),
        _ => Err(damaged("it does not end where it should")),
    }
}

fn read_array<const N: usize>(frame: &mut impl Read) -> Result<[u8; N], MachineError> {
    let mut bytes = [0; N];
    frame.read_exact(&mut bytes).map_err(|_| damaged("it does not unpack"))?;
    Ok(bytes)
}
