//! New file systems (fsopen(2), fsconfig(2), fsmount(2)).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::options::Options;

/// A detached mount of a new file system, or the kernel's words why not.
pub fn make(kind: &str, source: &Path, options: &Options) -> Result<OwnedFd, String> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| match errno {
        Errno::NODEV => format!("this kernel has no file system {kind}"),
        _ => format!("{kind}: {errno}"),
    })?;
    let made = configure(&context, source, options).and_then(|()| {
        let attributes = MountAttrFlags::from_bits_retain(options.initial() as u32);
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    });
    made.map_err(|errno| match log(&context) {
        words if words.is_empty() => format!("{kind}: {errno}"),
        words => format!("{words} ({errno})"),
    })
}

fn configure(context: &OwnedFd, source: &Path, options: &Options) -> Result<(), Errno> {
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", source)?;
    for (key, value) in &options.data {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), key.as_str(), value.as_str())?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), key.as_str())?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())
}

/// What the kernel has to say: a line a read, `e ` before an error.
fn log(context: &OwnedFd) -> String {
    let mut lines = Vec::new();
    let mut line = [0; 512];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut line[..]) {
        let text = String::from_utf8_lossy(&line[..length]);
        lines.push(text.trim_start_matches(['e', 'w', 'i']).trim().to_owned());
    }
    lines.join("; ")
}
