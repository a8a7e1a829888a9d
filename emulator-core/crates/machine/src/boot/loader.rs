//! What a boot protocol may do to the machine: put bytes into RAM, within bounds.

use platform::{GuestMemory, PAGE_BYTES, PhysAddr};

use super::File;
use crate::{MachineError, layout, memory_map};

/// Guest RAM as a boot loader sees it.
pub(crate) struct Loader<'m> {
    memory: &'m mut GuestMemory,
    ram_bytes: u64,
    /// Where the ACPI root pointer is, for protocols that hand it over.
    pub rsdp: PhysAddr,
    /// See [`crate::Config::decompress_on_host`].
    pub decompress_on_host: bool,
    /// Whether the processor has 64-bit mode.
    pub long_mode: bool,
}

impl<'m> Loader<'m> {
    /// A loader for the first `ram_bytes` of `memory`, which back the same guest-physical addresses.
    pub fn new(
        memory: &'m mut GuestMemory,
        ram_bytes: u64,
        rsdp: PhysAddr,
        decompress_on_host: bool,
        long_mode: bool,
    ) -> Self {
        Loader { memory, ram_bytes, rsdp, decompress_on_host, long_mode }
    }

    /// Bytes of RAM, which start at address 0.
    pub fn ram_bytes(&self) -> u64 {
        self.ram_bytes
    }

    /// The firmware image behind the RAM, for our BIOS's own data.
    pub fn rom(&mut self) -> &mut [u8] {
        let ram_bytes = self.ram_bytes as usize;
        &mut self.memory.as_mut_slice()[ram_bytes..]
    }

    /// The board's address map.
    pub fn memory_map(&self) -> [memory_map::MapRange; 6] {
        memory_map::memory_map(self.ram_bytes)
    }

    /// Copies `bytes` to `address`.
    pub fn put(&mut self, address: u64, bytes: &[u8]) -> Result<(), MachineError> {
        self.slice(address, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Copies `length` bytes of `file` from `offset` on, which lie within it, to `address`.
    pub fn put_file(
        &mut self,
        address: u64,
        file: &dyn File,
        offset: usize,
        length: usize,
    ) -> Result<(), MachineError> {
        file.read(offset, self.slice(address, length as u64)?);
        Ok(())
    }

    /// `length` bytes of RAM at `address`.
    pub fn slice(&mut self, address: u64, length: u64) -> Result<&mut [u8], MachineError> {
        let end = address.checked_add(length).ok_or(MachineError::KernelDamaged {
            reason: format!("it asks for {length} bytes at address {address:#x}"),
        })?;
        if end > self.ram_bytes {
            return Err(MachineError::MemoryTooSmall { needed: end, configured: self.ram_bytes });
        }
        Ok(&mut self.memory.as_mut_slice()[address as usize..end as usize])
    }

    /// Copies `length` bytes within RAM.
    pub fn copy(&mut self, from: u64, to: u64, length: u64) -> Result<(), MachineError> {
        self.slice(from, length)?;
        self.slice(to, length)?;
        self.memory.as_mut_slice().copy_within(from as usize..(from + length) as usize, to as usize);
        Ok(())
    }

    /// Copies a command line with its final zero to [`layout::COMMAND_LINE`].
    pub fn put_command_line(&mut self, command_line: &str, limit: u64) -> Result<(), MachineError> {
        let limit = limit.min(layout::COMMAND_LINE_ROOM - 1);
        let length = command_line.len() as u64;
        if length > limit {
            return Err(MachineError::CommandLineTooLong { limit, length });
        }
        self.put(layout::COMMAND_LINE, command_line.as_bytes())?;
        self.put(layout::COMMAND_LINE + length, &[0])
    }

    /// Puts an initrd on the highest whole pages that end at or below `limit` and RAM's end, above `kernel_end`.
    /// Returns its address; an empty one has none.
    pub fn put_initrd(&mut self, initrd: &dyn File, kernel_end: u64, limit: u64) -> Result<u64, MachineError> {
        let end = limit.min(self.ram_bytes) & !(PAGE_BYTES - 1);
        let floor = kernel_end.next_multiple_of(PAGE_BYTES);
        let needed = initrd.length() as u64;
        let available = end.saturating_sub(floor);
        let room = needed.checked_next_multiple_of(PAGE_BYTES).filter(|&room| room <= available);
        let room = room.ok_or(MachineError::InitrdDoesNotFit { needed, available })?;
        self.put_file(end - room, initrd, 0, initrd.length())?;
        Ok(end - room)
    }
}
