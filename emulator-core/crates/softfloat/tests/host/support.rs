//! Random operands for comparing with the host's own floating-point units.

use softfloat::F80;

/// Cases of each random comparison. Seeds are fixed, so a failure repeats.
pub const CASES: u64 = 200_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Bits with long runs and few bits set as often as random ones: those decide ties and exact results.
    pub fn pattern(&mut self) -> u64 {
        match self.below(5) {
            0 => self.next(),
            1 => 1 << self.below(64),
            2 => u64::MAX << self.below(64),
            3 => (1 << self.below(64)) | (1 << self.below(64)) | (1 << self.below(64)),
            _ => self.next() << self.below(64),
        }
    }

    pub fn f32_bits(&mut self) -> u32 {
        let exponent = match self.below(4) {
            0 => [0, 1, 2, 0xFD, 0xFE, 0xFF, 0x7F, 0x80][self.below(8) as usize],
            1 => 0x70 + self.below(32) as u32,
            _ => self.below(256) as u32,
        };
        let fraction = if self.below(8) == 0 { 0 } else { (self.pattern() >> 41) as u32 };
        ((self.below(2) as u32) << 31) | (exponent << 23) | (fraction & 0x7F_FFFF)
    }

    pub fn f64_bits(&mut self) -> u64 {
        let exponent = match self.below(4) {
            0 => [0, 1, 2, 0x7FD, 0x7FE, 0x7FF, 0x3FF, 0x400][self.below(8) as usize],
            1 => 0x3C0 + self.below(128),
            _ => self.below(2048),
        };
        let fraction = if self.below(8) == 0 { 0 } else { self.pattern() >> 12 };
        (self.below(2) << 63) | (exponent << 52) | (fraction & ((1 << 52) - 1))
    }

    pub fn f80(&mut self) -> F80 {
        let exponent = match self.below(4) {
            0 => [0, 1, 2, 0x7FFD, 0x7FFE, 0x7FFF, 0x3FFF, 0x4000][self.below(8) as usize],
            1 => 0x3FC0 + self.below(128),
            2 => 0x3FF0 + self.below(32),
            _ => self.below(0x8000),
        };
        let significand = if self.below(8) == 0 { 0 } else { self.pattern() };
        // The integer bit as the exponent demands, except now and then.
        let integer_bit = if (exponent != 0) != (self.below(32) == 0) { 1 << 63 } else { 0 };
        let fraction = significand & !(1 << 63);
        F80::new((exponent | (self.below(2) << 15)) as u16, integer_bit | fraction)
    }

    /// A finite number with an exponent from `low` to `high`.
    pub fn finite_f80(&mut self, low: i32, high: i32) -> F80 {
        let exponent = (low + self.below((high - low + 1) as u64) as i32 + 16383) as u16;
        F80::new(exponent | ((self.below(2) as u16) << 15), self.pattern() | (1 << 63))
    }
}

/// Whether the vendor of the host's processor is Intel, whom ours follows where vendors differ.
pub fn host_is_intel() -> bool {
    let vendor = core::arch::x86_64::__cpuid(0);
    (vendor.ebx, vendor.edx, vendor.ecx) == (0x756e_6547, 0x4965_6e69, 0x6c65_746e)
}
