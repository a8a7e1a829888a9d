//! What an example says of a place.

use x86::flags;

use crate::place::Place;
use crate::value::{Value, read_extended, write_extended};

/// The status flags by letter, in the order they are written.
const STATUS_LETTERS: [(char, u64); 6] =
    [('O', flags::OF), ('S', flags::SF), ('Z', flags::ZF), ('A', flags::AF), ('P', flags::PF), ('C', flags::CF)];

/// One word of an example.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `rax=5`
    Is(Place, Value),
    /// `st0~1.5`
    Near(u8, Value),
    /// `rax=?`
    Any(Place),
    /// `flags=CZ`, `flags=oSzC`: which bits are told, and what they are.
    Status {
        /// Bits of RFLAGS.
        told: u64,
        /// Those of them that are set.
        set: u64,
    },
}

impl Setting {
    /// Reads a word; `after` says on which side of the arrow it is.
    ///
    /// # Errors
    /// It is not understood.
    pub fn read(word: &str, after: bool) -> Result<Setting, String> {
        let wrong = || format!("\"{word}\" is not understood");
        if let Some((name, text)) = word.split_once('~') {
            let Some(Place::X87(n)) = Place::named(name, text) else { return Err(wrong()) };
            return Ok(Setting::Near(n, extended(text).ok_or_else(wrong)?));
        }
        let (name, text) = word.split_once('=').ok_or_else(wrong)?;
        if name == "flags" {
            return status(text, after).ok_or_else(wrong);
        }
        // Of memory that is left open, one byte.
        let place = Place::named(name, if text == "?" { "00" } else { text }).ok_or_else(wrong)?;
        let only_after = matches!(place, Place::Selector(_) | Place::Ip | Place::Cr2);
        if !after && (only_after || text == "?") {
            return Err(wrong());
        }
        Ok(match (place, text) {
            (_, "?") => Setting::Any(place),
            (Place::X87(n), "empty") => Setting::Is(Place::X87InUse(n), Value::default()),
            (Place::X87(_), _) => Setting::Is(place, extended(text).ok_or_else(wrong)?),
            _ => Setting::Is(place, Value::read(text, place.bits()).ok_or_else(wrong)?),
        })
    }
}

fn extended(text: &str) -> Option<Value> {
    let (significand, exponent) = read_extended(text)?;
    Some((u128::from(exponent) << 64 | u128::from(significand)).into())
}

fn status(text: &str, after: bool) -> Option<Setting> {
    if text == "?" {
        return after.then_some(Setting::Status { told: 0, set: 0 });
    }
    let (mut told, mut set) = (if after { 0 } else { flags::STATUS }, 0);
    for letter in text.chars() {
        let bit = STATUS_LETTERS.iter().find(|flag| flag.0 == letter.to_ascii_uppercase())?.1;
        told |= bit;
        set |= if letter.is_ascii_uppercase() { bit } else { 0 };
    }
    Some(Setting::Status { told, set })
}

/// How many bits a floating-point element of what an instruction works on has; `None` where it works on integers.
pub type Element = Option<u32>;

impl Setting {
    /// Writes it; vectors of floating-point numbers as such, mostly of `element` bits.
    #[must_use]
    pub fn write(&self, element: Element, after: bool) -> String {
        if let Setting::Is(Place::Memory { address, bytes }, value) = *self
            && let Some(element) = element
            && value != Value::default()
            && let Some(text) = value.elements(8 * u32::from(bytes), element)
        {
            return format!("[{address:x}:{bytes}]={text}");
        }
        match *self {
            Setting::Any(place) => format!("{}=?", place.name()),
            Setting::Near(n, value) => format!("st{n}~{}", number_of_x87(value)),
            Setting::Status { told: 0, .. } => "flags=?".into(),
            Setting::Status { told, set } => {
                let shown = if after { told } else { set };
                let letters = STATUS_LETTERS.iter().filter(|(_, bit)| shown & bit != 0);
                let text = letters.map(|&(c, bit)| if set & bit != 0 { c } else { c.to_ascii_lowercase() });
                format!("flags={}", text.collect::<String>())
            }
            Setting::Is(place, value) => {
                let text = match (place, element) {
                    (Place::X87(_), _) => number_of_x87(value),
                    (Place::X87InUse(_), _) => "empty".into(),
                    (Place::Xmm(_) | Place::Ymm(_), Some(element)) if value != Value::default() => {
                        value.elements(place.bits(), element).unwrap_or_else(|| value.groups())
                    }
                    (Place::Xmm(_) | Place::Ymm(_) | Place::Mmx(_), _) => value.groups(),
                    (Place::Memory { bytes, .. }, _) => value.hex_bytes(bytes.into()),
                    _ => value.hex(),
                };
                format!("{}={text}", place.name())
            }
        }
    }
}

fn number_of_x87(value: Value) -> String {
    write_extended((value.low as u64, (value.low >> 64) as u16))
}
