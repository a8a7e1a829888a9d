//! The system address map the board's firmware reports: INT 15h E820, the Linux zero page, PVH and multiboot all
//! carry this one list in their own encoding.

use crate::layout;

/// What an address range is, numbered as INT 15h E820 does (ACPI 15, table 15-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RangeKind {
    /// Free for the operating system.
    Usable = 1,
    /// Not for the operating system.
    Reserved = 2,
}

/// One range of the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapRange {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What it is.
    pub kind: RangeKind,
}

/// The map of a machine with `ram_bytes` of RAM, lowest range first.
#[must_use]
pub fn memory_map(ram_bytes: u64) -> [MapRange; 6] {
    use RangeKind::{Reserved, Usable};
    let range = |start: u64, end: u64, kind| MapRange { start, bytes: end - start, kind };
    [
        range(0, layout::EBDA, Usable),
        range(layout::EBDA, layout::VGA_HOLE.start, Reserved),
        range(layout::TABLES.start, layout::ONE_MIB, Reserved),
        range(layout::ONE_MIB, ram_bytes, Usable),
        range(layout::ECAM.start, layout::ECAM.end, Reserved),
        range(layout::FOUR_GIB - layout::FIRMWARE_LOW, layout::FOUR_GIB, Reserved),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_ascend_and_never_overlap() {
        for ram_bytes in [layout::RAM_MINIMUM, 512 << 20, layout::RAM_LIMIT] {
            let map = memory_map(ram_bytes);
            assert!(map.windows(2).all(|pair| pair[0].start + pair[0].bytes <= pair[1].start));
        }
    }

    #[test]
    fn no_usable_range_touches_the_holes_under_one_megabyte() {
        for range in memory_map(64 << 20).iter().filter(|range| range.kind == RangeKind::Usable) {
            assert!(range.start + range.bytes <= 0xa_0000 || range.start >= 0x10_0000, "{range:?}");
        }
    }
}
