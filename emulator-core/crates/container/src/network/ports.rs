//! Ports of the host that lead into a container.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Protocols that have ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A port of the host and one of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Address of the host; 0.0.0.0 is any.
    pub address: Ipv4Addr,
    /// Port of the host; 0 is whichever is free.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    pub protocol: Protocol,
}

/// Takes the port on the host, so that nobody else has it, nor can anybody whose port it is be robbed of it; and says
/// which it is.
pub fn reserve(port: &Port) -> Result<(OwnedFd, Port)> {
    let unavailable = |errno: rustix::io::Errno| Error::PortUnavailable {
        port: format!("{}:{}", port.address, port.host),
        reason: errno.to_string(),
    };
    let kind = match port.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, flags, None).map_err(unavailable)?;
    if port.protocol == Protocol::Tcp {
        // Connections that ended a minute ago do not count.
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true).map_err(unavailable)?;
    }
    rustix::net::bind(&socket, &SocketAddrV4::new(port.address, port.host)).map_err(unavailable)?;
    if port.protocol == Protocol::Tcp {
        // Among those who may reuse an address, only listening makes it one's own.
        rustix::net::listen(&socket, 128).map_err(unavailable)?;
    }
    let bound = rustix::net::getsockname(&socket).map_err(unavailable)?;
    let host = SocketAddrV4::try_from(bound).map_or(port.host, |address| address.port());
    Ok((socket, Port { host, ..*port }))
}
