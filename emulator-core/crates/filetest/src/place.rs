//! What can be named in an example.

use x86::{Width, register_name};

use crate::case::{Outcome, Registers, memory_offset};
use crate::value::Value;

/// A part of the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Bits of a general register.
    General {
        /// Its number.
        register: u8,
        /// The lowest bit.
        shift: u8,
        /// How many.
        width: Width,
    },
    /// A bit of RFLAGS, or two.
    Flag {
        /// The lowest bit.
        shift: u8,
        /// How many.
        bits: u8,
    },
    /// XMM register.
    Xmm(u8),
    /// YMM register.
    Ymm(u8),
    /// MMX register.
    Mmx(u8),
    /// x87 register, relative to TOP.
    X87(u8),
    /// Whether that is in use.
    X87InUse(u8),
    /// x87 control word.
    Control,
    /// x87 status word.
    Status,
    /// TOP, in the status word.
    Top,
    /// Abridged x87 tag word.
    Tags,
    /// MXCSR.
    Mxcsr,
    /// Selector in a segment register.
    Selector(u8),
    /// RIP.
    Ip,
    /// Linear address of a page fault.
    Cr2,
    /// Bytes of memory.
    Memory {
        /// Address of the first.
        address: u64,
        /// How many.
        bytes: u8,
    },
}

const FLAGS: [(&str, u8, u8); 7] =
    [("tf", 8, 1), ("if", 9, 1), ("df", 10, 1), ("iopl", 12, 2), ("nt", 14, 1), ("ac", 18, 1), ("id", 21, 1)];
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];
const HIGH: [&str; 4] = ["ah", "ch", "dh", "bh"];
const WIDTHS: [Width; 4] = [Width::W8, Width::W16, Width::W32, Width::W64];
const TOP_SHIFT: u16 = 11;
const MMX_EXPONENT: u16 = 0xffff;

impl Place {
    /// The place of that name. The value says how large one in memory is.
    #[must_use]
    pub fn named(name: &str, value: &str) -> Option<Place> {
        let numbered = |prefix: &str, count: u8| {
            name.strip_prefix(prefix).and_then(|n| n.parse::<u8>().ok()).filter(|&n| n < count)
        };
        if let Some(address) = name.strip_prefix('[') {
            let address = address.strip_suffix(']')?;
            let digits = value.chars().filter(|&c| c != '_').count();
            let (address, bytes) = match address.split_once(':') {
                Some((address, bytes)) => (address, bytes.parse().ok()?),
                None if digits % 2 == 0 => (address, (digits / 2) as u8),
                None => return None,
            };
            let address = u64::from_str_radix(address, 16).ok()?;
            return Place::memory(address, bytes);
        }
        let vector = || numbered("xmm", 16).map(Place::Xmm).or_else(|| numbered("ymm", 16).map(Place::Ymm));
        let x87 = || numbered("mm", 8).map(Place::Mmx).or_else(|| numbered("st", 8).map(Place::X87));
        let flag = || FLAGS.iter().find(|flag| flag.0 == name).map(|&(_, shift, bits)| Place::Flag { shift, bits });
        let selector = || SEGMENTS.iter().position(|&s| s == name).map(|n| Place::Selector(n as u8));
        let word = || {
            let words = [
                ("fcw", Place::Control),
                ("fsw", Place::Status),
                ("top", Place::Top),
                ("tags", Place::Tags),
                ("mxcsr", Place::Mxcsr),
                ("rip", Place::Ip),
                ("cr2", Place::Cr2),
            ];
            words.into_iter().find(|word| word.0 == name).map(|word| word.1)
        };
        general(name).or_else(vector).or_else(x87).or_else(flag).or_else(selector).or_else(word)
    }

    /// `bytes` bytes of memory at `address`, where they all exist and are no more than a vector.
    #[must_use]
    pub fn memory(address: u64, bytes: u8) -> Option<Place> {
        let last = address.checked_add(u64::from(bytes).checked_sub(1)?)?;
        let exists = memory_offset(address).is_some() && memory_offset(last).is_some();
        (exists && bytes <= 32).then_some(Place::Memory { address, bytes })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Place::General { register, shift: 8, .. } => HIGH[usize::from(register)].into(),
            Place::General { register, width, .. } => register_name(width, register).into(),
            Place::Flag { shift, .. } => FLAGS.iter().find(|flag| flag.1 == shift).map_or("?", |flag| flag.0).into(),
            Place::Xmm(n) => format!("xmm{n}"),
            Place::Ymm(n) => format!("ymm{n}"),
            Place::Mmx(n) => format!("mm{n}"),
            Place::X87(n) | Place::X87InUse(n) => format!("st{n}"),
            Place::Control => "fcw".into(),
            Place::Status => "fsw".into(),
            Place::Top => "top".into(),
            Place::Tags => "tags".into(),
            Place::Mxcsr => "mxcsr".into(),
            Place::Selector(n) => SEGMENTS[usize::from(n)].into(),
            Place::Ip => "rip".into(),
            Place::Cr2 => "cr2".into(),
            Place::Memory { address, .. } => format!("[{address:x}]"),
        }
    }

    /// Bits of its value.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Place::General { width, .. } => width.bits(),
            Place::Flag { bits, .. } => u32::from(bits),
            Place::Xmm(_) => 128,
            Place::Ymm(_) => 256,
            Place::Mmx(_) | Place::Ip | Place::Cr2 => 64,
            Place::X87(_) => 80,
            Place::X87InUse(_) => 1,
            Place::Control | Place::Status | Place::Selector(_) => 16,
            Place::Top => 3,
            Place::Tags => 8,
            Place::Mxcsr => 32,
            Place::Memory { bytes, .. } => 8 * u32::from(bytes),
        }
    }

    /// What `state` has there.
    #[must_use]
    pub fn get(self, state: &Outcome) -> Value {
        let registers = &state.registers;
        let (control, status, tags) = registers.x87_words();
        let top = usize::from(status >> TOP_SHIFT & 7);
        match self {
            Place::General { register, shift, width } => {
                width.truncate(registers.gpr[usize::from(register)] >> shift).into()
            }
            Place::Flag { shift, bits } => (registers.rflags >> shift & ((1 << bits) - 1)).into(),
            Place::Xmm(n) => registers.xmm(n.into()).into(),
            Place::Ymm(n) => Value { low: registers.xmm(n.into()), high: registers.ymm_high[usize::from(n)] },
            Place::Mmx(n) => registers.st((usize::from(n) + 8 - top) & 7).0.into(),
            Place::X87(n) => {
                let (significand, exponent) = registers.st(n.into());
                (u128::from(exponent) << 64 | u128::from(significand)).into()
            }
            Place::X87InUse(n) => u64::from(tags >> ((top + usize::from(n)) & 7) & 1).into(),
            Place::Control => u64::from(control).into(),
            Place::Status => u64::from(status).into(),
            Place::Top => (top as u64).into(),
            Place::Tags => u64::from(tags).into(),
            Place::Mxcsr => u64::from(registers.mxcsr()).into(),
            Place::Selector(n) => u64::from(registers.selectors[usize::from(n)]).into(),
            Place::Ip => registers.rip.into(),
            Place::Cr2 => state.fault.map_or(0, |fault| fault.address).into(),
            Place::Memory { address, bytes } => {
                let byte = |at: u8| memory_offset(address + u64::from(at)).map_or(0, |offset| state.memory[offset]);
                (0..bytes).rev().fold(Value::default(), |value, at| Value {
                    low: value.low << 8 | u128::from(byte(at)),
                    high: value.high << 8 | value.low >> 120,
                })
            }
        }
    }

    /// Makes `state` have `value` there.
    pub fn set(self, state: &mut Outcome, value: Value) {
        let registers = &mut state.registers;
        let (control, status, tags) = registers.x87_words();
        let top = usize::from(status >> TOP_SHIFT & 7);
        let number = value.word();
        match self {
            Place::General { register, shift, width } => {
                let old = &mut registers.gpr[usize::from(register)];
                *old = *old & !(width.mask() << shift) | number << shift;
            }
            Place::Flag { shift, bits } => {
                registers.rflags = registers.rflags & !(((1 << bits) - 1) << shift) | number << shift;
            }
            Place::Xmm(n) => registers.set_xmm(n.into(), value.low),
            Place::Ymm(n) => {
                registers.set_xmm(n.into(), value.low);
                registers.ymm_high[usize::from(n)] = value.high;
            }
            Place::Mmx(n) => {
                registers.set_st((usize::from(n) + 8 - top) & 7, (number, MMX_EXPONENT));
                registers.set_x87_words((control, status, 0xff));
            }
            Place::X87(n) => {
                registers.set_st(n.into(), (number, (value.low >> 64) as u16));
                Place::X87InUse(n).set(state, 1u64.into());
            }
            Place::X87InUse(n) => {
                let bit = (top + usize::from(n)) & 7;
                registers.set_x87_words((control, status, tags & !(1 << bit) | (number as u8) << bit));
            }
            Place::Control => registers.set_x87_words((number as u16, status, tags)),
            Place::Status => set_status(registers, number as u16),
            Place::Top => set_status(registers, status & !(7 << TOP_SHIFT) | (number as u16) << TOP_SHIFT),
            Place::Tags => registers.set_x87_words((control, status, number as u8)),
            Place::Mxcsr => registers.set_mxcsr(number as u32),
            Place::Selector(n) => registers.selectors[usize::from(n)] = number as u16,
            Place::Ip => registers.rip = number,
            Place::Cr2 => state.fault.iter_mut().for_each(|fault| fault.address = number),
            Place::Memory { address, bytes } => {
                for (at, byte) in (address..).zip(value.bytes(bytes)) {
                    if let Some(offset) = memory_offset(at) {
                        state.memory[offset] = byte;
                    }
                }
            }
        }
    }
}

/// Registers are kept relative to TOP: they stay where they are when that moves.
fn set_status(registers: &mut Registers, new: u16) {
    let (control, old, tags) = registers.x87_words();
    let top = |status: u16| usize::from(status >> TOP_SHIFT & 7);
    let kept: [_; 8] = core::array::from_fn(|n| registers.st(n));
    registers.set_x87_words((control, new, tags));
    let moved = top(new) + 8 - top(old);
    (0..8).for_each(|n| registers.set_st(n, kept[(n + moved) & 7]));
}

fn general(name: &str) -> Option<Place> {
    if let Some(register) = HIGH.iter().position(|&high| high == name) {
        return Some(Place::General { register: register as u8, shift: 8, width: Width::W8 });
    }
    let all = WIDTHS.into_iter().flat_map(|width| (0..16).map(move |register| (register, width)));
    all.into_iter()
        .find(|&(register, width)| register_name(width, register) == name)
        .map(|(register, width)| Place::General { register, shift: 0, width })
}
