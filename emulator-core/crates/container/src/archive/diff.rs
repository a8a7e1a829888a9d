//! What a writable layer changes of the layers below it.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use serde::Serialize;

use crate::archive::pack::{is_opaque, join, look_at, names};
use crate::archive::place::is_whiteout_node;
use crate::error::{During, Result};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Added,
    Changed,
    Deleted,
}

/// A path that differs, from the root.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    kind: Kind,
    path: String,
}

/// Everything in `upper`, compared with `lowers`, topmost first.
pub fn diff(upper: &OwnedFd, lowers: &[OwnedFd]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    compare(upper, b"", lowers, &mut changes)?;
    Ok(changes)
}

fn compare(directory: &OwnedFd, path: &[u8], lowers: &[OwnedFd], changes: &mut Vec<Change>) -> Result<()> {
    for name in names(directory)? {
        let path = join(path, name.to_bytes());
        let Some(stat) = look_at(directory, &name, &path)? else { continue };
        let kind = match (is_whiteout_node(&stat), is_below(lowers, &path)) {
            (true, true) => Kind::Deleted,
            // It hides nothing: what it stood for had been made and removed.
            (true, false) => continue,
            (false, true) => Kind::Changed,
            (false, false) => Kind::Added,
        };
        changes.push(Change { kind, path: format!("/{}", String::from_utf8_lossy(&path)) });
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let during = format!("reading {}", String::from_utf8_lossy(&path));
            let below = rustix::fs::openat(directory, &name, flags, Mode::empty()).during(during)?;
            // What lies below an opaque directory is not seen.
            let seen = if is_opaque(&below) { &[] } else { lowers };
            compare(&below, &path, seen, changes)?;
        }
    }
    Ok(())
}

/// Whether the lower layers together have something at `path`.
fn is_below(lowers: &[OwnedFd], path: &[u8]) -> bool {
    for layer in lowers {
        match look(layer, path) {
            Found::Here => return true,
            Found::Hidden => return false,
            Found::Nothing => {}
        }
    }
    false
}

enum Found {
    Here,
    /// The layer says that nothing is there, whatever is below.
    Hidden,
    Nothing,
}

fn look(layer: &OwnedFd, path: &[u8]) -> Found {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut hides = false;
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end).chain([path.len()]);
    for end in ends {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(found) = rustix::fs::openat2(layer, &path[..end], flags, Mode::empty(), resolve) else {
            return if hides { Found::Hidden } else { Found::Nothing };
        };
        let Ok(stat) = rustix::fs::fstat(&found) else { return Found::Hidden };
        if end == path.len() {
            return if is_whiteout_node(&stat) { Found::Hidden } else { Found::Here };
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Found::Hidden;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        hides |= rustix::fs::openat2(layer, &path[..end], flags, Mode::empty(), resolve)
            .is_ok_and(|directory| is_opaque(&directory));
    }
    Found::Nothing
}
