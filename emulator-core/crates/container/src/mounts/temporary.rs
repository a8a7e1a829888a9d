//! Writable layers that end with their container, and lie on a disk where memory cannot have them: overlayfs hides a
//! directory of a layer below by an attribute (overlayfs.rst, "whiteouts and opaque directories"), in a user namespace by
//! one of users, and those tmpfs has since Linux 6.6 alone.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{CWD, FlockOperation, MemfdFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use super::Layout;
use super::layer;
use crate::birth;
use crate::channel::{Channel, Go};
use crate::error::{During, Error, Result};
use crate::namespaces;
use crate::spec::{NamespaceKind, Spec};
use crate::sys::{self, Cloned};

const PREFIX: &str = "terrarium-layer-";
/// Any name of users'.
const ATTRIBUTE: &str = "user.terrarium";

/// Gives `layout` such a layer where it is to write to memory, and could not remove a directory there.
pub fn provide(spec: &Spec, layout: &mut Layout) -> Result<Option<Temporary>> {
    if !is_needed(spec, layout) {
        return Ok(None);
    }
    let temporary = Temporary::make()?;
    layout.writable = Some(temporary.directory.clone());
    layout.temporary = true;
    Ok(Some(temporary))
}

fn is_needed(spec: &Spec, layout: &Layout) -> bool {
    // What the layer has from the beginning may hide directories, too.
    let is_written = layout.saved.is_some() || !spec.root.as_ref().is_some_and(|root| root.readonly);
    layout.overlay && layout.writable.is_none() && is_written && !memory_has_attributes()
}

/// Files of memfd_create(2) are tmpfs's, and need no mount. What else may be refused of that, newer kernels refuse.
fn memory_has_attributes() -> bool {
    let file = rustix::fs::memfd_create("terrarium-attribute", MemfdFlags::CLOEXEC);
    file.and_then(|file| set_attribute(&file)) != Err(Errno::OPNOTSUPP)
}

fn set_attribute(file: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(file, ATTRIBUTE, b"", XattrFlags::empty())
}

/// A directory for a writable layer, and a process that removes it.
pub struct Temporary {
    directory: PathBuf,
    remover: OwnedFd,
    channel: Channel,
}

impl Temporary {
    /// Makes it where temporary files are. Until [`Temporary::follow`] it ends with this.
    fn make() -> Result<Self> {
        let mut reasons = String::new();
        for parent in [std::env::temp_dir(), "/var/tmp".into()] {
            match make_in(&parent) {
                Ok((directory, lock)) => return Self::attend(directory, &lock),
                Err(errno) => reasons.push_str(&format!("; {}: {errno}", parent.display())),
            }
        }
        Err(Error::unsupported(
            format!("a writable layer in memory (tmpfs has no user attributes here{reasons})"),
            "use Linux 6.6 or later, set TMPDIR to a directory on a disk, such as one with ext4, or keep the layer there",
        ))
    }

    fn attend(directory: PathBuf, lock: &OwnedFd) -> Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        match sys::clone3(0, None) {
            Ok(Some(Cloned { pidfd, .. })) => Ok(Self { directory, remover: pidfd, channel: ours }),
            Ok(None) => {
                drop(ours);
                remove_behind(&directory, lock, &theirs)
            }
            Err(errno) => {
                let _ = std::fs::remove_dir(&directory);
                Err(namespaces::refused(0, errno))
            }
        }
    }

    /// The process that removes it.
    pub fn remover(&self) -> BorrowedFd<'_> {
        self.remover.as_fd()
    }

    /// From now on it ends with the container whose first process is `first`.
    pub fn follow(self, first: BorrowedFd<'_>) -> Result<()> {
        self.channel.send_with(&Go(String::new()), first)?;
        self.channel.wait().map(drop)
    }
}

/// A new directory in `parent` that can have a writable layer, and its lock.
fn make_in(parent: &Path) -> rustix::io::Result<(PathBuf, OwnedFd)> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, GetRandomFlags::empty())?;
    let directory = parent.join(format!("{PREFIX}{:016x}", u64::from_ne_bytes(random)));
    rustix::fs::mkdirat(CWD, &directory, Mode::RWXU)?;
    let locked = lock(&directory).and_then(|lock| match is_overlay(&lock)? {
        true => Err(Errno::OPNOTSUPP),
        false => set_attribute(&lock).map(|()| lock),
    });
    match locked {
        Ok(lock) => Ok((directory, lock)),
        Err(errno) => {
            let _ = std::fs::remove_dir(&directory);
            Err(errno)
        }
    }
}

/// Waits for the container's end where there comes to be one, and removes `directory`, and what nobody could remove before.
fn remove_behind(directory: &Path, lock: &OwnedFd, runtime: &Channel) -> ! {
    // As the watcher: who kills the group of Node and the helper does not mean this one.
    let _ = rustix::process::setsid();
    let _ = birth::leave_runtime(vec![lock.as_raw_fd(), runtime.as_fd().as_raw_fd()]);
    if let Ok(Some((Go(_), Some(first)))) = runtime.receive_with() {
        let _ = accompany(&first, runtime);
    }
    let _ = std::fs::remove_dir_all(directory);
    if let Some(parent) = directory.parent() {
        remove_abandoned(parent);
    }
    std::process::exit(0)
}

/// With the rights of the container's root, where this user's own are not enough for what that has made.
fn accompany(first: &OwnedFd, runtime: &Channel) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        sys::setns(first.as_fd(), NamespaceKind::User.flag()).during("joining the container")?;
    }
    runtime.send(&Go(String::new()))?;
    let mut polled = [PollFd::new(first, PollFlags::IN)];
    while matches!(rustix::event::poll(&mut polled, None), Err(Errno::INTR)) {}
    Ok(())
}

/// Removes this user's layers in `parent` whose containers have ended, and whose removers have been killed.
fn remove_abandoned(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let directory = entry.path();
        let is_own = entry.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw());
        let is_layer = is_own && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if is_layer
            && let Ok(_lock) = lock(&directory)
            && layer::is_abandoned(&directory)
        {
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}

/// What systemd-tmpfiles leaves alone, however old it becomes (tmpfiles.d(5), "Age").
fn lock(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::open(directory, flags, Mode::empty())?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

/// Of which none can be another's writable layer.
fn is_overlay(directory: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(rustix::fs::fstatfs(directory)?.f_type == libc::OVERLAYFS_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::start_time_of;

    #[test]
    fn what_somebody_has_or_may_still_be_making_is_not_removed() {
        let parent = std::env::temp_dir().join(format!("terrarium-temporary-{}", std::process::id()));
        let make = |name: &str, note: Option<(u32, u64)>| {
            let directory = parent.join(name);
            std::fs::create_dir_all(directory.join("upper/d")).expect("a directory");
            if let Some((pid, started)) = note {
                std::fs::write(directory.join("user"), format!("{pid:>10} {started:>20}\n")).expect("a note");
            }
            directory
        };
        let own = std::process::id();
        let started = start_time_of(rustix::process::getpid()).expect("this process");
        let dead = Some((own, started + 1));
        let abandoned = make("terrarium-layer-1", dead);
        let locked = make("terrarium-layer-2", dead);
        let _lock = lock(&locked).expect("a lock");
        let others =
            [make("terrarium-layer-3", Some((own, started))), make("terrarium-layer-4", None), make("garden", dead)];
        remove_abandoned(&parent);
        assert!(!abandoned.exists());
        for directory in others.iter().chain([&locked]) {
            assert!(directory.exists(), "{}", directory.display());
        }
        std::fs::remove_dir_all(&parent).expect("nothing left behind");
    }
}
