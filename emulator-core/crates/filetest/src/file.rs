//! A file of tests, read and written. The crate's documentation describes the format.

use x86::Width;

use crate::ENTRY;
use crate::case::{Case, FLAT_DATA, Fault, Outcome, code_selector, memory_of};
use crate::place::Place;
use crate::setting::{Element, Setting};

/// A file, line by line.
#[derive(Default)]
pub struct File {
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a file.
pub enum Line {
    /// A comment, or nothing.
    Text(String),
    /// An instruction, which the examples behind it run.
    Instruction(Instruction),
    /// An example.
    Example(Example),
}

/// An instruction under test.
#[derive(Clone)]
pub struct Instruction {
    /// Its line in the file.
    pub line: usize,
    /// Width of the code segment.
    pub mode: Width,
    /// In assembly.
    pub text: String,
    /// Its bytes; none where they are still to be found.
    pub code: Vec<u8>,
    /// Whether an assembler chooses other bytes.
    pub alternative: bool,
}

/// What stands at the end of an example.
#[derive(Clone, PartialEq, Eq)]
pub enum Note {
    /// The result is what a real processor made of it.
    Judged,
    /// It is not known yet.
    Unknown,
    /// It is from the manual: where.
    Manual(String),
}

/// A state before and after an instruction.
#[derive(Clone)]
pub struct Example {
    /// Its line in the file.
    pub line: usize,
    /// What differs from the default state before.
    pub before: Vec<Setting>,
    /// The exception; its address is among `after`.
    pub fault: Option<Fault>,
    /// What has changed after.
    pub after: Vec<Setting>,
    /// Where that is from.
    pub note: Note,
}

/// RSP of the default state.
const STACK_TOP: u64 = 0x9800;
const RSP: usize = 4;
/// Where longer lines go on.
const CONTINUED: &str = "      ";
const LONGEST_LINE: usize = 140;
const ARROW: &str = "->";
const MANUAL: &str = "; manual: ";
/// Exceptions by the manual's names, and whether they have an error code (Intel SDM vol. 3, table 6-1).
const EXCEPTIONS: [(&str, u8, bool); 16] = [
    ("DE", 0, false),
    ("DB", 1, false),
    ("BP", 3, false),
    ("OF", 4, false),
    ("BR", 5, false),
    ("UD", 6, false),
    ("NM", 7, false),
    ("DF", 8, true),
    ("TS", 10, true),
    ("NP", 11, true),
    ("SS", 12, true),
    ("GP", 13, true),
    ("PF", 14, true),
    ("MF", 16, false),
    ("AC", 17, true),
    ("XM", 19, false),
];

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// The number of the line that is not understood, and why.
    pub fn read(text: &str) -> Result<File, String> {
        let mut file = File::default();
        let mut lines = (1..).zip(text.lines()).peekable();
        let mut instruction_seen = false;
        while let Some((number, line)) = lines.next() {
            let at = |message: String| format!("line {number}: {message}");
            file.lines.push(if line.trim().is_empty() || line.trim_start().starts_with(';') {
                Line::Text(line.into())
            } else if line.starts_with(' ') {
                let mut line = line.to_owned();
                while let Some((_, more)) = lines.next_if(|(_, more)| more.starts_with(CONTINUED)) {
                    line.push_str(more);
                }
                if !instruction_seen {
                    return Err(at("an example without an instruction".into()));
                }
                Line::Example(Example::read(number, &line).map_err(at)?)
            } else {
                instruction_seen = true;
                Line::Instruction(Instruction::read(number, line).map_err(at)?)
            });
        }
        Ok(file)
    }

    /// Every example with its instruction.
    pub fn examples(&self) -> impl Iterator<Item = (&Instruction, &Example)> {
        let mut instruction = None;
        self.lines.iter().filter_map(move |line| match line {
            Line::Instruction(new) => {
                instruction = Some(new);
                None
            }
            Line::Example(example) => instruction.map(|instruction| (instruction, example)),
            Line::Text(_) => None,
        })
    }

    /// Every instruction.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.lines
            .iter()
            .filter_map(|line| if let Line::Instruction(instruction) = line { Some(instruction) } else { None })
    }

    /// The file's text.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = String::new();
        let mut element = [None; 2];
        for line in &self.lines {
            match line {
                Line::Text(comment) => text.push_str(comment),
                Line::Instruction(instruction) => {
                    element = [false, true].map(|after| instruction.element(after));
                    text.push_str(&instruction.write());
                }
                Line::Example(example) => text.push_str(&example.write(element)),
            }
            text.push('\n');
        }
        text
    }
}

impl Instruction {
    fn read(line: usize, text: &str) -> Result<Instruction, String> {
        let (mode, rest) = text.split_once(": ").ok_or("no width of a code segment: 64, 32 or 16")?;
        let mode = match mode {
            "64" => Width::W64,
            "32" => Width::W32,
            "16" => Width::W16,
            _ => return Err(format!("\"{mode}\" is no width of a code segment: 64, 32 or 16")),
        };
        let alternative = rest.contains(" ~ ");
        let (text, bytes) = rest.split_once(if alternative { " ~ " } else { " = " }).unwrap_or((rest, ""));
        let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
        let code = bytes.collect::<Result<Vec<u8>, _>>().map_err(|_| "bytes are pairs of hexadecimal digits")?;
        Ok(Instruction { line, mode, text: text.trim().into(), code, alternative })
    }

    fn write(&self) -> String {
        let bytes: String = self.code.iter().map(|byte| format!(" {byte:02x}")).collect();
        let sign = if self.alternative { '~' } else { '=' };
        format!("{}: {} {sign}{bytes}", self.mode.bits(), self.text)
    }

    /// What the instruction works on, by its mnemonic; of conversions (`cvtps2pd`) what it is given or, `after` it, what it makes.
    #[must_use]
    pub fn element(&self, after: bool) -> Element {
        let mnemonic = self.text.split(' ').next().unwrap_or_default();
        let of_x87 = mnemonic.starts_with('f') && !mnemonic.starts_with("fi") && !self.text.contains("mm");
        if of_x87 {
            return [("dword", 32), ("qword", 64)]
                .into_iter()
                .find(|size| self.text.contains(size.0))
                .map(|size| size.1);
        }
        let parts = mnemonic.split_once('2').filter(|_| mnemonic.contains("cvt"));
        let names = parts.map_or([mnemonic; 2], |(source, made)| if after { [made; 2] } else { [source, made] });
        names.into_iter().filter(|_| self.text.contains("mm")).find_map(|name| {
            match name.get(name.len().saturating_sub(2)..)? {
                "ps" | "ss" => Some(32),
                "pd" | "sd" => Some(64),
                _ => None,
            }
        })
    }
}

impl Example {
    fn read(line: usize, text: &str) -> Result<Example, String> {
        let (text, note) = match text.split_once(MANUAL) {
            Some((text, section)) => (text, Note::Manual(section.trim().into())),
            None => (text, Note::Judged),
        };
        let (before, after) = text.split_once(ARROW).ok_or("an example has an arrow")?;
        let before = before.split_whitespace().map(|word| Setting::read(word, false)).collect::<Result<_, _>>()?;
        let mut example = Example { line, before, fault: None, after: Vec::new(), note };
        for word in after.split_whitespace() {
            match word.strip_prefix('#') {
                Some(exception) => example.fault = Some(read_exception(exception)?),
                None if word == "?" => example.note = Note::Unknown,
                None => example.after.push(Setting::read(word, true)?),
            }
        }
        Ok(example)
    }

    fn write(&self, element: [Element; 2]) -> String {
        let words = |settings: &[Setting], after| -> Vec<String> {
            settings.iter().map(|setting| setting.write(element[usize::from(after)], after)).collect()
        };
        let mut all = words(&self.before, false);
        all.push(ARROW.into());
        all.extend(self.fault.map(|fault| write_exception(&fault)));
        all.extend(words(&self.after, true));
        match &self.note {
            Note::Judged => {}
            Note::Unknown => all.push("?".into()),
            Note::Manual(section) => all.push(format!("{MANUAL}{section}")),
        }
        let (mut text, mut column) = (String::from(" "), 1);
        for word in all {
            if column + 1 + word.len() > LONGEST_LINE {
                text.push('\n');
                text.push_str(&CONTINUED[1..]);
                column = CONTINUED.len() - 1;
            }
            text.push(' ');
            text.push_str(&word);
            column += 1 + word.len();
        }
        text
    }

    /// The case for a processor.
    #[must_use]
    pub fn case(&self, instruction: &Instruction) -> Case {
        let mut case = Case::new(instruction.code.clone(), instruction.mode);
        case.registers.gpr[RSP] = STACK_TOP;
        let mut state = Outcome { fault: None, registers: case.registers, memory: memory_of(&case) };
        apply(&self.before, &mut state);
        case.registers = state.registers;
        for setting in &self.before {
            if let Setting::Is(Place::Memory { address, bytes }, value) = setting {
                case.set_memory(*address, &value.bytes(*bytes));
            }
        }
        case
    }

    /// The state after it if nothing but RIP changed.
    #[must_use]
    pub fn unchanged(case: &Case, faulted: bool) -> Outcome {
        let mut registers = case.registers;
        const CS: usize = 1;
        registers.selectors = [FLAT_DATA, 0, FLAT_DATA, FLAT_DATA, 0, 0];
        registers.selectors[CS] = code_selector(case.mode);
        registers.rip = if faulted { ENTRY } else { ENTRY + case.code.len() as u64 };
        Outcome { fault: None, registers, memory: memory_of(case) }
    }

    /// The state it says `case` leads to; for what it leaves open, that of `actual`.
    #[must_use]
    pub fn expected(&self, case: &Case, actual: &Outcome) -> Outcome {
        let mut state = Example::unchanged(case, self.fault.is_some());
        state.fault = self.fault;
        apply(&self.after, &mut state);
        for setting in &self.after {
            if let Setting::Any(place) = setting {
                place.set(&mut state, place.get(actual));
            }
        }
        for setting in &self.after {
            if let Setting::Status { told, .. } = setting {
                let open = x86::flags::STATUS & !told;
                state.registers.rflags = state.registers.rflags & !open | actual.registers.rflags & open;
            }
        }
        state
    }
}

/// Makes `state` what `settings` say. TOP comes first: x87 registers are relative to it.
fn apply(settings: &[Setting], state: &mut Outcome) {
    let moves_top = |setting: &&Setting| matches!(setting, Setting::Is(Place::Top | Place::Status, _));
    let rest = settings.iter().filter(|setting| !moves_top(setting));
    for setting in settings.iter().filter(moves_top).chain(rest) {
        match *setting {
            Setting::Is(place, value) => place.set(state, value),
            Setting::Near(n, value) => Place::X87(n).set(state, value),
            Setting::Status { told, set } => state.registers.rflags = state.registers.rflags & !told | set,
            Setting::Any(_) => {}
        }
    }
}

fn read_exception(text: &str) -> Result<Fault, String> {
    let (name, code) = text.split_once('(').unwrap_or((text, "0)"));
    let error = code.strip_suffix(')').and_then(|code| u32::from_str_radix(code, 16).ok());
    let exception = EXCEPTIONS.iter().find(|exception| exception.0 == name);
    match (exception, error) {
        (Some(&(_, vector, _)), Some(error)) => Ok(Fault { vector, error, address: 0 }),
        _ => Err(format!("\"#{text}\" is no exception")),
    }
}

/// An exception as the manual writes it.
#[must_use]
pub fn write_exception(fault: &Fault) -> String {
    match EXCEPTIONS.iter().find(|exception| exception.1 == fault.vector) {
        Some((name, _, true)) => format!("#{name}({:x})", fault.error),
        Some((name, ..)) => format!("#{name}"),
        None => format!("#{}", fault.vector),
    }
}
