//! A case on one line, to be run again: `64 0fafc1 rax=5 flags=203 xmm3=1 st0=3fff.8000000000000000 fill=2 7ff8=0011`.
//! What is not named is as in a new case. All numbers are hexadecimal, but the width of the code segment.

use core::fmt::Write;

use x86::Width;

use crate::case::{BACKGROUNDS, Case, Registers};

/// The line that makes this case.
#[must_use]
pub fn write(case: &Case) -> String {
    let mut text = format!("{} {}", case.mode.bits(), hex(&case.code));
    let (registers, default) = (&case.registers, Registers::new());
    let mut item = |name: &str, value: u128, default: u128| {
        if value != default {
            let _ = write!(text, " {name}={value:x}");
        }
    };
    for n in 0..16 {
        item(x86::register_name(Width::W64, n as u8), registers.gpr[n].into(), 0);
    }
    item("flags", registers.rflags.into(), default.rflags.into());
    item("mxcsr", registers.mxcsr().into(), default.mxcsr().into());
    for n in 0..16 {
        item(&format!("xmm{n}"), registers.xmm(n), 0);
        item(&format!("ymm{n}"), registers.ymm_high[n], 0);
    }
    let ((control, status, tags), (default_control, ..)) = (registers.x87_words(), default.x87_words());
    item("fcw", control.into(), default_control.into());
    item("fsw", status.into(), 0);
    item("tags", tags.into(), 0);
    item("fill", case.background as u128, 0);
    for n in 0..8 {
        let (significand, exponent) = registers.st(n);
        if (significand, exponent) != (0, 0) {
            let _ = write!(text, " st{n}={exponent:x}.{significand:x}");
        }
    }
    for (address, bytes) in &case.patches {
        let _ = write!(text, " {address:x}={}", hex(bytes));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The case a line makes.
///
/// # Errors
/// The word that is not understood.
pub fn read(text: &str) -> Result<Case, String> {
    let mut words = text.split_whitespace();
    let mode = match words.next() {
        Some("64") => Width::W64,
        Some("32") => Width::W32,
        Some("16") => Width::W16,
        other => return Err(format!("{other:?} is no width of a code segment: 64, 32 or 16")),
    };
    let code = words.next().and_then(bytes).ok_or("there are no instruction bytes")?;
    let mut case = Case::new(code, mode);
    for word in words {
        let (name, value) = word.split_once('=').ok_or(format!("\"{word}\" has no value"))?;
        set(&mut case, name, value).ok_or(format!("\"{word}\" is not understood"))?;
    }
    Ok(case)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn set(case: &mut Case, name: &str, value: &str) -> Option<()> {
    let number = || u128::from_str_radix(value, 16).ok();
    let registers = &mut case.registers;
    let numbered = |prefix: &str, count: usize| {
        name.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok()).filter(|&n| n < count)
    };
    let (control, status, tags) = registers.x87_words();
    if let Some(n) = (0..16).find(|&n| x86::register_name(Width::W64, n) == name) {
        registers.gpr[usize::from(n)] = number()? as u64;
    } else if let Some(n) = numbered("xmm", 16) {
        registers.set_xmm(n, number()?);
    } else if let Some(n) = numbered("ymm", 16) {
        registers.ymm_high[n] = number()?;
    } else if let Some(n) = numbered("st", 8) {
        let (exponent, significand) = value.split_once('.')?;
        let significand = u64::from_str_radix(significand, 16).ok()?;
        registers.set_st(n, (significand, u16::from_str_radix(exponent, 16).ok()?));
    } else {
        match name {
            "flags" => registers.rflags = number()? as u64,
            "mxcsr" => registers.set_mxcsr(number()? as u32),
            "fcw" => registers.set_x87_words((number()? as u16, status, tags)),
            "fsw" => registers.set_x87_words((control, number()? as u16, tags)),
            "tags" => registers.set_x87_words((control, status, number()? as u8)),
            "fill" => case.background = number().filter(|&n| n < BACKGROUNDS.len() as u128)? as usize,
            _ => case.set_memory(u64::from_str_radix(name, 16).ok()?, &bytes(value)?),
        }
    }
    Some(())
}
