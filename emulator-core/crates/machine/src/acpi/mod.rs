//! ACPI tables of the board (ACPI specification 6.5), from the root pointer down.

mod dsdt;
mod fixed;

use acpi_tables::{Aml, sdt::Sdt, xsdt::XSDT};
use platform::PhysAddr;

/// Who made the tables, in every header.
pub(crate) const OEM_ID: [u8; 6] = *b"TERRAR";
pub(crate) const OEM_TABLE_ID: [u8; 8] = *b"TERRARPC";
pub(crate) const OEM_REVISION: u32 = 1;

/// FACS must be 64-byte aligned (ACPI 5.2.10); the others take the same.
const ALIGNMENT: u64 = 64;

/// All tables as one block of bytes, to be placed where [`build`] was told.
pub(crate) struct Tables {
    pub bytes: Vec<u8>,
    /// The root pointer: the first table of the block.
    pub rsdp: PhysAddr,
}

/// Builds the tables for a block that starts at `base`, which lies below 4 GiB.
pub(crate) fn build(base: PhysAddr) -> Tables {
    const RSDP_BYTES: usize = 36;
    let mut block = Block { base, bytes: vec![0; RSDP_BYTES] };
    let facs = block.append(&fixed::facs());
    let dsdt = block.append(&dsdt::dsdt());
    let tables =
        [fixed::fadt(facs, dsdt), fixed::madt(), fixed::hpet(), fixed::mcfg()].map(|table| block.append(&table));
    let rsdt = block.append(&rsdt(&tables));
    let xsdt = block.append(&xsdt(&tables));
    block.bytes[..RSDP_BYTES].copy_from_slice(&rsdp(rsdt, xsdt));
    Tables { bytes: block.bytes, rsdp: base }
}

struct Block {
    base: PhysAddr,
    bytes: Vec<u8>,
}

impl Block {
    fn append(&mut self, table: &[u8]) -> u32 {
        let offset = (self.bytes.len() as u64).next_multiple_of(ALIGNMENT);
        self.bytes.resize(offset as usize, 0);
        self.bytes.extend_from_slice(table);
        self.base.add(offset).0 as u32
    }
}

/// The encoded bytes of a table.
fn encode(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// An empty table of `signature`: the common header alone.
fn header(signature: [u8; 4], revision: u8) -> Sdt {
    const HEADER_BYTES: u32 = 36;
    Sdt::new(signature, HEADER_BYTES, revision, OEM_ID, OEM_TABLE_ID, OEM_REVISION)
}

/// Root table with 32-bit addresses, for guests older than ACPI 2.0.
fn rsdt(tables: &[u32]) -> Vec<u8> {
    let mut rsdt = header(*b"RSDT", 1);
    for address in tables {
        rsdt.append_slice(&address.to_le_bytes());
    }
    encode(&rsdt)
}

fn xsdt(tables: &[u32]) -> Vec<u8> {
    let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    for address in tables {
        xsdt.add_entry((*address).into());
    }
    encode(&xsdt)
}

/// Root pointer, revision 2 (ACPI 5.2.5.3): the first checksum covers what ACPI 1.0 knew, the second everything.
fn rsdp(rsdt: u32, xsdt: u32) -> [u8; 36] {
    let mut bytes = [0u8; 36];
    bytes[..8].copy_from_slice(b"RSD PTR ");
    bytes[9..15].copy_from_slice(&OEM_ID);
    bytes[15] = 2;
    bytes[16..20].copy_from_slice(&rsdt.to_le_bytes());
    bytes[20..24].copy_from_slice(&36u32.to_le_bytes());
    bytes[24..32].copy_from_slice(&u64::from(xsdt).to_le_bytes());
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    bytes[8] = sum(&bytes[..20]);
    bytes[32] = sum(&bytes);
    bytes
}

#[cfg(test)]
mod tests;
