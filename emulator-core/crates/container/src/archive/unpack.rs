//! An archive becomes a layer's directory, or is refused.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tar::EntryType;

use crate::archive::members::{self, Member, damaged, refused};
use crate::archive::place::{self, Layer, Meaning, Name};
use crate::archive::{IDS, OVERLAY_ATTRIBUTES};
use crate::error::{During, Error, Result};

/// What may follow the end of an archive: tar pads to whole records, of which the largest known has a mebibyte.
const MAX_PADDING_BYTES: u64 = 16 << 20;

/// The paths of directories are kept to the end; those of a whole system take a few million bytes.
const MAX_PATHS_BYTES: usize = 256 << 20;

/// How much an archive may become.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Limits {
    pub bytes: u64,
    pub entries: u64,
}

/// Whose files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those the archive says.
    Kept,
    /// All of them root's: the user who unpacks has one id. A program that would run as another owner then does not.
    Root,
}

/// What came of an archive.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpacked {
    pub entries: u64,
    pub bytes: u64,
    /// Whether nothing of the layers below is to be seen at all.
    pub opaque: bool,
}

/// Unpacks `input` to the empty directory `root`.
pub fn unpack(input: impl Read, root: OwnedFd, limits: Limits, owners: Owners) -> Result<Unpacked> {
    let mut archive = tar::Archive::new(input);
    let mut unpacker = Unpacker {
        layer: Layer::new(root),
        limits,
        owners,
        done: Unpacked::default(),
        times: Vec::new(),
        path_bytes: 0,
    };
    let mut entries = archive.entries().map_err(damaged)?.raw(true);
    while let Some(member) = members::next(&mut entries)? {
        unpacker.add(member)?;
    }
    // Whoever sends it counts on all of it being taken.
    let rest =
        std::io::copy(&mut archive.into_inner().take(MAX_PADDING_BYTES), &mut std::io::sink()).map_err(damaged)?;
    if rest == MAX_PADDING_BYTES {
        return Err(Error::ArchiveTooLarge { limit: format!("{rest} bytes behind its end") });
    }
    unpacker.finish()
}

struct Unpacker {
    layer: Layer,
    limits: Limits,
    owners: Owners,
    done: Unpacked,
    /// Of directories, whose times change with what is put into them.
    times: Vec<(Vec<u8>, i64)>,
    /// How much memory their paths take.
    path_bytes: usize,
}

impl Unpacker {
    fn add<R: Read>(&mut self, mut member: Member<'_, R>) -> Result<()> {
        self.count(&member)?;
        let name = Name::parse(&member.path)?;
        let place = match name.meaning()? {
            Meaning::Note => return Ok(()),
            Meaning::Root if member.kind == EntryType::Directory => {
                self.times.push((Vec::new(), member.modified));
                return self.adorn(self.layer.root().as_fd(), &member);
            }
            Meaning::Root => return Err(refused(&member.path, "it takes the place of the root")),
            Meaning::Opaque => {
                self.done.opaque |= name.is_topmost();
                let parent = self.layer.parent(&name)?;
                return place::make_opaque(parent).map_err(|errno| failed(&member.path, errno));
            }
            Meaning::Whiteout(hidden) => {
                let parent = self.layer.parent(&name)?;
                return place::hide(parent, &hidden).map_err(|errno| failed(&member.path, errno));
            }
            Meaning::Member(place) => place,
        };
        match member.kind {
            EntryType::Directory => self.add_directory(&name, &place, &member),
            EntryType::Regular | EntryType::Continuous => self.add_file(&name, &place, &mut member),
            EntryType::Symlink => self.add_symlink(&name, &place, &member),
            EntryType::Link => self.add_hard_link(&name, &place, &member),
            EntryType::Fifo => self.add_fifo(&name, &place, &member),
            EntryType::Char | EntryType::Block => Err(refused(&member.path, "it is a device")),
            EntryType::GNUSparse => {
                Err(Error::unsupported("a sparse file in an archive", "write the archive without --sparse"))
            }
            _ => Err(refused(&member.path, "it is of a kind that layers have not")),
        }
    }

    fn count<R: Read>(&mut self, member: &Member<'_, R>) -> Result<()> {
        self.done.entries += 1;
        self.done.bytes = self.done.bytes.saturating_add(member.size);
        let Limits { bytes, entries } = self.limits;
        if self.done.bytes > bytes {
            return Err(Error::ArchiveTooLarge { limit: format!("{bytes} bytes") });
        }
        if self.done.entries > entries {
            return Err(Error::ArchiveTooLarge { limit: format!("{entries} members") });
        }
        match self.owners == Owners::Kept && member.uid.max(member.gid) >= IDS {
            true => Err(refused(&member.path, format!("its owner is beyond the {IDS} ids of a container"))),
            false => Ok(()),
        }
    }

    fn add_directory<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let failed = |errno| failed(&member.path, errno);
        let parent = self.layer.parent(name)?;
        place::make_directory(parent, place).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, place, flags, Mode::empty()).map_err(failed)?;
        let path = name.path();
        self.path_bytes += path.len();
        if self.path_bytes > MAX_PATHS_BYTES {
            return Err(Error::ArchiveTooLarge { limit: format!("{MAX_PATHS_BYTES} bytes of directories' paths") });
        }
        self.times.push((path, member.modified));
        self.adorn(directory.as_fd(), member)
    }

    fn add_file<R: Read>(&mut self, name: &Name, place: &CStr, member: &mut Member<'_, R>) -> Result<()> {
        let parent = self.layer.parent(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = place::clear_whiteout(parent, place)
            .and_then(|()| rustix::fs::openat(parent, place, flags, Mode::from_raw_mode(0o600)));
        let mut file = File::from(made.map_err(|errno| failed(&member.path, errno))?);
        let copied = std::io::copy(&mut member.data, &mut file).map_err(|error| match error.raw_os_error() {
            // The kernel refused it: the archive's own faults have no such number.
            Some(_) => Error::System {
                operation: format!("writing {}", String::from_utf8_lossy(&member.path)),
                reason: error.to_string(),
            },
            None => damaged(error),
        })?;
        if copied < member.size {
            return Err(damaged("it is cut off"));
        }
        self.adorn(file.as_fd(), member)?;
        rustix::fs::futimens(&file, &times(member.modified)).map_err(|errno| failed(&member.path, errno))
    }

    fn add_symlink<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let (uid, gid) = self.owner(member);
        let parent = self.layer.parent(name)?;
        let made = place::clear_whiteout(parent, place)
            .and_then(|()| rustix::fs::symlinkat(&member.link[..], parent, place))
            .and_then(|()| rustix::fs::chownat(parent, place, uid, gid, AtFlags::SYMLINK_NOFOLLOW));
        made.and_then(|()| touch(parent, place, member.modified)).map_err(|errno| failed(&member.path, errno))
    }

    fn add_hard_link<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let (directory, target) = self.layer.target(&member.link)?;
        let parent = self.layer.parent(name)?;
        let made = place::clear_whiteout(parent, place)
            .and_then(|()| rustix::fs::linkat(&directory, &target, parent, place, AtFlags::empty()));
        made.map_err(|errno| match errno {
            Errno::NOENT => refused(&member.link, "it is the target of a hard link, and not in this layer"),
            Errno::PERM => refused(&member.link, "it is the target of a hard link, and a directory"),
            errno => failed(&member.path, errno),
        })
    }

    fn add_fifo<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let (uid, gid) = self.owner(member);
        let parent = self.layer.parent(name)?;
        let mode = Mode::from_raw_mode(member.mode & 0o777);
        let made = place::clear_whiteout(parent, place)
            .and_then(|()| rustix::fs::mkfifoat(parent, place, mode))
            .and_then(|()| rustix::fs::chownat(parent, place, uid, gid, AtFlags::SYMLINK_NOFOLLOW));
        made.and_then(|()| touch(parent, place, member.modified)).map_err(|errno| failed(&member.path, errno))
    }

    fn owner<R: Read>(&self, member: &Member<'_, R>) -> (Option<Uid>, Option<Gid>) {
        match self.owners {
            // Below IDS, as counted.
            Owners::Kept => (Some(Uid::from_raw(member.uid as u32)), Some(Gid::from_raw(member.gid as u32))),
            Owners::Root => (Some(Uid::ROOT), Some(Gid::ROOT)),
        }
    }

    /// Owner, attributes and mode, in this order: a change of owner clears the others (chown(2)).
    fn adorn<R: Read>(&self, file: BorrowedFd<'_>, member: &Member<'_, R>) -> Result<()> {
        let failed = |errno| failed(&member.path, errno);
        let (uid, gid) = self.owner(member);
        rustix::fs::fchown(file, uid, gid).map_err(failed)?;
        for (name, value) in &member.attributes {
            if name.starts_with(OVERLAY_ATTRIBUTES) {
                return Err(refused(&member.path, format!("it has the attribute {name}, which overlayfs would obey")));
            }
            let capability = name == "security.capability" && self.owners == Owners::Kept;
            if capability || name.starts_with("user.") {
                rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty()).map_err(failed)?;
            }
        }
        let mut mode = member.mode & 0o7777;
        if self.owners == Owners::Root {
            mode &= if member.uid == 0 { 0o7777 } else { !0o4000 };
            mode &= if member.gid == 0 { 0o7777 } else { !0o2000 };
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).map_err(failed)
    }

    fn finish(self) -> Result<Unpacked> {
        let root = self.layer.root();
        for (path, modified) in self.times.iter().rev() {
            let path = if path.is_empty() { &b"."[..] } else { path };
            rustix::fs::utimensat(root, path, &times(*modified), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| failed(path, errno))?;
        }
        // The name it gets then may not survive what it names.
        rustix::fs::syncfs(root).during("writing the layer to the disk")?;
        Ok(self.done)
    }
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn touch(parent: &OwnedFd, name: &CStr, seconds: i64) -> rustix::io::Result<()> {
    rustix::fs::utimensat(parent, name, &times(seconds), AtFlags::SYMLINK_NOFOLLOW)
}

fn failed(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::EXIST => refused(path, "it is there twice"),
        Errno::NAMETOOLONG => refused(path, "its name is too long"),
        errno => {
            Error::System { operation: format!("making {}", String::from_utf8_lossy(path)), reason: errno.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unpacks `files` members of ten bytes and `trailing` zeros to a directory that is removed again.
    fn unpacked(files: usize, trailing: usize, limits: Limits) -> Result<Unpacked> {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..files {
            let mut header = tar::Header::new_ustar();
            header.set_size(10);
            header.set_mode(0o644);
            header.set_mtime(1);
            header.set_uid(0);
            header.set_gid(0);
            builder.append_data(&mut header, number.to_string(), &[7; 10][..]).expect("a member");
        }
        let mut archive = builder.into_inner().expect("an archive");
        archive.resize(archive.len() + trailing, 0);
        let directory =
            std::env::temp_dir().join(format!("terrarium-unpack-{}-{files}-{trailing}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let root = File::open(&directory).expect("the directory");
        let owners = if rustix::process::geteuid().is_root() { Owners::Kept } else { Owners::Root };
        let result = unpack(&archive[..], root.into(), limits, owners);
        std::fs::remove_dir_all(&directory).expect("removed");
        result
    }

    #[test]
    fn an_archive_becomes_no_more_than_the_caller_allows() {
        let limits = Limits { bytes: 30, entries: 3 };
        assert_eq!(unpacked(3, 0, limits), Ok(Unpacked { entries: 3, bytes: 30, opaque: false }));
        let refused = |result: Result<Unpacked>| matches!(result, Err(Error::ArchiveTooLarge { .. }));
        assert!(refused(unpacked(4, 0, Limits { entries: 3, bytes: 40 })), "members");
        assert!(refused(unpacked(3, 0, Limits { entries: 3, bytes: 29 })), "bytes");
        // Behind the end of an archive may stand zeros, but not without end.
        assert!(unpacked(1, 1 << 20, limits).is_ok());
        assert!(refused(unpacked(1, 17 << 20, limits)), "what follows");
    }
}
