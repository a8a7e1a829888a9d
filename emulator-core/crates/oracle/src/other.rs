//! Instructions the host may have and ours does not offer, told by another decoder.

use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use x86::instructions::rows;

use crate::case::Case;

fn first(case: &Case) -> Mnemonic {
    let mut bytes = case.code.clone();
    bytes.resize(bytes.len() + x86::decode::MAX_LENGTH, 0xcc);
    Decoder::new(case.mode.bits(), &bytes, DecoderOptions::NONE).decode().mnemonic()
}

/// The mnemonic of the first instruction of `case` where no row has it.
#[must_use]
pub fn lacking(case: &Case) -> Option<String> {
    let mnemonic = first(case);
    let name = format!("{mnemonic:?}").to_uppercase();
    let known = mnemonic == Mnemonic::INVALID || rows().iter().any(|row| row.mnemonic == name);
    (!known).then_some(name)
}

/// Whether the host must not run the first instruction of `case`, which may be none of ours: it would take the harness's GS away.
#[must_use]
pub fn takes_gs(case: &Case) -> bool {
    first(case) == Mnemonic::Wrgsbase
}
