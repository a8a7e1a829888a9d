//! What a writable layer changes of the layers below it.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use serde::Serialize;

use crate::error::{During, Result};
use crate::lower;
use crate::pack::{join, look_at, names};
use crate::place::{is_opaque, is_whiteout_node};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The layers below have nothing there.
    Added,
    /// They have something else there.
    Changed,
    /// It is not seen any more.
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
        let kind = match (is_whiteout_node(&stat), lower::find(lowers, &path).is_some()) {
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
