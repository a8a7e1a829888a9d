//! A network that this process makes up, for who may have no other: frames of the container's come out of a packet
//! socket, and go on as connections and datagrams of this process's own. It needs no rights and no device of the host.

mod connection;
mod packet;
mod stream;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::Interface;
use super::ports::{self, Port, Protocol};
use crate::error::{During, Result};
use connection::Connection;
use packet::{Datagram, Packet};
use stream::Stream;
pub use wire::{lay, receive, socket_pair};

/// The net as every container sees it.
const CONTAINER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const PREFIX: u8 = 24;

/// The container's device, as the container sets it up.
pub const INTERFACE: Interface = Interface { address: CONTAINER, prefix: PREFIX, gateway: GATEWAY };

/// Most connections, and most exchanges of datagrams, of one container.
const MOST: usize = 256;

/// How long an exchange of datagrams is remembered behind its last.
const DATAGRAM_LIFE: Duration = Duration::from_secs(60);

/// Frames that are taken at a time, so that others get their turn.
const TURN: usize = 64;

/// Longest frame.
const FRAME: usize = packet::ETHERNET + 65_535;

/// Who talks to whom: the container's port, and the far end as the container sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    port: u16,
    remote: SocketAddrV4,
}

/// Something poll(2) watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Wire,
    Port(usize),
    Stream(Key),
    Datagrams(Key),
}

/// An exchange of datagrams.
struct Datagrams {
    /// A socket of its own; who came by a port of the host is answered by that port's.
    socket: Option<OwnedFd>,
    by: usize,
    last: Instant,
}

/// One container's network.
pub struct User {
    wire: Option<wire::Wire>,
    name_server: SocketAddr,
    ports: Vec<(OwnedFd, Port)>,
    streams: BTreeMap<Key, Stream>,
    datagrams: BTreeMap<Key, Datagrams>,
    /// Where the numbers of the next connection begin.
    start: u32,
}

impl User {
    /// The network of a container that is going to be made.
    pub fn new(wanted: &[Port], dns: &[Ipv4Addr]) -> Result<Self> {
        let ports = wanted.iter().map(ports::reserve).collect::<Result<_>>()?;
        let mut start = [0; 4];
        rustix::rand::getrandom(&mut start, rustix::rand::GetRandomFlags::empty()).during("getting a random number")?;
        Ok(Self {
            wire: None,
            name_server: wire::name_server(dns),
            ports,
            streams: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            start: u32::from_ne_bytes(start),
        })
    }

    /// Takes the wire, which the container has laid.
    pub fn plug(&mut self, socket: OwnedFd) {
        self.wire = Some(wire::Wire::new(socket, super::hardware_address(CONTAINER), super::hardware_address(GATEWAY)));
    }

    /// Ports of the host that lead here.
    pub fn ports(&self) -> Vec<Port> {
        self.ports.iter().map(|(_, port)| *port).collect()
    }

    /// What to wait for.
    pub fn sources(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let Some(wire) = &self.wire else { return Vec::new() };
        let mut sources = vec![(Token::Wire, wire.as_fd(), PollFlags::IN)];
        let ports = self.ports.iter().enumerate();
        sources.extend(ports.map(|(index, (socket, _))| (Token::Port(index), socket.as_fd(), PollFlags::IN)));
        for (key, stream) in &self.streams {
            sources.extend(stream.interest().map(|flags| (Token::Stream(*key), stream.as_fd(), flags)));
        }
        for (key, exchange) in &self.datagrams {
            sources.extend(exchange.socket.as_ref().map(|fd| (Token::Datagrams(*key), fd.as_fd(), PollFlags::IN)));
        }
        sources
    }

    /// When [`User::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let streams = self.streams.values().filter_map(|stream| stream.connection.deadline());
        streams.chain(self.datagrams.values().map(|exchange| exchange.last + DATAGRAM_LIFE)).min()
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        let now = Instant::now();
        let Some(wire) = &self.wire else { return };
        for (key, stream) in &mut self.streams {
            stream.connection.tick(now, &mut |segment| wire.send_segment(*key, &segment));
        }
        self.datagrams.retain(|_, exchange| exchange.last + DATAGRAM_LIFE > now);
        self.forget_ended();
    }

    /// Does what `token` is ready for.
    pub fn handle(&mut self, token: Token) {
        match token {
            Token::Wire => self.take_frames(),
            Token::Port(index) => self.take_caller(index),
            Token::Stream(key) => self.move_stream(key),
            Token::Datagrams(key) => self.take_answers(key),
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        self.streams.retain(|_, stream| !stream.is_over());
    }

    fn take_frames(&mut self) {
        let mut frame = vec![0; FRAME];
        for _ in 0..TURN {
            let Some(length) = self.wire.as_ref().and_then(|wire| wire.read(&mut frame)) else { return };
            match packet::parse(&frame[..length]) {
                Some(Packet::Arp { sender, target }) if [GATEWAY, NAME_SERVER].contains(&target) => {
                    self.send(|wire| Some(wire.ends.arp_reply(target, sender)));
                }
                Some(Packet::Ipv4(datagram)) if datagram.source == CONTAINER => self.take_datagram(&datagram),
                _ => {}
            }
        }
    }

    fn send(&self, frame: impl FnOnce(&wire::Wire) -> Option<Vec<u8>>) {
        if let Some(wire) = &self.wire
            && let Some(frame) = frame(wire)
        {
            wire.write(&frame);
        }
    }

    fn take_datagram(&mut self, datagram: &Datagram<'_>) {
        match datagram.protocol {
            packet::PROTOCOL_ICMP if [GATEWAY, NAME_SERVER].contains(&datagram.destination) => {
                self.send(|wire| wire.ends.echo_reply(datagram));
            }
            packet::PROTOCOL_UDP => {
                let Some((port, remote, data)) = packet::parse_udp(datagram.payload) else { return };
                self.take_udp(Key { port, remote: SocketAddrV4::new(datagram.destination, remote) }, data);
            }
            packet::PROTOCOL_TCP => {
                let Some((port, remote, segment)) = packet::parse_tcp(datagram.payload) else { return };
                self.take_segment(Key { port, remote: SocketAddrV4::new(datagram.destination, remote) }, &segment);
            }
            _ => {}
        }
    }

    /// Where what goes to `remote` really goes. Nothing leads to this host's own loopback device, but names are asked of
    /// whom the host asks.
    fn translate(&self, remote: SocketAddrV4) -> Option<SocketAddr> {
        let address = remote.ip();
        if *address == NAME_SERVER && remote.port() == self.name_server.port() {
            return Some(self.name_server);
        }
        let inner = address.octets()[..3] == GATEWAY.octets()[..3];
        let none = inner || address.is_loopback() || address.is_multicast() || address.is_broadcast();
        (!none && address.octets()[0] != 0).then_some(remote.into())
    }

    fn take_segment(&mut self, key: Key, segment: &packet::Segment<'_>) {
        let now = Instant::now();
        let Some(wire) = &self.wire else { return };
        let share = self.share();
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.connection.share = share;
            stream.connection.receive(segment, now, &mut |segment| wire.send_segment(key, &segment));
            stream.flush(&mut |segment| wire.send_segment(key, &segment));
            return;
        }
        if segment.flags & (packet::SYN | packet::ACK | packet::RST) != packet::SYN {
            return wire.refuse(key, segment);
        }
        let target = self.translate(key.remote).filter(|_| self.streams.len() < MOST);
        match target.and_then(|target| connecting(target, SocketType::STREAM).ok()) {
            Some(socket) => {
                self.start = next_start(self.start);
                let connection = Connection::asked(segment, self.start);
                self.streams.insert(key, Stream::new(socket, connection, true));
            }
            None => wire.refuse(key, segment),
        }
    }

    /// What each connection may have on its way, so that together they have no more than may wait for us: what does not is lost,
    /// and its sender waits for that.
    fn share(&self) -> usize {
        let room = self.wire.as_ref().map_or(0, |wire| wire.room);
        (room / self.streams.len().max(1)).max(connection::LEAST_WINDOW)
    }

    fn move_stream(&mut self, key: Key) {
        let share = self.share();
        let (Some(stream), Some(wire)) = (self.streams.get_mut(&key), &self.wire) else { return };
        stream.connection.share = share;
        stream.progress(Instant::now(), &mut |segment| wire.send_segment(key, &segment));
    }

    /// Somebody comes to a port of the host.
    fn take_caller(&mut self, index: usize) {
        let Some((socket, port)) = self.ports.get(index) else { return };
        if port.protocol == Protocol::Udp {
            return self.take_stranger(index);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok((caller, Some(address))) = rustix::net::acceptfrom_with(socket, flags) else { return };
        let Some(key) = caller_key(port.container, address) else { return };
        let Some(wire) = self.wire.as_ref().filter(|_| self.streams.len() < MOST) else { return };
        if self.streams.contains_key(&key) {
            return;
        }
        self.start = next_start(self.start);
        let emit = &mut |segment: packet::Segment<'_>| wire.send_segment(key, &segment);
        let connection = Connection::ask(self.start, Instant::now(), emit);
        self.streams.insert(key, Stream::new(caller, connection, false));
    }

    fn take_stranger(&mut self, index: usize) {
        let mut data = vec![0; FRAME];
        let (socket, port) = &self.ports[index];
        let Ok((length, _, Some(address))) = rustix::net::recvfrom(socket, &mut data[..], RecvFlags::DONTWAIT) else {
            return;
        };
        let Some(key) = caller_key(port.container, address) else { return };
        if !self.datagrams.contains_key(&key) {
            self.make_room();
        }
        self.datagrams.insert(key, Datagrams { socket: None, by: index, last: Instant::now() });
        self.send(|wire| Some(wire.ends.udp(key.remote, container(key.port), &data[..length])));
    }

    fn take_udp(&mut self, key: Key, data: &[u8]) {
        if !self.datagrams.contains_key(&key) {
            let target = self.translate(key.remote);
            let Some(socket) = target.and_then(|target| connecting(target, SocketType::DGRAM).ok()) else { return };
            self.make_room();
            self.datagrams.insert(key, Datagrams { socket: Some(socket), by: 0, last: Instant::now() });
        }
        let Some(exchange) = self.datagrams.get_mut(&key) else { return };
        exchange.last = Instant::now();
        // A datagram may be lost anywhere, also here.
        let _ = match (&exchange.socket, self.ports.get(exchange.by)) {
            (Some(socket), _) => rustix::net::send(socket, data, SendFlags::DONTWAIT),
            (None, Some((socket, _))) => rustix::net::sendto(socket, data, SendFlags::DONTWAIT, &stranger(key.remote)),
            (None, None) => Ok(0),
        };
    }

    fn take_answers(&mut self, key: Key) {
        let mut data = vec![0; FRAME];
        for _ in 0..TURN {
            let Some(exchange) = self.datagrams.get_mut(&key) else { return };
            let Some(socket) = &exchange.socket else { return };
            match rustix::net::recv(socket, &mut data[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    exchange.last = Instant::now();
                    self.send(|wire| Some(wire.ends.udp(key.remote, container(key.port), &data[..length])));
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                // Nobody is there; the next datagram finds that out anew.
                Err(_) => drop(self.datagrams.remove(&key)),
            }
        }
    }

    /// The exchange that has been silent for longest makes room for a new one.
    fn make_room(&mut self) {
        if self.datagrams.len() >= MOST
            && let Some((oldest, _)) = self.datagrams.iter().min_by_key(|(_, exchange)| exchange.last)
        {
            let oldest = *oldest;
            self.datagrams.remove(&oldest);
        }
    }
}

fn container(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(CONTAINER, port)
}

/// Numbers of connections begin far from each other.
fn next_start(start: u32) -> u32 {
    start.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

/// Who calls is seen as who he is; only the host's loopback device means another one in the container, where the gateway
/// stands for it.
fn caller_key(port: u16, address: rustix::net::SocketAddrAny) -> Option<Key> {
    let address = SocketAddrV4::try_from(address).ok()?;
    let ip = if address.ip().is_loopback() { GATEWAY } else { *address.ip() };
    Some(Key { port, remote: SocketAddrV4::new(ip, address.port()) })
}

/// The way back from [`caller_key`].
fn stranger(remote: SocketAddrV4) -> SocketAddrV4 {
    let ip = if *remote.ip() == GATEWAY { Ipv4Addr::LOCALHOST } else { *remote.ip() };
    SocketAddrV4::new(ip, remote.port())
}

/// A socket on its way to `target`.
fn connecting(target: SocketAddr, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}
