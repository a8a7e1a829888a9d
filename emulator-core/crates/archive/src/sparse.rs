//! Files with holes, of which archives have the rest alone (GNU tar manual, "Storing Sparse Files"): the old GNU format, and
//! versions 0.0, 0.1 and 1.0 of the one in extended headers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::io::Errno;
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use crate::error::{During, Result, damaged, refused};
use crate::reader::{BLOCK_BYTES, Reader};

/// More pieces no file has that anybody packs; their list is in memory.
const MAX_PIECES: usize = 1 << 20;

/// Pieces of a file that is packed; what lies behind the last of them is packed whole.
const MAX_PACKED_PIECES: usize = 1 << 16;

/// Digits of the longest number, 2^64 - 1.
const MAX_DIGITS: usize = 20;

/// Where a piece of a file goes, and its length in bytes.
type Piece = (u64, u64);

/// Which parts of a file an archive has; all others are holes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// How long the file is, in bytes.
    pub length: u64,
    pieces: Vec<Piece>,
}

impl Map {
    /// Takes the pieces of a file of `length` bytes, of which the archive has `stored`.
    fn new(path: &[u8], length: u64, pieces: Vec<Piece>, stored: u64) -> Result<Self> {
        let (mut end, mut sum) = (0, 0_u64);
        for &(offset, bytes) in &pieces {
            if offset < end {
                return Err(refused(path, "its pieces overlap"));
            }
            end = offset
                .checked_add(bytes)
                .filter(|end| *end <= length)
                .ok_or_else(|| refused(path, "a piece of it is beyond its end"))?;
            sum += bytes;
        }
        if sum != stored {
            return Err(refused(path, "its pieces are not what the archive has of it"));
        }
        Ok(Self { length, pieces })
    }

    /// Where `file`, of `length` bytes, has holes; none where it has none, or its file system does not tell (lseek(2), SEEK_DATA). A piece of no
    /// length says where a hole at the end ends.
    pub fn of_file(file: &File, length: u64) -> Option<Self> {
        Self::find(file, length, MAX_PACKED_PIECES)
    }

    fn find(file: &File, length: u64, most: usize) -> Option<Self> {
        // stat(2) counts in units of 512 bytes, whatever blocks the file system has.
        if file.metadata().ok()?.blocks().saturating_mul(512) >= length {
            return None;
        }
        let (mut pieces, mut end) = (Vec::new(), 0);
        while end < length && pieces.len() < most {
            let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(end)) {
                Ok(start) if start < length => start,
                Ok(_) | Err(Errno::NXIO) => break,
                Err(_) => return None,
            };
            end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start)).ok()?.min(length);
            pieces.push((start, end - start));
        }
        match end < length {
            true if pieces.len() == most => pieces.push((end, length - end)),
            true => pieces.push((length, 0)),
            false => {}
        }
        (pieces != [(0, length)]).then_some(Self { length, pieces })
    }

    /// The map as it stands before the pieces in version 1.0: how many there are, offset and length of each, up to the end
    /// of a block.
    pub fn text(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.pieces.len());
        for (offset, length) in &self.pieces {
            text.push_str(&format!("{offset}\n{length}\n"));
        }
        let mut text = text.into_bytes();
        text.resize(text.len().next_multiple_of(BLOCK_BYTES), 0);
        text
    }

    /// How much the archive has of the file, in bytes.
    pub fn stored(&self) -> u64 {
        self.pieces.iter().map(|(_, length)| length).sum()
    }

    /// The pieces of `file`, one behind the other.
    pub fn pieces_of<'a>(&'a self, file: &'a File) -> Pieces<'a> {
        Pieces { file, left: &self.pieces, read: 0 }
    }

    /// Writes the file: the pieces, and holes between them.
    pub fn write(&self, data: &mut impl Read, file: &mut File, during: &str) -> Result<()> {
        for &(offset, length) in &self.pieces {
            file.seek(SeekFrom::Start(offset)).during(during)?;
            if std::io::copy(&mut data.by_ref().take(length), file).during(during)? < length {
                return Err(damaged("it is cut off"));
            }
        }
        file.set_len(self.length).during(during)
    }

    /// The map of a member of the old GNU format, which is in its header and in blocks behind that.
    pub fn of_gnu_header(path: &[u8], header: &Header, reader: &mut Reader<impl Read>) -> Result<Self> {
        let header =
            header.as_gnu().ok_or_else(|| refused(path, "it is sparse in a header that has no place for that"))?;
        let mut pieces = Vec::new();
        add_all(&mut pieces, path, &header.sparse)?;
        let mut more = header.is_extended();
        while more {
            let mut next = GnuExtSparseHeader::new();
            next.as_mut_bytes().copy_from_slice(&reader.continuation()?);
            add_all(&mut pieces, path, next.sparse())?;
            more = next.is_extended();
        }
        Self::new(path, header.real_size().map_err(damaged)?, pieces, reader.left())
    }
}

/// Reads the pieces of a file.
pub struct Pieces<'a> {
    file: &'a File,
    left: &'a [Piece],
    /// How much of the first of them has been read.
    read: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some(((offset, length), others)) = self.left.split_first() {
            let wanted = usize::try_from(length - self.read).unwrap_or(usize::MAX).min(buffer.len());
            if self.read == *length {
                (self.left, self.read) = (others, 0);
            } else {
                let mut got = self.file.read_at(&mut buffer[..wanted], offset + self.read)?;
                if got == 0 {
                    // It has become shorter, and the header has said its length.
                    buffer[..wanted].fill(0);
                    got = wanted;
                }
                self.read += got as u64;
                return Ok(got);
            }
        }
        Ok(0)
    }
}

fn add_all(pieces: &mut Vec<Piece>, path: &[u8], entries: &[GnuSparseHeader]) -> Result<()> {
    for entry in entries.iter().filter(|entry| !entry.is_empty()) {
        add(pieces, path, (entry.offset().map_err(damaged)?, entry.length().map_err(damaged)?))?;
    }
    Ok(())
}

fn add(pieces: &mut Vec<Piece>, path: &[u8], piece: Piece) -> Result<()> {
    if pieces.len() == MAX_PIECES {
        return Err(refused(path, format!("it has over {MAX_PIECES} pieces")));
    }
    pieces.push(piece);
    Ok(())
}

/// What extended headers say of a sparse file.
#[derive(Debug, Default)]
pub struct Records {
    /// The file's own path; where it is missing, that of the header.
    pub name: Option<Vec<u8>>,
    major: u64,
    length: Option<u64>,
    /// Offsets and lengths, by turns.
    numbers: Vec<u64>,
}

impl Records {
    /// Takes the record `GNU.sparse.KEY`.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let text = || std::str::from_utf8(value).map_err(damaged);
        let number = || decimal(value).ok_or_else(|| damaged(format!("GNU.sparse.{key} is no number")));
        match key {
            "major" => self.major = number()?,
            "name" => self.name = Some(value.to_vec()),
            "size" | "realsize" => self.length = Some(number()?),
            "offset" | "numbytes" => {
                if self.numbers.len().is_multiple_of(2) != (key == "offset") {
                    return Err(damaged("the pieces of a sparse file are out of order"));
                }
                self.numbers.push(number()?);
            }
            "map" => {
                let numbers = text()?.split(',').map(|part| decimal(part.as_bytes()));
                let numbers: Option<Vec<_>> = numbers.collect();
                self.numbers = numbers.ok_or_else(|| damaged("the map of a sparse file holds what is no number"))?;
            }
            // The number of pieces, and the minor version, which change nothing.
            _ => {}
        }
        Ok(())
    }

    /// The map of the member at `path`; of version 1.0 it is the beginning of the member's data.
    pub fn map(self, path: &[u8], reader: &mut Reader<impl Read>) -> Result<Map> {
        let numbers = match self.major {
            0 => self.numbers,
            1 => read_numbers(path, reader)?,
            major => return Err(refused(path, format!("it is sparse by version {major} of the format"))),
        };
        if !numbers.len().is_multiple_of(2) {
            return Err(damaged("a piece of a sparse file has no length"));
        }
        let mut pieces = Vec::new();
        for pair in numbers.chunks_exact(2) {
            add(&mut pieces, path, (pair[0], pair[1]))?;
        }
        let length = self.length.ok_or_else(|| damaged("a sparse file has no length"))?;
        Map::new(path, length, pieces, reader.left())
    }
}

/// How many pieces, then offset and length of each, a line a number, up to the end of a block.
fn read_numbers(path: &[u8], reader: &mut Reader<impl Read>) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut digits = Vec::new();
    let mut wanted = None;
    loop {
        let mut block = [0; BLOCK_BYTES];
        reader.read_exact(&mut block).map_err(|_| damaged("the map of a sparse file is cut off"))?;
        for byte in block {
            if byte != b'\n' {
                digits.push(byte);
                if digits.len() > MAX_DIGITS {
                    return Err(damaged("the map of a sparse file holds what is no number"));
                }
                continue;
            }
            let number = decimal(&digits).ok_or_else(|| damaged("the map of a sparse file holds what is no number"))?;
            digits.clear();
            match wanted {
                None if number > MAX_PIECES as u64 => {
                    return Err(refused(path, format!("it has over {MAX_PIECES} pieces")));
                }
                None => wanted = Some(2 * number as usize),
                Some(_) => numbers.push(number),
            }
            if wanted == Some(numbers.len()) {
                return Ok(numbers);
            }
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_most_pieces_is_one() {
        let path = std::env::temp_dir().join(format!("terrarium-pieces-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        file.set_len(10 << 20).expect("a length");
        for start in [0, 2 << 20, 4 << 20, 6 << 20] {
            file.write_all_at(&[1; 4096], start).expect("written");
        }
        let find = |most| Map::find(&file, 10 << 20, most).expect("holes").pieces;
        let starts = |most| find(most).into_iter().map(|(start, _)| start).collect::<Vec<_>>();
        assert_eq!(starts(10), [0, 2 << 20, 4 << 20, 6 << 20, 10 << 20]);
        assert_eq!(find(2)[2], (find(2)[1].0 + find(2)[1].1, (10 << 20) - find(2)[1].0 - find(2)[1].1));
        assert_eq!(find(2).len(), 3);
    }

    #[test]
    fn pieces_must_lie_in_the_file_in_order_and_be_all_there_is() {
        let map = |pieces: &[Piece], stored| Map::new(b"a", 100, pieces.to_vec(), stored);
        assert!(map(&[(0, 10), (50, 50)], 60).is_ok());
        assert!(map(&[(0, 10), (100, 0)], 10).is_ok(), "the end of a hole at the end");
        for (pieces, stored) in [
            (&[(0, 10), (5, 10)][..], 20),
            (&[(0, 101)], 101),
            (&[(0, 10)], 11),
            (&[(u64::MAX, 2)], 2),
            (&[(50, 1), (0, 1)], 2),
        ] {
            assert!(map(pieces, stored).is_err(), "{pieces:?}");
        }
    }

    #[test]
    fn records_out_of_order_or_without_a_length_are_refused() {
        let mut records = Records::default();
        records.set("offset", b"0").expect("an offset");
        assert!(records.set("offset", b"1").is_err());
        assert!(Records::default().set("map", b"0,x").is_err());
        assert!(Records::default().set("size", b"-1").is_err());
        let mut reader = Reader::new(std::io::empty());
        assert!(Records::default().map(b"a", &mut reader).is_err(), "no length");
        let mut odd = Records::default();
        odd.set("map", b"0,1,2").and_then(|()| odd.set("size", b"9")).expect("numbers");
        assert!(odd.map(b"a", &mut reader).is_err());
    }
}
