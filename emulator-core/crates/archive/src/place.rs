//! Where members of an archive go. Every step from the root down is taken by the kernel without following a link, so that
//! nothing lands outside, whatever the archive has put there before.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags};
use rustix::io::{Errno, Result as SystemResult};

use crate::error::{During, Error, Result, refused};
use crate::lower;
use crate::{OPAQUE, OPAQUE_ATTRIBUTE, WHITEOUT, WHITEOUT_META};

/// The longest path the kernel takes (PATH_MAX).
const MAX_PATH_BYTES: usize = 4_096;
/// How paths are resolved: nowhere but down, and by no link.
pub const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The directory that an archive goes to.
pub struct Place {
    root: OwnedFd,
    /// Of a layer: the directories of those below, topmost first.
    lowers: Vec<OwnedFd>,
    /// The directory that the last member went to; archives go through a directory's members one by one.
    recent: Option<(Vec<u8>, OwnedFd)>,
}

/// A path of an archive that has been looked at: in parts, from the root.
pub struct Name {
    parts: Vec<Vec<u8>>,
}

/// What a name asks for.
pub enum Meaning {
    /// The root itself.
    Root,
    /// Something called that.
    Member(CString),
    /// That is not to be seen any more.
    Whiteout(CString),
    /// Nothing of the directory in lower layers is.
    Opaque,
    /// Notes of other storage drivers.
    Note,
}

impl Name {
    /// Takes `path` apart.
    pub fn parse(path: &[u8]) -> Result<Self> {
        let wrong = |reason| Err(refused(path, reason));
        if path.len() > MAX_PATH_BYTES {
            return wrong("its path is too long");
        }
        if path.first() == Some(&b'/') {
            return wrong("its path is absolute");
        }
        if path.contains(&0) {
            return wrong("its path holds a zero byte");
        }
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        let parts: Vec<_> = parts.map(<[u8]>::to_vec).collect();
        if parts.iter().any(|part| part == b"..") {
            return wrong("its path leads upwards");
        }
        Ok(Self { parts })
    }

    /// What its last part says.
    pub fn meaning(&self) -> Result<Meaning> {
        let Some(last) = self.parts.last() else { return Ok(Meaning::Root) };
        if last == OPAQUE {
            return Ok(Meaning::Opaque);
        }
        if last.starts_with(WHITEOUT_META) {
            return Ok(Meaning::Note);
        }
        match last.strip_prefix(WHITEOUT) {
            Some(b"" | b"." | b"..") => Err(refused(last, "it hides nothing that has a name")),
            Some(hidden) => Ok(Meaning::Whiteout(c_string(hidden))),
            None => Ok(Meaning::Member(c_string(last))),
        }
    }

    /// The last part; none of the root.
    pub fn last(&self) -> Option<CString> {
        self.parts.last().map(|last| c_string(last))
    }

    fn parent(&self) -> Vec<u8> {
        self.parts[..self.parts.len().saturating_sub(1)].join(&b'/')
    }

    /// The path as it is, from the root.
    pub fn path(&self) -> Vec<u8> {
        self.parts.join(&b'/')
    }

    /// Whether it is in the root of the layer.
    pub fn is_topmost(&self) -> bool {
        self.parts.len() <= 1
    }
}

/// No part of a [`Name`] holds a zero byte.
fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_default()
}

impl Place {
    /// What goes to `root`, over what `lowers` have.
    pub fn new(root: OwnedFd, lowers: Vec<OwnedFd>) -> Self {
        Self { root, lowers, recent: None }
    }

    /// The root.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The directory that `name` is in, made where it is missing.
    pub fn parent(&mut self, name: &Name) -> Result<&OwnedFd> {
        let path = name.parent();
        let known = self.recent.take().filter(|(recent, _)| *recent == path);
        let directory = match known {
            Some((_, directory)) => directory,
            None => self.directory(&name.parts[..name.parts.len().saturating_sub(1)])?,
        };
        Ok(&self.recent.insert((path, directory)).1)
    }

    /// A directory that the archive does not name, or not yet, is what the layers below have there.
    fn directory(&self, parts: &[Vec<u8>]) -> Result<OwnedFd> {
        let path = parts.join(&b'/');
        match self.open(&path) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            result => return result.map_err(|errno| misplaced(&path, errno)),
        }
        let Some((last, above)) = parts.split_last() else { return self.open(b"").during("opening the directory") };
        let above = self.directory(above)?;
        let made = make_directory(&above, &c_string(last)).map_err(|errno| misplaced(&path, errno))?;
        let directory = self.open(&path).map_err(|errno| misplaced(&path, errno))?;
        if made == Made::Continued {
            lower::continue_directory(&self.lowers, &path, &directory)
                .map_err(|errno| Error::system("making", &path, errno))?;
        }
        Ok(directory)
    }

    fn open(&self, path: &[u8]) -> SystemResult<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), BENEATH)
    }

    /// The directory that a hard link's target is in, and its name there. One that a layer below has is copied up: how many
    /// bytes that took.
    pub fn target(&mut self, link: &[u8]) -> Result<(OwnedFd, CString, u64)> {
        let name = Name::parse(link)?;
        let Some(last) = name.last() else { return Err(refused(link, "it is a hard link to the root")) };
        let (path, parent) = (name.path(), name.parent());
        if !self.lowers.is_empty() {
            let number = lower::find([&self.root].into_iter().chain(&self.lowers), &path);
            let number = number.ok_or_else(|| missing(link))?;
            if let Some(lower) = number.checked_sub(1) {
                self.parent(&name)?;
                let directory = self.open(&parent).map_err(|errno| misplaced(link, errno))?;
                let bytes = lower::copy_up(&self.lowers[lower], &path, &directory, &last)?;
                return Ok((directory, last, bytes));
            }
        }
        let directory = self.open(&parent).map_err(|errno| match errno {
            Errno::NOENT => missing(link),
            errno => misplaced(link, errno),
        })?;
        Ok((directory, last, 0))
    }
}

/// The error for a hard link to nothing.
pub fn missing(link: &[u8]) -> Error {
    refused(link, "it is the target of a hard link, and not there")
}

/// Why something cannot be put below `path`.
fn misplaced(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::LOOP | Errno::XDEV => refused(path, "it is a symbolic link, and members are to lie below it"),
        Errno::NOTDIR | Errno::EXIST => refused(path, "it is no directory, and members are to lie below it"),
        Errno::NAMETOOLONG => refused(path, "a name is too long"),
        errno => Error::system("making", path, errno),
    }
}

/// How a directory came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was there.
    Before,
    /// What layers below have in it is seen.
    Continued,
    /// It stands where something is hidden, and nothing of that is seen.
    Anew,
}

/// Makes a directory.
pub fn make_directory(parent: &OwnedFd, name: &CStr) -> SystemResult<Made> {
    let mode = Mode::from_raw_mode(0o755);
    match rustix::fs::mkdirat(parent, name, mode) {
        Err(Errno::EXIST) if is_whiteout(parent, name) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            rustix::fs::mkdirat(parent, name, mode)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            make_opaque(&rustix::fs::openat(parent, name, flags, Mode::empty())?)?;
            Ok(Made::Anew)
        }
        Err(Errno::EXIST) if kind_of(parent, name) == Some(FileType::Directory) => Ok(Made::Before),
        result => result.map(|()| Made::Continued),
    }
}

/// Hides `name` of lower layers. What this layer has of that name stays: a directory, as a new one.
pub fn hide(parent: &OwnedFd, name: &CStr) -> SystemResult<()> {
    match rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) if kind_of(parent, name) == Some(FileType::Directory) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            make_opaque(&rustix::fs::openat(parent, name, flags, Mode::empty())?)
        }
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// Marks a directory whose likes in lower layers are not seen.
pub fn make_opaque(directory: &OwnedFd) -> SystemResult<()> {
    rustix::fs::fsetxattr(directory, OPAQUE_ATTRIBUTE, b"y", XattrFlags::empty())
}

/// Whether nothing of `directory` in lower layers is seen.
pub fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0; 2];
    matches!(rustix::fs::fgetxattr(directory, OPAQUE_ATTRIBUTE, &mut value[..]), Ok(1) if value[0] == b'y')
}

/// Makes way for a member that takes the place of a file.
pub fn clear_file(parent: &OwnedFd, name: &CStr) -> SystemResult<()> {
    match kind_of(parent, name) {
        None | Some(FileType::Directory) => Ok(()),
        Some(_) => rustix::fs::unlinkat(parent, name, AtFlags::empty()),
    }
}

/// Makes way for a member where only a whiteout stands.
pub fn clear_whiteout(parent: &OwnedFd, name: &CStr) -> SystemResult<()> {
    if is_whiteout(parent, name) { rustix::fs::unlinkat(parent, name, AtFlags::empty()) } else { Ok(()) }
}

fn is_whiteout(parent: &OwnedFd, name: &CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| is_whiteout_node(&stat))
}

/// overlayfs.rst: a character device with the number 0/0.
pub fn is_whiteout_node(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn kind_of(parent: &OwnedFd, name: &CStr) -> Option<FileType> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}
