//! What has come too early: two processors that send for one connection overtake each other.

/// Most segments that are kept until those before them have come.
const MOST: usize = 64;

/// A segment that lies behind what is expected.
pub struct Early {
    pub sequence: u32,
    pub data: Vec<u8>,
    pub ends: bool,
}

/// All of them, in any order.
#[derive(Default)]
pub struct Ahead(Vec<Early>);

impl Ahead {
    /// Keeps a segment, unless it is known or more than `room` bytes would be kept.
    pub fn keep(&mut self, sequence: u32, data: &[u8], ends: bool, room: usize) {
        let is_known = self.0.iter().any(|early| early.sequence == sequence);
        if !is_known && self.0.len() < MOST && self.bytes() + data.len() <= room {
            self.0.push(Early { sequence, data: data.to_vec(), ends });
        }
    }

    /// One that lies at `expected`, or before.
    pub fn take(&mut self, expected: u32) -> Option<Early> {
        let next = self.0.iter().position(|early| distance(expected, early.sequence) <= 0)?;
        Some(self.0.swap_remove(next))
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|early| early.data.len()).sum()
    }
}

/// How far `to` is ahead of `from` (RFC 9293, 3.4: modulo 2^32).
pub fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
