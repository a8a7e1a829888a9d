//! What our BIOS is told before it runs: which program to start after its power-on self-test, and the address map that INT 15h E820 answers.
//! Offsets into the F segment are those of bios/terrarium-bios/README.md.

use super::Loader;
use crate::layout;

const SIGNATURE_AT: usize = 0x10;
const SIGNATURE: [u8; 4] = *b"TBR1";
/// Words IP, CS, data segment and SP.
const REAL_AT: usize = 0x14;
const EXTENDED_KIB_AT: usize = 0x1c;
/// Double words EIP, EAX and EBX.
const PROTECTED_AT: usize = 0x20;
/// A word with the number of ranges, then 20-byte ranges as E820 returns them.
const MAP_AT: usize = 0x40;

/// The first program.
pub(super) enum Program {
    /// In real mode.
    Real { ip: u16, cs: u16, data_segment: u16, sp: u16 },
    /// In protected mode without paging, with flat segments.
    Protected { eip: u32, eax: u32, ebx: u32 },
}

/// Writes it all into the ROM behind RAM, which is our BIOS.
pub(super) fn put(loader: &mut Loader<'_>, program: Program) {
    let extended_kib = ((loader.ram_bytes() - layout::ONE_MIB) >> 10) as u32;
    let map = loader.memory_map();
    let bios = loader.rom();
    assert_eq!(bios[SIGNATURE_AT..SIGNATURE_AT + 4], SIGNATURE, "our own BIOS has a boot record");
    let mut set = |offset: usize, bytes: &[u8]| bios[offset..offset + bytes.len()].copy_from_slice(bytes);
    let (real, protected) = match program {
        Program::Real { ip, cs, data_segment, sp } => ([ip, cs, data_segment, sp], [0; 3]),
        Program::Protected { eip, eax, ebx } => ([0; 4], [eip, eax, ebx]),
    };
    for (index, word) in real.into_iter().enumerate() {
        set(REAL_AT + 2 * index, &word.to_le_bytes());
    }
    set(EXTENDED_KIB_AT, &extended_kib.to_le_bytes());
    for (index, word) in protected.into_iter().enumerate() {
        set(PROTECTED_AT + 4 * index, &word.to_le_bytes());
    }
    set(MAP_AT, &(map.len() as u16).to_le_bytes());
    for (index, range) in map.iter().enumerate() {
        let at = MAP_AT + 2 + 20 * index;
        set(at, &range.start.to_le_bytes());
        set(at + 8, &range.bytes.to_le_bytes());
        set(at + 16, &(range.kind as u32).to_le_bytes());
    }
}
