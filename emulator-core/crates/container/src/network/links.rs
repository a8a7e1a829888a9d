//! Devices, addresses and routes (rtnetlink(7)).

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Result;
use rustix::process::Pid;

use super::netlink::{CREATE, Message, NEW, Netlink};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const VETH_INFO_PEER: u16 = 1;

/// No address of IPv6 is made up for the device.
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

/// One end of a pair.
pub struct End<'a> {
    pub name: &'a str,
    /// Chosen where nobody else makes devices; 0 leaves it to the kernel.
    pub index: u32,
    pub address: Option<[u8; 6]>,
    pub place: Place<'a>,
}

/// In which network namespace an end is.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// The socket's.
    Here,
    /// That of a process.
    Process(Pid),
    /// One that is open.
    Namespace(BorrowedFd<'a>),
}

/// Makes two devices that are one cable. Fails where either is there already.
pub fn make_pair(socket: &mut Netlink, mtu: u32, ends: [End<'_>; 2]) -> Result<()> {
    let [near, far] = ends;
    let message = describe(Message::new(RTM_NEWLINK, NEW, &link(near.index, 0)), &near, mtu);
    socket.request(message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| describe(peer.raw(&link(far.index, 0)), &far, mtu))
        })
    }))
}

fn describe(message: Message, end: &End<'_>, mtu: u32) -> Message {
    let message = message.text(IFLA_IFNAME, end.name).put(IFLA_MTU, &mtu.to_ne_bytes());
    let message = match end.address {
        Some(address) => message.put(IFLA_ADDRESS, &address),
        None => message,
    };
    match end.place {
        Place::Here => message,
        Place::Process(pid) => message.put(IFLA_NET_NS_PID, &pid.as_raw_nonzero().get().to_ne_bytes()),
        Place::Namespace(fd) => message.put(IFLA_NET_NS_FD, &fd.as_raw_fd().to_ne_bytes()),
    }
}

/// Makes a bridge, and switches it on.
pub fn make_bridge(socket: &mut Netlink, name: &str, index: u32, mtu: u32) -> Result<()> {
    let message = Message::new(RTM_NEWLINK, NEW, &link(index, libc::IFF_UP as u32))
        .text(IFLA_IFNAME, name)
        .put(IFLA_MTU, &mtu.to_ne_bytes());
    socket.request(message.nest(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge")))
}

/// Plugs a device into a bridge and switches it on. Isolated ports reach only those that are not.
pub fn plug(socket: &mut Netlink, port: u32, bridge: u32, isolated: bool) -> Result<()> {
    let message = Message::new(RTM_NEWLINK, 0, &link(port, libc::IFF_UP as u32));
    socket.request(message.put(IFLA_MASTER, &bridge.to_ne_bytes()))?;
    if !isolated {
        return Ok(());
    }
    let message = Message::new(RTM_NEWLINK, 0, &link(port, libc::IFF_UP as u32));
    socket.request(message.nest(IFLA_LINKINFO, |info| {
        let data = |data: Message| data.put(IFLA_BRPORT_ISOLATED, &[1]);
        info.text(IFLA_INFO_SLAVE_KIND, "bridge").nest(IFLA_INFO_SLAVE_DATA, data)
    }))
}

/// Switches a device on, and leaves it without IPv6.
pub fn switch_on(socket: &mut Netlink, index: u32) -> Result<()> {
    let family = libc::AF_INET6 as u16;
    let mode = |inet6: Message| inet6.put(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
    let without = Message::new(RTM_NEWLINK, 0, &link(index, 0));
    // A kernel without IPv6 has nothing to be left without.
    let _ = socket.request(without.nest(IFLA_AF_SPEC, |families| families.nest(family, mode)));
    socket.request(Message::new(RTM_NEWLINK, 0, &link(index, libc::IFF_UP as u32)))
}

/// Removes a device.
pub fn remove(socket: &mut Netlink, index: u32) -> Result<()> {
    socket.request(Message::new(RTM_DELLINK, 0, &link(index, 0)))
}

/// Gives a device an address.
pub fn add_address(socket: &mut Netlink, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let [a, b, c, d] = index.to_ne_bytes();
    let message = Message::new(RTM_NEWADDR, NEW, &[libc::AF_INET as u8, prefix, 0, 0, a, b, c, d]);
    socket.request(message.put(IFA_LOCAL, &address.octets()).put(IFA_ADDRESS, &address.octets()))
}

/// Sends what is for nobody near to `gateway`.
pub fn add_default_route(socket: &mut Netlink, gateway: Ipv4Addr) -> Result<()> {
    const RTA_GATEWAY: u16 = 5;
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_BOOT: u8 = 3;
    const RTN_UNICAST: u8 = 1;
    let fixed = [libc::AF_INET as u8, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, 0, 0, 0];
    socket.request(Message::new(RTM_NEWROUTE, CREATE, &fixed).put(RTA_GATEWAY, &gateway.octets()))
}

/// `struct ifinfomsg`, in which `flags` are switched on.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}
