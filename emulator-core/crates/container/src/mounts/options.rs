//! What the words in a mount's `options` mean (mount(8), config.md "Linux mount options").

use rustix::mount::MountPropagationFlags;

use crate::error::{Error, Result};

/// How a mount's source becomes a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bind {
    /// It is the name of a new file system's device.
    #[default]
    No,
    /// It is a file or directory to be seen in a second place.
    One,
    /// The same with everything mounted below it.
    Recursive,
}

/// The options of one mount, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub bind: Bind,
    /// `MOUNT_ATTR_*` of the mount itself, to be set and to be cleared.
    pub set: u64,
    pub clear: u64,
    /// The same for all below it.
    pub set_recursive: u64,
    pub clear_recursive: u64,
    /// How mounts spread from and to it: the kind, and whether that holds below it.
    pub propagation: Vec<(MountPropagationFlags, bool)>,
    /// Whether ids are mapped, and whether below it too.
    pub idmap: Option<bool>,
    /// What the file system itself is told.
    pub data: Vec<(String, Option<String>)>,
}

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// Attributes of mounts by name: what to set and what to clear. With an `r` before the name, for all below.
const ATTRIBUTES: [(&str, u64, u64); 18] = [
    ("ro", RDONLY, 0),
    ("rw", 0, RDONLY),
    ("nosuid", libc::MOUNT_ATTR_NOSUID, 0),
    ("suid", 0, libc::MOUNT_ATTR_NOSUID),
    ("nodev", libc::MOUNT_ATTR_NODEV, 0),
    ("dev", 0, libc::MOUNT_ATTR_NODEV),
    ("noexec", libc::MOUNT_ATTR_NOEXEC, 0),
    ("exec", 0, libc::MOUNT_ATTR_NOEXEC),
    ("nodiratime", libc::MOUNT_ATTR_NODIRATIME, 0),
    ("diratime", 0, libc::MOUNT_ATTR_NODIRATIME),
    ("nosymfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, 0),
    ("symfollow", 0, libc::MOUNT_ATTR_NOSYMFOLLOW),
    ("relatime", libc::MOUNT_ATTR_RELATIME, ATIME),
    ("norelatime", libc::MOUNT_ATTR_STRICTATIME, ATIME),
    ("noatime", libc::MOUNT_ATTR_NOATIME, ATIME),
    ("atime", libc::MOUNT_ATTR_RELATIME, ATIME),
    ("strictatime", libc::MOUNT_ATTR_STRICTATIME, ATIME),
    ("nostrictatime", libc::MOUNT_ATTR_RELATIME, ATIME),
];

/// What changes how mounts spread.
const PROPAGATIONS: [&str; 4] = ["shared", "slave", "private", "unbindable"];

/// Every word that means something here; all others are for the file system.
pub fn names() -> Vec<String> {
    let both = ATTRIBUTES.iter().map(|(name, ..)| *name).chain(PROPAGATIONS);
    let mut names: Vec<String> = both.flat_map(|name| [name.to_owned(), format!("r{name}")]).collect();
    let others = ["bind", "rbind", "idmap", "ridmap"].into_iter().chain(SUPERBLOCK_FLAGS).chain(WITHOUT_EFFECT);
    names.extend(others.map(str::to_owned));
    names.sort();
    names
}

/// Flags of the file system, which it is told by name.
const SUPERBLOCK_FLAGS: [&str; 6] = ["sync", "dirsync", "lazytime", "mand", "async", "nolazytime"];

/// Words that change nothing: mount(8) and fstab(5) know them.
const WITHOUT_EFFECT: [&str; 8] = ["defaults", "loud", "silent", "remount", "iversion", "noiversion", "nomand", "auto"];

impl Options {
    /// Reads the words of a mount on `destination`.
    pub fn parse(destination: &str, words: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            options.add(destination, word)?;
        }
        Ok(options)
    }

    fn add(&mut self, destination: &str, word: &str) -> Result<()> {
        let attribute = |name: &str| ATTRIBUTES.iter().find(|(known, ..)| *known == name);
        if let Some((_, set, clear)) = attribute(word) {
            (self.set, self.clear) = combine((self.set, self.clear), (*set, *clear));
        } else if let Some((_, set, clear)) = word.strip_prefix('r').and_then(attribute) {
            let before = (self.set_recursive, self.clear_recursive);
            (self.set_recursive, self.clear_recursive) = combine(before, (*set, *clear));
        } else if let Some((kind, recursive)) = propagation(word) {
            self.propagation.push((kind, recursive));
        } else if SUPERBLOCK_FLAGS.contains(&word) {
            self.data.push((word.to_owned(), None));
        } else {
            match word {
                "bind" => self.bind = Bind::One,
                "rbind" => self.bind = Bind::Recursive,
                "idmap" => self.idmap = Some(false),
                "ridmap" => self.idmap = Some(true),
                "tmpcopyup" => {
                    return Err(Error::unsupported(
                        format!("the mount option tmpcopyup of {destination}"),
                        "use an overlay",
                    ));
                }
                _ if WITHOUT_EFFECT.contains(&word) => {}
                _ => self.data.push(match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (word.to_owned(), None),
                }),
            }
        }
        Ok(())
    }

    /// The attributes a new mount begins with.
    pub fn initial(&self) -> u64 {
        self.set | self.set_recursive
    }
}

/// A later word overrides an earlier one. Kinds of access time exclude each other, so that setting one clears all.
fn combine(before: (u64, u64), (set, clear): (u64, u64)) -> (u64, u64) {
    ((before.0 & !clear) | set, (before.1 & !set) | clear)
}

/// The kind of propagation that `word` names, and whether it holds for everything below.
pub fn propagation(word: &str) -> Option<(MountPropagationFlags, bool)> {
    let named = |name: &str| match name {
        "shared" => Some(MountPropagationFlags::SHARED),
        "slave" => Some(MountPropagationFlags::DOWNSTREAM),
        "private" => Some(MountPropagationFlags::PRIVATE),
        "unbindable" => Some(MountPropagationFlags::UNBINDABLE),
        _ => None,
    };
    named(word).map(|kind| (kind, false)).or_else(|| Some((named(word.strip_prefix('r')?)?, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse("/there", &words).expect("they are options")
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(parse(&["ro", "rw"]).set, 0);
        assert_eq!(parse(&["rw", "ro"]).set, libc::MOUNT_ATTR_RDONLY);
        let times = parse(&["noatime", "strictatime"]);
        assert_eq!((times.set, times.clear), (libc::MOUNT_ATTR_STRICTATIME, libc::MOUNT_ATTR__ATIME));
    }

    #[test]
    fn an_r_before_a_word_means_everything_below() {
        let options = parse(&["rbind", "rro", "rslave"]);
        assert_eq!((options.bind, options.set, options.set_recursive), (Bind::Recursive, 0, libc::MOUNT_ATTR_RDONLY));
        assert_eq!(options.propagation, [(MountPropagationFlags::DOWNSTREAM, true)]);
        // These begin with an r of their own.
        assert_eq!(parse(&["relatime"]).set, libc::MOUNT_ATTR_RELATIME);
    }

    #[test]
    fn other_words_are_for_the_file_system() {
        let options = parse(&["mode=755", "newinstance"]);
        assert_eq!(options.data, [("mode".into(), Some("755".into())), ("newinstance".into(), None)]);
    }
}
