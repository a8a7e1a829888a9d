//! What differs between two outcomes, in words.

use core::fmt::Write;

use x86::decode::decode;
use x86::{Disassembly, Row, Width};

use crate::case::{Case, Outcome, Registers};
use crate::{DATA_WINDOW, ENTRY, STACK_WINDOW};

/// The status flags and DF, by the letters rows use.
const FLAGS: [(char, u64); 6] = [('C', 1), ('P', 1 << 2), ('A', 1 << 4), ('Z', 1 << 6), ('S', 1 << 7), ('O', 1 << 11)];
const DIRECTION: u64 = 1 << 10;

/// The flags to compare after an instruction of `row`: all but those it leaves undefined.
#[must_use]
pub fn defined_flags(row: &Row) -> u64 {
    let undefined = |letter: char| row.flags.contains(letter.to_ascii_lowercase());
    FLAGS.iter().filter(|(letter, _)| !undefined(*letter)).fold(DIRECTION, |mask, (_, bit)| mask | bit)
}

/// What to leave out of a comparison.
#[derive(Clone, Copy)]
pub struct Tolerance {
    /// Flags to compare.
    pub flags: u64,
    /// Whether x87 and MMX registers are compared.
    pub x87: bool,
}

/// The part of general register `n` that exists in the mode: leaving 64-bit mode makes the rest undefined (Intel SDM vol. 1,
/// 3.4.1.1).
fn visible(mode: Width, registers: &Registers, n: u8) -> u128 {
    let value = registers.gpr[usize::from(n)];
    match mode {
        Width::W64 => value.into(),
        _ if n < 8 => Width::W32.truncate(value).into(),
        _ => 0,
    }
}

/// A line for each difference between the host's outcome and ours.
#[must_use]
pub fn differences(mode: Width, host: &Outcome, ours: &Outcome, tolerance: Tolerance) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |what: String, host: u128, ours: u128| {
        if host != ours {
            lines.push(format!("{what}: host {host:#x}, ours {ours:#x}"));
        }
    };
    let vector = |outcome: &Outcome| outcome.exception.map_or(0x100, u128::from);
    compare("exception".into(), vector(host), vector(ours));
    let (h, o) = (&host.registers, &ours.registers);
    for n in 0..16u8 {
        let name = x86::register_name(Width::W64, n);
        compare(name.into(), visible(mode, h, n), visible(mode, o, n));
    }
    compare("rip".into(), h.rip.into(), o.rip.into());
    compare("flags".into(), (h.rflags & tolerance.flags).into(), (o.rflags & tolerance.flags).into());
    for n in 0..16 {
        compare(format!("xmm{n}"), h.xmm(n), o.xmm(n));
        compare(format!("ymm{n}[255:128]"), h.ymm_high[n], o.ymm_high[n]);
    }
    compare("mxcsr".into(), h.mxcsr().into(), o.mxcsr().into());
    if tolerance.x87 {
        for n in 0..8 {
            let bits = |(significand, exponent): (u64, u16)| u128::from(exponent) << 64 | u128::from(significand);
            compare(format!("st{n}"), bits(h.st(n)), bits(o.st(n)));
        }
        let words = |(control, status, tags): (u16, u16, u8)| {
            u128::from(control) << 32 | u128::from(status) << 16 | u128::from(tags)
        };
        compare("x87 control, status, tags".into(), words(h.x87_words()), words(o.x87_words()));
    }
    for (window, host, ours) in [(DATA_WINDOW, &host.data, &ours.data), (STACK_WINDOW, &host.stack, &ours.stack)] {
        for (offset, (&h, &o)) in host.iter().zip(ours).enumerate() {
            if h != o {
                lines.push(format!("memory {:#x}: host {h:#x}, ours {o:#x}", window.start + offset as u64));
            }
        }
    }
    lines
}

/// The instruction of a case, in bytes and words, with the registers it started from.
#[must_use]
pub fn describe(case: &Case) -> String {
    let mut text = format!("{:02x?}", case.code);
    if let Ok(inst) = decode(&case.code, case.mode) {
        let _ = write!(text, "  {}", Disassembly { inst: &inst, rip: ENTRY });
    }
    for (n, value) in case.registers.gpr.iter().enumerate() {
        let separator = if n % 4 == 0 { "\n   " } else { "" };
        let _ = write!(text, "{separator} {}={value:#x}", x86::register_name(Width::W64, n as u8));
    }
    let _ = write!(text, " rflags={:#x} mxcsr={:#x}", case.registers.rflags, case.registers.mxcsr());
    text
}
