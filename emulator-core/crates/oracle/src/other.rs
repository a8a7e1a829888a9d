//! Instructions the host may have and ours does not offer, told by another decoder.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use x86::instructions::rows;

use crate::case::Case;

fn first(case: &Case) -> Instruction {
    let mut bytes = case.code.clone();
    bytes.resize(bytes.len() + x86::decode::MAX_LENGTH, 0xcc);
    Decoder::new(case.mode.bits(), &bytes, DecoderOptions::NONE).decode()
}

/// The mnemonic of the first instruction of `case` where no row has it.
#[must_use]
pub fn lacking(case: &Case) -> Option<String> {
    let instruction = first(case);
    let mnemonic = instruction.mnemonic();
    let name = format!("{mnemonic:?}").to_uppercase();
    let of_128_bits = name.starts_with("VAES") || mnemonic == Mnemonic::Vpclmulqdq;
    if of_128_bits && (Register::YMM0..=Register::YMM15).contains(&instruction.op0_register()) {
        return Some(format!("{name} of 256 bits"));
    }
    let known = mnemonic == Mnemonic::INVALID || rows().iter().any(|row| row.mnemonic == name);
    (!known).then_some(name)
}

/// Whether the host must not run the first instruction of `case`, which may be none of ours: it would take the harness's GS away.
#[must_use]
pub fn takes_gs(case: &Case) -> bool {
    first(case).mnemonic() == Mnemonic::Wrgsbase
}
