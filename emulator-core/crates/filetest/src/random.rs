//! Deterministic random values that visit edges often.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A value below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `values`.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// 64 bits: extremes of some width, single bits, runs of ones, small numbers, or anything.
    pub fn integer(&mut self) -> u64 {
        let width = self.pick(&[8, 16, 32, 64]);
        match self.below(8) {
            0 => self.pick(&[0, 1, 2, u64::MAX, u64::MAX - 1]),
            1 => (1u64 << (width - 1)).wrapping_add(self.below(3)).wrapping_sub(1),
            2 => (u64::MAX >> (64 - width)).wrapping_add(self.below(3)).wrapping_sub(1),
            3 => 1 << self.below(64),
            4 => u64::MAX << self.below(64),
            5 => self.below(300).wrapping_sub(150),
            _ => self.bits(),
        }
    }

    /// 128 bits of mixed lanes: integers of all widths, some of them repeated, or floating-point numbers.
    pub fn vector(&mut self) -> u128 {
        match self.below(6) {
            0 => u128::from(self.integer()) | u128::from(self.integer()) << 64,
            1 => (0..16).fold(0, |v, _| v << 8 | u128::from(self.pick(&[0, 1, 0x7f, 0x80, 0xff, self.0 as u8]))),
            2 => (0..8).fold(0, |v, _| v << 16 | u128::from(self.integer() as u16)),
            3 => (0..4).fold(0, |v, _| v << 32 | u128::from(self.single())),
            4 => (0..2).fold(0, |v, _| v << 64 | u128::from(self.double())),
            _ => u128::from(self.bits()) | u128::from(self.bits()) << 64,
        }
    }

    /// The bits of a single-precision number; every class of them.
    pub fn single(&mut self) -> u32 {
        let sign = (self.below(2) as u32) << 31;
        let fraction = self.fraction(23) as u32;
        let exponent = self.exponent(0xff) as u32;
        sign | exponent << 23 | fraction
    }

    /// The bits of a double-precision number; every class of them.
    pub fn double(&mut self) -> u64 {
        let sign = self.below(2) << 63;
        let fraction = self.fraction(52);
        sign | self.exponent(0x7ff) << 52 | fraction
    }

    /// Significand and sign-exponent of an 80-bit number; every class of them, and encodings that are none.
    pub fn extended(&mut self) -> (u64, u16) {
        const INTEGER_BIT: u64 = 1 << 63;
        let sign = (self.below(2) as u16) << 15;
        let fraction = match self.below(6) {
            // Numbers that come from the narrower formats, and integers.
            0 => self.fraction(23) << 40,
            1 => self.fraction(52) << 11,
            2 => u64::MAX >> 1 & u64::MAX << self.below(64),
            _ => self.fraction(63),
        };
        let exponent = self.exponent(0x7fff) as u16;
        let integer = if exponent == 0 { self.one_in(4) } else { !self.one_in(16) };
        (fraction | if integer { INTEGER_BIT } else { 0 }, sign | exponent)
    }

    fn fraction(&mut self, bits: u32) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => (1 << (bits - 1)) >> self.below(u64::from(bits)),
            2 => self.bits() << self.below(60) & ((1 << bits) - 1),
            _ => self.bits() & ((1 << bits) - 1),
        }
    }

    fn exponent(&mut self, top: u64) -> u64 {
        let bias = top >> 1;
        match self.below(5) {
            0 => self.pick(&[0, 1, top - 1, top]),
            1 | 2 => bias - 3 + self.below(7),
            3 => bias - 40 + self.below(110),
            _ => self.below(top + 1),
        }
    }
}
