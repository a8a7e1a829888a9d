//! Device nodes (config-linux.md, "Default Devices" and "Devices").

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::{Tree, attach, clone_handle, is_mounted, lacks_nodes};
use crate::error::{Error, Result};
use crate::spec::{Device, Spec};

/// What every container has: path, major and minor number.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Names that programs expect in /dev.
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Nodes of the host, opened while paths still lead there; only where none can be made.
pub struct HostNodes(Vec<(PathBuf, OwnedFd)>);

/// All nodes the container is to have.
fn wanted(spec: &Spec) -> Vec<Device> {
    let own = &spec.linux.devices;
    let default = DEFAULT.iter().map(|(path, major, minor)| Device {
        kind: "c".into(),
        path: path.into(),
        major: *major,
        minor: *minor,
        file_mode: Some(0o666),
        uid: None,
        gid: None,
    });
    default.filter(|device| own.iter().all(|other| other.path != device.path)).chain(own.iter().cloned()).collect()
}

/// A /dev that is the host's or an image's own, mounted by the configuration, is left as it is.
fn is_foreign(spec: &Spec) -> bool {
    let is_bind = |option: &String| option == "bind" || option == "rbind";
    spec.mounts.iter().any(|mount| {
        mount.destination == Path::new("/dev")
            && (mount.kind.as_deref() == Some("bind") || mount.options.iter().any(is_bind))
    })
}

impl HostNodes {
    /// Opens the host's nodes that the container is to have.
    pub fn open(spec: &Spec) -> Result<Self> {
        if is_foreign(spec) || !lacks_nodes(spec) {
            return Ok(Self(Vec::new()));
        }
        let open = |device: Device| {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(CWD, &device.path, flags, Mode::empty()) {
                Ok(node) => Ok((device.path, node)),
                Err(errno) => Err(Error::mount(device.path.display().to_string(), errno)),
            }
        };
        wanted(spec).into_iter().map(open).collect::<Result<_>>().map(Self)
    }
}

/// Puts nodes and links into the container's /dev.
pub fn provide(tree: &Tree, spec: &Spec, host: &HostNodes) -> Result<()> {
    if is_foreign(spec) {
        return Ok(());
    }
    for (path, node) in &host.0 {
        show(tree, path, node).map_err(|errno| Error::mount(path.display().to_string(), errno))?;
    }
    if host.0.is_empty() {
        // Modes are given as they are to be.
        let mask = rustix::process::umask(Mode::empty());
        let made = wanted(spec).iter().try_for_each(|device| {
            make(tree, device).map_err(|errno| Error::mount(device.path.display().to_string(), errno))
        });
        rustix::process::umask(mask);
        made?;
    }
    for (path, target) in LINKS {
        if path == "/dev/ptmx" && !is_mounted(spec, "/dev/pts") {
            continue;
        }
        link(tree, Path::new(path), target).map_err(|errno| Error::mount(path, errno))?;
    }
    Ok(())
}

/// Shows a node of the host.
fn show(tree: &Tree, path: &Path, node: &OwnedFd) -> Result<(), Errno> {
    let target = tree.inside().make_file(path)?;
    attach(clone_handle(node.as_fd(), false)?.as_fd(), target.as_fd())
}

fn make(tree: &Tree, device: &Device) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (device.path.parent(), device.path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let parent = tree.inside().make_dir(parent)?;
    let kind = match device.kind.as_str() {
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        _ => FileType::CharacterDevice,
    };
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    match rustix::fs::mknodat(&parent, name, kind, mode, rustix::fs::makedev(device.major, device.minor)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return check_existing(&parent, name, device),
        Err(errno) => return Err(errno),
    }
    let owner = (Uid::from_raw(device.uid.unwrap_or(0)), Gid::from_raw(device.gid.unwrap_or(0)));
    rustix::fs::chownat(&parent, name, Some(owner.0), Some(owner.1), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
}

/// An image may bring the node; it may not bring something else by that name.
fn check_existing(parent: &OwnedFd, name: &std::ffi::OsStr, device: &Device) -> Result<(), Errno> {
    let stat = rustix::fs::statat(parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    let same = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => matches!(device.kind.as_str(), "c" | "u"),
        FileType::BlockDevice => device.kind == "b",
        FileType::Fifo => return if device.kind == "p" { Ok(()) } else { Err(Errno::EXIST) },
        _ => false,
    };
    let number = rustix::fs::makedev(device.major, device.minor);
    if same && stat.st_rdev == number { Ok(()) } else { Err(Errno::EXIST) }
}

fn link(tree: &Tree, path: &Path, target: &str) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let parent = tree.inside().make_dir(parent)?;
    match rustix::fs::symlinkat(target, &parent, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
