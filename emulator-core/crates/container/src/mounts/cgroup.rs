//! `/sys/fs/cgroup` as the container sees it (config-linux.md, "cgroup mounts").

use std::os::fd::AsFd;
use std::path::Path;

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
        return one(tree, destination, "cgroup2", &[], options);
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
        one(tree, &destination.join(hierarchy.name()), kind, &words, options)?;
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

fn one(tree: &Tree, destination: &Path, kind: &str, words: &[String], options: &Options) -> Result<()> {
    let failed = |reason: String| Error::mount(destination.display().to_string(), reason);
    let data = words.iter().map(|word| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.clone(), None),
    });
    let options = Options { set: options.set, data: data.collect(), ..Default::default() };
    let made = filesystem::make(kind, Path::new("cgroup"), &options).map_err(failed)?;
    let target = tree.inside().make_dir(destination).map_err(|errno| failed(errno.to_string()))?;
    attach(made.as_fd(), target.as_fd()).map_err(|errno| failed(errno.to_string()))
}
