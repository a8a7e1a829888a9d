//! Snapshots: a header, then one compressed body with configuration, chip sections and memory without its zero pages.
//!
//! Invariant: every byte of a snapshot is hostile. Sizes are bounded before anything is allocated, and whatever does
//! not decode is refused as damaged.

use platform::{PAGE_BYTES, Snapshot, Vcpu};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::{Config, MachineError, layout};

const MAGIC: [u8; 8] = *b"TERRASNP";
/// Changes whenever the layout of the body does.
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 20;
/// Largest body believed: all the memory a board takes, firmware, and as much again for kernel and initrd.
const BODY_LIMIT: u64 = 2 * (layout::RAM_LIMIT + layout::FIRMWARE_MAXIMUM);

/// What is compressed.
#[derive(Serialize, Deserialize)]
struct Body {
    config: Config,
    guest_time: (u64, u64),
    parts: Snapshot,
    memory: SparseMemory,
}

/// Memory as runs of pages that are not all zero.
#[derive(Serialize, Deserialize)]
struct SparseMemory {
    bytes: u64,
    runs: Vec<Run>,
}

/// Consecutive pages.
#[derive(Serialize, Deserialize)]
struct Run {
    first_page: u64,
    bytes: Vec<u8>,
}

impl Machine {
    /// The whole machine, for [`Machine::restore`].
    pub fn snapshot(&mut self) -> Vec<u8> {
        let (config, cpu, board, clock) = self.parts();
        let guest_time = clock.save();
        let mut parts = Snapshot::default();
        parts.push(cpu.save());
        board.save(&mut parts);
        let (config, memory) = (config.clone(), SparseMemory::take(self.parts_mut().1.memory().as_slice()));
        let body = postcard::to_allocvec(&Body { config, guest_time, parts, memory }).expect("plain data encodes");
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(lz4_flex::block::compress(&body));
        bytes
    }

    /// A machine that goes on where the snapshot was taken.
    ///
    /// # Errors
    /// [`MachineError::SnapshotVersion`] for another format, [`MachineError::SnapshotDamaged`] for anything that is
    /// no snapshot of this one.
    pub fn restore(snapshot: &[u8]) -> Result<Machine, MachineError> {
        let body = decode(snapshot)?;
        let mut machine = Machine::assemble(body.config).map_err(|error| damaged(&error.to_string()))?;
        let (cpu, board, clock) = machine.parts_mut();
        body.memory.put(board.memory().as_mut_slice())?;
        board.restore(&body.parts)?;
        let name = cpu.save().name().to_owned();
        cpu.restore(body.parts.section(&name)?)?;
        clock.restore(body.guest_time);
        Ok(machine)
    }
}

fn damaged(reason: &str) -> MachineError {
    MachineError::SnapshotDamaged { reason: reason.to_owned() }
}

fn decode(snapshot: &[u8]) -> Result<Body, MachineError> {
    let (header, packed) = snapshot.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("it is cut short"))?;
    if header[..8] != MAGIC {
        return Err(damaged("it is no snapshot of a machine"));
    }
    let found = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
    if found != FORMAT {
        return Err(MachineError::SnapshotVersion { found, wanted: FORMAT });
    }
    let length = u64::from_le_bytes(header[12..].try_into().expect("eight bytes"));
    /// LZ4 cannot shrink anything more than this.
    const BEST_RATIO: u64 = 255;
    if length > BODY_LIMIT.min((packed.len() as u64 + 1) * BEST_RATIO) {
        return Err(damaged("it claims an impossible size"));
    }
    let body = lz4_flex::block::decompress(packed, length as usize).map_err(|_| damaged("it does not unpack"))?;
    let (body, rest) = postcard::take_from_bytes(&body).map_err(|_| damaged("it does not decode"))?;
    if rest.is_empty() { Ok(body) } else { Err(damaged("it has trailing bytes")) }
}

impl SparseMemory {
    fn take(memory: &[u8]) -> SparseMemory {
        let mut runs: Vec<Run> = Vec::new();
        let mut next_page = u64::MAX;
        for (page, bytes) in (0u64..).zip(memory.chunks(PAGE_BYTES as usize)) {
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if next_page == page => run.bytes.extend_from_slice(bytes),
                _ => runs.push(Run { first_page: page, bytes: bytes.to_vec() }),
            }
            next_page = page + 1;
        }
        SparseMemory { bytes: memory.len() as u64, runs }
    }

    /// Copies the runs into memory that is all zero.
    fn put(&self, memory: &mut [u8]) -> Result<(), MachineError> {
        if self.bytes != memory.len() as u64 {
            return Err(damaged("its memory has another size than its configuration says"));
        }
        for run in &self.runs {
            let start = run.first_page.checked_mul(PAGE_BYTES).and_then(|start| usize::try_from(start).ok());
            let place = start.and_then(|start| memory.get_mut(start..start.checked_add(run.bytes.len())?));
            place.ok_or_else(|| damaged("it has memory outside the machine"))?.copy_from_slice(&run.bytes);
        }
        Ok(())
    }
}
