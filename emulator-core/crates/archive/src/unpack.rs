//! An archive becomes a layer's directory, or files of one that is in use, or is refused.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::{Errno, Result as SystemResult};
use serde::{Deserialize, Serialize};
use tar::EntryType;

use crate::attributes::{self, CAPABILITY};
use crate::error::{During, Error, Result, damaged, refused};
use crate::members::{self, Member};
use crate::place::{self, BENEATH, Meaning, Name, Place};
use crate::reader::Reader;
use crate::{IDS, OVERLAY_ATTRIBUTES};

/// What may follow the end of an archive: tar pads to whole records, of which the largest known has a mebibyte.
const MAX_PADDING_BYTES: u64 = 16 << 20;

/// The paths of directories are kept to the end; those of a whole system take a few million bytes.
const MAX_PATHS_BYTES: usize = 256 << 20;

/// How much an archive may become.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Limits {
    /// Bytes of its files together, and the length of each.
    pub bytes: u64,
    /// Members.
    pub entries: u64,
}

/// Whose files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those the archive says.
    Kept,
    /// All of them root's: the user who unpacks has one id. A program that would run as another owner then does not.
    Root,
    /// Of whoever unpacks them.
    Own,
}

/// What an archive is taken for.
#[derive(Debug)]
pub enum Form {
    /// A layer for an empty directory, which overlayfs stacks.
    Layer {
        /// Directories of the layers below, topmost first.
        lowers: Vec<OwnedFd>,
        /// Whose its files become.
        owners: Owners,
    },
    /// Files for a directory in use. They take the place of others there, but for directories.
    Tree {
        /// Whose they become.
        owners: Owners,
        /// Whether programs may run as their owner or group, whoever starts them.
        set_ids: bool,
    },
}

/// What came of an archive.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpacked {
    /// Members.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether nothing of the layers below is to be seen at all.
    pub opaque: bool,
}

/// Unpacks `input` to the directory `root`.
pub fn unpack(input: impl Read, root: OwnedFd, limits: Limits, form: Form) -> Result<Unpacked> {
    let mut reader = Reader::new(input);
    let (lowers, owners, layer, set_ids) = match form {
        Form::Layer { lowers, owners } => (lowers, owners, true, true),
        Form::Tree { owners, set_ids } => (Vec::new(), owners, false, set_ids),
    };
    let place = Place::new(root, lowers);
    let (done, directories) = (Unpacked::default(), Vec::new());
    let mut unpacker = Unpacker { place, limits, owners, layer, set_ids, done, directories, path_bytes: 0 };
    while let Some(member) = members::next(&mut reader)? {
        unpacker.add(member)?;
    }
    // Whoever sends it counts on all of it being taken.
    let rest = std::io::copy(&mut reader.into_rest().take(MAX_PADDING_BYTES), &mut std::io::sink()).map_err(damaged)?;
    if rest == MAX_PADDING_BYTES {
        return Err(Error::TooLarge { limit: format!("{rest} bytes behind its end") });
    }
    unpacker.finish()
}

struct Unpacker {
    place: Place,
    limits: Limits,
    owners: Owners,
    /// Whether names may be whiteouts, and nothing may be there twice.
    layer: bool,
    set_ids: bool,
    done: Unpacked,
    /// Times of directories, which change with what is put into them, and their modes, which may not let anything be put there.
    directories: Vec<(Vec<u8>, i64, Mode)>,
    /// How much memory their paths take.
    path_bytes: usize,
}

impl Unpacker {
    fn add<R: Read>(&mut self, mut member: Member<'_, R>) -> Result<()> {
        self.count(&member)?;
        let name = Name::parse(&member.path)?;
        let Some(place) = (if self.layer { self.prepare(&name, &member)? } else { name.last() }) else { return Ok(()) };
        match member.kind {
            EntryType::Directory => self.add_directory(&name, &place, &member),
            EntryType::Regular | EntryType::Continuous => self.add_file(&name, &place, &mut member),
            EntryType::Symlink => self.add_symlink(&name, &place, &member),
            EntryType::Link => self.add_hard_link(&name, &place, &member),
            EntryType::Fifo => self.add_fifo(&name, &place, &member),
            EntryType::Char | EntryType::Block => Err(refused(&member.path, "it is a device")),
            _ => Err(refused(&member.path, "it is of a kind that layers have not")),
        }
    }

    /// Does what the name of a layer's member asks for; the name by which the member is made, where it asks for one.
    fn prepare<R: Read>(&mut self, name: &Name, member: &Member<'_, R>) -> Result<Option<std::ffi::CString>> {
        match name.meaning()? {
            Meaning::Note => {}
            Meaning::Root if member.kind == EntryType::Directory => {
                self.directories.push((Vec::new(), member.modified, self.mode(member)));
                self.adorn(self.place.root().as_fd(), member)?;
            }
            Meaning::Root => return Err(refused(&member.path, "it takes the place of the root")),
            Meaning::Opaque => {
                self.done.opaque |= name.is_topmost();
                let parent = self.place.parent(name)?;
                place::make_opaque(parent).map_err(|errno| failed(&member.path, errno))?;
            }
            Meaning::Whiteout(hidden) => {
                let parent = self.place.parent(name)?;
                place::hide(parent, &hidden).map_err(|errno| failed(&member.path, errno))?;
            }
            Meaning::Member(place) => return Ok(Some(place)),
        }
        Ok(None)
    }

    fn count<R: Read>(&mut self, member: &Member<'_, R>) -> Result<()> {
        self.done.entries += 1;
        // A file of holes takes no place; but whoever copies it writes them.
        let length = member.sparse.as_ref().map_or(0, |map| map.length);
        if length > self.limits.bytes {
            return Err(Error::TooLarge { limit: format!("{} bytes of a file", self.limits.bytes) });
        }
        self.count_bytes(member.size)?;
        if self.done.entries > self.limits.entries {
            return Err(Error::TooLarge { limit: format!("{} members", self.limits.entries) });
        }
        match self.owners == Owners::Kept && member.uid.max(member.gid) >= IDS {
            true => Err(refused(&member.path, format!("its owner is beyond the {IDS} ids of a container"))),
            false => Ok(()),
        }
    }

    fn count_bytes(&mut self, bytes: u64) -> Result<()> {
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        match self.done.bytes > self.limits.bytes {
            true => Err(Error::TooLarge { limit: format!("{} bytes", self.limits.bytes) }),
            false => Ok(()),
        }
    }

    /// The directory that a member goes to, with nothing in its way there that may be replaced.
    fn make_way(&mut self, name: &Name, place: &CStr) -> Result<&OwnedFd> {
        let clear: fn(&OwnedFd, &CStr) -> SystemResult<()> =
            if self.layer { place::clear_whiteout } else { place::clear_file };
        let parent = self.place.parent(name)?;
        clear(parent, place).map_err(|errno| failed(&name.path(), errno))?;
        Ok(parent)
    }

    fn add_directory<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let failed = |errno| failed(&member.path, errno);
        let parent = self.place.parent(name)?;
        place::make_directory(parent, place).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, place, flags, Mode::empty()).map_err(failed)?;
        let path = name.path();
        self.path_bytes += path.len();
        if self.path_bytes > MAX_PATHS_BYTES {
            return Err(Error::TooLarge { limit: format!("{MAX_PATHS_BYTES} bytes of directories' paths") });
        }
        self.directories.push((path, member.modified, self.mode(member)));
        self.adorn(directory.as_fd(), member)
    }

    fn add_file<R: Read>(&mut self, name: &Name, place: &CStr, member: &mut Member<'_, R>) -> Result<()> {
        let parent = self.make_way(name, place)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(parent, place, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(made.map_err(|errno| failed(&member.path, errno))?);
        if let Err(error) = fill(&mut file, member) {
            // Half a file is none. Who cannot remove it, either, has that error as well.
            let _ = rustix::fs::unlinkat(parent, place, AtFlags::empty());
            return Err(error);
        }
        self.adorn(file.as_fd(), member)?;
        rustix::fs::futimens(&file, &times(member.modified)).map_err(|errno| failed(&member.path, errno))
    }

    fn add_symlink<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let owner = self.owner(member);
        let parent = self.make_way(name, place)?;
        rustix::fs::symlinkat(&member.link[..], parent, place).map_err(|errno| failed(&member.path, errno))?;
        own(parent, place, owner).map_err(|errno| unowned(&member.path, errno))?;
        touch(parent, place, member.modified).map_err(|errno| failed(&member.path, errno))
    }

    fn add_hard_link<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let (directory, target, copied) = self.place.target(&member.link)?;
        self.count_bytes(copied)?;
        let parent = self.make_way(name, place)?;
        let made = rustix::fs::linkat(&directory, &target, parent, place, AtFlags::empty());
        made.map_err(|errno| match errno {
            Errno::NOENT => place::missing(&member.link),
            Errno::PERM => refused(&member.link, "it is the target of a hard link, and a directory"),
            errno => failed(&member.path, errno),
        })
    }

    fn add_fifo<R: Read>(&mut self, name: &Name, place: &CStr, member: &Member<'_, R>) -> Result<()> {
        let owner = self.owner(member);
        let parent = self.make_way(name, place)?;
        let mode = Mode::from_raw_mode(member.mode & 0o777);
        rustix::fs::mkfifoat(parent, place, mode).map_err(|errno| failed(&member.path, errno))?;
        own(parent, place, owner).map_err(|errno| unowned(&member.path, errno))?;
        touch(parent, place, member.modified).map_err(|errno| failed(&member.path, errno))
    }

    fn owner<R: Read>(&self, member: &Member<'_, R>) -> Owner {
        match self.owners {
            // Below IDS, as counted.
            Owners::Kept => Some((Uid::from_raw(member.uid as u32), Gid::from_raw(member.gid as u32))),
            Owners::Root => Some((Uid::ROOT, Gid::ROOT)),
            Owners::Own => None,
        }
    }

    /// Owner, attributes and, but for directories, mode, in this order: a change of owner clears the others (chown(2)).
    fn adorn<R: Read>(&self, file: BorrowedFd<'_>, member: &Member<'_, R>) -> Result<()> {
        let failed = |errno| failed(&member.path, errno);
        if let Some((uid, gid)) = self.owner(member) {
            rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(|errno| unowned(&member.path, errno))?;
        }
        for (name, value) in member.attributes.iter().filter(|_| self.layer) {
            if name.starts_with(OVERLAY_ATTRIBUTES) {
                return Err(refused(&member.path, format!("it has the attribute {name}, which overlayfs would obey")));
            }
            if (name == CAPABILITY && self.owners == Owners::Kept) || name.starts_with("user.") {
                attributes::set(file, name, value).map_err(failed)?;
            }
        }
        match member.kind == EntryType::Directory {
            true => Ok(()),
            false => rustix::fs::fchmod(file, self.mode(member)).map_err(failed),
        }
    }

    fn mode<R: Read>(&self, member: &Member<'_, R>) -> Mode {
        let mut mode = member.mode & if self.set_ids { 0o7777 } else { 0o1777 };
        if self.owners == Owners::Root {
            mode &= if member.uid == 0 { 0o7777 } else { !0o4000 };
            mode &= if member.gid == 0 { 0o7777 } else { !0o2000 };
        }
        Mode::from_raw_mode(mode)
    }

    fn finish(self) -> Result<Unpacked> {
        let root = self.place.root();
        for (path, modified, mode) in self.directories.iter().rev() {
            let path = if path.is_empty() { &b"."[..] } else { path };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let finished = rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH).and_then(|directory| {
                rustix::fs::futimens(&directory, &times(*modified))?;
                rustix::fs::fchmod(&directory, *mode)
            });
            finished.map_err(|errno| failed(path, errno))?;
        }
        if self.layer {
            // The name it gets then may not survive what it names.
            rustix::fs::syncfs(root).during("writing the layer to the disk")?;
        }
        Ok(self.done)
    }
}

/// Writes what the archive has of a file.
fn fill<R: Read>(file: &mut File, member: &mut Member<'_, R>) -> Result<()> {
    let writing = format!("writing {}", String::from_utf8_lossy(&member.path));
    if let Some(map) = &member.sparse {
        return map.write(&mut member.data, file, &writing);
    }
    let copied = std::io::copy(&mut member.data, file).during(writing)?;
    if copied < member.size { Err(damaged("it is cut off")) } else { Ok(()) }
}

/// Whose a file becomes, where it is not its maker's.
type Owner = Option<(Uid, Gid)>;

fn own(parent: &OwnedFd, name: &CStr, owner: Owner) -> SystemResult<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn touch(parent: &OwnedFd, name: &CStr, seconds: i64) -> rustix::io::Result<()> {
    rustix::fs::utimensat(parent, name, &times(seconds), AtFlags::SYMLINK_NOFOLLOW)
}

/// Why a file cannot be given to its owner (chown(2), user_namespaces(7)).
fn unowned(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::INVAL => refused(path, "its owner has no id here"),
        errno => failed(path, errno),
    }
}

fn failed(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::EXIST => refused(path, "it is there twice"),
        Errno::NAMETOOLONG => refused(path, "its name is too long"),
        errno => Error::system("making", path, errno),
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
        let result = unpack(&archive[..], root.into(), limits, Form::Layer { lowers: Vec::new(), owners });
        std::fs::remove_dir_all(&directory).expect("removed");
        result
    }

    /// An archive with what layers have: a file, one with holes, links, and extended headers.
    fn variety() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |kind: EntryType, name: &str, link: &str, records: &[(&str, &[u8])], data: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1);
            header.set_size(data.len() as u64);
            if !link.is_empty() {
                header.set_link_name(link).expect("a link's name");
            }
            builder.append_pax_extensions(records.iter().copied()).expect("records");
            builder.append_data(&mut header, name, data).expect("a member");
        };
        add(EntryType::Directory, "d/", "", &[], &[]);
        add(EntryType::Regular, "d/a", "", &[("mtime", b"1.5"), ("SCHILY.xattr.user.note", b"x")], &[7; 700]);
        add(
            EntryType::Regular,
            "sparse",
            "",
            &[("GNU.sparse.size", b"9000"), ("GNU.sparse.map", b"0,2,4096,3")],
            b"12345",
        );
        let map = format!("{:\0<512}pieces", "1\n4096\n6\n");
        let version: [(&str, &[u8]); 3] =
            [("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"named"), ("GNU.sparse.realsize", b"9000")];
        add(EntryType::Regular, "mangled", "", &version, map.as_bytes());
        add(EntryType::Link, "d/hard", "d/a", &[], &[]);
        add(EntryType::Symlink, "soft", "../outside", &[], &[]);
        add(EntryType::Regular, "d/.wh.gone", "", &[], &[]);
        builder.into_inner().expect("an archive")
    }

    #[test]
    fn what_is_damaged_anywhere_is_refused_or_something_else_and_nothing_lands_outside() {
        let whole = variety();
        // xorshift32: the same places every time.
        let mut state = 0x1234_5678_u32;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize % below
        };
        let top = std::env::temp_dir().join(format!("terrarium-damaged-{}", std::process::id()));
        let owners = if rustix::process::geteuid().is_root() { Owners::Kept } else { Owners::Root };
        let mut refused = 0;
        for round in 0..400 {
            let mut damaged = whole.clone();
            let block = random(whole.len() / 512) * 512;
            damaged[block + random(512)] = random(256) as u8;
            if damaged[block + 257..].starts_with(b"ustar") {
                let mut header = tar::Header::from_byte_slice(&damaged[block..block + 512]).clone();
                header.set_cksum();
                damaged[block..block + 512].copy_from_slice(header.as_bytes());
            }
            let inner = top.join("in");
            std::fs::create_dir_all(&inner).expect("a directory");
            let limits = Limits { bytes: 1 << 20, entries: 100 };
            // What is whole is brought to the disk, which takes its time.
            let form = if round % 10 == 0 {
                Form::Layer { lowers: Vec::new(), owners }
            } else {
                Form::Tree { owners: Owners::Own, set_ids: false }
            };
            let root = File::open(&inner).expect("the directory");
            let end = if round % 4 == 0 { random(damaged.len()) } else { damaged.len() };
            refused += u32::from(unpack(&damaged[..end], root.into(), limits, form).is_err());
            let names: Vec<_> = std::fs::read_dir(&top).expect("the directory").collect();
            assert_eq!(names.len(), 1, "round {round}");
            std::fs::remove_dir_all(&top).expect("removed");
        }
        assert!(refused > 50, "{refused}");
        let root = top.join("whole");
        std::fs::create_dir_all(&root).expect("a directory");
        let form = Form::Layer { lowers: Vec::new(), owners };
        let limits = Limits { bytes: 1 << 20, entries: 100 };
        unpack(&whole[..], File::open(&root).expect("the directory").into(), limits, form).expect("a layer");
        let holes = std::fs::read(root.join("named")).expect("a file");
        assert_eq!((holes.len(), &holes[4096..4102]), (9_000, &b"pieces"[..]));
        std::fs::remove_dir_all(&top).expect("removed");
    }

    #[test]
    fn an_archive_becomes_no_more_than_the_caller_allows() {
        let limits = Limits { bytes: 30, entries: 3 };
        assert_eq!(unpacked(3, 0, limits), Ok(Unpacked { entries: 3, bytes: 30, opaque: false }));
        let refused = |result: Result<Unpacked>| matches!(result, Err(Error::TooLarge { .. }));
        assert!(refused(unpacked(4, 0, Limits { entries: 3, bytes: 40 })), "members");
        assert!(refused(unpacked(3, 0, Limits { entries: 3, bytes: 29 })), "bytes");
        // Behind the end of an archive may stand zeros, but not without end.
        assert!(unpacked(1, 1 << 20, limits).is_ok());
        assert!(refused(unpacked(1, 17 << 20, limits)), "what follows");
    }
}
