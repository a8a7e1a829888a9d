//! Netlink: messages of nested attributes, and their acknowledgements (netlink(7)).

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// The kernel's answer to a message; error 0 is an acknowledgement.
const NLMSG_ERROR: u16 = 2;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;

/// For messages that make something: it must not be there yet.
pub const NEW: u16 = 0x400 | 0x200;

/// For messages that make something, which may be there already.
pub const CREATE: u16 = 0x400;

/// Behind the others of its kind.
pub const APPEND: u16 = 0x800;

/// Marks an attribute made of attributes.
const NESTED: u16 = 0x8000;

/// A message being written.
pub struct Message {
    bytes: Vec<u8>,
    acknowledged: bool,
}

impl Message {
    /// A message of that type, with the fixed part that the type has, to be acknowledged.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        Self::with(kind, flags | NLM_F_ACK, fixed)
    }

    /// One that gets no answer of its own.
    pub fn unanswered(kind: u16, fixed: &[u8]) -> Self {
        Self::with(kind, 0, fixed)
    }

    fn with(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self { bytes, acknowledged: flags & NLM_F_ACK != 0 }
    }

    /// Adds an attribute.
    pub fn put(mut self, kind: u16, value: &[u8]) -> Self {
        let length = 4 + value.len();
        self.bytes.extend((length as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text with the zero byte that ends it.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.put(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute made of attributes.
    pub fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let at = self.bytes.len();
        self.bytes.extend([0; 4]);
        let mut filled = fill(self);
        let length = (filled.bytes.len() - at) as u16;
        filled.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        filled.bytes[at + 2..at + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        filled
    }

    /// Adds bytes that are no attribute.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// A socket to the kernel, of the network namespace it was opened in.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// A socket to what knows devices, addresses and routes.
    pub fn route() -> Result<Self> {
        Self::open(None)
    }

    /// A socket to what filters packets.
    pub fn netfilter() -> Result<Self> {
        Self::open(Some(rustix::net::netlink::NETFILTER))
    }

    /// Number 0 is NETLINK_ROUTE.
    fn open(protocol: Option<Protocol>) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Number of the device of that name (netdevice(7)).
    pub fn index_of(&self, name: &str) -> Result<u32> {
        rustix::net::netdevice::name_to_index(&self.socket, name)
    }

    /// Sends one message and takes its acknowledgement.
    pub fn request(&mut self, message: Message) -> Result<()> {
        self.transact(vec![message])
    }

    /// Sends messages as one packet, and takes their acknowledgements. The first error is the result.
    pub fn transact(&mut self, messages: Vec<Message>) -> Result<()> {
        let mut packet = Vec::new();
        let mut awaited = 0;
        for Message { mut bytes, acknowledged } in messages {
            self.sequence = self.sequence.wrapping_add(1);
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
            awaited += usize::from(acknowledged);
            packet.extend(bytes);
        }
        rustix::net::send(&self.socket, &packet, SendFlags::empty())?;
        let mut failure = None;
        while awaited > 0 && failure.is_none() {
            (awaited, failure) = self.take_answers(awaited)?;
        }
        self.discard_answers();
        failure.map_or(Ok(()), Err)
    }

    fn take_answers(&self, mut awaited: usize) -> Result<(usize, Option<Errno>)> {
        let mut bytes = [0; 8192];
        let (length, _) = rustix::net::recv(&self.socket, &mut bytes[..], RecvFlags::empty())?;
        let mut rest = &bytes[..length];
        while rest.len() >= HEADER + 4 {
            let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            if u16::from_ne_bytes([rest[4], rest[5]]) == NLMSG_ERROR {
                match i32::from_ne_bytes([rest[16], rest[17], rest[18], rest[19]]) {
                    0 => awaited = awaited.saturating_sub(1),
                    error => return Ok((awaited, Some(Errno::from_raw_os_error(-error)))),
                }
            }
            rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        }
        Ok((awaited, None))
    }

    /// Answers behind a failure belong to nobody; the kernel has given them all before `send` returned.
    fn discard_answers(&self) {
        while rustix::net::recv(&self.socket, &mut [0; 8192][..], RecvFlags::DONTWAIT).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested() {
        let message = Message::new(16, 0, &[7; 4]).nest(18, |inner| inner.text(1, "ab"));
        // nla_len 3 + 4 of "ab\0", padded to 8; around it another 4.
        let expected =
            [&12_u16.to_ne_bytes()[..], &(18 | NESTED).to_ne_bytes(), &7_u16.to_ne_bytes(), &[1, 0], b"ab\0\0"];
        assert_eq!(message.bytes[HEADER + 4..], expected.concat());
    }

    #[test]
    fn the_kernels_error_is_the_result() {
        // RTM_DELLINK of a device that cannot be there: everybody may ask, and is told.
        let mut socket = Netlink::route().expect("a socket");
        let message = Message::new(17, 0, &[0; 16]).text(3, "no-such-device0");
        let refused = socket.request(message).expect_err("there is none");
        assert!(matches!(refused, Errno::NODEV | Errno::PERM), "{refused}");
    }
}
