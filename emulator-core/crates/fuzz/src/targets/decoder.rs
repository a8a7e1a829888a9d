//! The decoder against an independent one, iced-x86: the same bytes are an instruction for both, of the same length.
//!
//! Where the two may differ is said by rule: instructions no row describes, undocumented aliases, what Intel's and AMD's
//! processors do each their own way, and registers that are looked up when the instruction runs.

use std::collections::HashSet;
use std::sync::LazyLock;

use iced_x86::{Decoder, DecoderOptions, EncodingKind, Instruction, Mnemonic};
use x86::decode::{DecodeError, MAX_LENGTH, decode};
use x86::instructions::rows;
use x86::{Inst, Width};

use super::Target;

pub(super) const TARGET: Target = Target { name: "decoder", run, seeds, longest: 20, bounded: 400_000 };

/// Prefixes and escapes in front of noise, so that the larger maps are met as often as the smaller ones.
fn seeds() -> Vec<Vec<u8>> {
    const PREFIXES: [&[u8]; 8] = [&[], &[0x66], &[0x67], &[0xf2], &[0xf3], &[0xf0], &[0x48], &[0x66, 0x45]];
    const ESCAPES: [&[u8]; 6] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a], &[0xc5], &[0xc4, 0xe2]];
    let mut seeds = Vec::new();
    for mode in 0..3u8 {
        for prefix in PREFIXES {
            for escape in ESCAPES {
                seeds.push([&[mode], prefix, escape, &[0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
            }
        }
    }
    seeds
}

fn run(input: &[u8]) {
    let Some((&mode, bytes)) = input.split_first() else { return };
    let (code, bits) = [(Width::W16, 16), (Width::W32, 32), (Width::W64, 64)][usize::from(mode) % 3];
    // No instruction lacks bytes: what is longer than these is too long.
    let mut padded = [0u8; MAX_LENGTH];
    let length = bytes.len().min(MAX_LENGTH);
    padded[..length].copy_from_slice(&bytes[..length]);
    let ours = decode(&padded, code);
    let theirs = Decoder::new(bits, &padded, DecoderOptions::NONE).decode();
    match (&ours, theirs.is_invalid()) {
        (Err(DecodeError::Truncated), _) => panic!("15 bytes are not enough: {padded:02x?}, {bits} bits"),
        (Err(_), true) => {}
        (Err(_), false) => assert!(
            not_described(&theirs) || vendors_differ(&theirs, bits),
            "only they decode {padded:02x?}, {bits} bits: {:?}",
            theirs.code()
        ),
        (Ok(inst), true) => {
            assert!(checked_when_run(inst), "only we decode {padded:02x?}, {bits} bits: {}", inst.row().mnemonic);
        }
        (Ok(inst), false) => {
            assert_eq!(
                usize::from(inst.len),
                theirs.len(),
                "length of {padded:02x?}, {bits} bits: {:?}",
                theirs.code()
            );
        }
    }
}

/// Mnemonics that end with the operand size in theirs.
const SIZED: [&str; 18] = [
    "cmps", "fxrstor", "fxsave", "ins", "iret", "lods", "movs", "outs", "popa", "popf", "pusha", "pushf", "scas",
    "stos", "sysexit", "sysret", "xrstor", "xsave",
];

/// An instruction without a row.
fn not_described(theirs: &Instruction) -> bool {
    static MNEMONICS: LazyLock<HashSet<String>> =
        LazyLock::new(|| rows().iter().map(|row| row.mnemonic.to_ascii_lowercase()).collect());
    let name = format!("{:?}", theirs.mnemonic()).to_ascii_lowercase();
    let sized = |family: &&&str| name.strip_prefix(**family).is_some_and(|size| ["d", "q", "w", "64"].contains(&size));
    let row = SIZED.iter().find(sized).copied().unwrap_or(&name);
    let encoding = theirs.op_code().encoding();
    !matches!(encoding, EncodingKind::Legacy | EncodingKind::VEX) || !MNEMONICS.contains(row) || is_vaes(theirs)
}

/// The 256-bit forms of AES and PCLMULQDQ are features of their own, VAES and VPCLMULQDQ, which come with no x86-64 level.
fn is_vaes(theirs: &Instruction) -> bool {
    use Mnemonic::{Vaesdec, Vaesdeclast, Vaesenc, Vaesenclast, Vpclmulqdq};
    let named = matches!(theirs.mnemonic(), Vaesdec | Vaesdeclast | Vaesenc | Vaesenclast | Vpclmulqdq);
    named && theirs.op0_register().is_ymm()
}

/// `SYSCALL` and `SYSRET` exist outside 64-bit mode on AMD's processors only (Intel SDM vol. 2).
fn vendors_differ(theirs: &Instruction, bits: u32) -> bool {
    bits != 64 && matches!(theirs.mnemonic(), Mnemonic::Syscall | Mnemonic::Sysret)
}

/// Control, debug and segment registers that do not exist are found out when the instruction runs.
fn checked_when_run(ours: &Inst) -> bool {
    ours.row().mnemonic == "MOV" && matches!(ours.opcode, 0x20..=0x23 | 0x8e)
}
