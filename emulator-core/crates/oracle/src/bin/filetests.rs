//! Writes the tests beside the instructions: `filetests (--bless | --draft) [FAMILY ...]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of the command line")]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::cmp::Reverse;
    use std::collections::HashSet;
    use std::process::ExitCode;

    use filetest::guest::Guest;
    use filetest::{Example, File, Instruction, Line, Note, family};
    use oracle::bless::bless;
    use oracle::campaign::Pair;
    use oracle::draft::{Shape, draft, shape};
    use oracle::gas::assemble;
    use oracle::host::Host;
    use x86::Disassembly;
    use x86::decode::decode;
    use x86::instructions::{Family, families, rows};

    const USAGE: &str = "filetests (--bless | --draft) [FAMILY ...]
  --bless  finds the bytes of new instructions, and writes what the host's processor makes of the examples
  --draft  adds first tests of every row, and of every width and form of general-purpose instructions, that has none
  FAMILY   such as integer/shifts; all, without one";

    pub fn main() -> ExitCode {
        let mut arguments: Vec<String> = std::env::args().skip(1).collect();
        let command = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
        let chosen: Vec<&Family> = families()
            .filter(|family| arguments.is_empty() || arguments.iter().any(|name| name == family.name))
            .collect();
        if chosen.is_empty() || !matches!(command.as_str(), "--bless" | "--draft") {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        if let Some(cause) = Host::unavailable() {
            eprintln!("{cause}");
            return ExitCode::from(2);
        }
        let mut problems = 0;
        for family in chosen {
            let mut file = family::read(family);
            if command == "--draft" {
                add_drafts(family, &mut file);
            }
            let messages = bless_file(&mut file);
            messages.iter().for_each(|message| eprintln!("{}.filetest:{message}", family.name));
            problems += messages.len();
            let written = std::fs::write(family::path(family), file.write());
            written.unwrap_or_else(|error| panic!("{}: {error}", family.name));
        }
        println!("{problems} problems");
        if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn add_drafts(family: &Family, file: &mut File) {
        let mut guest = Guest::new();
        let tested = family::tested(file);
        let decoded = file.instructions().filter_map(|instruction| decode(&instruction.code, instruction.mode).ok());
        let mut covered: HashSet<Shape> = decoded.filter_map(|inst| shape(&inst)).collect();
        for row in family::row_numbers(family) {
            let mut tests = draft(row, tested.contains(&row), &mut covered, &mut guest);
            if tests.is_empty() && !tested.contains(&row) {
                println!("{}.filetest: no draft of {}", family.name, family::row_name(row));
            }
            prefer_assembler(&mut tests);
            let lines = tests.into_iter().flat_map(|(instruction, examples)| {
                let examples = examples.into_iter().map(Line::Example);
                core::iter::once(Line::Instruction(instruction)).chain(examples)
            });
            insert(file, row, lines.collect());
        }
    }

    /// Puts `lines` behind the first tests of `row` or, where there are none, of a row before it.
    fn insert(file: &mut File, row: u16, mut lines: Vec<Line>) {
        let row_of = |line: &Line| match line {
            Line::Instruction(instruction) => decode(&instruction.code, instruction.mode).ok().map(|inst| inst.row),
            Line::Example(_) | Line::Text(_) => None,
        };
        let firsts = file.lines.iter().enumerate().filter_map(|(at, line)| Some((row_of(line)?, at)));
        // Of several tests of a row the first counts: those of edges come at the end.
        let before = firsts.filter(|first| first.0 <= row).max_by_key(|&(row, at)| (row, Reverse(at)));
        let Some((found, at)) = before else {
            let head = file.lines.iter().take_while(|line| matches!(line, Line::Text(_))).count();
            file.lines.splice(head..head, lines);
            return;
        };
        if rows()[usize::from(found)].mnemonic != rows()[usize::from(row)].mnemonic && !lines.is_empty() {
            lines.insert(0, Line::Text(String::new()));
        }
        let goes_on = |line: &&Line| matches!(line, Line::Example(_)) || row_of(line) == Some(found);
        let end = at + file.lines[at..].iter().take_while(goes_on).count();
        file.lines.splice(end..end, lines);
    }

    /// Takes the assembler's bytes where they are of the same row and shape.
    fn prefer_assembler(tests: &mut [(Instruction, Vec<Example>)]) {
        let texts: Vec<_> = tests.iter().map(|(i, _)| (i.mode, i.text.as_str())).collect();
        let found = assemble(&texts).unwrap_or_else(|message| panic!("{message}"));
        for ((instruction, _), bytes) in tests.iter_mut().zip(found) {
            let kind = |bytes: &Vec<u8>| decode(bytes, instruction.mode).ok().map(|inst| (inst.row, shape(&inst)));
            if let Some(bytes) = bytes.filter(|bytes| kind(bytes) == kind(&instruction.code)) {
                instruction.code = bytes;
            }
        }
    }

    /// Gives a message for each line that cannot be blessed, and leaves that as it is.
    fn bless_file(file: &mut File) -> Vec<String> {
        let mut messages = Vec::new();
        find_bytes(file, &mut messages);
        let mut pair = Pair::new();
        let mut instruction = None;
        for line in &mut file.lines {
            match line {
                Line::Instruction(new) => instruction = Some(new.clone()),
                Line::Example(example) if !matches!(example.note, Note::Manual(_)) => {
                    let Some(instruction) = &instruction else { continue };
                    match bless(&mut pair, instruction, example) {
                        Ok(blessed) => *example = blessed,
                        Err(why) => messages.push(format!("{}: {}: {why}", example.line, instruction.text)),
                    }
                }
                Line::Example(_) | Line::Text(_) => {}
            }
        }
        messages
    }

    /// The assembler's bytes for instructions that have none, and whether those of the others are its choice.
    fn find_bytes(file: &mut File, messages: &mut Vec<String>) {
        let instructions: Vec<_> = file.instructions().map(|i| (i.mode, i.text.clone())).collect();
        let texts: Vec<_> = instructions.iter().map(|(mode, text)| (*mode, text.as_str())).collect();
        let found = assemble(&texts).unwrap_or_else(|message| panic!("{message}"));
        let lines = file.lines.iter_mut();
        let all =
            lines.filter_map(|line| if let Line::Instruction(instruction) = line { Some(instruction) } else { None });
        for (instruction, found) in all.zip(found) {
            match found {
                Some(bytes) if instruction.code.is_empty() => instruction.code = bytes,
                None if instruction.code.is_empty() => {
                    messages.push(format!("{}: as does not take \"{}\"", instruction.line, instruction.text));
                }
                found => instruction.alternative = found.as_ref() != Some(&instruction.code),
            }
            let ours = decode(&instruction.code, instruction.mode);
            if let Ok(inst) = ours {
                let text = Disassembly { inst: &inst, rip: filetest::ENTRY }.to_string();
                if text != instruction.text {
                    messages.push(format!("{}: \"{}\" is for us \"{text}\"", instruction.line, instruction.text));
                }
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() {
    eprintln!("The judge is an x86-64 processor under Linux.");
    std::process::exit(2);
}
