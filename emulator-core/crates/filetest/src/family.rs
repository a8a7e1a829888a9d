//! The files, and what must be in them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use x86::decode::decode;
use x86::instructions::{Family, families, rows};

use crate::file::File;

/// The file of a family's tests.
#[must_use]
pub fn path(family: &Family) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../x86/src/instructions");
    PathBuf::from(folder).join(format!("{}.filetest", family.name))
}

/// What a file begins with.
const HEAD: &str =
    "; Tests of the rows in the file beside this one; crates/filetest/src/lib.rs describes the format.\n\n";

/// Reads a family's tests; where there is no file, what one begins with.
///
/// # Panics
/// There are words in it that are not understood.
#[must_use]
pub fn read(family: &Family) -> File {
    let text = std::fs::read_to_string(path(family)).unwrap_or_else(|_| HEAD.into());
    File::read(&text).unwrap_or_else(|message| panic!("{}.filetest, {message}", family.name))
}

/// All of them.
pub fn files() -> impl Iterator<Item = (&'static Family, File)> {
    families().map(|family| (family, read(family)))
}

/// The numbers of the rows of `family`.
#[must_use]
pub fn row_numbers(family: &Family) -> BTreeSet<u16> {
    let count = |family: &Family| family.rows.iter().map(|group| group.len() as u16).sum::<u16>();
    let first: u16 = families().take_while(|other| other.name != family.name).map(count).sum();
    (first..first + count(family)).collect()
}

/// The rows of `family` that `file` tests.
#[must_use]
pub fn tested(file: &File) -> BTreeSet<u16> {
    let numbers = file.examples().filter_map(|(instruction, _)| decode(&instruction.code, instruction.mode).ok());
    numbers.map(|inst| inst.row).collect()
}

/// The rows of `family` that have no test in `file`.
#[must_use]
pub fn untested(family: &Family, file: &File) -> Vec<u16> {
    row_numbers(family).difference(&tested(file)).copied().collect()
}

/// A row as messages name it.
#[must_use]
pub fn row_name(number: u16) -> String {
    let row = rows()[usize::from(number)];
    format!("{} ({} {})", row.mnemonic, row.encoding, row.operands)
}
