//! One row an encoding, written the way the manual writes it.

use crate::Feature;
use crate::instructions::{fpu::Fpu, integer::Int, simd::Simd, system::Sys};

/// What an instruction does, by family. Each family's enum lives beside its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Sem {
    /// The general-purpose set, described once for every engine.
    Int(Int),
    /// Irregular instructions: far transfers, strings, I/O, control registers. Run by the processor crate.
    Sys(Sys),
    /// x87. Run by the processor crate.
    Fpu(Fpu),
    /// MMX and SSE, described once for every engine.
    Simd(Simd),
}

// Every predecoded operation holds one: a family's tag and number, and a second byte for the vectors.
const _: () = assert!(size_of::<Sem>() == 2);

/// One encoding.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Mnemonic, Intel syntax.
    pub mnemonic: &'static str,
    /// Opcode, tokens separated by spaces, in this order, all optional but the bytes:
    /// - `NP`, `66`, `F2`, `F3`: a *mandatory* prefix (`NP`: none of the three; `NFx`: neither F2 nor F3). Without one of these
    ///   tokens, 66 means operand size and F2/F3 mean repeat (or nothing).
    /// - `W0`, `W1`: REX.W must be 0 or 1.
    /// - `VEX.128.66.0F38.W0`: the instruction has a VEX prefix, described as the manual does (SDM vol. 2, 3.1.1.2) in place of the tokens
    ///   above and of the escape bytes: see [`VexRule`].
    /// - opcode bytes in hex: `89`, `0F AF`, `0F 38 F0`; the last may be `B8+r` (register in the low three bits).
    /// - `/r`: a ModR/M byte follows; `/0` to `/7`: ModR/M.reg extends the opcode; `=C8`: ModR/M is this very byte;
    ///   `=C0+i`: ModR/M is one of the eight bytes from there (x87 stack register in the low bits).
    pub encoding: &'static str,
    /// Operands, Intel order, SDM vol. 2 appendix A notation, separated by spaces, each marked `=` (written),
    /// `+` (read and written) or unmarked (read). See `decode/operands.rs` for the list. Whether ModR/M may name memory, a
    /// register or both follows from the letters (`M`: memory only; `R`, `N`, `U`: register only; `E`, `Q`, `W`: both).
    pub operands: &'static str,
    /// What it does.
    pub sem: Sem,
    /// Status flags: upper case is written, lower case is left undefined, absent is unchanged.
    pub flags: &'static str,
    /// Notes, separated by spaces: `lock` (LOCK allowed with a memory destination), `i64` (invalid in 64-bit mode), `o64` (only in
    /// 64-bit mode), `d64` (operand size defaults to 64 in 64-bit mode), `f64` (is forced to it), `end` (ends a block: may
    /// change RIP, the mode, mappings or interrupt state), `b0` (REX.B must be 0).
    pub notes: &'static str,
    /// `end` is among the notes: what every decoded instruction is asked.
    pub ends_block: bool,
    /// `rep` is: a repeat prefix repeats it.
    pub repeats: bool,
    /// `lock` is.
    pub lockable: bool,
    /// Feature.
    pub feature: Feature,
}

/// What an encoding asks of its VEX prefix: the parts of a `VEX.` token, in any order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VexRule {
    /// VEX.L: `128` and `LZ` want it clear, `256` wants it set, `LIG` does not mind.
    pub l: Option<bool>,
    /// VEX.pp: `NP`, `66`, `F3`, `F2`.
    pub pp: u8,
    /// VEX.mmmmm: `0F`, `0F38`, `0F3A`.
    pub map: u8,
    /// VEX.W: `W0` and `W1` want it so; `WIG`, or nothing where it selects the operand size, does not mind.
    pub w: Option<bool>,
}

impl VexRule {
    /// Parses a token of an encoding; `None` where it is none of a VEX prefix.
    ///
    /// # Panics
    /// It is one, with parts that do not exist: a mistake in a row, caught by this crate's tests.
    #[must_use]
    pub fn parse(token: &str) -> Option<VexRule> {
        let mut rule = VexRule { l: None, pp: 0, map: 0, w: None };
        for part in token.strip_prefix("VEX.")?.split('.') {
            match part {
                "128" | "LZ" => rule.l = Some(false),
                "256" => rule.l = Some(true),
                "LIG" | "WIG" => {}
                "NP" => rule.pp = 0,
                "66" => rule.pp = 1,
                "F3" => rule.pp = 2,
                "F2" => rule.pp = 3,
                "0F" => rule.map = 1,
                "0F38" => rule.map = 2,
                "0F3A" => rule.map = 3,
                "W0" => rule.w = Some(false),
                "W1" => rule.w = Some(true),
                _ => panic!("\"{token}\" has no part \"{part}\""),
            }
        }
        assert_ne!(rule.map, 0, "\"{token}\" names no opcode map");
        Some(rule)
    }
}

/// A row of the base instruction set; refine with [`Row::flags`], [`Row::notes`] and [`Row::on`].
#[must_use]
pub const fn row(mnemonic: &'static str, encoding: &'static str, operands: &'static str, sem: Sem) -> Row {
    let (flags, notes, feature) = ("", "", Feature::Base);
    let (ends_block, repeats, lockable) = (false, false, false);
    Row { mnemonic, encoding, operands, sem, flags, notes, ends_block, repeats, lockable, feature }
}

/// Whether `word` is among the words of `text`. In constants there is no better way.
const fn has_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let (mut start, mut at) = (0, 0);
    while at <= text.len() {
        if at == text.len() || text[at] == b' ' {
            let mut same = 0;
            while same < word.len() && start + same < at && text[start + same] == word[same] {
                same += 1;
            }
            if same == word.len() && start + same == at {
                return true;
            }
            start = at + 1;
        }
        at += 1;
    }
    false
}

impl Row {
    /// With status flags, see [`Row::flags`].
    #[must_use]
    pub const fn flags(mut self, flags: &'static str) -> Row {
        self.flags = flags;
        self
    }

    /// With notes, see [`Row::notes`].
    #[must_use]
    pub const fn notes(mut self, notes: &'static str) -> Row {
        self.notes = notes;
        self.ends_block = has_word(notes, "end");
        self.repeats = has_word(notes, "rep");
        self.lockable = has_word(notes, "lock");
        self
    }

    /// Belonging to `feature`.
    #[must_use]
    pub const fn on(mut self, feature: Feature) -> Row {
        self.feature = feature;
        self
    }

    /// Whether `note` is among the notes.
    #[must_use]
    pub fn has_note(&self, note: &str) -> bool {
        has_word(self.notes, note)
    }
}
