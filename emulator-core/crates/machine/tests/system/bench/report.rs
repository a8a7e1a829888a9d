//! What a guest writes to port 0xE9, read back: exceptions with their frames, and values.

/// An exception or interrupt as its handler found it.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub vector: u8,
    /// Zero where there is none.
    pub error: u64,
    pub ip: u64,
    pub cs: u64,
    pub flags: u64,
    /// Stack pointer and selector on the frame: of meaning in 64-bit mode and where the privilege level changed.
    pub sp: u64,
    pub ss: u64,
    /// ES, DS, FS, GS behind them: of meaning in frames of virtual-8086 mode.
    pub data_segments: [u64; 4],
    /// Address of the frame: where the instruction pointer lies on the handler's stack.
    pub frame: u64,
    pub cr2: u64,
    pub dr6: u64,
    pub rcx: u64,
    pub real: bool,
}

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    Event(Event),
    Value(u64),
}

/// Reads the words of one record.
struct Words<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        let mut word = [0; 8];
        let Some((head, rest)) = self.bytes.split_at_checked(self.width) else { return 0 };
        word[..self.width].copy_from_slice(head);
        self.bytes = rest;
        u64::from_le_bytes(word)
    }
}

/// Bytes of a record behind its tag.
fn length(tag: u8) -> usize {
    match tag {
        b'R' => 52,
        b'P' => 4 * 22,
        b'L' => 8 * 25,
        b'D' => 4,
        b'Q' => 8,
        _ => panic!("a guest wrote {tag:#x} for a tag"),
    }
}

/// All records of `bytes`; the last may be cut short.
pub fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let [tag, rest @ ..] = bytes {
        let (body, behind) = rest.split_at(length(*tag).min(rest.len()));
        records.push(match tag {
            b'R' => Record::Event(real(body)),
            b'P' => Record::Event(event(Words { bytes: body, width: 4 }, 8)),
            b'L' => Record::Event(event(Words { bytes: body, width: 8 }, 15)),
            _ => Record::Value(Words { bytes: body, width: body.len() }.next()),
        });
        bytes = behind;
    }
    records
}

/// A frame of protected or 64-bit mode below `pushed` general registers, of which the last but one is rCX.
fn event(mut words: Words<'_>, pushed: usize) -> Event {
    let (pointer, dr6, cr2) = (words.next(), words.next(), words.next());
    let registers: Vec<u64> = (0..pushed).map(|_| words.next()).collect();
    // DR6 and CR2, the registers, vector and error code lie below it.
    let frame = pointer + (pushed + 4) as u64 * words.width as u64;
    let mut next = || words.next();
    Event {
        rcx: registers[pushed - 2],
        vector: next() as u8,
        error: next(),
        ip: next(),
        cs: next() & 0xffff,
        flags: next(),
        sp: next(),
        ss: next() & 0xffff,
        data_segments: [next(), next(), next(), next()].map(|selector| selector & 0xffff),
        frame,
        cr2,
        dr6,
        real: false,
    }
}

fn real(body: &[u8]) -> Event {
    let mut words = Words { bytes: body, width: 4 };
    let (pointer, dr6, cr2) = (words.next(), words.next(), words.next());
    let registers: Vec<u64> = (0..8).map(|_| words.next()).collect();
    let frame = pointer + 4 * 10 + 2;
    words.width = 2;
    let (vector, ip, cs, flags) = (words.next() as u8, words.next(), words.next(), words.next());
    Event { vector, ip, cs, flags, frame, dr6, cr2, rcx: registers[6], real: true, ..Event::default() }
}

const NAMES: [&str; 20] = [
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "", "#MF",
    "#AC", "#MC", "#XM",
];

impl Event {
    /// The manual's name, and the error code or what stands for it.
    pub fn name(&self) -> String {
        let name = NAMES.get(usize::from(self.vector)).copied().unwrap_or_default();
        match self.vector {
            _ if name.is_empty() => format!("interrupt {:#x}", self.vector),
            1 => format!("#DB({})", debug_causes(self.dr6)),
            14 => format!("#PF({}) of {:#x}", page_fault_causes(self.error), self.cr2),
            8 | 10..=13 | 17 if !self.real => format!("{name}({:#x})", self.error),
            _ => name.to_owned(),
        }
    }
}

/// Words for the bits of `value` that are set.
fn words(value: u64, names: &[(u32, &str)]) -> String {
    let set: Vec<_> = names.iter().filter(|(bit, _)| value >> bit & 1 != 0).map(|(_, name)| *name).collect();
    set.join(" ")
}

/// Intel SDM vol. 3, 17.2.3.
fn debug_causes(dr6: u64) -> String {
    words(dr6, &[(0, "B0"), (1, "B1"), (2, "B2"), (3, "B3"), (13, "BD"), (14, "BS"), (15, "BT")])
}

/// Intel SDM vol. 3, figure 4-12.
fn page_fault_causes(error: u64) -> String {
    let names = [(0, "present"), (1, "write"), (2, "user"), (3, "reserved"), (4, "fetch")];
    words(error, &names)
}
