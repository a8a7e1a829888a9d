//! A container's network: a place at a bridge, or a network this process makes up. `switch` is the first, `user` the
//! second; what the container sees of either is an `Interface`.

pub mod files;
mod firewall;
mod links;
mod netlink;
mod ports;
mod subnet;
mod switch;
pub mod user;

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{During, Error, Result};
use files::Names;
use netlink::Netlink;
use ports::Port;
use switch::{CONTAINER_DEVICE, Seat, Switch};
use user::{Token, User};

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
    /// One that this process makes up.
    User,
}

/// How a container's first process gets its device.
pub enum Cable {
    /// It appears.
    Laid,
    /// It lays it, and sends the other end over this socket.
    ToLay(OwnedFd),
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
pub enum Attachment {
    /// It has none beyond what its namespace brings.
    None,
    Bridge(Seat),
    User(Box<User>),
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
            Kind::User => Ok(Attachment::User(Box::new(User::new(&wanted.ports, &wanted.dns)?))),
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
    /// How the container gets its device, and where the other end comes from.
    pub fn cable(&self) -> Result<(Cable, Option<OwnedFd>)> {
        match self {
            Self::None | Self::Bridge(_) => Ok((Cable::Laid, None)),
            Self::User(_) => {
                let (theirs, ours) = user::socket_pair()?;
                Ok((Cable::ToLay(theirs), Some(ours)))
            }
        }
    }

    /// Takes the other end.
    pub fn plug(&mut self, from: &OwnedFd) -> Result<()> {
        if let Self::User(user) = self {
            user.plug(user::receive(from)?);
        }
        Ok(())
    }

    /// What the container sets up.
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Self::None => None,
            Self::Bridge(seat) => Some(seat.interface),
            Self::User(_) => Some(user::INTERFACE),
        }
    }

    /// What to wait for.
    pub fn sources(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        if let Self::User(user) = self { user.sources() } else { Vec::new() }
    }

    /// Does what `token` is ready for.
    pub fn handle(&mut self, token: Token) {
        if let Self::User(user) = self {
            user.handle(token);
        }
    }

    /// When [`Attachment::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        if let Self::User(user) = self { user.deadline() } else { None }
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        if let Self::User(user) = self {
            user.tick();
        }
    }

    /// What the caller is told.
    pub fn given(&self) -> Option<Given> {
        match self {
            Self::None => None,
            Self::Bridge(seat) => Some(Given { address: seat.interface.address, ports: seat.ports.clone() }),
            Self::User(user) => Some(Given { address: user::INTERFACE.address, ports: user.ports() }),
        }
    }
}

impl Wanted {
    /// The files by which a container of that name, with that device, finds itself and others.
    pub fn names(&self, host: Option<&str>, interface: Option<Interface>) -> Names {
        let own = [user::NAME_SERVER];
        let dns = if self.kind == Kind::User { &own[..] } else { &self.dns };
        Names::new(self.kind, host.unwrap_or("localhost"), interface, dns)
    }
}

/// Sets up the device of this namespace. For the container's first process.
pub fn set_up(interface: &Interface, cable: &Cable) -> Result<()> {
    if let Cable::ToLay(socket) = cable {
        user::lay(socket)?;
    }
    let mut socket = Netlink::route().during("setting up the network")?;
    let index = socket.index_of(CONTAINER_DEVICE).during(format!("finding {CONTAINER_DEVICE}"))?;
    links::add_address(&mut socket, index, interface.address, interface.prefix)
        .and_then(|()| links::switch_on(&mut socket, index))
        .and_then(|()| links::add_default_route(&mut socket, interface.gateway))
        .during("setting up the network")
}

/// Hardware addresses that come from addresses are never mistaken for those of a container before.
fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    // Locally administered.
    [0x02, 0x54, a, b, c, d]
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
