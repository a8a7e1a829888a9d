//! The tests beside the instructions: run by the interpreter, complete, and true to their bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use filetest::guest::Guest;
use filetest::{File, family};
use x86::decode::decode;
use x86::instructions::families;
use x86::{Disassembly, Width};

#[test]
fn the_interpreter_does_what_every_example_says() {
    filetest::run(&mut Guest::new()).assert_same();
}

#[test]
fn so_do_the_generic_descriptions_behind_its_dispatch() {
    filetest::run(&mut Guest::generic()).assert_same();
}

#[test]
fn every_row_has_a_test() {
    let mut missing = Vec::new();
    for (family, file) in family::files() {
        let names = family::untested(family, &file).into_iter().map(family::row_name);
        missing.extend(names.map(|name| format!("{}: {name}", family.name)));
    }
    assert!(missing.is_empty(), "{} rows without a test:\n{}", missing.len(), missing.join("\n"));
}

#[test]
fn tests_stand_beside_the_rows_they_test() {
    for family in families() {
        let rows = family::row_numbers(family);
        for row in family::tested(&family::read(family)) {
            assert!(rows.contains(&row), "{}.filetest tests {}", family.name, family::row_name(row));
        }
    }
}

#[test]
fn no_file_is_without_rows() {
    let folder = |path: &Path| path.parent().unwrap().to_owned();
    let expected: BTreeSet<PathBuf> = families().map(family::path).collect();
    for folder in expected.iter().map(|path| folder(path)).collect::<BTreeSet<_>>() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.extension().is_some_and(|extension| extension == "filetest");
            assert!(!is_test || expected.contains(&path), "{}", path.display());
        }
    }
}

#[test]
fn files_are_as_the_tool_writes_them() {
    for family in families() {
        let text = std::fs::read_to_string(family::path(family)).unwrap_or_default();
        let again = family::read(family).write();
        for (number, (line, again)) in (1..).zip(text.lines().zip(again.lines())) {
            assert_eq!(line, again, "{}.filetest:{number}", family.name);
        }
        assert_eq!(text, again, "{}.filetest", family.name);
    }
}

#[test]
fn bytes_are_what_the_assembly_beside_them_says() {
    for family in families() {
        for instruction in family::read(family).instructions() {
            let text = match decode(&instruction.code, instruction.mode) {
                Ok(inst) if usize::from(inst.len) == instruction.code.len() => {
                    Disassembly { inst: &inst, rip: filetest::ENTRY }.to_string()
                }
                _ => "(bad)".into(),
            };
            assert_eq!(text, instruction.text, "{}.filetest:{}", family.name, instruction.line);
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    for (text, message) in [
        ("  eax=1 ->", "line 1: an example without an instruction"),
        ("8: nop = 90", "line 1: \"8\" is no width"),
        ("64: nop = 9x", "line 1: bytes are pairs"),
        ("64: nop = 90\n  eax=1", "line 2: an example has an arrow"),
        ("64: nop = 90\n  eax=g ->", "line 2: \"eax=g\" is not understood"),
        ("64: nop = 90\n  al=100 ->", "line 2: \"al=100\" is not understood"),
        ("64: nop = 90\n  rip=4 ->", "line 2: \"rip=4\" is not understood"),
        ("64: nop = 90\n  -> #XX", "line 2: \"#XX\" is no exception"),
        ("64: nop = 90\n  -> [7fff]=1234", "line 2: \"[7fff]=1234\" is not understood"),
        ("64: nop = 90\n  -> [6000]=123", "line 2: \"[6000]=123\" is not understood"),
    ] {
        let error = File::read(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(error.starts_with(message), "{error}");
    }
}

/// Worked out by hand: each part of a state is told from its neighbours.
#[test]
fn a_wrong_result_is_named() {
    let file = File::read(
        "64: add al, bl = 00 d8
  rax=1100 bl=80 [6000]=0102 -> al=80 flags=oSzapc
  rax=1100 bl=80 -> al=81 flags=oSzapc
  rax=1100 bl=80 -> al=80 flags=oszapc
  rax=1100 bl=80 -> al=80 flags=S
  rax=1100 bl=80 -> al=80 flags=oSzapc [6000]=01
  rax=1100 bl=80 -> #UD
  rax=1100 bl=80 -> al=? flags=?",
    )
    .unwrap();
    let mut guest = Guest::new();
    let wrong = file.examples().map(|(instruction, example)| {
        let outcome = guest.run(&example.case(instruction));
        filetest::difference(instruction, example, &outcome).map_or(0, |text| text.lines().count())
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [0, 1, 1, 0, 1, 4, 0]);
    assert_eq!(file.instructions().next().unwrap().mode, Width::W64);
}
