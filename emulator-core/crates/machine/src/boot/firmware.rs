//! Firmware images: the caller's own, or the small BIOS that direct kernel boots run on.

use super::File;
use crate::{Boot, MachineError, layout};

/// Our own BIOS, assembled from /bios/terrarium-bios: it ends at the top of the F segment.
static SYSTEM_BIOS: &[u8] = include_bytes!("../../../../../bios/terrarium-bios/terrarium-bios.bin");

/// The image mapped below 4 GiB and below 1 MiB, a whole number of pages.
pub(crate) fn system_rom(boot: &Boot) -> Result<&dyn File, MachineError> {
    let Boot::Firmware { rom } = boot else { return Ok(&SYSTEM_BIOS) };
    let bytes = rom.length() as u64;
    if can_be_mapped(bytes) { Ok(&**rom) } else { Err(MachineError::FirmwareSizeInvalid { bytes }) }
}

/// Whether there is a place for a ROM of that length.
pub(crate) fn can_be_mapped(rom_bytes: u64) -> bool {
    let fits = (layout::FIRMWARE_MINIMUM..=layout::FIRMWARE_MAXIMUM).contains(&rom_bytes);
    fits && rom_bytes.is_multiple_of(platform::PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_bios_fills_the_f_segment_and_starts_with_a_far_jump() {
        assert_eq!(SYSTEM_BIOS.len() as u64, layout::FIRMWARE_MINIMUM);
        assert_eq!(SYSTEM_BIOS[0xfff0], 0xea, "JMP ptr16:16 at the reset vector");
    }

    #[test]
    fn the_system_bios_is_what_its_source_assembles_to() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../bios/terrarium-bios");
        if std::process::Command::new("as").arg("--version").output().is_err() {
            crate::skipped("no assembler on this machine (Debian: binutils)");
            return;
        }
        let built = std::env::temp_dir().join(format!("terrarium-bios-{}.bin", std::process::id()));
        let status = std::process::Command::new("sh").arg("build.sh").arg(&built).current_dir(folder).status().unwrap();
        assert!(status.success());
        assert!(std::fs::read(&built).unwrap() == SYSTEM_BIOS, "build.sh makes another image than the committed one");
        std::fs::remove_file(built).unwrap();
    }

    #[test]
    fn a_firmware_image_of_an_odd_size_is_refused() {
        for bytes in [0, 4096, (64 << 10) + 1, (16 << 20) + 4096] {
            let boot = Boot::Firmware { rom: std::rc::Rc::new(vec![0; bytes]) };
            let expected = MachineError::FirmwareSizeInvalid { bytes: bytes as u64 };
            assert_eq!(system_rom(&boot).err(), Some(expected));
        }
    }
}
