//! What lies in the layers below one, which overlayfs would show through it.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::{Errno, Result as SystemResult};

use crate::attributes;
use crate::error::{Error, Result, refused};
use crate::place::{BENEATH, is_opaque, is_whiteout_node};

/// What `layers`, topmost first, together have at `path`: in which of them it is.
pub fn find<'a>(layers: impl IntoIterator<Item = &'a OwnedFd>, path: &[u8]) -> Option<usize> {
    for (number, layer) in layers.into_iter().enumerate() {
        match look(layer, path) {
            Found::Here => return Some(number),
            Found::Hidden => return None,
            Found::Nothing => {}
        }
    }
    None
}

enum Found {
    Here,
    /// The layer says that nothing is there, whatever is below.
    Hidden,
    Nothing,
}

fn look(layer: &OwnedFd, path: &[u8]) -> Found {
    let mut hides = false;
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end).chain([path.len()]);
    for end in ends {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(found) = rustix::fs::openat2(layer, &path[..end], flags, Mode::empty(), BENEATH) else {
            return if hides { Found::Hidden } else { Found::Nothing };
        };
        let Ok(stat) = rustix::fs::fstat(&found) else { return Found::Hidden };
        if end == path.len() {
            return if is_whiteout_node(&stat) { Found::Hidden } else { Found::Here };
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Found::Hidden;
        }
        hides |= open(layer, &path[..end], OFlags::DIRECTORY).is_ok_and(|directory| is_opaque(&directory));
    }
    Found::Nothing
}

/// What `path` of a directory leads to without any link, to be read.
pub fn open(layer: &OwnedFd, path: &[u8], flags: OFlags) -> SystemResult<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(layer, path, flags, Mode::empty(), BENEATH)
}

/// Copies the file at `path` of `layer` to `name` in `parent`, with all that is known of it, as overlayfs does before
/// something is changed; its length in bytes.
pub fn copy_up(layer: &OwnedFd, path: &[u8], parent: &OwnedFd, name: &CStr) -> Result<u64> {
    let failed = |errno| Error::system("copying", path, errno);
    let stat = stat_of(layer, path).map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let mut from = File::from(open(layer, path, OFlags::empty()).map_err(failed)?);
            let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
            let mut to = File::from(made);
            std::io::copy(&mut from, &mut to)
                .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
            adorn(&from, &stat, &to).map_err(failed)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::openat2(layer, path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty(), BENEATH)
                .and_then(|link| rustix::fs::readlinkat(&link, c"", Vec::new()));
            target.and_then(|target| rustix::fs::symlinkat(&target, parent, name)).map_err(failed)?;
            own(parent, name, &stat).map_err(failed)?;
        }
        FileType::Fifo => {
            rustix::fs::mkfifoat(parent, name, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(failed)?;
            own(parent, name, &stat).map_err(failed)?;
        }
        _ => return Err(refused(path, "it is the target of a hard link, and no file")),
    }
    rustix::fs::utimensat(parent, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    Ok(stat.st_size.unsigned_abs())
}

fn stat_of(layer: &OwnedFd, path: &[u8]) -> SystemResult<Stat> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::fstat(rustix::fs::openat2(layer, path, flags, Mode::empty(), BENEATH)?)
}

/// Makes `directory`, which is new, what the layers below have at `path`, where that is a directory.
pub fn continue_directory(layers: &[OwnedFd], path: &[u8], directory: &OwnedFd) -> SystemResult<()> {
    let Some(number) = find(layers, path) else { return Ok(()) };
    let from = match open(&layers[number], path, OFlags::DIRECTORY) {
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        from => from?,
    };
    adorn(&from, &rustix::fs::fstat(&from)?, directory)
}

/// Owner, attributes and mode, in this order: a change of owner clears the others (chown(2)).
pub fn adorn(from: impl AsFd, stat: &Stat, to: impl AsFd) -> SystemResult<()> {
    let to = to.as_fd();
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    for (name, value) in attributes::read(from)? {
        attributes::set(to, &name, &value)?;
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

fn own(parent: &OwnedFd, name: &CStr, stat: &Stat) -> SystemResult<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// The time of its last change, as both times of a copy.
pub fn times(stat: &Stat) -> Timestamps {
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_access: time, last_modification: time }
}
