//! What `/etc` says of names: `hostname`, `hosts` and `resolv.conf`, laid over the image's own.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Interface, Kind};
use crate::error::{Error, Result};
use crate::inside::Inside;
use crate::mounts;

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The files: names below `/etc`, and what is in them.
#[derive(Debug)]
pub struct Names(Vec<(&'static str, String)>);

impl Names {
    /// Those of a container called `host`.
    pub fn new(kind: Kind, host: &str, interface: Option<Interface>, dns: &[Ipv4Addr]) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let own = interface.map_or(Ipv4Addr::LOCALHOST, |interface| interface.address);
        let mut files = vec![("hostname", format!("{host}\n")), ("hosts", format!("{LOCALHOST}{own}\t{host}\n"))];
        match kind {
            Kind::None => {}
            Kind::Host if dns.is_empty() => files.push(("resolv.conf", read("/etc/resolv.conf"))),
            _ => {
                let found = [read("/etc/resolv.conf"), read("/run/systemd/resolve/resolv.conf")];
                files.push(("resolv.conf", resolver(dns, &found)));
            }
        }
        Self(files)
    }

    /// Makes them, each a mount of its own that is mounted nowhere yet, in a file system in memory that nothing else shows.
    /// Before the container's root covers this mount namespace's.
    pub fn make(&self) -> Result<Vec<(PathBuf, OwnedFd)>> {
        let failed = |reason: String| Error::mount("/etc", reason);
        let options = mounts::data(&[("mode", "755"), ("size", "64k")]);
        mounts::with_scratch(&options, |scratch| {
            let make = |(name, text): &(&'static str, String)| {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
                let file = rustix::fs::openat(scratch, *name, flags, Mode::from_raw_mode(0o644))?;
                rustix::io::write(&file, text.as_bytes())?;
                Ok((Path::new("/etc").join(name), mounts::clone_handle(file.as_fd(), false)?))
            };
            self.0.iter().map(make).collect::<Result<_, Errno>>().map_err(|errno| failed(errno.to_string()))
        })
    }
}

/// Lays a file over the image's. What an image has no place for, where this user can make none, is left out.
pub fn lay(inside: &Inside<'_>, path: &Path, file: &OwnedFd) -> Result<()> {
    let target = match inside.make_file(path) {
        Err(Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::OVERFLOW) => return Ok(()),
        target => target,
    };
    target
        .and_then(|target| mounts::attach(file.as_fd(), target.as_fd()))
        .map_err(|errno| Error::mount(path.display().to_string(), errno))
}

/// Whom a container asks: `dns`, or the host's own servers. One on the host's loopback device is out of its reach, and so
/// is one of IPv6.
fn resolver(dns: &[Ipv4Addr], found: &[String]) -> String {
    let servers = |text: &String| -> Vec<Ipv4Addr> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
        lines.filter(|address: &Ipv4Addr| !address.is_loopback()).collect()
    };
    let servers = match dns {
        [] => found.iter().map(servers).find(|servers| !servers.is_empty()).unwrap_or_default(),
        dns => dns.to_vec(),
    };
    let keeps = |line: &&str| line.starts_with("search") || line.starts_with("options");
    let rest: String = found[0].lines().filter(keeps).map(|line| format!("{line}\n")).collect();
    servers.iter().map(|server| format!("nameserver {server}\n")).collect::<String>() + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_out_of_reach_are_left_out() {
        let stub = "nameserver 127.0.0.53\nnameserver ::1\nsearch lan\noptions edns0\n".to_owned();
        let real = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n".to_owned();
        let found = [stub, real];
        assert_eq!(resolver(&[], &found), "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch lan\noptions edns0\n");
        let own = [Ipv4Addr::new(198, 51, 100, 1)];
        assert_eq!(resolver(&own, &found), "nameserver 198.51.100.1\nsearch lan\noptions edns0\n");
    }
}
