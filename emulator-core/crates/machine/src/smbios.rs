//! SMBIOS tables (DMTF DSP0134, version 2.8): who made board and firmware, for guests that print or match on it.
//!
//! Deliberately missing: structures about processors, slots and memory modules, which the guest finds out by itself.

use platform::PhysAddr;

/// Where our BIOS leaves room for the entry point, as an offset into the F segment (bios/terrarium-bios).
pub(crate) const ANCHOR_OFFSET: usize = 0x0190;
const ANCHOR_BYTES: usize = 31;
const VERSION: [u8; 2] = [2, 8];

/// The entry point, which guests search for in the F segment, and the structures it points to.
pub(crate) struct Smbios {
    pub anchor: [u8; ANCHOR_BYTES],
    pub table: Vec<u8>,
}

/// Builds structures to be placed at `base`, below 4 GiB.
pub(crate) fn build(base: PhysAddr) -> Smbios {
    let structures = [firmware(), system(), structure(127, 0x7f00, &[], &[])];
    let largest = structures.iter().map(Vec::len).max().unwrap_or(0) as u16;
    let table = structures.concat();
    let mut anchor = [0u8; ANCHOR_BYTES];
    anchor[..4].copy_from_slice(b"_SM_");
    anchor[5] = ANCHOR_BYTES as u8;
    anchor[6..8].copy_from_slice(&VERSION);
    anchor[8..10].copy_from_slice(&largest.to_le_bytes());
    anchor[16..21].copy_from_slice(b"_DMI_");
    anchor[22..24].copy_from_slice(&(table.len() as u16).to_le_bytes());
    anchor[24..28].copy_from_slice(&(base.0 as u32).to_le_bytes());
    anchor[28..30].copy_from_slice(&(structures.len() as u16).to_le_bytes());
    anchor[30] = VERSION[0] << 4 | VERSION[1];
    anchor[21] = negative_sum(&anchor[16..]);
    anchor[4] = negative_sum(&anchor);
    Smbios { anchor, table }
}

/// Firmware information (7.1).
fn firmware() -> Vec<u8> {
    const VENDOR: u8 = 1;
    const RELEASE: u8 = 2;
    const DATE: u8 = 3;
    let segment = ((crate::layout::BIOS_SEGMENT >> 4) as u16).to_le_bytes();
    let rom_of_64_kib = 0;
    let characteristics_not_given = [1 << 3, 0, 0, 0, 0, 0, 0, 0];
    let virtual_machine = [0, 1 << 4];
    let no_embedded_controller = [0xff, 0xff];
    let fields = [
        &[VENDOR, RELEASE][..],
        &segment,
        &[DATE, rom_of_64_kib],
        &characteristics_not_given,
        &virtual_machine,
        &[1, 0],
        &no_embedded_controller,
    ]
    .concat();
    structure(0, 0, &fields, &["Terrarium", "1.0", "11/21/2026"])
}

/// System information (7.2).
fn system() -> Vec<u8> {
    let (manufacturer, product, version, serial) = (1, 2, 3, 0);
    let uuid_not_given = [0; 16];
    let woken_by_power_switch = 6;
    let (stock_keeping_unit, family) = (0, 0);
    let fields = [
        &[manufacturer, product, version, serial][..],
        &uuid_not_given,
        &[woken_by_power_switch, stock_keeping_unit, family],
    ]
    .concat();
    structure(1, 0x100, &fields, &["Terrarium", "PC", "1.0"])
}

/// A structure: header, fields, then its strings, each ended by a zero, and one zero more (6.1).
fn structure(kind: u8, handle: u16, fields: &[u8], strings: &[&str]) -> Vec<u8> {
    let mut bytes = vec![kind, fields.len() as u8 + 4];
    bytes.extend(handle.to_le_bytes());
    bytes.extend(fields);
    for string in strings {
        bytes.extend(string.bytes().chain([0]));
    }
    let terminator = if strings.is_empty() { &[0, 0][..] } else { &[0] };
    bytes.extend(terminator);
    bytes
}

fn negative_sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_the_entry_point_sum_to_zero() {
        let anchor = build(PhysAddr(0xe_1000)).anchor;
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum(&anchor), sum(&anchor[16..])), (0, 0));
    }

    #[test]
    fn structures_have_the_lengths_the_specification_gives_them() {
        let table = build(PhysAddr(0xe_1000)).table;
        let lengths = [firmware(), system()].map(|structure| structure[1]);
        assert_eq!(lengths, [0x18, 0x1b], "version 2.4 and later");
        assert!(table.ends_with(&[127, 4, 0x00, 0x7f, 0, 0]));
    }
}
