//! `/sys/fs/cgroup` as the container sees it (config-linux.md, "cgroup mounts").

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::options::Options;
use super::{Tree, attach, filesystem};
use crate::cgroup::hierarchies::{Hierarchies, Hierarchy};
use crate::error::{Error, Result};
use crate::spec::{Mount, NamespaceKind, Spec};
use crate::sys::{self, MountAttributes};

/// Mounts the host's layout. With a cgroup namespace of its own the container sees its own cgroup as the root;
/// without one it would see, and with write access change, the host's whole tree.
pub fn mount(tree: &Tree, spec: &Spec, mount: &Mount, options: &Options) -> Result<()> {
    let destination = &mount.destination;
    let failed = |reason: String| Error::mount(destination.display().to_string(), reason);
    let read_only = options.set & libc::MOUNT_ATTR_RDONLY != 0;
    if !spec.has_new(NamespaceKind::Cgroup) && !read_only {
        return Err(Error::unsupported(
            format!("a writable {} without a cgroup namespace", destination.display()),
            "add {\"type\": \"cgroup\"} to linux.namespaces, or the option ro",
        ));
    }
    let host = Hierarchies::detect()?;
    if let [Hierarchy { controllers: None, .. }] = &host.all[..] {
        let target = tree.inside().make_dir(destination).map_err(|errno| failed(errno.to_string()))?;
        return one(&target, "cgroup2", &[], options).map_err(failed);
    }
    let mode = vec![("mode".to_owned(), Some("755".to_owned()))];
    let attributes = Options { set: options.set & !libc::MOUNT_ATTR_RDONLY, data: mode, ..Default::default() };
    let directory = filesystem::make("tmpfs", Path::new("tmpfs"), &attributes).map_err(failed)?;
    let target = tree.inside().make_dir(destination).map_err(|errno| failed(errno.to_string()))?;
    attach(directory.as_fd(), target.as_fd()).map_err(|errno| failed(errno.to_string()))?;
    for hierarchy in &host.all {
        let (kind, words) = match &hierarchy.controllers {
            Some(controllers) => ("cgroup", controllers.clone()),
            None => ("cgroup2", Vec::new()),
        };
        // Nobody else has this directory, so that there is nothing to be led astray by.
        let target = make_directory(&directory, &hierarchy.name()).map_err(|errno| failed(errno.to_string()))?;
        one(&target, kind, &words, options).map_err(failed)?;
        // /sys/fs/cgroup/cpu leads to cpu,cpuacct, as on the host.
        for controller in words.iter().filter(|_| words.len() > 1) {
            let _ = rustix::fs::symlinkat(hierarchy.name(), &directory, controller.as_str());
        }
    }
    if read_only {
        let attributes = MountAttributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        sys::mount_setattr(directory.as_fd(), attributes, false).map_err(|errno| failed(errno.to_string()))?;
    }
    Ok(())
}

fn make_directory(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn one(target: &OwnedFd, kind: &str, words: &[String], options: &Options) -> Result<(), String> {
    let data = words.iter().map(|word| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.clone(), None),
    });
    let options = Options { set: options.set, data: data.collect(), ..Default::default() };
    let made = filesystem::make(kind, Path::new("cgroup"), &options)?;
    attach(made.as_fd(), target.as_fd()).map_err(|errno| errno.to_string())
}
