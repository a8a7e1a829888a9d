//! Which boot protocol a kernel file speaks.

use super::{elf, multiboot, setup_header::SetupHeader};
use crate::MachineError;

/// The boot protocol of a kernel file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KernelKind {
    /// Linux's own format: 16-bit setup code in front of a compressed kernel.
    BzImage,
    /// An ELF image with a PVH entry note (an unpacked Linux, a Xen-style guest).
    PvhElf,
    /// A multiboot 1 kernel, ELF or with address fields.
    Multiboot,
}

impl KernelKind {
    /// Looks at the headers in `kernel`, which may end behind its setup header if it has one. An ELF that carries both a PVH note and a multiboot header counts as PVH, which hands
    /// over more.
    ///
    /// # Errors
    /// [`MachineError::KernelNotRecognised`], or the error of a header that is cut short.
    pub(super) fn detect(kernel: &[u8]) -> Result<KernelKind, MachineError> {
        if SetupHeader::is_present(kernel) {
            return Ok(KernelKind::BzImage);
        }
        if elf::is_elf(kernel) && elf::Image::parse(kernel).is_ok_and(|image| image.pvh_entry().is_some()) {
            return Ok(KernelKind::PvhElf);
        }
        if multiboot::header(kernel).is_some() {
            return Ok(KernelKind::Multiboot);
        }
        if elf::is_elf(kernel) {
            // Says more about a broken ELF than "not recognised" would.
            elf::Image::parse(kernel)?;
        }
        Err(MachineError::KernelNotRecognised { bytes: kernel.len() as u64 })
    }
}
