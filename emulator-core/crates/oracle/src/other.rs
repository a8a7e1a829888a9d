//! Instructions the host may have and ours does not offer, told by another decoder.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use x86::Width;
use x86::instructions::rows;

use crate::case::Case;

/// Also where Intel's processors refuse it, which others may not.
fn first(case: &Case) -> Instruction {
    let mut bytes = case.code.clone();
    bytes.resize(bytes.len() + x86::decode::MAX_LENGTH, 0xcc);
    let options = DecoderOptions::AMD | DecoderOptions::NO_INVALID_CHECK;
    Decoder::new(case.mode.bits(), &bytes, options).decode()
}

/// The mnemonic of the first instruction of `case` where no row has it.
#[must_use]
pub fn lacking(case: &Case) -> Option<String> {
    if case.mode == Width::W64 && first_opcode(case) == Some(EVEX) {
        return Some("AVX-512".into());
    }
    let instruction = first(case);
    let mnemonic = instruction.mnemonic();
    let name = format!("{mnemonic:?}").to_uppercase();
    let of_128_bits = name.starts_with("VAES") || mnemonic == Mnemonic::Vpclmulqdq;
    if of_128_bits && (Register::YMM0..=Register::YMM15).contains(&instruction.op0_register()) {
        return Some(format!("{name} of 256 bits"));
    }
    let known = mnemonic == Mnemonic::INVALID || rows().iter().any(|row| is_same(row.mnemonic, &name));
    (!known).then_some(name)
}

/// Prefix of what is `BOUND` outside 64-bit mode.
const EVEX: u8 = 0x62;

fn first_opcode(case: &Case) -> Option<u8> {
    let is_prefix =
        |byte: u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    case.code.iter().copied().find(|&byte| !is_prefix(byte))
}

/// What the other decoder calls some of our rows.
const ALIASES: [(&str, &[&str]); 8] = [
    ("CBW", &["CDQE", "CWDE"]),
    ("CWD", &["CDQ", "CQO"]),
    ("FWAIT", &["WAIT"]),
    ("JCXZ", &["JECXZ", "JRCXZ"]),
    ("PREFETCHW", &["PREFETCH", "PREFETCHWT1"]),
    ("SHL", &["SAL"]),
    ("XLAT", &["XLATB"]),
    // Hints.
    (
        "NOP",
        &[
            "CLDEMOTE",
            "PREFETCHIT0",
            "PREFETCHIT1",
            "PREFETCHNTA",
            "PREFETCHT0",
            "PREFETCHT1",
            "PREFETCHT2",
            "RESERVEDNOP",
        ],
    ),
];

/// The other decoder has a name for each operand size, and for what the manual leaves out.
fn is_same(ours: &str, theirs: &str) -> bool {
    let sized = |size: &str| theirs.strip_suffix(size) == Some(ours);
    let alias = ALIASES.iter().any(|(name, others)| *name == ours && others.contains(&theirs));
    ours == theirs || alias || ["W", "D", "Q", "64"].into_iter().any(sized)
}

/// Whether the host must not run the first instruction of `case`, which may be none of ours: it would take the harness's GS away.
#[must_use]
pub fn takes_gs(case: &Case) -> bool {
    first(case).mnemonic() == Mnemonic::Wrgsbase
}

/// What processors of AMD run although the manual of Intel leaves it undefined, where the first instruction of `case` is that.
#[must_use]
pub fn runs_on_amd(case: &Case) -> Option<&'static str> {
    let instruction = first(case);
    let after_vex = case.code.iter().position(|&byte| byte == VEX_LONG).map(|at| &case.code[at + 1..]);
    // Map 3, W0, 256 bits, 66.
    let of_quadwords = |rest: &[u8]| matches!(*rest, [map, last, 0 | 1, ..] if map & 0x1f == 3 && last & 0x87 == 5);
    if instruction.mnemonic() == Mnemonic::Verw && instruction.has_lock_prefix() {
        Some("LOCK before VERW of memory")
    } else if case.mode == Width::W64 && instruction.op0_kind() == OpKind::NearBranch16 {
        Some("operand-size prefixes of near branches")
    } else if after_vex.is_some_and(of_quadwords) {
        Some("VEX.W of VPERMQ and VPERMPD")
    } else {
        None
    }
}

/// Prefix of what is `LES` outside 64-bit mode.
const VEX_LONG: u8 = 0xc4;
