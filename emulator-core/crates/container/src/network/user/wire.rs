//! The cable between a container and this process. Its far end is in a network namespace that nobody else sees and that
//! lives by the packet socket at it (packet(7)): no device node of the host's is needed, and no right but the container's own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};

use super::packet::{ACK, Ends, FIN, Mac, RST, SYN, Segment};
use super::{Key, container};
use crate::error::{During, Result};
use crate::network::links::{self, End, Place};
use crate::network::netlink::Netlink;
use crate::network::switch::{CONTAINER_DEVICE, in_new_namespace};
use crate::network::{hardware_address, refused};
use crate::sys;
use crate::terminal;

/// Long packets, because each costs a call: the longest that leaves room for headers.
const MTU: u32 = 65_520;

/// The cable's other end, in a namespace where nobody else makes devices.
const FAR_END: u32 = 100;

const NAME: &str = "user";

/// Bytes of frames that may wait for this process.
const WAITING: usize = 4 << 20;

/// Our end of the cable.
pub struct Wire {
    socket: OwnedFd,
    /// How many bytes of long frames may wait for us.
    pub room: usize,
    pub ends: Ends,
}

impl Wire {
    /// Takes the packet socket.
    pub fn new(socket: OwnedFd, theirs: Mac, ours: Mac) -> Self {
        // By itself it has room for three frames, and what is lost is waited for. Root may have more than everybody.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, WAITING)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, WAITING));
        // The kernel counts what it takes to keep them as well (socket(7), SO_RCVBUF).
        let room = sockopt::socket_recv_buffer_size(&socket).unwrap_or(WAITING) / 4 * 3;
        Self { socket, room, ends: Ends { ours, theirs } }
    }

    /// The next frame.
    pub fn read(&self, frame: &mut [u8]) -> Option<usize> {
        let received = rustix::net::recv(&self.socket, frame, rustix::net::RecvFlags::DONTWAIT);
        received.ok().map(|(length, _)| length)
    }

    /// Sends a frame. One that is lost is like one lost on any other wire.
    pub fn write(&self, frame: &[u8]) {
        let _ = rustix::net::send(&self.socket, frame, SendFlags::DONTWAIT);
    }

    /// Sends a segment of the connection `key`.
    pub fn send_segment(&self, key: Key, segment: &Segment<'_>) {
        self.write(&self.ends.tcp(key.remote, container(key.port), segment));
    }

    /// Says that there is no such connection (RFC 9293, 3.10.7.1).
    pub fn refuse(&self, key: Key, segment: &Segment<'_>) {
        if segment.flags & RST != 0 {
            return;
        }
        let counted = segment.data.len() as u32 + u32::from(segment.flags & (SYN | FIN) != 0);
        let answer = match segment.flags & ACK != 0 {
            true => Segment { sequence: segment.acknowledgement, flags: RST, ..Segment::default() },
            false => {
                let acknowledgement = segment.sequence.wrapping_add(counted);
                Segment { acknowledgement, flags: RST | ACK, ..Segment::default() }
            }
        };
        self.send_segment(key, &answer);
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The way by which [`lay`] hands the packet socket over: the container's end, and the end for [`receive`].
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    pair.during("making a socket pair")
}

/// Lays the cable from this network namespace to one that nobody sees, and sends our end of it over `to`. For the
/// container's first process.
pub fn lay(to: &OwnedFd) -> Result<()> {
    let failed = |errno| refused(NAME, "veth and packet sockets", errno);
    let ((mut far, socket), near) =
        in_new_namespace(NAME, || Ok((Netlink::route().map_err(failed)?, sys::packet_socket().map_err(failed)?)))?;
    let address = Some(hardware_address(super::CONTAINER));
    let ends = [
        End { name: "wire", index: FAR_END, address: None, place: Place::Here },
        End { name: CONTAINER_DEVICE, index: 0, address, place: Place::Namespace(near.as_fd()) },
    ];
    links::make_pair(&mut far, MTU, ends)
        .and_then(|()| links::switch_on(&mut far, FAR_END))
        .and_then(|()| sys::bind_packet_socket(&socket, FAR_END))
        .map_err(failed)?;
    terminal::send(to.as_fd(), &socket)
}

/// Receives what [`lay`] sent.
pub fn receive(from: &OwnedFd) -> Result<OwnedFd> {
    terminal::receive(from.as_fd())
}

/// Whom the host asks for names, unless `dns` says whom to ask.
pub fn name_server(dns: &[Ipv4Addr]) -> SocketAddr {
    const PORT: u16 = 53;
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    let server = dns.first().map(|address| IpAddr::V4(*address)).or(found);
    SocketAddr::new(server.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), PORT)
}
