//! Decode tables, built once from the rows: for every opcode of every map the rows that may match, most specific first.

use std::sync::LazyLock;

use super::{Prefixes, Spec};
use crate::{Feature, Rep, Row, VexRule, Width, instructions};

/// Opcode maps of VEX instructions are numbered from here: the first is `VEX_MAPS + 1`.
pub(crate) const VEX_MAPS: u8 = 3;
const MAPS: usize = 7;

/// What the prefixes must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mandatory {
    Any,
    None,
    NoRepeat,
    OperandSize,
    Rep,
    Repne,
}

/// What the ModR/M byte must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ModRmRule {
    Any,
    /// ModR/M.reg has this value.
    Extension(u8),
    /// ModR/M is from `first`, `count` values long.
    Fixed {
        first: u8,
        count: u8,
    },
}

/// A row prepared for matching.
pub(crate) struct Candidate {
    pub(crate) row: u16,
    pub(crate) operands: Vec<Spec>,
    pub(crate) has_modrm: bool,
    pub(crate) mandatory_66: bool,
    pub(crate) default_64: bool,
    pub(crate) forced_64: bool,
    /// Which operand VEX.vvvv names.
    pub(crate) vvvv: Option<u8>,
    /// The memory operand has a vector index.
    pub(crate) vsib: bool,
    /// ModR/M names a register whatever its mod field says: `MOV` from and to control and debug registers (SDM vol. 2, MOV).
    pub(crate) mod_ignored: bool,
    pub(crate) feature: Feature,
    mandatory: Mandatory,
    modrm: ModRmRule,
    rex_w: Option<bool>,
    /// What VEX.L must be.
    pub(crate) vex_l: Option<bool>,
    rex_b_clear: bool,
    memory_only: bool,
    register_only: bool,
    invalid_in_64: bool,
    only_in_64: bool,
}

impl Candidate {
    pub(crate) fn row(&self) -> &'static Row {
        instructions::rows()[usize::from(self.row)]
    }

    pub(crate) fn matches(&self, prefixes: Prefixes, modrm: Option<u8>, code: Width) -> bool {
        let long = code == Width::W64;
        let prefix_fits = match self.mandatory {
            Mandatory::Any => true,
            Mandatory::None => !prefixes.operand_size && prefixes.rep == Rep::None,
            Mandatory::NoRepeat => prefixes.rep == Rep::None,
            Mandatory::OperandSize => prefixes.operand_size && prefixes.rep == Rep::None,
            Mandatory::Rep => prefixes.rep == Rep::Rep,
            Mandatory::Repne => prefixes.rep == Rep::Repne,
        };
        prefix_fits
            && !(long && self.invalid_in_64)
            && (long || !self.only_in_64)
            && self.rex_w.is_none_or(|w| w == prefixes.rex_w())
            && self.vex_l.is_none_or(|l| prefixes.vex.is_some_and(|vex| vex.l == l))
            && !(self.rex_b_clear && prefixes.rex_b() != 0)
            && modrm.is_none_or(|byte| self.modrm_fits(byte))
    }

    fn modrm_fits(&self, byte: u8) -> bool {
        if !self.has_modrm {
            return true;
        }
        let register = byte >= 0xc0 || self.mod_ignored;
        let rule_fits = match self.modrm {
            ModRmRule::Any => true,
            ModRmRule::Extension(digit) => byte >> 3 & 7 == digit,
            ModRmRule::Fixed { first, count } => return byte >= first && byte - first < count,
        };
        rule_fits && !(if register { self.memory_only } else { self.register_only })
    }

    /// How narrowly this row matches; higher first.
    fn rank(&self) -> u32 {
        let modrm = match self.modrm {
            ModRmRule::Fixed { count, .. } => 64 + u32::from(8 - count),
            ModRmRule::Extension(_) => 32,
            ModRmRule::Any => 0,
        };
        let prefix = if self.mandatory == Mandatory::Any { 0 } else { 8 };
        let mode = u32::from(self.rex_w.is_some()) + u32::from(self.rex_b_clear);
        let kind = u32::from(self.memory_only || self.register_only);
        modrm + prefix + 2 * mode + kind
    }
}

/// Candidates by map and opcode.
pub(crate) struct Table {
    maps: Vec<Vec<Candidate>>,
}

impl Table {
    pub(crate) fn candidates(&self, map: u8, opcode: u8) -> &[Candidate] {
        &self.maps[usize::from(map) * 256 + usize::from(opcode)]
    }
}

pub(crate) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(build);
    &TABLE
}

fn build() -> Table {
    let mut maps: Vec<Vec<Candidate>> = (0..MAPS * 256).map(|_| Vec::new()).collect();
    for (index, row) in instructions::rows().iter().enumerate() {
        let encoding = Encoding::parse(row.encoding);
        let first = usize::from(encoding.map) * 256 + usize::from(encoding.opcode);
        for candidates in &mut maps[first..first + usize::from(encoding.opcodes)] {
            candidates.push(encoding.candidate(index as u16, row));
        }
    }
    for candidates in &mut maps {
        candidates.sort_by_key(|c| core::cmp::Reverse(c.rank()));
    }
    Table { maps }
}

/// A parsed [`Row::encoding`].
struct Encoding {
    map: u8,
    opcode: u8,
    /// 8 where the register is in the opcode's low bits, else 1.
    opcodes: u8,
    has_modrm: bool,
    mandatory: Mandatory,
    modrm: ModRmRule,
    rex_w: Option<bool>,
    vex: Option<VexRule>,
}

impl Encoding {
    fn parse(text: &'static str) -> Encoding {
        let mut encoding = Encoding {
            map: 0,
            opcode: 0,
            opcodes: 1,
            has_modrm: false,
            mandatory: Mandatory::Any,
            modrm: ModRmRule::Any,
            rex_w: None,
            vex: None,
        };
        let mut bytes: Vec<u8> = Vec::new();
        for (place, token) in text.split(' ').enumerate() {
            encoding.token(place == 0, token, &mut bytes);
        }
        let (map, opcode) = match *bytes {
            [opcode] if let Some(vex) = encoding.vex => (VEX_MAPS + vex.map, opcode),
            [0x0f, 0x38, opcode] => (2, opcode),
            [0x0f, 0x3a, opcode] => (3, opcode),
            [0x0f, opcode] => (1, opcode),
            [opcode] => (0, opcode),
            _ => panic!("the encoding \"{text}\" has no opcode"),
        };
        Encoding { map, opcode, ..encoding }
    }

    fn token(&mut self, first: bool, token: &str, bytes: &mut Vec<u8>) {
        if let Some(vex) = VexRule::parse(token) {
            const MANDATORY: [Mandatory; 4] =
                [Mandatory::None, Mandatory::OperandSize, Mandatory::Rep, Mandatory::Repne];
            (self.mandatory, self.rex_w, self.vex) = (MANDATORY[usize::from(vex.pp)], vex.w, Some(vex));
            return;
        }
        let hex = |digits: &str| u8::from_str_radix(digits, 16).expect("a hexadecimal byte in an encoding");
        match token {
            "NP" => self.mandatory = Mandatory::None,
            "NFx" => self.mandatory = Mandatory::NoRepeat,
            "66" if first => self.mandatory = Mandatory::OperandSize,
            "F2" if first => self.mandatory = Mandatory::Repne,
            "F3" if first => self.mandatory = Mandatory::Rep,
            "W0" => self.rex_w = Some(false),
            "W1" => self.rex_w = Some(true),
            "/r" => self.has_modrm = true,
            _ if token.starts_with('/') => {
                self.has_modrm = true;
                self.modrm = ModRmRule::Extension(hex(&token[1..]));
            }
            _ if token.starts_with('=') => {
                self.has_modrm = true;
                let (digits, count) = token[1..].strip_suffix("+i").map_or((&token[1..], 1), |d| (d, 8));
                self.modrm = ModRmRule::Fixed { first: hex(digits), count };
            }
            _ => {
                let digits = token.strip_suffix("+r").unwrap_or(token);
                self.opcodes = if digits.len() < token.len() { 8 } else { 1 };
                bytes.push(hex(digits));
            }
        }
    }

    fn candidate(&self, index: u16, row: &'static Row) -> Candidate {
        let operands: Vec<Spec> = row.operands.split(' ').filter(|t| !t.is_empty()).map(Spec::parse).collect();
        let memory = operands.iter().any(|s| s.allows_memory());
        let register = operands.iter().any(|s| s.allows_rm_register());
        Candidate {
            row: index,
            has_modrm: self.has_modrm,
            mandatory_66: self.mandatory == Mandatory::OperandSize,
            default_64: row.has_note("d64"),
            forced_64: row.has_note("f64"),
            vvvv: operands.iter().position(Spec::is_vvvv).map(|place| place as u8),
            vsib: operands.iter().any(Spec::is_vsib),
            mod_ignored: operands.iter().any(Spec::is_system_register),
            feature: row.feature,
            mandatory: self.mandatory,
            modrm: self.modrm,
            rex_w: self.rex_w,
            vex_l: self.vex.and_then(|vex| vex.l),
            rex_b_clear: row.has_note("b0"),
            memory_only: memory && !register,
            register_only: register && !memory,
            invalid_in_64: row.has_note("i64"),
            only_in_64: row.has_note("o64"),
            operands,
        }
    }
}
