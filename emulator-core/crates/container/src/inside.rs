//! Paths inside a container's root, resolved by the kernel so that no link leads out of it (openat2(2)).

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// A directory that is taken for the root of everything below.
pub struct Inside<'a> {
    root: BorrowedFd<'a>,
}

impl<'a> Inside<'a> {
    /// Everything below `root`.
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Self { root }
    }

    /// A handle on what `path` leads to; links in the container's tree count as the container sees them.
    pub fn open(&self, path: &Path) -> Result<OwnedFd> {
        self.open_with(path, OFlags::PATH, ResolveFlags::empty())
    }

    /// The same, where no part of the path may be a symbolic link.
    pub fn open_without_links(&self, path: &Path) -> Result<OwnedFd> {
        self.open_with(path, OFlags::PATH, ResolveFlags::NO_SYMLINKS)
    }

    /// A regular file, to be read.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        // Opening a pipe would wait for who writes to it.
        let file = self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK, ResolveFlags::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(Errno::INVAL),
        }
    }

    /// A directory, made where it is missing, with those above it.
    pub fn make_dir(&self, path: &Path) -> Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        match self.open_with(path, directory, ResolveFlags::empty()) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = self.make_dir(parent)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            // A link that leads nowhere exists as well; opening it below fails.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        self.open_with(path, directory, ResolveFlags::empty())
    }

    /// A file to mount something on, made where it is missing.
    pub fn make_file(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = self.make_dir(parent)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
        self.open(path)
    }

    fn open_with(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd> {
        let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            // The kernel asks for another try when something was renamed meanwhile.
            match rustix::fs::openat2(self.root, below(path), flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
    }
}

/// `path` without its beginning slash: openat2(2) takes it from the root given either way, mkdirat(2) would not.
fn below(path: &Path) -> PathBuf {
    let parts: PathBuf = path.components().filter(|part| *part != Component::RootDir).collect();
    if parts.as_os_str().is_empty() { PathBuf::from(".") } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_nowhere_else_than_below_the_root() {
        let directory = std::env::temp_dir().join(format!("terrarium-inside-{}", std::process::id()));
        fs::create_dir_all(directory.join("root/real")).expect("a directory");
        fs::create_dir_all(directory.join("outside")).expect("a directory");
        symlink("../../outside", directory.join("root/relative")).expect("a link");
        symlink(directory.join("outside"), directory.join("root/absolute")).expect("a link");
        symlink("/real", directory.join("root/within")).expect("a link");
        let root = fs::File::open(directory.join("root")).expect("the root");
        let inside = Inside::new(root.as_fd());

        inside.make_dir(Path::new("/within/made")).expect("below the root");
        assert!(directory.join("root/real/made").is_dir());
        assert!(inside.make_dir(Path::new("/relative/made")).is_err(), "there is no /outside in the root");
        assert!(inside.make_file(Path::new("/absolute")).is_err(), "a link that leads nowhere inside");
        assert!(inside.open_without_links(Path::new("/within")).is_err());
        assert_eq!(fs::read_dir(directory.join("outside")).expect("it is there").count(), 0);
        let up = inside.open(Path::new("/../..")).expect("the root has no parent");
        let inode = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).expect("it is there").st_ino;
        assert_eq!(inode(up.as_fd()), inode(root.as_fd()));
        fs::remove_dir_all(directory).expect("removed");
    }
}
