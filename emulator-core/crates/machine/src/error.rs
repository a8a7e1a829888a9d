//! What can go wrong between a caller and a machine: one enum, one stable code a variant.
//!
//! Guest faults are not here: they stay in the guest. Serialised, an error is `{ code, details }`, so that both
//! language boundaries can carry it without parsing a sentence.

use serde::{Deserialize, Serialize};

/// Why a machine cannot be built, booted or restored.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", content = "details", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum MachineError {
    /// No boot protocol claims these bytes.
    #[error(
        "this is not a kernel any boot protocol here knows (it is {bytes} bytes long, and neither a Linux bzImage, \
         nor an ELF with a PVH note, nor a multiboot 1 kernel): give an x86 kernel image"
    )]
    KernelNotRecognised {
        /// Length of the file.
        bytes: u64,
    },
    /// The file ends before the part its own header promises.
    #[error("the kernel ends after {found} bytes where its header promises {needed}: fetch or build it again")]
    KernelTruncated {
        /// Bytes the header asks for.
        needed: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The header or payload contradicts itself.
    #[error("the kernel is damaged: {reason}; fetch or build it again")]
    KernelDamaged {
        /// What was found.
        reason: String,
    },
    /// A kernel of a known kind, but one this board cannot start.
    #[error("this kernel cannot be started here: {reason}")]
    KernelUnsupported {
        /// What is asked for and not offered.
        reason: String,
    },
    /// The caller chose an entry point that the kernel does not have.
    #[error("the kernel has no {entry} entry point: choose another, or leave the choice to the machine")]
    EntryNotOffered {
        /// The entry point asked for.
        entry: String,
    },
    /// The command line exceeds what the kernel accepts.
    #[error("the command line is {length} bytes long, this kernel takes {limit}: shorten it")]
    CommandLineTooLong {
        /// Longest one the kernel takes, in bytes.
        limit: u64,
        /// Length given, in bytes.
        length: u64,
    },
    /// No room for the initrd above the kernel.
    #[error("the initrd needs {needed} bytes and {available} are free beside the kernel: give the machine more memory")]
    InitrdDoesNotFit {
        /// Length of the initrd, in bytes.
        needed: u64,
        /// Largest initrd that would fit, in bytes.
        available: u64,
    },
    /// Less memory than the kernel or the board needs.
    #[error("{configured} bytes of memory are too little, {needed} are needed: give the machine more memory")]
    MemoryTooSmall {
        /// Bytes needed.
        needed: u64,
        /// Bytes configured.
        configured: u64,
    },
    /// More memory than fits under the PCI hole.
    #[error("{configured} bytes of memory are too much, this board takes {limit}: give the machine less memory")]
    MemoryTooLarge {
        /// Most the board takes, in bytes.
        limit: u64,
        /// Bytes configured.
        configured: u64,
    },
    /// The host has no memory of that size to give.
    #[error("the host cannot provide {bytes} bytes of memory: give the machine less memory")]
    MemoryUnavailable {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A firmware image of a size that cannot be mapped under 4 GiB.
    #[error("a firmware image is 64 KiB to 16 MiB long in steps of 4 KiB, this one has {bytes} bytes")]
    FirmwareSizeInvalid {
        /// Length of the image.
        bytes: u64,
    },
    /// A snapshot written by an incompatible build.
    #[error("the snapshot has format {found}, this build reads format {wanted}: take it again with this build")]
    SnapshotVersion {
        /// Version found.
        found: u32,
        /// Version this build reads.
        wanted: u32,
    },
    /// Bytes that are no snapshot, or a broken one.
    #[error("the snapshot cannot be restored: {reason}; take it again")]
    SnapshotDamaged {
        /// What was found.
        reason: String,
    },
    /// A malformed option.
    #[error("\"{value}\" is no valid {option}: {expected}")]
    OptionInvalid {
        /// Name of the option.
        option: String,
        /// What was given.
        value: String,
        /// What would have been valid.
        expected: String,
    },
}

/// One row of the table that TypeScript's error types are generated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CodeRow {
    /// The stable code.
    pub code: &'static str,
    /// Names and TypeScript types of the details.
    pub details: &'static [(&'static str, &'static str)],
}

/// Every code with its details.
#[must_use]
pub const fn all_codes() -> &'static [CodeRow] {
    const NUMBER: &str = "number";
    const STRING: &str = "string";
    &[
        CodeRow { code: "KERNEL_NOT_RECOGNISED", details: &[("bytes", NUMBER)] },
        CodeRow { code: "KERNEL_TRUNCATED", details: &[("needed", NUMBER), ("found", NUMBER)] },
        CodeRow { code: "KERNEL_DAMAGED", details: &[("reason", STRING)] },
        CodeRow { code: "KERNEL_UNSUPPORTED", details: &[("reason", STRING)] },
        CodeRow { code: "ENTRY_NOT_OFFERED", details: &[("entry", STRING)] },
        CodeRow { code: "COMMAND_LINE_TOO_LONG", details: &[("limit", NUMBER), ("length", NUMBER)] },
        CodeRow { code: "INITRD_DOES_NOT_FIT", details: &[("needed", NUMBER), ("available", NUMBER)] },
        CodeRow { code: "MEMORY_TOO_SMALL", details: &[("needed", NUMBER), ("configured", NUMBER)] },
        CodeRow { code: "MEMORY_TOO_LARGE", details: &[("limit", NUMBER), ("configured", NUMBER)] },
        CodeRow { code: "MEMORY_UNAVAILABLE", details: &[("bytes", NUMBER)] },
        CodeRow { code: "FIRMWARE_SIZE_INVALID", details: &[("bytes", NUMBER)] },
        CodeRow { code: "SNAPSHOT_VERSION", details: &[("found", NUMBER), ("wanted", NUMBER)] },
        CodeRow { code: "SNAPSHOT_DAMAGED", details: &[("reason", STRING)] },
        CodeRow { code: "OPTION_INVALID", details: &[("option", STRING), ("value", STRING), ("expected", STRING)] },
    ]
}

impl MachineError {
    /// The stable code, one of [`all_codes`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            MachineError::KernelNotRecognised { .. } => "KERNEL_NOT_RECOGNISED",
            MachineError::KernelTruncated { .. } => "KERNEL_TRUNCATED",
            MachineError::KernelDamaged { .. } => "KERNEL_DAMAGED",
            MachineError::KernelUnsupported { .. } => "KERNEL_UNSUPPORTED",
            MachineError::EntryNotOffered { .. } => "ENTRY_NOT_OFFERED",
            MachineError::CommandLineTooLong { .. } => "COMMAND_LINE_TOO_LONG",
            MachineError::InitrdDoesNotFit { .. } => "INITRD_DOES_NOT_FIT",
            MachineError::MemoryTooSmall { .. } => "MEMORY_TOO_SMALL",
            MachineError::MemoryTooLarge { .. } => "MEMORY_TOO_LARGE",
            MachineError::MemoryUnavailable { .. } => "MEMORY_UNAVAILABLE",
            MachineError::FirmwareSizeInvalid { .. } => "FIRMWARE_SIZE_INVALID",
            MachineError::SnapshotVersion { .. } => "SNAPSHOT_VERSION",
            MachineError::SnapshotDamaged { .. } => "SNAPSHOT_DAMAGED",
            MachineError::OptionInvalid { .. } => "OPTION_INVALID",
        }
    }
}

impl From<platform::MemoryError> for MachineError {
    fn from(error: platform::MemoryError) -> Self {
        match error {
            platform::MemoryError::Exhausted(bytes) => MachineError::MemoryUnavailable { bytes },
        }
    }
}

impl From<platform::RestoreError> for MachineError {
    fn from(error: platform::RestoreError) -> Self {
        MachineError::SnapshotDamaged { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<MachineError> {
        let reason = || "reason".to_owned();
        vec![
            MachineError::KernelNotRecognised { bytes: 1 },
            MachineError::KernelTruncated { needed: 2, found: 1 },
            MachineError::KernelDamaged { reason: reason() },
            MachineError::KernelUnsupported { reason: reason() },
            MachineError::EntryNotOffered { entry: "pvh".to_owned() },
            MachineError::CommandLineTooLong { limit: 1, length: 2 },
            MachineError::InitrdDoesNotFit { needed: 2, available: 1 },
            MachineError::MemoryTooSmall { needed: 2, configured: 1 },
            MachineError::MemoryTooLarge { limit: 1, configured: 2 },
            MachineError::MemoryUnavailable { bytes: 1 },
            MachineError::FirmwareSizeInvalid { bytes: 1 },
            MachineError::SnapshotVersion { found: 2, wanted: 1 },
            MachineError::SnapshotDamaged { reason: reason() },
            MachineError::OptionInvalid { option: "o".to_owned(), value: "v".to_owned(), expected: reason() },
        ]
    }

    #[test]
    fn messages_are_sentences_with_the_numbers_in_them() {
        let message = MachineError::InitrdDoesNotFit { needed: 70, available: 60 }.to_string();
        assert!(message.contains("70 bytes") && message.contains("60 are free"), "{message}");
    }

    #[test]
    fn the_table_lists_every_code_once_and_in_order() {
        let codes: Vec<_> = one_of_each().iter().map(MachineError::code).collect();
        let listed: Vec<_> = all_codes().iter().map(|row| row.code).collect();
        assert_eq!(codes, listed);
    }
}
