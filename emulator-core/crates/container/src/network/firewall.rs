//! One table of nftables, which the kernel removes with the socket that made it: whatever ends this process, no rule of
//! it stays (nft(8) says `flags owner`).

use std::net::Ipv4Addr;

use rustix::io::Result;

use super::netlink::{APPEND, CREATE, Message, NEW, Netlink};
use super::ports::{Port, Protocol};
use super::subnet::Subnet;

/// Messages of nfnetlink: the subsystem's number before that of the message.
const NFT: u16 = 10 << 8;
const NFT_MSG_NEWTABLE: u16 = NFT;
const NFT_MSG_NEWCHAIN: u16 = NFT | 3;
const NFT_MSG_NEWRULE: u16 = NFT | 6;
const NFT_MSG_DELRULE: u16 = NFT | 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NF_INET_PRE_ROUTING: u32 = 0;
const NF_INET_FORWARD: u32 = 2;
const NF_INET_LOCAL_OUT: u32 = 3;
const NF_INET_POST_ROUTING: u32 = 4;
const NF_DROP: u32 = 0;

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_L4PROTO: u32 = 16;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
/// Bits of those two: a connection's first packet, and one whose destination has been changed.
const STATE_NEW: u32 = 8;
const STATUS_DNAT: u32 = 1 << 5;

/// Places of addresses in the network header, and of the port in the transport header.
const SOURCE: (u32, u32, u32) = (1, 12, 4);
const DESTINATION: (u32, u32, u32) = (1, 16, 4);
const DESTINATION_PORT: (u32, u32, u32) = (2, 2, 2);

/// Chains that change where a connection goes: of packets that arrive, and of the host's own.
const INBOUND: [&str; 2] = ["arriving", "own"];

/// A port of the host that leads to a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub port: Port,
    pub to: Ipv4Addr,
}

/// The table and what it is about.
pub struct Firewall {
    socket: Netlink,
    table: String,
    forwards: Vec<Forward>,
}

impl Firewall {
    /// Makes the table: translation of addresses for `subnet` behind `device`, which nobody else can reach into. With
    /// `closed` the host forwards nothing but for networks like this one.
    pub fn open(device: &str, subnet: Subnet, closed: bool) -> Result<Self> {
        let socket = Netlink::netfilter()?;
        let mut firewall = Self { socket, table: device.to_owned(), forwards: Vec::new() };
        let mut messages = vec![firewall.make_table()];
        messages.extend([
            firewall.make_chain("guard", "filter", NF_INET_PRE_ROUTING, -300),
            firewall.make_chain("forward", "filter", NF_INET_FORWARD, 0),
            firewall.make_chain(INBOUND[0], "nat", NF_INET_PRE_ROUTING, -100),
            firewall.make_chain(INBOUND[1], "nat", NF_INET_LOCAL_OUT, -100),
            firewall.make_chain("leaving", "nat", NF_INET_POST_ROUTING, 100),
        ]);
        let from_us = || Rule::default().name(META_IIFNAME, device, true);
        let loopback = Subnet { address: Ipv4Addr::new(127, 0, 0, 0), prefix: 8 };
        messages.extend([
            // The device takes packets for 127.0.0.0/8, so that ports of localhost can lead into it; nothing may come out.
            firewall.rule("guard", from_us().within(DESTINATION, loopback, true).drop()),
            firewall.rule("guard", from_us().within(SOURCE, subnet, false).drop()),
            // Whoever has a route to here gets no further than to ports that are forwarded.
            firewall.rule(
                "forward",
                Rule::default()
                    .name(META_OIFNAME, device, true)
                    .name(META_IIFNAME, device, false)
                    .connection(CT_STATE, STATE_NEW, true)
                    .connection(CT_STATUS, STATUS_DNAT, false)
                    .drop(),
            ),
            firewall.rule("leaving", Rule::default().within(SOURCE, subnet, true).masquerade()),
            firewall.rule(
                "leaving",
                Rule::default().name(META_OIFNAME, device, true).within(SOURCE, loopback, true).masquerade(),
            ),
        ]);
        if closed {
            let rule = Rule::default().prefix(META_IIFNAME, false).prefix(META_OIFNAME, false).drop();
            messages.push(firewall.rule("forward", rule));
        }
        firewall.commit(messages)?;
        Ok(firewall)
    }

    /// Forwards ports to a container.
    pub fn forward(&mut self, ports: &[Port], to: Ipv4Addr) -> Result<()> {
        if ports.is_empty() {
            return Ok(());
        }
        self.forwards.extend(ports.iter().map(|port| Forward { port: *port, to }));
        self.rewrite().inspect_err(|_| self.forwards.retain(|forward| forward.to != to))
    }

    /// Forwards no more to a container.
    pub fn withdraw(&mut self, from: Ipv4Addr) -> Result<()> {
        let before = self.forwards.len();
        self.forwards.retain(|forward| forward.to != from);
        if self.forwards.len() == before { Ok(()) } else { self.rewrite() }
    }

    /// Both chains anew, at one stroke.
    fn rewrite(&mut self) -> Result<()> {
        let mut messages = Vec::new();
        for chain in INBOUND {
            messages.push(Message::new(NFT_MSG_DELRULE, 0, &IPV4).text(1, &self.table).text(2, chain));
            for Forward { port, to } in &self.forwards {
                messages.push(self.rule(chain, Rule::default().addressed(port).redirect(*to, port.container)));
            }
        }
        self.commit(messages)
    }

    fn make_table(&self) -> Message {
        const NFT_TABLE_F_OWNER: u32 = 2;
        Message::new(NFT_MSG_NEWTABLE, NEW, &IPV4).text(1, &self.table).put(2, &NFT_TABLE_F_OWNER.to_be_bytes())
    }

    fn make_chain(&self, name: &str, kind: &str, hook: u32, priority: i32) -> Message {
        let place = |place: Message| place.put(1, &hook.to_be_bytes()).put(2, &priority.to_be_bytes());
        Message::new(NFT_MSG_NEWCHAIN, NEW, &IPV4).text(1, &self.table).text(3, name).nest(4, place).text(7, kind)
    }

    fn rule(&self, chain: &str, rule: Rule) -> Message {
        let message = Message::new(NFT_MSG_NEWRULE, CREATE | APPEND, &IPV4).text(1, &self.table).text(2, chain);
        message.nest(4, |list| rule.0.into_iter().fold(list, |list, expression| expression(list)))
    }

    fn commit(&mut self, messages: Vec<Message>) -> Result<()> {
        let edge = |kind: u16| Message::unanswered(kind, &[0, 0, 0, 10]);
        let mut batch = vec![edge(BATCH_BEGIN)];
        batch.extend(messages);
        batch.push(edge(BATCH_END));
        self.socket.transact(batch)
    }
}

/// `struct nfgenmsg`: the family, version 0, and no resource.
const IPV4: [u8; 4] = [2, 0, 0, 0];

type Expression = Box<dyn FnOnce(Message) -> Message>;

/// Expressions of a rule, each of which has to hold before the next is looked at. They work on the first register.
#[derive(Default)]
struct Rule(Vec<Expression>);

const REGISTER: [u8; 4] = 1_u32.to_be_bytes();

impl Rule {
    fn with(mut self, name: &'static str, data: impl FnOnce(Message) -> Message + 'static) -> Self {
        self.0.push(Box::new(move |list| list.nest(1, |one| one.text(1, name).nest(2, data))));
        self
    }

    fn compare(self, value: Vec<u8>, equal: bool) -> Self {
        let operation = u32::from(!equal).to_be_bytes();
        self.with("cmp", move |cmp| cmp.put(1, &REGISTER).put(2, &operation).nest(3, |data| data.put(1, &value)))
    }

    fn meta(self, key: u32) -> Self {
        self.with("meta", move |meta| meta.put(1, &REGISTER).put(2, &key.to_be_bytes()))
    }

    /// Whether the device has that name.
    fn name(self, key: u32, name: &str, equal: bool) -> Self {
        let mut value = name.as_bytes().to_vec();
        value.resize(libc::IFNAMSIZ, 0);
        self.meta(key).compare(value, equal)
    }

    /// Whether the device's name is one of ours.
    fn prefix(self, key: u32, equal: bool) -> Self {
        self.meta(key).compare(super::subnet::DEVICE.as_bytes().to_vec(), equal)
    }

    fn payload(self, (base, offset, length): (u32, u32, u32)) -> Self {
        self.with("payload", move |payload| {
            let numbers = [base, offset, length].map(u32::to_be_bytes);
            payload.put(1, &REGISTER).put(2, &numbers[0]).put(3, &numbers[1]).put(4, &numbers[2])
        })
    }

    fn mask(self, mask: [u8; 4]) -> Self {
        self.with("bitwise", move |bitwise| {
            let value = |data: [u8; 4]| move |message: Message| message.put(1, &data);
            let bitwise = bitwise.put(1, &REGISTER).put(2, &REGISTER).put(3, &4_u32.to_be_bytes());
            bitwise.nest(4, value(mask)).nest(5, value([0; 4]))
        })
    }

    fn within(self, field: (u32, u32, u32), subnet: Subnet, equal: bool) -> Self {
        self.payload(field).mask(subnet.mask().octets()).compare(subnet.address.octets().to_vec(), equal)
    }

    /// Whether conntrack has that bit set of a connection.
    fn connection(self, key: u32, bit: u32, set: bool) -> Self {
        let rule = self.with("ct", move |ct| ct.put(1, &REGISTER).put(2, &key.to_be_bytes()));
        rule.mask(bit.to_ne_bytes()).compare(vec![0; 4], !set)
    }

    /// Whether the packet is for that port of the host.
    fn addressed(self, port: &Port) -> Self {
        const ADDRESS_TYPE: u32 = 3;
        const OF_DESTINATION: u32 = 2;
        let protocol = match port.protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        };
        let rule = self.meta(META_L4PROTO).compare(vec![protocol as u8], true);
        let rule = match port.address.is_unspecified() {
            true => rule
                .with("fib", |fib| {
                    let numbers = [ADDRESS_TYPE, OF_DESTINATION].map(u32::to_be_bytes);
                    fib.put(1, &REGISTER).put(2, &numbers[0]).put(3, &numbers[1])
                })
                .compare(u32::from(libc::RTN_LOCAL).to_ne_bytes().to_vec(), true),
            false => rule.payload(DESTINATION).compare(port.address.octets().to_vec(), true),
        };
        rule.payload(DESTINATION_PORT).compare(port.host.to_be_bytes().to_vec(), true)
    }

    fn immediate(self, register: u32, value: Vec<u8>) -> Self {
        self.with("immediate", move |immediate| {
            immediate.put(1, &register.to_be_bytes()).nest(2, |data| data.put(1, &value))
        })
    }

    /// Sends the connection elsewhere.
    fn redirect(self, to: Ipv4Addr, port: u16) -> Self {
        const DESTINATION_NAT: u32 = 1;
        let rule = self.immediate(1, to.octets().to_vec()).immediate(2, port.to_be_bytes().to_vec());
        rule.with("nat", |nat| {
            let numbers = [DESTINATION_NAT, libc::AF_INET as u32, 1, 2].map(u32::to_be_bytes);
            nat.put(1, &numbers[0]).put(2, &numbers[1]).put(3, &numbers[2]).put(5, &numbers[3])
        })
    }

    /// Makes the host the sender.
    fn masquerade(self) -> Self {
        self.with("masq", |masquerade| masquerade)
    }

    fn drop(self) -> Self {
        const VERDICT: u32 = 0;
        self.with("immediate", |immediate| {
            let code = |verdict: Message| verdict.put(1, &NF_DROP.to_be_bytes());
            immediate.put(1, &VERDICT.to_be_bytes()).nest(2, |data| data.nest(2, code))
        })
    }
}
