//! The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").

use crate::MachineError;

/// Offset of the header in the file and in the zero page.
pub(super) const HEADER: usize = 0x1f1;
/// No header reaches beyond this: its end is a jump of at most 255 bytes from 0x202 on.
pub(super) const LONGEST: usize = 2 * SECTOR;
const SECTOR: usize = 512;
const LOADED_HIGH: u8 = 1;
const XLF_KERNEL_64: u16 = 1;

/// A checked setup header. Fields that the header's version does not have carry the value boot.rst gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetupHeader {
    /// Major and minor version, 0x20f for 2.15.
    pub version: u16,
    /// Length of the boot sector and setup code, in bytes.
    pub setup_bytes: usize,
    /// Length of the protected-mode code behind them, in bytes.
    pub kernel_bytes: usize,
    /// End of the header's fields in the file.
    pub header_end: usize,
    /// Highest address an initrd byte may have.
    pub initrd_max: u64,
    /// Alignment a relocatable kernel wants; a power of two.
    pub alignment: u64,
    /// May be loaded anywhere aligned.
    pub relocatable: bool,
    /// Has the 64-bit entry point 0x200 bytes in.
    pub entry_64: bool,
    /// Longest command line, in bytes without the final zero.
    pub command_line_max: u64,
    /// Compressed payload, as offset in the protected-mode code and length; (0, 0) where the header is too old.
    pub payload: (usize, usize),
    /// Where the kernel would like to be.
    pub preferred_address: u64,
    /// Linear memory the kernel needs from its load address on, in bytes.
    pub init_bytes: u64,
}

impl SetupHeader {
    /// Whether a file carries the signatures of a Linux kernel image.
    pub fn is_present(file: &[u8]) -> bool {
        file.get(0x1fe..0x200) == Some(&[0x55, 0xaa]) && file.get(0x202..0x206) == Some(b"HdrS")
    }

    /// Reads the header of a file of `length` bytes that has one, from its first [`LONGEST`] bytes.
    pub fn parse(file: &[u8], length: usize) -> Result<SetupHeader, MachineError> {
        // The short jump over the header at 0x200 says where it ends.
        let header_end = 0x202 + usize::from(bytes::<1>(file, 0x201)?[0]);
        let version = u16_at(file, 0x206)?;
        let loadflags = bytes::<1>(file, 0x211)?[0];
        if version < 0x202 || loadflags & LOADED_HIGH == 0 {
            let (major, minor) = (version >> 8, version & 0xff);
            let reason = format!(
                "its boot protocol is {major}.{minor:02}{}, this board needs 2.02 and a bzImage",
                if loadflags & LOADED_HIGH == 0 { " (a zImage)" } else { "" }
            );
            return Err(MachineError::KernelUnsupported { reason });
        }
        let setup_sectors = match bytes::<1>(file, HEADER)?[0] {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let setup_bytes = (setup_sectors + 1) * SECTOR;
        let kernel_bytes = length.saturating_sub(setup_bytes);
        let promised = setup_bytes as u64 + u64::from(u32_at(file, 0x1f4)?) * 16;
        if promised > length as u64 || kernel_bytes == 0 {
            let needed = promised.max(setup_bytes as u64 + 1);
            return Err(MachineError::KernelTruncated { needed, found: length as u64 });
        }
        let since = |minimum: u16| version >= minimum;
        let header = SetupHeader {
            version,
            setup_bytes,
            kernel_bytes,
            header_end,
            initrd_max: if since(0x203) { u32_at(file, 0x22c)?.into() } else { 0x37ff_ffff },
            alignment: if since(0x205) { u32_at(file, 0x230)?.into() } else { 1 },
            relocatable: since(0x205) && bytes::<1>(file, 0x234)?[0] != 0,
            entry_64: since(0x20c) && u16_at(file, 0x236)? & XLF_KERNEL_64 != 0,
            command_line_max: if since(0x206) { u32_at(file, 0x238)?.into() } else { 255 },
            payload: if since(0x208) { (u32_at(file, 0x248)? as usize, u32_at(file, 0x24c)? as usize) } else { (0, 0) },
            preferred_address: if since(0x20a) { u64_at(file, 0x258)? } else { crate::layout::KERNEL },
            // Older kernels do not say; four times their compressed size covers what they unpack to.
            init_bytes: if since(0x20a) { u32_at(file, 0x260)?.into() } else { 4 * kernel_bytes as u64 },
        };
        header.checked()
    }

    fn checked(self) -> Result<SetupHeader, MachineError> {
        let damaged = |reason: &str| Err(MachineError::KernelDamaged { reason: reason.to_owned() });
        if self.relocatable && !self.alignment.is_power_of_two() {
            return damaged("its alignment is no power of two");
        }
        if self.preferred_address >= crate::layout::FOUR_GIB {
            return damaged("it prefers an address above 4 GiB");
        }
        let (offset, length) = self.payload;
        if offset.checked_add(length).is_none_or(|end| end > self.kernel_bytes) {
            return damaged("its payload lies outside the file");
        }
        Ok(self)
    }

    /// Where the protected-mode code goes in `ram_bytes` of RAM: where it prefers, else as low as it may.
    pub fn load_address(&self, ram_bytes: u64) -> Result<u64, MachineError> {
        let fits = |address: u64| address + self.occupied() <= ram_bytes;
        let lowest = match self.relocatable {
            true => crate::layout::KERNEL.next_multiple_of(self.alignment),
            false => crate::layout::KERNEL,
        };
        if self.relocatable && self.preferred_address >= lowest && fits(self.preferred_address) {
            Ok(self.preferred_address)
        } else if fits(lowest) {
            Ok(lowest)
        } else {
            Err(MachineError::MemoryTooSmall { needed: lowest + self.occupied(), configured: ram_bytes })
        }
    }

    /// Bytes from the load address on that the kernel uses before it reads the memory map.
    pub fn occupied(&self) -> u64 {
        self.init_bytes.max(self.kernel_bytes as u64)
    }
}

fn bytes<const N: usize>(file: &[u8], offset: usize) -> Result<[u8; N], MachineError> {
    let truncated = MachineError::KernelTruncated { needed: (offset + N) as u64, found: file.len() as u64 };
    file.get(offset..offset + N).and_then(|slice| slice.try_into().ok()).ok_or(truncated)
}

fn u16_at(file: &[u8], offset: usize) -> Result<u16, MachineError> {
    bytes(file, offset).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], offset: usize) -> Result<u32, MachineError> {
    bytes(file, offset).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], offset: usize) -> Result<u64, MachineError> {
    bytes(file, offset).map(u64::from_le_bytes)
}
