//! One TCP connection as its far end, seen from the container (RFC 9293). The wire to the container is short and loses
//! little: what is lost is sent again from there on, and no more is kept than the receiver has room for. What comes too early
//! is kept: two processors that send for one connection overtake each other.

mod ahead;

use std::time::{Duration, Instant};

use super::packet::{ACK, FIN, PSH, RST, SYN, Segment};
use ahead::{Ahead, Early, distance};

/// Most bytes on their way in either direction.
const BUFFER: usize = 256 << 10;

/// A window lets one segment of the longest pass, or nothing flows.
pub const LEAST_WINDOW: usize = 64 << 10;

/// How far our windows are shifted, so that they can say [`BUFFER`].
const SCALE: u8 = 3;

/// Longest segment to a container that does not say how long they may be.
const DEFAULT_LONGEST: u16 = 536;

/// How long an acknowledgement may take at first, and how often it is asked for.
const PATIENCE: Duration = Duration::from_millis(200);
const TRIES: u32 = 8;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The container wants a connection, and waits.
    Asked,
    /// We have sent our SYN; of the container's, with `heard`, or to ask for it.
    Greeting {
        heard: bool,
    },
    Open,
    /// It ended in a way that nobody wants to hear of any more.
    Gone,
}

/// A connection.
pub struct Connection {
    stage: Stage,
    /// Whether the container has reset it, or must be told that it is.
    pub is_reset: bool,
    /// First of our bytes that is not acknowledged, and next to be sent; SYN and FIN count as bytes.
    acknowledged: u32,
    next: u32,
    /// Behind the last that was ever sent; `next` lies before it when some is sent again.
    furthest: u32,
    /// Our bytes from `acknowledged` on.
    outgoing: Vec<u8>,
    outgoing_ends: bool,
    fin_sent: bool,
    /// Next of the container's bytes.
    expected: u32,
    incoming: Vec<u8>,
    incoming_ends: bool,
    /// What has come and lies behind what is expected.
    ahead: Ahead,
    /// The window as we said it last.
    offered: usize,
    /// Behind the last byte that we said there is room for.
    promised: u32,
    /// How much of the container's may be on its way, but for what is promised.
    pub share: usize,
    window: usize,
    scale: Option<u8>,
    longest: usize,
    deadline: Option<Instant>,
    tries: u32,
    repeated: u32,
}

/// Takes segments that are to be sent.
pub type Emit<'a> = &'a mut dyn FnMut(Segment<'_>);

impl Connection {
    /// The container asks for a connection. `start` is where our numbers begin.
    pub fn asked(syn: &Segment<'_>, start: u32) -> Self {
        let mut connection = Self::new(Stage::Asked, start);
        connection.greet(syn);
        connection
    }

    /// We ask the container for one.
    pub fn ask(start: u32, now: Instant, emit: Emit<'_>) -> Self {
        let mut connection = Self::new(Stage::Greeting { heard: false }, start);
        connection.send_greeting(now, emit);
        connection
    }

    fn new(stage: Stage, start: u32) -> Self {
        Self {
            stage,
            is_reset: false,
            acknowledged: start,
            next: start,
            furthest: start,
            outgoing: Vec::new(),
            outgoing_ends: false,
            fin_sent: false,
            expected: 0,
            incoming: Vec::new(),
            incoming_ends: false,
            ahead: Ahead::default(),
            offered: 0,
            promised: 0,
            share: BUFFER,
            window: 0,
            scale: None,
            longest: DEFAULT_LONGEST.into(),
            deadline: None,
            tries: 0,
            repeated: 0,
        }
    }

    fn greet(&mut self, syn: &Segment<'_>) {
        self.expected = syn.sequence.wrapping_add(1);
        self.promised = self.expected;
        self.longest = syn.longest.unwrap_or(DEFAULT_LONGEST).max(DEFAULT_LONGEST).into();
        self.scale = syn.scale;
        // The window of a SYN is not shifted.
        self.window = syn.window.into();
    }

    /// What the container asked for is there.
    pub fn accept(&mut self, now: Instant, emit: Emit<'_>) {
        self.stage = Stage::Greeting { heard: true };
        self.send_greeting(now, emit);
    }

    fn send_greeting(&mut self, now: Instant, emit: Emit<'_>) {
        let heard = self.stage == Stage::Greeting { heard: true };
        self.next = self.acknowledged.wrapping_add(1);
        self.furthest = self.next;
        emit(Segment {
            sequence: self.acknowledged,
            acknowledgement: if heard { self.expected } else { 0 },
            flags: if heard { SYN | ACK } else { SYN },
            window: u16::MAX,
            longest: Some(u16::MAX - 40),
            // Only in answer to one who knows of it.
            scale: (!heard || self.scale.is_some()).then_some(SCALE),
            data: &[],
        });
        self.await_acknowledgement(now);
    }

    fn await_acknowledgement(&mut self, now: Instant) {
        self.deadline = Some(now + PATIENCE * (1 << self.tries.min(5)));
    }

    /// When [`Connection::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether bytes can flow.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether both sides have ended and know it.
    pub fn is_over(&self) -> bool {
        let all_sent = self.fin_sent && self.acknowledged == self.next;
        self.stage == Stage::Gone || (all_sent && self.incoming_ends && self.incoming.is_empty())
    }

    /// How many more bytes can be sent.
    pub fn room(&self) -> usize {
        if self.is_open() && !self.outgoing_ends { BUFFER.saturating_sub(self.outgoing.len()) } else { 0 }
    }

    /// Sends bytes, of which there are no more than [`Connection::room`].
    pub fn send(&mut self, data: &[u8], now: Instant, emit: Emit<'_>) {
        self.outgoing.extend_from_slice(data);
        self.push(now, emit);
    }

    /// There is nothing more to send.
    pub fn finish(&mut self, now: Instant, emit: Emit<'_>) {
        self.outgoing_ends = true;
        self.push(now, emit);
    }

    /// Bytes of the container's, and whether these are the last.
    pub fn incoming(&self) -> (&[u8], bool) {
        (&self.incoming, self.incoming_ends)
    }

    /// So many of them have been passed on.
    pub fn consume(&mut self, length: usize, emit: Emit<'_>) {
        self.incoming.drain(..length);
        // Who saw no room worth sending for has to be told.
        let most = BUFFER.min(self.share);
        if self.offered < most / 2 && self.free() >= most / 2 && !self.incoming_ends {
            self.acknowledge(emit);
        }
    }

    fn free(&self) -> usize {
        BUFFER.saturating_sub(self.incoming.len())
    }

    /// Ends it at once, and says so.
    pub fn reset(&mut self, emit: Emit<'_>) {
        let flags = RST | ACK;
        emit(Segment { sequence: self.next, acknowledgement: self.expected, flags, ..Segment::default() });
        self.stage = Stage::Gone;
        self.is_reset = true;
    }

    fn acknowledge(&mut self, emit: Emit<'_>) {
        emit(Segment { flags: ACK, ..self.header() });
    }

    fn header(&mut self) -> Segment<'static> {
        let shift = if self.scale.is_some() { SCALE } else { 0 };
        // RFC 9293, 3.8.6: a window that has been said is not taken back.
        let promised = distance(self.expected, self.promised).max(0).unsigned_abs() as usize;
        self.offered = promised.max(self.free().min(self.share));
        let window = u16::try_from(self.offered >> shift).unwrap_or(u16::MAX);
        self.promised = self.expected.wrapping_add(u32::from(window) << shift);
        Segment { sequence: self.next, acknowledgement: self.expected, window, ..Segment::default() }
    }

    /// Takes a segment of the container's.
    pub fn receive(&mut self, segment: &Segment<'_>, now: Instant, emit: Emit<'_>) {
        if segment.flags & RST != 0 {
            // RFC 9293, 3.10.7.4: one that is not where the next byte would be may be anybody's.
            let expected = self.stage == Stage::Asked || segment.sequence.wrapping_sub(self.expected) < BUFFER as u32;
            if expected || self.stage == (Stage::Greeting { heard: false }) {
                self.stage = Stage::Gone;
                self.is_reset = true;
            }
            return;
        }
        match self.stage {
            Stage::Asked | Stage::Gone => return,
            Stage::Greeting { heard: false } => {
                if segment.flags & (SYN | ACK) != SYN | ACK || segment.acknowledgement != self.next {
                    return;
                }
                self.greet(segment);
                self.open();
                self.acknowledged = self.next;
                self.acknowledge(emit);
                return;
            }
            Stage::Greeting { heard: true } if segment.flags & SYN != 0 => return self.send_greeting(now, emit),
            Stage::Greeting { heard: true } => {
                if segment.flags & ACK == 0 || segment.acknowledgement != self.next {
                    return;
                }
                self.open();
                self.acknowledged = self.next;
            }
            Stage::Open => {}
        }
        if segment.flags & ACK != 0 {
            self.take_acknowledgement(segment, now);
        }
        self.take_data(segment, emit);
        self.push(now, emit);
    }

    fn open(&mut self) {
        self.stage = Stage::Open;
        self.deadline = None;
        self.tries = 0;
    }

    fn take_acknowledgement(&mut self, segment: &Segment<'_>, now: Instant) {
        let in_flight = self.furthest.wrapping_sub(self.acknowledged);
        let advance = segment.acknowledgement.wrapping_sub(self.acknowledged);
        if advance > in_flight {
            // Old, or of what was never sent.
            return;
        }
        let window = usize::from(segment.window) << self.scale.unwrap_or(0);
        let is_repeated = advance == 0 && in_flight > 0 && segment.data.is_empty() && window == self.window;
        self.window = window;
        if is_repeated {
            self.repeated += 1;
            // RFC 5681: three of the same kind mean that something is missing.
            if self.repeated == 3 {
                self.go_back();
            }
            return;
        }
        if advance == 0 {
            return;
        }
        self.repeated = 0;
        self.tries = 0;
        let is_resent = advance > self.next.wrapping_sub(self.acknowledged);
        self.acknowledged = segment.acknowledgement;
        if is_resent {
            // It has what lies behind that which is sent again.
            self.next = self.acknowledged;
            self.fin_sent = self.outgoing_ends && advance as usize > self.outgoing.len();
        }
        // The last of them may be the FIN, which is no byte.
        self.outgoing.drain(..(advance as usize).min(self.outgoing.len()));
        self.deadline = None;
        if self.acknowledged != self.next {
            self.await_acknowledgement(now);
        }
    }

    /// All that is not acknowledged will be sent again.
    fn go_back(&mut self) {
        self.next = self.acknowledged;
        self.fin_sent = false;
    }

    fn take_data(&mut self, segment: &Segment<'_>, emit: Emit<'_>) {
        let ends = segment.flags & FIN != 0;
        if segment.data.is_empty() && !ends {
            // Who asks whether we are still there sends an old number.
            if segment.sequence != self.expected {
                self.acknowledge(emit);
            }
            return;
        }
        self.take_bytes(segment.sequence, segment.data, ends);
        while let Some(Early { sequence, data, ends }) = self.ahead.take(self.expected) {
            self.take_bytes(sequence, &data, ends);
        }
        self.acknowledge(emit);
    }

    /// Takes bytes from `sequence` on. What has been there before is skipped; what comes too early is kept as far as there is
    /// room for it and for what is missing.
    fn take_bytes(&mut self, sequence: u32, data: &[u8], ends: bool) {
        let ahead = distance(self.expected, sequence);
        let offset = ahead.unsigned_abs() as usize;
        if ahead > 0 {
            if offset + data.len() <= self.free() {
                self.ahead.keep(sequence, data, ends, self.free());
            }
            return;
        }
        let Some(new) = data.get(offset..).filter(|_| !self.incoming_ends) else { return };
        let taken = new.len().min(self.free());
        self.incoming.extend_from_slice(&new[..taken]);
        self.expected = self.expected.wrapping_add(taken as u32);
        if ends && taken == new.len() {
            self.expected = self.expected.wrapping_add(1);
            self.incoming_ends = true;
        }
    }

    /// Sends what the container has room for.
    fn push(&mut self, now: Instant, emit: Emit<'_>) {
        if !self.is_open() {
            return;
        }
        loop {
            let sent = self.next.wrapping_sub(self.acknowledged) as usize;
            let room = self.window.saturating_sub(sent).min(self.longest);
            let unsent = self.outgoing.len().saturating_sub(sent);
            let length = unsent.min(room);
            let ends = self.outgoing_ends && length == unsent && !self.fin_sent;
            if length == 0 && !ends {
                break;
            }
            let header = self.header();
            let flags = ACK | if ends { FIN } else { 0 } | if length == unsent { PSH } else { 0 };
            emit(Segment { flags, data: &self.outgoing[sent..sent + length], ..header });
            self.next = self.next.wrapping_add(length as u32 + u32::from(ends));
            self.fin_sent |= ends;
            if distance(self.furthest, self.next) > 0 {
                self.furthest = self.next;
            }
        }
        if self.deadline.is_none() && (self.next != self.acknowledged || !self.outgoing.is_empty()) {
            self.await_acknowledgement(now);
        }
    }

    /// Does what is due at the deadline: sends again, or asks a container without room whether it has some now.
    pub fn tick(&mut self, now: Instant, emit: Emit<'_>) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.tries += 1;
        if self.tries > TRIES {
            return self.reset(emit);
        }
        match self.stage {
            Stage::Greeting { .. } => self.send_greeting(now, emit),
            Stage::Open => {
                self.deadline = None;
                self.go_back();
                if self.window == 0 && !self.outgoing.is_empty() {
                    // One byte more than there is room for. A receiver that answers at all is waited for.
                    self.window = 1;
                    self.tries = 1;
                }
                self.push(now, emit);
            }
            Stage::Asked | Stage::Gone => self.deadline = None,
        }
    }
}

#[cfg(test)]
mod tests;
