//! A container's network: a place at a bridge, or a network this process makes up. `switch` is the first, `user` the
//! second; what the container sees of either is an `Interface`.

pub mod files;
mod firewall;
mod links;
mod netlink;
mod ports;
mod subnet;
mod switch;

use std::fmt::Display;
use std::net::Ipv4Addr;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{During, Error, Result};
use files::Names;
use netlink::Netlink;
use ports::Port;
use switch::{CONTAINER_DEVICE, Seat, Switch};

/// What a caller asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    pub kind: Kind,
    /// Whether other containers at the bridge cannot be reached.
    pub isolated: bool,
    /// Ports of the host that lead to it.
    pub ports: Vec<Port>,
    /// Whom to ask for names; whom the host asks, where there are none.
    pub dns: Vec<Ipv4Addr>,
}

/// Kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing but a loopback device.
    None,
    /// The host's.
    Host,
    /// A bridge of this runtime's, behind the host's address.
    Bridge,
}

/// What a container has got, as its caller is told.
#[derive(Debug, Clone, Serialize)]
pub struct Given {
    pub address: Ipv4Addr,
    pub ports: Vec<Port>,
}

/// The container's device, as the container sets it up.
#[derive(Debug, Clone, Copy)]
pub struct Interface {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
}

/// All networks of this process.
#[derive(Default)]
pub struct Networks {
    switch: Option<Switch>,
}

/// One container's part.
#[derive(Debug)]
pub enum Attachment {
    /// It has none beyond what its namespace brings.
    None,
    Bridge(Seat),
}

impl Networks {
    /// Prepares the network of a container that is going to be made.
    pub fn prepare(&mut self, wanted: &Wanted) -> Result<Attachment> {
        match wanted.kind {
            Kind::None | Kind::Host if !wanted.ports.is_empty() => {
                Err(Error::unsupported("ports of a container without a network of its own", "choose a bridge"))
            }
            Kind::None | Kind::Host => Ok(Attachment::None),
            Kind::Bridge => {
                let switch = match self.switch.take() {
                    Some(switch) => self.switch.insert(switch),
                    None => self.switch.insert(Switch::make()?),
                };
                let seat = switch.reserve(wanted.isolated, &wanted.ports);
                if seat.is_err() {
                    self.close_unused();
                }
                Ok(Attachment::Bridge(seat?))
            }
        }
    }

    /// Connects a container, whose first process is `pid`, waiting to set up its device.
    pub fn connect(&mut self, attachment: &Attachment, pid: Pid) -> Result<()> {
        match (attachment, &mut self.switch) {
            (Attachment::Bridge(seat), Some(switch)) => switch.connect(seat, pid),
            _ => Ok(()),
        }
    }

    /// The container is gone, or was never made.
    pub fn release(&mut self, attachment: Attachment) {
        if let (Attachment::Bridge(seat), Some(switch)) = (attachment, &mut self.switch) {
            switch.release(&seat);
        }
        self.close_unused();
    }

    fn close_unused(&mut self) {
        if let Some(switch) = self.switch.take_if(|switch| switch.is_empty()) {
            switch.close();
        }
    }
}

impl Attachment {
    /// What the container sets up.
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Self::None => None,
            Self::Bridge(seat) => Some(seat.interface),
        }
    }

    /// What the caller is told.
    pub fn given(&self) -> Option<Given> {
        match self {
            Self::None => None,
            Self::Bridge(seat) => Some(Given { address: seat.interface.address, ports: seat.ports.clone() }),
        }
    }
}

impl Wanted {
    /// The files by which a container of that name, with that device, finds itself and others.
    pub fn names(&self, host: Option<&str>, interface: Option<Interface>) -> Names {
        Names::new(self.kind, host.unwrap_or("localhost"), interface, &self.dns)
    }
}

/// Sets up the device that has appeared in this namespace. For the container's first process.
pub fn set_up(interface: &Interface) -> Result<()> {
    let mut socket = Netlink::route().during("setting up the network")?;
    let index = socket.index_of(CONTAINER_DEVICE).during(format!("finding {CONTAINER_DEVICE}"))?;
    links::add_address(&mut socket, index, interface.address, interface.prefix)
        .and_then(|()| links::switch_on(&mut socket, index))
        .and_then(|()| links::add_default_route(&mut socket, interface.gateway))
        .during("setting up the network")
}

/// The host does not let this process have what a network needs.
fn refused(network: &str, needed: &str, reason: impl Display) -> Error {
    let mend = match (network, rustix::process::geteuid().is_root()) {
        ("bridge", false) => "only the host's root has bridges: take the network \"user\"".to_owned(),
        ("bridge", true) => {
            format!("allow {needed} to this process (CAP_NET_ADMIN, the kernel's module), or take the network \"user\"")
        }
        _ => format!("allow {needed} to this user, or take the network \"none\""),
    };
    Error::NetworkRefused { network: network.to_owned(), reason: format!("{needed}: {reason}"), mend }
}
