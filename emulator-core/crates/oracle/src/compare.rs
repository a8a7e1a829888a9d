//! What differs between two outcomes, in words.

use core::fmt::Write;

use x86::Width;

use crate::case::{Fault, Outcome, Registers, code_selector};
use crate::judge::{Defined, X87_POINTER};
use crate::{DATA, STACK};

const PAGE_FAULT: u8 = 14;
/// Where Linux's user half ends: for faults beyond it, it reports a protection violation whatever there is.
const USER_END: u64 = 0x7fff_ffff_f000;
const PRESENT: u32 = 1;
/// CF, PF, AF, ZF, SF, TF, IF, DF, OF, IOPL, NT, AC, ID: all but RF, which tells how an exception was delivered.
pub const ALL_FLAGS: u64 = 0x24_7fd5;

/// The part of an outcome that the architecture defines and programs can see; memory apart.
fn visible(outcome: &Outcome, mode: Width, defined: &Defined) -> (Registers, Option<Fault>) {
    let registers = &outcome.registers;
    const CS: usize = 1;
    // A far transfer may have left 64-bit mode.
    let mode = if registers.selectors[CS] == code_selector(Width::W64) { mode } else { Width::W32 };
    let mut clean = Registers::new();
    for n in 0..16 {
        // Leaving 64-bit mode makes the upper halves and the registers that only exist there undefined (Intel SDM vol. 1, 3.4.1.1).
        clean.gpr[n] = match mode {
            Width::W64 => registers.gpr[n],
            _ if n < 8 => Width::W32.truncate(registers.gpr[n]),
            _ => 0,
        };
    }
    if outcome.fault.is_none() || defined.vectors_after_fault {
        copy_vectors(registers, &mut clean, defined);
    }
    clean.rflags = registers.rflags & defined.flags;
    clean.rip = registers.rip;
    // On the way through the host's kernel null selectors lose their privilege level.
    clean.selectors = registers.selectors.map(|selector| if selector < 4 { 0 } else { selector });
    let fault = outcome.fault.map(|fault| {
        let beyond = fault.vector == PAGE_FAULT && fault.address >= USER_END;
        Fault { error: if beyond { fault.error | PRESENT } else { fault.error }, ..fault }
    });
    (clean, fault)
}

/// Takes over x87 and vector registers.
fn copy_vectors(registers: &Registers, clean: &mut Registers, defined: &Defined) {
    for n in 0..16 {
        clean.set_xmm(n, registers.xmm(n));
    }
    clean.ymm_high = registers.ymm_high;
    for n in 0..8 {
        clean.set_st(n, registers.st(n));
    }
    let (control, status, tags) = registers.x87_words();
    clean.set_x87_words((control, status & defined.x87_status, tags));
    const ERROR_SUMMARY: u16 = 1 << 7;
    if status & ERROR_SUMMARY == 0 {
        clean.set_x87_ip(registers.x87_ip() & defined.x87_ip);
    } else {
        // Only now does every processor keep what a handler may ask for (Intel SDM vol. 1, 8.1.8 and 8.1.9).
        let (opcode, operand) = registers.x87_operation();
        clean.set_x87_ip(registers.x87_ip() & X87_POINTER);
        clean.set_x87_operation((opcode & 0x7ff, if defined.x87_operand { operand & X87_POINTER } else { 0 }));
    }
    clean.set_mxcsr(registers.mxcsr());
}

/// Our results are taken for the host's where they may be some units in the last place away. Where they are inexact, C1
/// compares them with what the processor took for the exact ones, and where an angle is out of range it is undefined (Intel SDM
/// vol. 1, table 8-1). At the ends of the range of normal numbers, the last place decides whether there is an overflow or underflow.
fn allow_ulps(host: &Registers, ours: &mut Registers, ulps: u64) {
    const C1: u16 = 1 << 9;
    const RANGE_AND_SUMMARY: u16 = 0x8098;
    const PRECISION: u16 = 1 << 5;
    const OUT_OF_RANGE: u16 = 1 << 10;
    /// FSINCOS and FPTAN leave two.
    const RESULTS: usize = 2;
    let key =
        |(significand, exponent): (u64, u16)| u128::from(exponent & 0x7fff) << 63 | u128::from(significand << 1 >> 1);
    let common = host.x87_words().1 & ours.x87_words().1;
    let mut status = if common & (PRECISION | OUT_OF_RANGE) != 0 { C1 } else { 0 };
    for n in 0..RESULTS {
        let (theirs, our) = (host.st(n), ours.st(n));
        let same_sign = theirs.1 >> 15 == our.1 >> 15;
        if same_sign && key(theirs).abs_diff(key(our)) <= u128::from(ulps) {
            ours.set_st(n, theirs);
            if common & PRECISION != 0 && !(2..0x7ffe).contains(&(theirs.1 & 0x7fff)) {
                status |= RANGE_AND_SUMMARY;
            }
        }
    }
    take_status(host, ours, status);
}

/// These bits of the x87 status word are as the host's.
fn take_status(host: &Registers, ours: &mut Registers, bits: u16) {
    let ((_, theirs, _), (control, status, tags)) = (host.x87_words(), ours.x87_words());
    ours.set_x87_words((control, status & !bits | theirs & bits, tags));
}

/// Compares two outcomes: `None` where they agree in all that is defined, else both, with a mark on what differs.
#[must_use]
pub fn difference(mode: Width, host: &Outcome, ours: &Outcome, defined: &Defined) -> Option<String> {
    let (host_visible, mut our_visible) = (visible(host, mode, defined), visible(ours, mode, defined));
    if defined.ulps > 0 {
        allow_ulps(&host_visible.0, &mut our_visible.0, defined.ulps);
    }
    let same = host_visible == our_visible && host.memory == ours.memory;
    let outcome = |(registers, fault), memory: &Vec<u8>| Outcome { fault, registers, memory: memory.clone() };
    (!same).then(|| report(&outcome(host_visible, &host.memory), &outcome(our_visible, &ours.memory)))
}

fn report(host: &Outcome, ours: &Outcome) -> String {
    let mut text = format!("  {:<12} {:>34} {:>34}\n", "", "host", "ours");
    let mut line = |name: &str, host: &str, ours: &str| {
        let mark = if host == ours { ' ' } else { '*' };
        let _ = writeln!(text, "{mark} {name:<12} {host:>34} {ours:>34}");
    };
    line("exception", &fault(host), &fault(ours));
    let (h, o) = (&host.registers, &ours.registers);
    line("rip", &format!("{:#x}", h.rip), &format!("{:#x}", o.rip));
    line("rflags", &format!("{:#x}", h.rflags), &format!("{:#x}", o.rflags));
    for n in 0..16 {
        let name = x86::register_name(Width::W64, n as u8);
        if (h.gpr[n], o.gpr[n]) != (0, 0) {
            line(name, &format!("{:#x}", h.gpr[n]), &format!("{:#x}", o.gpr[n]));
        }
    }
    let mut rest = |name: String, host: String, ours: String| {
        if host != ours {
            line(&name, &host, &ours);
        }
    };
    for (n, name) in ["es", "cs", "ss", "ds", "fs", "gs"].into_iter().enumerate() {
        rest(name.into(), format!("{:#x}", h.selectors[n]), format!("{:#x}", o.selectors[n]));
    }
    for n in 0..16 {
        rest(format!("xmm{n}"), format!("{:#x}", h.xmm(n)), format!("{:#x}", o.xmm(n)));
        rest(format!("ymm{n} upper"), format!("{:#x}", h.ymm_high[n]), format!("{:#x}", o.ymm_high[n]));
    }
    rest("mxcsr".into(), format!("{:#x}", h.mxcsr()), format!("{:#x}", o.mxcsr()));
    for n in 0..8 {
        let number = |(significand, exponent): (u64, u16)| format!("{exponent:04x}.{significand:016x}");
        rest(format!("st{n}"), number(h.st(n)), number(o.st(n)));
    }
    let words = |registers: &Registers| {
        let (control, status, tags) = registers.x87_words();
        format!("fcw {control:04x} fsw {status:04x} tags {tags:02x}")
    };
    rest("x87".into(), words(h), words(o));
    let operation = |registers: &Registers| {
        let (opcode, operand) = registers.x87_operation();
        format!("{opcode:03x} at {:#x} on {operand:#x}", registers.x87_ip())
    };
    rest("x87 last".into(), operation(h), operation(o));
    for (offset, (&h, &o)) in host.memory.iter().zip(&ours.memory).enumerate() {
        rest(format!("[{:#x}]", address_of(offset)), format!("{h:#x}"), format!("{o:#x}"));
    }
    text
}

fn fault(outcome: &Outcome) -> String {
    match outcome.fault {
        None => "none".into(),
        Some(fault) if fault.vector == PAGE_FAULT => format!("14 ({:x}, {:#x})", fault.error, fault.address),
        Some(fault) => format!("{} ({:x})", fault.vector, fault.error),
    }
}

/// The address of a byte of [`Outcome::memory`].
fn address_of(offset: usize) -> u64 {
    let (offset, data) = (offset as u64, DATA.end - DATA.start);
    if offset < data { DATA.start + offset } else { STACK.start + offset - data }
}
