//! A bridge in a network namespace of its own, with a cable to the host and one to each container. Nothing but sockets of
//! this process keeps it alive, so that the kernel clears everything away, whatever ends this process.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::firewall::Firewall;
use super::links::{self, End, Place};
use super::netlink::Netlink;
use super::ports::{self, Port};
use super::subnet::{self, DEVICE, SUBNETS, Subnet};
use super::{Interface, hardware_address, refused};
use crate::error::{During, Result};
use crate::spec::NamespaceKind;
use crate::sys;

/// Name of the device in a container.
pub const CONTAINER_DEVICE: &str = "eth0";

/// Numbers of devices in the bridge's namespace, where nobody else makes any.
const UPLINK: u32 = 100;
const BRIDGE: u32 = 101;
const FIRST_PORT: u32 = 1_000;

const NAME: &str = "bridge";

/// The bridge.
pub struct Switch {
    /// To the namespace of the bridge; it lives as long as this.
    inner: Netlink,
    outer: Netlink,
    /// The host's end of the cable.
    device: u32,
    firewall: Firewall,
    subnet: Subnet,
    mtu: u32,
    taken: BTreeSet<u32>,
    last: u32,
}

/// What a container has of the bridge.
#[derive(Debug)]
pub struct Seat {
    number: u32,
    pub interface: Interface,
    pub ports: Vec<Port>,
    isolated: bool,
    /// Sockets that keep the ports from others.
    _reserved: Vec<OwnedFd>,
}

impl Switch {
    /// Makes the bridge with nobody at it but the host.
    pub fn make() -> Result<Self> {
        let mut outer = Netlink::route().map_err(|errno| refused(NAME, "rtnetlink", errno))?;
        let (mut inner, host) =
            in_new_namespace(NAME, || Netlink::route().map_err(|errno| refused(NAME, "rtnetlink", errno)))?;
        let mtu = subnet::mtu();
        let (subnet, name) = lay_cable(&mut inner, &host, mtu)?;
        let made = |errno: Errno| refused(NAME, "a bridge", errno);
        links::make_bridge(&mut inner, "bridge", BRIDGE, mtu).map_err(made)?;
        links::plug(&mut inner, UPLINK, BRIDGE, false).map_err(made)?;
        let device = outer.index_of(&name).map_err(made)?;
        links::add_address(&mut outer, device, subnet.host(1), subnet.prefix).map_err(made)?;
        links::switch_on(&mut outer, device).map_err(made)?;
        let closed = !forwards()?;
        let firewall = Firewall::open(&name, subnet, closed).map_err(|errno| refused(NAME, "nftables", errno))?;
        // Only now, with the guards in place.
        let parameter = |name: &str| format!("/proc/sys/net/ipv4/{name}");
        set(&parameter(&format!("conf/{name}/route_localnet")))?;
        if closed {
            set(&parameter("ip_forward"))?;
        }
        Ok(Self { inner, outer, device, firewall, subnet, mtu, taken: BTreeSet::new(), last: 1 })
    }

    /// A seat at the bridge for a container that is going to be made.
    pub fn reserve(&mut self, isolated: bool, wanted: &[Port]) -> Result<Seat> {
        let number = self.free_number()?;
        let reserved = wanted.iter().map(ports::reserve).collect::<Result<Vec<_>>>()?;
        let (sockets, ports): (Vec<_>, Vec<_>) = reserved.into_iter().unzip();
        let address = self.subnet.host(number);
        self.firewall.forward(&ports, address).map_err(|errno| refused(NAME, "nftables", errno))?;
        self.taken.insert(number);
        self.last = number;
        let interface = Interface { address, prefix: self.subnet.prefix, gateway: self.subnet.host(1) };
        Ok(Seat { number, interface, ports, isolated, _reserved: sockets })
    }

    /// The next number in turn, so that an address that has just become free stays so for a while.
    fn free_number(&self) -> Result<u32> {
        let hosts = self.subnet.hosts();
        let mut numbers = (self.last + 1..=hosts).chain(2..=self.last);
        let found = numbers.find(|number| !self.taken.contains(number));
        found.ok_or_else(|| refused(NAME, "an address", "all of the subnet's are taken"))
    }

    /// Lays a cable to the container whose first process is `pid`.
    pub fn connect(&mut self, seat: &Seat, pid: Pid) -> Result<()> {
        let port = FIRST_PORT + seat.number;
        let name = format!("port{}", seat.number);
        let ends = [
            End { name: &name, index: port, address: None, place: Place::Here },
            End {
                name: CONTAINER_DEVICE,
                index: 0,
                address: Some(hardware_address(seat.interface.address)),
                place: Place::Process(pid),
            },
        ];
        let connected = links::make_pair(&mut self.inner, self.mtu, ends)
            .and_then(|()| links::plug(&mut self.inner, port, BRIDGE, seat.isolated));
        connected.map_err(|errno| refused(NAME, "veth", errno))
    }

    /// Gives a seat back. The cable goes with the container's namespace.
    pub fn release(&mut self, seat: &Seat) {
        self.taken.remove(&seat.number);
        // A rule that cannot be taken back leads to an address that nobody has.
        let _ = self.firewall.withdraw(seat.interface.address);
    }

    /// Whether nobody is at it.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Takes the bridge down.
    pub fn close(mut self) {
        // The kernel does so in any case, a little later.
        let _ = links::remove(&mut self.outer, self.device);
    }
}

/// Does `work` in a new network namespace; its result, and a handle on the namespace this process is in again.
pub fn in_new_namespace<T>(network: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, OwnedFd)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::open("/proc/self/ns/net", flags, Mode::empty()).during("opening /proc/self/ns/net")?;
    let flag = NamespaceKind::Network.flag();
    sys::unshare(flag).map_err(|errno| refused(network, "a network namespace", errno))?;
    let result = work();
    if sys::setns(own.as_fd(), flag).is_err() {
        // Cut off from the host's network this process is of no use.
        std::process::abort();
    }
    Ok((result?, own))
}

/// A cable from the bridge's namespace to the host's. Its name is free only if the subnet is: the kernel decides between
/// several who want it.
fn lay_cable(inner: &mut Netlink, host: &OwnedFd, mtu: u32) -> Result<(Subnet, String)> {
    for number in 0..SUBNETS {
        let subnet = Subnet::numbered(number);
        if subnet.is_routed() {
            continue;
        }
        let name = format!("{DEVICE}{number}");
        let address = Some(hardware_address(subnet.host(1)));
        let ends = [
            End { name: "uplink", index: UPLINK, address: None, place: Place::Here },
            End { name: &name, index: 0, address, place: Place::Namespace(host.as_fd()) },
        ];
        match links::make_pair(inner, mtu, ends) {
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(refused(NAME, "veth", errno)),
            Ok(()) => return Ok((subnet, name)),
        }
    }
    Err(refused(NAME, "a subnet", "the host has routes into all of 10.192.0.0/10"))
}

fn forwards() -> Result<bool> {
    let file = "/proc/sys/net/ipv4/ip_forward";
    Ok(fs::read_to_string(file).during(format!("reading {file}"))?.trim() != "0")
}

fn set(parameter: &str) -> Result<()> {
    fs::write(parameter, "1").map_err(|error| refused(NAME, parameter, error))
}
