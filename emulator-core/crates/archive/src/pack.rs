//! A directory becomes an archive: a root file system, the writable layer of an overlay with its whiteouts, or a tree that is
//! copied out of a guest.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use crate::error::{During, Result};
use crate::place::{is_opaque, is_whiteout_node};
use crate::sparse::Map;
use crate::{ATTRIBUTE_RECORD, OPAQUE, WHITEOUT, attributes};

/// Length of a path in a header (POSIX.1-2024, ustar).
const NAME_BYTES: usize = 100;

/// Writes everything in `root` to `output`. Devices and sockets are left out: layers have none.
pub fn pack(root: OwnedFd, output: impl Write) -> Result<()> {
    let mut packer = Packer { archive: Builder::new(output), links: BTreeMap::new() };
    packer.add_directory(&root, b"")?;
    packer.archive.finish().during("writing the archive")
}

/// Writes what `parent` has by the name of `entry` to `output`, as a member called `name` and all that is in it; where `entry`
/// is `.`, what is in `parent` alone. Devices and sockets are left out.
pub fn pack_tree(parent: &OwnedFd, entry: &CStr, name: &[u8], output: impl Write) -> Result<()> {
    let mut packer = Packer { archive: Builder::new(output), links: BTreeMap::new() };
    if entry.to_bytes() == b"." {
        packer.add_directory(parent, b"")?;
    } else if let Some(stat) = look_at(parent, entry, name)? {
        packer.add(parent, entry, name, &stat)?;
    }
    packer.archive.finish().during("writing the archive")
}

struct Packer<W: Write> {
    archive: Builder<W>,
    /// Files with several names, and the first of them.
    links: BTreeMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packer<W> {
    fn add_directory(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<()> {
        if is_opaque(directory) && !path.is_empty() {
            self.write_marker(&join(path, OPAQUE))?;
        }
        for name in names(directory)? {
            let path = join(path, name.to_bytes());
            if let Some(stat) = look_at(directory, &name, &path)? {
                self.add(directory, &name, &path, &stat)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, parent: &OwnedFd, name: &CStr, path: &[u8], stat: &Stat) -> Result<()> {
        let during = || format!("reading {}", String::from_utf8_lossy(path));
        let open = |flags| {
            rustix::fs::openat(parent, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).during(during())
        };
        let first = (stat.st_nlink > 1).then(|| self.links.get(&(stat.st_dev, stat.st_ino)).cloned()).flatten();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let directory = open(OFlags::RDONLY | OFlags::DIRECTORY)?;
                let attributes = records_of(&directory).during(during())?;
                self.write(EntryType::Directory, &join(path, b""), b"", stat, &attributes, std::io::empty())?;
                return self.add_directory(&directory, path);
            }
            FileType::RegularFile | FileType::Symlink | FileType::Fifo if first.is_some() => {
                let first = first.unwrap_or_default();
                return self.write(EntryType::Link, path, &first, stat, &[], std::io::empty());
            }
            FileType::RegularFile => {
                // It may have been replaced by a pipe since.
                let file = open(OFlags::RDONLY | OFlags::NONBLOCK)?;
                let stat = rustix::fs::fstat(&file).during(during())?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Ok(());
                }
                let attributes = records_of(&file).during(during())?;
                let (file, size) = (File::from(file), stat.st_size.unsigned_abs());
                if let Some(map) = Map::of_file(&file, size) {
                    self.write_sparse(path, &stat, &attributes, &map, &file)?;
                } else {
                    // It may grow or shrink meanwhile, and the header has said its length.
                    let data = file.chain(std::io::repeat(0)).take(size);
                    self.write(EntryType::Regular, path, b"", &stat, &attributes, data)?;
                }
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).during(during())?;
                self.write(EntryType::Symlink, path, target.to_bytes(), stat, &[], std::io::empty())?;
            }
            FileType::Fifo => self.write(EntryType::Fifo, path, b"", stat, &[], std::io::empty())?,
            FileType::CharacterDevice if is_whiteout_node(stat) => {
                let (above, last) = path.split_at(path.len() - name.to_bytes().len());
                return self.write_marker(&[above, WHITEOUT, last].concat());
            }
            _ => return Ok(()),
        }
        if stat.st_nlink > 1 {
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        Ok(())
    }

    fn write_marker(&mut self, path: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        self.append(header, EntryType::Regular, path, b"", &[], std::io::empty())
    }

    fn write(
        &mut self,
        kind: EntryType,
        path: &[u8],
        link: &[u8],
        stat: &Stat,
        attributes: &[(String, Vec<u8>)],
        data: impl Read,
    ) -> Result<()> {
        let mut header = header_of(stat);
        header.set_size(if kind == EntryType::Regular { stat.st_size.unsigned_abs() } else { 0 });
        self.append(header, kind, path, link, attributes, data)
    }

    /// A file with holes, by version 1.0 of the format (GNU tar manual, "PAX Format, Version 1.0"). Who does not know that
    /// finds its pieces by another name.
    fn write_sparse(
        &mut self,
        path: &[u8],
        stat: &Stat,
        attributes: &[(String, Vec<u8>)],
        map: &Map,
        file: &File,
    ) -> Result<()> {
        let text = map.text();
        let mut header = header_of(stat);
        header.set_size(text.len() as u64 + map.stored());
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let mut pieces_name = join(b"GNUSparseFile.0", last);
        pieces_name.truncate(NAME_BYTES);
        let record = |key: &str, value: &[u8]| (format!("GNU.sparse.{key}"), value.to_vec());
        let records = [
            record("major", b"1"),
            record("minor", b"0"),
            record("name", path),
            record("realsize", map.length.to_string().as_bytes()),
        ];
        let records = [&records, attributes].concat();
        self.append(header, EntryType::Regular, &pieces_name, b"", &records, text.chain(map.pieces_of(file)))
    }

    /// What does not fit a header goes to an extended one before it, with `extension` (POSIX.1-2024, pax).
    fn append(
        &mut self,
        mut header: Header,
        kind: EntryType,
        path: &[u8],
        link: &[u8],
        extension: &[(String, Vec<u8>)],
        data: impl Read,
    ) -> Result<()> {
        header.set_entry_type(kind);
        let mut records: Vec<(&str, &[u8])> = Vec::new();
        let old = header.as_old_mut();
        for (key, value, field) in [("path", path, &mut old.name), ("linkpath", link, &mut old.linkname)] {
            let length = value.len().min(NAME_BYTES);
            field[..length].copy_from_slice(&value[..length]);
            if value.len() > NAME_BYTES {
                records.push((key, value));
            }
        }
        records.extend(extension.iter().map(|(key, value)| (key.as_str(), value.as_slice())));
        header.set_cksum();
        let written = self.archive.append_pax_extensions(records).and_then(|()| self.archive.append(&header, data));
        written.during("writing the archive")
    }
}

/// A file's attributes, as records of an extended header.
fn records_of(file: &OwnedFd) -> rustix::io::Result<Vec<(String, Vec<u8>)>> {
    let attributes = attributes::read(file)?;
    Ok(attributes.into_iter().map(|(name, value)| (format!("{ATTRIBUTE_RECORD}{name}"), value)).collect())
}

fn header_of(stat: &Stat) -> Header {
    let mut header = Header::new_ustar();
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}

/// The path of `name` in the directory at `path`; no path is the root.
pub fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

/// Names in a directory, sorted, so that the same directory always becomes the same archive.
pub fn names(directory: &OwnedFd) -> Result<Vec<CString>> {
    let read = || -> rustix::io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(directory)? {
            let name = entry?.file_name().to_owned();
            if name.as_bytes() != b"." && name.as_bytes() != b".." {
                names.push(name);
            }
        }
        Ok(names)
    };
    let mut names = read().during("reading a directory")?;
    names.sort();
    Ok(names)
}

/// What `name` in a directory, which is at `path`, is; none where it has been removed since: a container that runs may remove what it made.
pub fn look_at(directory: &OwnedFd, name: &CStr, path: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        result => Ok(Some(result.during(format!("reading {}", String::from_utf8_lossy(path)))?)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::unpack::{self, Form, Limits, Owners};

    const MIB: u64 = 1 << 20;

    /// A file of that length with data at some places alone.
    fn make(path: &Path, length: u64, places: &[u64]) {
        let file = File::create_new(path).expect("a file");
        file.set_len(length).expect("a length");
        for place in places {
            file.write_all_at(&[7; 5_000], *place).expect("written");
        }
        file.sync_all().expect("on the disk");
    }

    /// What two files must have alike: length, blocks and bytes. Of a huge one not all bytes are looked at.
    fn look(path: &Path) -> (u64, u64, Vec<u8>) {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.sync_all().expect("on the disk");
        let stat = file.metadata().expect("its state");
        let mut bytes = Vec::new();
        file.take(20 * MIB).read_to_end(&mut bytes).expect("its bytes");
        (stat.len(), stat.blocks(), bytes)
    }

    #[test]
    fn files_with_holes_are_unpacked_as_they_were_by_gnu_tar_and_by_us() {
        let top = std::env::temp_dir().join(format!("terrarium-holes-{}", std::process::id()));
        let long = "long".repeat(40);
        let files: [(&str, u64, &[u64]); 6] = [
            ("both", 9 * MIB, &[MIB, 4 * MIB + 77]),
            ("only", 3 * MIB, &[]),
            ("start", 2 * MIB + 5_000, &[2 * MIB]),
            ("whole", 5_000, &[0]),
            ("huge", 9 << 30, &[8_900_000_000]),
            (&long, MIB, &[0]),
        ];
        let directories = ["in/below", "tar", "own"].map(|name| top.join(name));
        directories.iter().for_each(|directory| std::fs::create_dir_all(directory).expect("a directory"));
        let [below, by_tar, own] = directories;
        files.iter().for_each(|(name, length, places)| make(&below.join(name), *length, places));
        let open = |path: &Path| OwnedFd::from(File::open(path).expect("a directory"));
        let mut archive = Vec::new();
        pack(open(&top.join("in")), &mut archive).expect("an archive");
        assert!(archive.len() < 200_000, "{} bytes", archive.len());

        let file = top.join("archive");
        std::fs::write(&file, &archive).expect("written");
        let told = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&by_tar).output().expect("tar");
        assert!(told.status.success() && told.stderr.is_empty(), "{told:?}");
        let limits = Limits { bytes: u64::MAX, entries: 100 };
        let form = Form::Tree { owners: Owners::Own, set_ids: false };
        unpack::unpack(&archive[..], open(&own), limits, form).expect("files");
        for (name, ..) in files {
            let original = look(&below.join(name));
            assert_eq!(look(&by_tar.join("below").join(name)), original, "{name} by tar");
            assert_eq!(look(&own.join("below").join(name)), original, "{name}");
        }
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
