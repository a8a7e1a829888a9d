//! Packets as bytes: Ethernet, ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792), UDP (RFC 768) and TCP (RFC 9293). What a
//! container sends is read with distrust; what is not understood is none.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const TCP: usize = 20;

const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];

/// Protocols over IPv4.
pub const PROTOCOL_ICMP: u8 = 1;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;

/// A hardware address.
pub type Mac = [u8; 6];

/// Flags of TCP.
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A packet that has arrived.
pub enum Packet<'a> {
    /// Somebody asks who has `target`.
    Arp {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    Ipv4(Datagram<'a>),
}

/// What IPv4 carries, in one piece.
pub struct Datagram<'a> {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: u8,
    pub payload: &'a [u8],
}

/// What TCP carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub window: u16,
    /// Options of the first packet: the longest segment, and how far the window is shifted.
    pub longest: Option<u16>,
    pub scale: Option<u8>,
    pub data: &'a [u8],
}

fn pair(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn quad(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

/// Reads a frame.
pub fn parse(frame: &[u8]) -> Option<Packet<'_>> {
    let (header, payload) = frame.split_at_checked(ETHERNET)?;
    match [header[12], header[13]] {
        // Hardware Ethernet, protocol IPv4, lengths 6 and 4, a request.
        TYPE_ARP if payload.starts_with(&[0, 1, 8, 0, 6, 4, 0, 1]) => {
            Some(Packet::Arp { sender: quad(payload, 14)?.into(), target: quad(payload, 24)?.into() })
        }
        TYPE_IPV4 => parse_ipv4(payload).map(Packet::Ipv4),
        _ => None,
    }
}

fn parse_ipv4(bytes: &[u8]) -> Option<Datagram<'_>> {
    let header = usize::from(bytes.first()? & 15) * 4;
    let total = usize::from(pair(bytes, 2)?);
    // Version 4, and no fragment: neither "more" nor an offset.
    if bytes[0] >> 4 != 4 || header < IPV4 || pair(bytes, 6)? & 0x3FFF != 0 {
        return None;
    }
    Some(Datagram {
        source: quad(bytes, 12)?.into(),
        destination: quad(bytes, 16)?.into(),
        protocol: bytes[9],
        payload: bytes.get(header..total)?,
    })
}

/// Ports and data of UDP.
pub fn parse_udp(payload: &[u8]) -> Option<(u16, u16, &[u8])> {
    let length = usize::from(pair(payload, 4)?);
    Some((pair(payload, 0)?, pair(payload, 2)?, payload.get(UDP..length)?))
}

/// Ports and segment of TCP.
pub fn parse_tcp(payload: &[u8]) -> Option<(u16, u16, Segment<'_>)> {
    let header = usize::from(payload.get(12)? >> 4) * 4;
    let options = payload.get(TCP..header)?;
    let mut segment = Segment {
        sequence: u32::from_be_bytes(quad(payload, 4)?),
        acknowledgement: u32::from_be_bytes(quad(payload, 8)?),
        flags: payload[13],
        window: pair(payload, 14)?,
        data: payload.get(header..)?,
        ..Segment::default()
    };
    parse_options(options, &mut segment);
    Some((pair(payload, 0)?, pair(payload, 2)?, segment))
}

fn parse_options(mut options: &[u8], segment: &mut Segment<'_>) {
    loop {
        let length = match options {
            [] | [0, ..] => return,
            [1, ..] => 1,
            [kind, length, value @ ..] => {
                match (kind, length, value) {
                    (2, 4, [high, low, ..]) => segment.longest = Some(u16::from_be_bytes([*high, *low])),
                    // RFC 7323: more than 14 counts as 14.
                    (3, 3, [scale, ..]) => segment.scale = Some((*scale).min(14)),
                    _ => {}
                }
                usize::from(*length).max(2)
            }
            _ => return,
        };
        options = options.get(length..).unwrap_or_default();
    }
}

/// Both ends of the wire.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub ours: Mac,
    pub theirs: Mac,
}

impl Ends {
    fn frame(self, kind: [u8; 2]) -> Vec<u8> {
        [&self.theirs[..], &self.ours, &kind].concat()
    }

    /// Says that `address` is here.
    pub fn arp_reply(self, address: Ipv4Addr, asker: Ipv4Addr) -> Vec<u8> {
        let mut frame = self.frame(TYPE_ARP);
        frame.extend([0, 1, 8, 0, 6, 4, 0, 2]);
        frame.extend(self.ours);
        frame.extend(address.octets());
        frame.extend(self.theirs);
        frame.extend(asker.octets());
        frame
    }

    /// An IPv4 packet that carries `payload`.
    pub fn ipv4(self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[&[u8]]) -> Vec<u8> {
        let length = IPV4 + payload.iter().map(|part| part.len()).sum::<usize>();
        let mut frame = self.frame(TYPE_IPV4);
        frame.extend([0x45, 0]);
        frame.extend((length as u16).to_be_bytes());
        // No identification, not to be cut, 64 hops.
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        let sum = checksum(&[&frame[ETHERNET..]]);
        frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum);
        payload.iter().for_each(|part| frame.extend_from_slice(part));
        frame
    }

    /// A UDP packet.
    pub fn udp(self, source: SocketAddrV4, destination: SocketAddrV4, data: &[u8]) -> Vec<u8> {
        let mut header = [0; UDP];
        header[..2].copy_from_slice(&source.port().to_be_bytes());
        header[2..4].copy_from_slice(&destination.port().to_be_bytes());
        header[4..6].copy_from_slice(&((UDP + data.len()) as u16).to_be_bytes());
        let sum = transport_checksum(source, destination, PROTOCOL_UDP, &header, data);
        // Zero would say that there is none.
        header[6..].copy_from_slice(&if sum == [0, 0] { [0xFF, 0xFF] } else { sum });
        self.ipv4(*source.ip(), *destination.ip(), PROTOCOL_UDP, &[&header, data])
    }

    /// A TCP packet.
    pub fn tcp(self, source: SocketAddrV4, destination: SocketAddrV4, segment: &Segment<'_>) -> Vec<u8> {
        let mut header = Vec::with_capacity(TCP + 8);
        header.extend(source.port().to_be_bytes());
        header.extend(destination.port().to_be_bytes());
        header.extend(segment.sequence.to_be_bytes());
        header.extend(segment.acknowledgement.to_be_bytes());
        header.extend([0, segment.flags]);
        header.extend(segment.window.to_be_bytes());
        header.extend([0; 4]);
        if let Some(longest) = segment.longest {
            header.extend([2, 4]);
            header.extend(longest.to_be_bytes());
        }
        if let Some(scale) = segment.scale {
            header.extend([1, 3, 3, scale]);
        }
        header[12] = (header.len() as u8 / 4) << 4;
        let sum = transport_checksum(source, destination, PROTOCOL_TCP, &header, segment.data);
        header[16..18].copy_from_slice(&sum);
        self.ipv4(*source.ip(), *destination.ip(), PROTOCOL_TCP, &[&header, segment.data])
    }

    /// The answer to an echo request (ICMP type 8), which it is like but for type and checksum.
    pub fn echo_reply(self, request: &Datagram<'_>) -> Option<Vec<u8>> {
        let mut reply = request.payload.to_vec();
        if reply.len() < 8 || reply[0] != 8 {
            return None;
        }
        reply[..4].fill(0);
        let sum = checksum(&[&reply]);
        reply[2..4].copy_from_slice(&sum);
        Some(self.ipv4(request.destination, request.source, PROTOCOL_ICMP, &[&reply]))
    }
}

fn transport_checksum(
    source: SocketAddrV4,
    destination: SocketAddrV4,
    protocol: u8,
    header: &[u8],
    data: &[u8],
) -> [u8; 2] {
    let [high, low] = ((header.len() + data.len()) as u16).to_be_bytes();
    checksum(&[&source.ip().octets(), &destination.ip().octets(), &[0, protocol, high, low], header, data])
}

/// RFC 1071. All parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u64;
    for part in parts {
        let mut words = part.chunks_exact(4);
        sum +=
            words.by_ref().map(|word| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))).sum::<u64>();
        let rest = words.remainder();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_be_bytes(last));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Ends = Ends { ours: [2, 0, 0, 0, 0, 1], theirs: [2, 0, 0, 0, 0, 2] };

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // Its section 3 has this example: the sum is DDF2.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]]), (!0xDDF2_u16).to_be_bytes());
        assert_eq!(checksum(&[&[0x12, 0x34], &[0x56]]), (!(0x1234_u16 + 0x5600)).to_be_bytes());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (source, destination) = ("10.0.2.2:80".parse().expect("an address"), "10.0.2.15:99".parse().expect("one"));
        let sent = Segment {
            sequence: 7,
            acknowledgement: 9,
            flags: SYN | ACK,
            window: 11,
            longest: Some(1_460),
            scale: Some(7),
            data: b"data",
        };
        let frame = ENDS.tcp(source, destination, &sent);
        let Some(Packet::Ipv4(datagram)) = parse(&frame) else { panic!("no datagram") };
        assert_eq!((datagram.source, datagram.destination), (*source.ip(), *destination.ip()));
        assert_eq!(parse_tcp(datagram.payload), Some((80, 99, sent)));
        // A correct header sums up to nothing.
        assert_eq!(checksum(&[&frame[ETHERNET..ETHERNET + IPV4]]), [0, 0]);
    }

    #[test]
    fn no_packet_is_too_wrong() {
        let whole = ENDS.udp("1.2.3.4:5".parse().expect("one"), "6.7.8.9:10".parse().expect("one"), b"hello");
        for length in 0..whole.len() {
            for (at, value) in [(0, 0), (14, 0x4F), (14, 0x40), (16, 0xFF), (38, 0xFF), (length.min(45), 0xFF)] {
                let mut frame = whole[..length].to_vec();
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
                if let Some(Packet::Ipv4(datagram)) = parse(&frame) {
                    let _ = (parse_udp(datagram.payload), parse_tcp(datagram.payload), ENDS.echo_reply(&datagram));
                }
            }
        }
    }
}
