//! Which instructions there are, who has them, and what tests them.

use std::collections::BTreeMap;
use std::fmt::Write;

use cpu::CpuModel;
use filetest::{File, Note, family};
use x86::decode::decode;
use x86::instructions::{Family, families, rows};
use x86::{Feature, Row};

/// The file in the workspace.
pub const FILE: &str = "SUPPORT.md";

/// Examples, by who judges them.
#[derive(Clone, Copy, Default)]
struct Examples {
    host: usize,
    manual: usize,
}

/// Lines of a family's table: rows with the same mnemonic and feature.
struct Entry {
    mnemonic: &'static str,
    feature: Feature,
    encodings: Vec<String>,
    examples: Examples,
}

/// The text of the file.
pub fn table() -> String {
    let mut sections = String::new();
    let mut all = Examples::default();
    let mut mnemonics = 0;
    for family in families() {
        let file = family::read(family);
        let entries = entries(family, &file);
        mnemonics += entries.len();
        let _ = write!(sections, "\n## {0}\n\n[tests](crates/x86/src/instructions/{0}.filetest)", family.name);
        let refused = refused(&file);
        all.host += refused;
        if refused > 0 {
            let _ = write!(sections, "; {refused} of them of encodings that are refused");
        }
        sections.push_str("\n\n| instruction | encodings | feature | from | examples |\n|---|---|---|---|--:|\n");
        for entry in entries {
            all.host += entry.examples.host;
            all.manual += entry.examples.manual;
            let (feature, model) = (feature_name(entry.feature), first_model(entry.feature));
            let examples = count(entry.examples);
            let encodings = entry.encodings.join(", ");
            let _ = writeln!(sections, "| {} | {encodings} | {feature} | {model} | {examples} |", entry.mnemonic);
        }
    }
    format!("{}{sections}", head(mnemonics, all))
}

fn head(lines: usize, all: Examples) -> String {
    format!(
        "# What the processor supports

Written by `cargo run -p xtask` from the instruction rows and their tests; do not edit.

{} encodings in {lines} lines: a line for each instruction and the feature of CPUID it came with, and the first of our models that has
it. Where two lines have one name, a later feature brought more encodings. Examples are those of the tests beside the rows
(`crates/filetest` describes them): {} that a real processor judges, and {} (counted behind a plus sign) for which the manual does, because
user mode cannot see them, time or chance decides, or vendors differ. The interpreter runs all of them. Beyond them, `npm run conformance`
compares every row with the host's processor on random states, and `crates/machine/tests/system` tests what only a kernel sees.
",
        rows().len(),
        all.host,
        all.manual
    )
}

fn entries(family: &Family, file: &File) -> Vec<Entry> {
    let examples = examples_by_row(file);
    let mut entries: Vec<Entry> = Vec::new();
    for number in family::row_numbers(family) {
        let row = rows()[usize::from(number)];
        let same = |entry: &Entry| (entry.mnemonic, entry.feature) == (row.mnemonic, row.feature);
        let place = entries.iter().position(same).unwrap_or_else(|| {
            let (mnemonic, feature) = (row.mnemonic, row.feature);
            entries.push(Entry { mnemonic, feature, encodings: Vec::new(), examples: Examples::default() });
            entries.len() - 1
        });
        entries[place].encodings.push(encoding(row));
        let of_row = examples.get(&number).copied().unwrap_or_default();
        entries[place].examples.host += of_row.host;
        entries[place].examples.manual += of_row.manual;
    }
    entries
}

fn examples_by_row(file: &File) -> BTreeMap<u16, Examples> {
    let mut examples: BTreeMap<u16, Examples> = BTreeMap::new();
    for (instruction, example) in file.examples() {
        let Ok(inst) = decode(&instruction.code, instruction.mode) else { continue };
        let of_row = examples.entry(inst.row).or_default();
        match example.note {
            Note::Manual(_) => of_row.manual += 1,
            Note::Judged | Note::Unknown => of_row.host += 1,
        }
    }
    examples
}

/// Examples of bytes that are no instruction.
fn refused(file: &File) -> usize {
    file.examples().filter(|(instruction, _)| decode(&instruction.code, instruction.mode).is_err()).count()
}

/// An encoding, and where there is none.
fn encoding(row: &Row) -> String {
    let modes = match (row.has_note("i64"), row.has_note("o64")) {
        (true, _) => " (not in 64-bit mode)",
        (_, true) => " (64-bit mode)",
        _ => "",
    };
    format!("`{}`{modes}", row.encoding)
}

fn feature_name(feature: Feature) -> String {
    match feature {
        Feature::Base => String::new(),
        other => format!("{other:?}").to_uppercase(),
    }
}

fn first_model(feature: Feature) -> &'static str {
    CpuModel::ALL.into_iter().find(|model| model.features().contains(feature)).map_or("", CpuModel::name)
}

fn count(examples: Examples) -> String {
    match examples {
        Examples { host, manual: 0 } => host.to_string(),
        Examples { host, manual } => format!("{host} + {manual}"),
    }
}
