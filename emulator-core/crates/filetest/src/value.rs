//! Values as text.

use core::fmt::Write;

/// Up to 256 bits: the low and the high half.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Value {
    /// Bits 127:0.
    pub low: u128,
    /// Bits 255:128.
    pub high: u128,
}

impl From<u128> for Value {
    fn from(low: u128) -> Value {
        Value { low, high: 0 }
    }
}

impl From<u64> for Value {
    fn from(low: u64) -> Value {
        Value::from(u128::from(low))
    }
}

impl Value {
    /// The low 64 bits.
    #[must_use]
    pub fn word(self) -> u64 {
        self.low as u64
    }

    /// The lowest `count` bytes, the lowest first.
    #[must_use]
    pub fn bytes(self, count: u8) -> Vec<u8> {
        let mut bytes = [self.low.to_le_bytes(), self.high.to_le_bytes()].concat();
        bytes.truncate(count.into());
        bytes
    }

    /// Reads `text` for a place of `bits` bits.
    #[must_use]
    pub fn read(text: &str, bits: u32) -> Option<Value> {
        if text.contains([',', '.']) || decimal(text).is_some() {
            return read_elements(text, bits);
        }
        let digits: String = text.chars().filter(|&c| c != '_').collect();
        let (high, low) = digits.split_at(digits.len().saturating_sub(32));
        let high = if high.is_empty() { 0 } else { u128::from_str_radix(high, 16).ok()? };
        let value = Value { low: u128::from_str_radix(low, 16).ok()?, high };
        value.fits(bits).then_some(value)
    }

    fn fits(self, bits: u32) -> bool {
        let beyond = |half: u128, bits: u32| bits < 128 && half >> bits != 0;
        !beyond(self.low, bits) && !beyond(self.high, bits.saturating_sub(128))
    }

    /// Element `number` of `bits` bits each.
    fn element(self, number: u32, bits: u32) -> u64 {
        let at = number * bits;
        let half = if at < 128 { self.low } else { self.high };
        (half >> (at % 128)) as u64 & u64::MAX >> (64 - bits)
    }

    /// As a number without leading zeros.
    #[must_use]
    pub fn hex(self) -> String {
        if self.high == 0 { format!("{:x}", self.low) } else { format!("{:x}{:032x}", self.high, self.low) }
    }

    /// The same, eight digits a group.
    #[must_use]
    pub fn groups(self) -> String {
        grouped(&self.hex())
    }

    /// As a number of `bytes` bytes.
    #[must_use]
    pub fn hex_bytes(self, bytes: usize) -> String {
        let digits = format!("{:032x}{:032x}", self.high, self.low);
        let digits = &digits[64 - 2 * bytes..];
        if digits.len() <= 16 { digits.into() } else { grouped(digits) }
    }

    /// As floating-point elements, where some are short decimals. `bits`: of all.
    #[must_use]
    pub fn elements(self, bits: u32, element: u32) -> Option<String> {
        let texts = self.in_elements(bits, element);
        let tells = texts.iter().any(|(text, decimal)| *decimal && text != "0");
        let decimals = texts.iter().filter(|text| text.1).count();
        let texts = texts.iter().map(|text| text.0.as_str()).collect::<Vec<_>>();
        (tells && 2 * decimals >= texts.len()).then(|| texts.join(","))
    }

    /// Each element, and whether it is in decimal.
    fn in_elements(self, bits: u32, element: u32) -> Vec<(String, bool)> {
        let texts = (0..bits / element).rev().map(|number| {
            let value = self.element(number, element);
            let decimal = if element == 32 { single(value as u32) } else { short_decimal(f64::from_bits(value)) };
            match decimal {
                _ if value == 0 => ("0".into(), true),
                Some(text) => (text, true),
                None => (format!("{value:x}"), false),
            }
        });
        texts.collect()
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(8) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

fn read_elements(text: &str, bits: u32) -> Option<Value> {
    let texts: Vec<&str> = text.split(',').collect();
    let element = bits.checked_div(texts.len() as u32).filter(|e| [8, 16, 32, 64].contains(e))?;
    let mut value = Value::default();
    for (number, text) in (0..).zip(texts.iter().rev()) {
        let bits = match (decimal(text), element) {
            (Some(_), 32) => u64::from(text.parse::<f32>().ok()?.to_bits()),
            (Some(number), 64) => number.to_bits(),
            (Some(_), _) => return None,
            (None, _) => u64::from_str_radix(text, 16).ok().filter(|v| Value::from(*v).fits(element))?,
        };
        let at = number * element;
        let half = if at < 128 { &mut value.low } else { &mut value.high };
        *half |= u128::from(bits) << (at % 128);
    }
    Some(value)
}

/// A number in decimal, told from hexadecimal by its point.
fn decimal(text: &str) -> Option<f64> {
    let looks = text.contains('.') || text.trim_start_matches('-') == "inf";
    if looks { text.parse().ok() } else { None }
}

const LONGEST_DECIMAL: usize = 9;

fn single(bits: u32) -> Option<String> {
    let text = format!("{:?}", f32::from_bits(bits));
    (text.len() <= LONGEST_DECIMAL && decimal(&text).is_some() && !text.contains('e')).then_some(text)
}

fn short_decimal(number: f64) -> Option<String> {
    let text = format!("{number:?}");
    (text.len() <= LONGEST_DECIMAL && decimal(&text).is_some() && !text.contains('e')).then_some(text)
}

const EXTENDED_BIAS: u16 = 0x3fff;
const DOUBLE_BIAS: u16 = 0x3ff;

/// Reads significand and sign-exponent of an x87 register.
#[must_use]
pub fn read_extended(text: &str) -> Option<(u64, u16)> {
    if let Some((exponent, significand)) = text.split_once(':') {
        return Some((u64::from_str_radix(significand, 16).ok()?, u16::from_str_radix(exponent, 16).ok()?));
    }
    from_double(decimal(text)?)
}

/// The 80-bit form of a zero, an infinity or a normal number.
fn from_double(number: f64) -> Option<(u64, u16)> {
    let bits = number.to_bits();
    let sign = (bits >> 63 << 15) as u16;
    let exponent = (bits >> 52) as u16 & 0x7ff;
    let fraction = bits << 12 >> 1;
    match exponent {
        0 if fraction == 0 => Some((0, sign)),
        0x7ff if fraction == 0 => Some((1 << 63, sign | 0x7fff)),
        0 | 0x7ff => None,
        _ => Some((1 << 63 | fraction, sign | (exponent + EXTENDED_BIAS - DOUBLE_BIAS))),
    }
}

/// Writes them: in decimal where that says the same and is short.
#[must_use]
pub fn write_extended((significand, exponent): (u64, u16)) -> String {
    // Whatever narrower number this is, if it is one, has it as 80-bit form.
    let sign = u64::from(exponent >> 15) << 63;
    let narrowed = match exponent & 0x7fff {
        0 => 0,
        0x7fff => 0x7ff << 52,
        e => u64::from(e.wrapping_sub(EXTENDED_BIAS - DOUBLE_BIAS) & 0x7ff) << 52 | significand << 1 >> 12,
    };
    let number = f64::from_bits(sign | narrowed);
    if from_double(number) == Some((significand, exponent))
        && let Some(text) = short_decimal(number)
    {
        return text;
    }
    let mut text = String::new();
    let _ = write!(text, "{exponent:04x}:{significand:016x}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IEEE 754 and Intel SDM vol. 1, table 4-3, by hand.
    #[test]
    fn numbers_are_read_and_written() {
        let read = |text| Value::read(text, 128).map(|value| value.low);
        assert_eq!(read("0_1234_ff"), Some(0x1234ff));
        assert_eq!(read("1.5,-0.0,0,7fc00000"), Some(0x3fc0_0000_8000_0000_0000_0000_7fc0_0000));
        assert_eq!(read("inf,-2.0"), Some(0x7ff0_0000_0000_0000_c000_0000_0000_0000));
        assert_eq!(Value::read("100", 8), None);
        assert_eq!(
            Value::from(0x3fc0_0000_8000_0000_0000_0000_7fc0_0000u128).elements(128, 32).unwrap(),
            "1.5,-0.0,0,7fc00000"
        );
        assert_eq!(Value::from(0x1_0000_0000_0000_0000u128).groups(), "1_00000000_00000000");
        for (text, number) in [
            ("1.0", (1 << 63, 0x3fff)),
            ("-1.5", (3 << 62, 0xbfff)),
            ("0.0", (0, 0)),
            ("-inf", (1 << 63, 0xffff)),
            ("3fff:8000000000000001", ((1 << 63) + 1, 0x3fff)),
            ("0000:0000000000000001", (1, 0)),
        ] {
            assert_eq!((read_extended(text), write_extended(number)), (Some(number), text.into()));
        }
    }
}
