//! Ranges of addresses: one for each runtime's bridge, none of which is anybody else's.

use std::fs;
use std::net::Ipv4Addr;

/// How devices of the host that are ours begin; behind it stands the number of the subnet, which so belongs to whoever
/// could make the device.
pub const DEVICE: &str = "terrarium";

/// Subnets are cut from 10.192.0.0/10.
const POOL: u32 = u32::from_be_bytes([10, 192, 0, 0]);

/// A bridge has 1,024 ports; one leads to the host.
const PREFIX: u8 = 22;

/// How many there are.
pub const SUBNETS: u32 = 1 << (PREFIX - 10);

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Subnet {
    /// The subnet of that number.
    pub fn numbered(number: u32) -> Self {
        Self { address: (POOL + (number << (32 - PREFIX))).into(), prefix: PREFIX }
    }

    /// The bits that all addresses in it have in common.
    pub fn mask(self) -> Ipv4Addr {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or_default().into()
    }

    /// How many addresses there are for hosts: all but the first and the last.
    pub fn hosts(self) -> u32 {
        !u32::from(self.mask()) - 1
    }

    /// The address of host `number`, counted from 1, which is the gateway.
    pub fn host(self, number: u32) -> Ipv4Addr {
        (u32::from(self.address) + number).into()
    }

    fn overlaps(self, other: Self) -> bool {
        let common = u32::from(self.mask()) & u32::from(other.mask());
        u32::from(self.address) & common == u32::from(other.address) & common
    }

    /// Whether the host has a route of its own to addresses in it; a default route leads everywhere and does not count.
    pub fn is_routed(self) -> bool {
        routes().iter().any(|route| route.to.prefix > 0 && self.overlaps(route.to))
    }
}

struct Route {
    device: String,
    to: Subnet,
}

/// The host's routes, as `/proc/net/route` has them: numbers as the processor reads them from the network's bytes.
fn routes() -> Vec<Route> {
    parse(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

fn parse(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok().map(|value| value.to_ne_bytes());
        let prefix = u32::from_be_bytes(number(7)?).leading_ones() as u8;
        let to = Subnet { address: number(1)?.into(), prefix };
        Some(Route { device: (*fields.first()?).to_owned(), to })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// The longest packet that gets out of this host in one piece.
pub fn mtu() -> u32 {
    const ETHERNET: u32 = 1_500;
    let routes = routes();
    let device = routes.iter().find(|route| route.to.prefix == 0).map(|route| &route.device);
    let read = |device: &String| fs::read_to_string(format!("/sys/class/net/{device}/mtu")).ok()?.trim().parse().ok();
    device.and_then(read).unwrap_or(ETHERNET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_beside_each_other() {
        let (first, last) = (Subnet::numbered(0), Subnet::numbered(SUBNETS - 1));
        assert_eq!((first.host(1), first.host(first.hosts())), ([10, 192, 0, 1].into(), [10, 192, 3, 254].into()));
        assert_eq!(last.host(last.hosts()), Ipv4Addr::new(10, 255, 255, 254));
        assert!(!first.overlaps(Subnet::numbered(1)));
        assert!(first.overlaps(Subnet { address: [10, 0, 0, 0].into(), prefix: 8 }));
    }

    #[test]
    fn the_hosts_routes_are_read() {
        // proc_pid_net(5): Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT.
        let text = "Iface\tDestination\tGateway\n\
            eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let routes = parse(text);
        assert_eq!(routes[0].to.prefix, 0);
        assert_eq!(routes[1].to, Subnet { address: [192, 168, 2, 0].into(), prefix: 24 });
    }
}
