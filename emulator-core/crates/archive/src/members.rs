//! The members of a tar archive, each with the extended headers before it (POSIX.1-2024, pax; GNU tar manual, "Basic Tar
//! Format").

use std::io::Read;

use tar::{EntryType, Header};

use crate::ATTRIBUTE_RECORD;
use crate::error::{Error, Result, damaged, refused};
use crate::reader::Reader;
use crate::sparse::{Map, Records};

/// The longest extended header that is read: they hold paths and attributes, of which the kernel takes 64 KiB each.
const MAX_EXTENDED_BYTES: u64 = 1 << 20;

/// A member and what is known of it.
pub struct Member<'a, R: Read> {
    pub kind: EntryType,
    pub path: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub modified: i64,
    pub attributes: Vec<(String, Vec<u8>)>,
    /// Bytes of its data, as far as the archive has them.
    pub size: u64,
    /// Where they go, in a file with holes.
    pub sparse: Option<Map>,
    pub data: &'a mut Reader<R>,
}

/// What extended headers say of the member behind them.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    modified: Option<i64>,
    attributes: Vec<(String, Vec<u8>)>,
    sparse: Option<Records>,
}

/// The next member, or none at the end.
pub fn next<R: Read>(reader: &mut Reader<R>) -> Result<Option<Member<'_, R>>> {
    let mut extension = Extension::default();
    let mut extended = false;
    while let Some(header) = reader.next()? {
        match header.entry_type() {
            EntryType::GNULongName => extension.path = Some(until_zero(&read(reader)?)),
            EntryType::GNULongLink => extension.link = Some(until_zero(&read(reader)?)),
            EntryType::XHeader => extension.add(&read(reader)?)?,
            // Defaults for all that follows: no layer needs them, and git puts a comment there.
            EntryType::XGlobalHeader => drop(read(reader)?),
            _ => return describe(&header, extension, reader).map(Some),
        }
        extended = true;
    }
    if extended { Err(damaged("it ends with an extended header")) } else { Ok(None) }
}

fn read(reader: &mut Reader<impl Read>) -> Result<Vec<u8>> {
    let size = reader.left();
    if size > MAX_EXTENDED_BYTES {
        return Err(Error::TooLarge { limit: format!("{MAX_EXTENDED_BYTES} bytes of an extended header") });
    }
    let mut bytes = Vec::new();
    let length = reader.read_to_end(&mut bytes).map_err(damaged)?;
    if (length as u64) < size { Err(damaged("it is cut off")) } else { Ok(bytes) }
}

fn describe<'a, R: Read>(header: &Header, extension: Extension, data: &'a mut Reader<R>) -> Result<Member<'a, R>> {
    let mut kind = header.entry_type();
    let own_name = extension.sparse.as_ref().and_then(|records| records.name.clone());
    let path = own_name.or(extension.path).unwrap_or_else(|| header.path_bytes().into_owned());
    // Two readers that take two sizes for true see two archives.
    if extension.size.is_some_and(|size| size != data.left()) {
        return Err(refused(&path, "its two headers disagree about its size"));
    }
    let sparse = match (kind, extension.sparse) {
        (EntryType::Regular, Some(records)) => Some(records.map(&path, data)?),
        (EntryType::GNUSparse, None) => {
            kind = EntryType::Regular;
            Some(Map::of_gnu_header(&path, header, data)?)
        }
        (_, None) => None,
        (_, Some(_)) => return Err(refused(&path, "it is sparse, and no file")),
    };
    let link = extension.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
    Ok(Member {
        kind,
        link: link.unwrap_or_default(),
        mode: header.mode().map_err(damaged)?,
        uid: extension.uid.map_or_else(|| header.uid(), Ok).map_err(damaged)?,
        gid: extension.gid.map_or_else(|| header.gid(), Ok).map_err(damaged)?,
        modified: match extension.modified {
            Some(seconds) => seconds,
            None => i64::try_from(header.mtime().map_err(damaged)?).unwrap_or(0),
        },
        attributes: extension.attributes,
        size: data.left(),
        sparse,
        data,
        path,
    })
}

impl Extension {
    /// Records of the form `LENGTH KEY=VALUE\n`, where the length is that of the record.
    fn add(&mut self, mut records: &[u8]) -> Result<()> {
        while !records.is_empty() {
            let (key, value, rest) = split_record(records).ok_or_else(|| damaged("an extended header is malformed"))?;
            self.set(key, value)?;
            records = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let number = || {
            let text = std::str::from_utf8(value).ok();
            text.and_then(|text| text.parse().ok()).ok_or_else(|| damaged(format!("{key} is no number")))
        };
        match key {
            "path" => self.path = Some(value.to_vec()),
            "linkpath" => self.link = Some(value.to_vec()),
            "uid" => self.uid = Some(number()?),
            "gid" => self.gid = Some(number()?),
            "size" => self.size = Some(number()?),
            "mtime" => {
                let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
                self.modified = seconds.map(|seconds| seconds.floor() as i64);
            }
            _ => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE_RECORD) {
                    self.attributes.push((name.to_owned(), value.to_vec()));
                } else if let Some(key) = key.strip_prefix("GNU.sparse.") {
                    self.sparse.get_or_insert_default().set(key, value)?;
                }
            }
        }
        Ok(())
    }
}

fn split_record(records: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((std::str::from_utf8(&record[..equals]).ok()?, &record[equals + 1..], &records[length..]))
}

fn until_zero(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_line_feeds_and_a_length_must_fit() {
        let mut extension = Extension::default();
        extension.add(b"12 path=a\nb\n9 uid=70\n").expect("two records");
        assert_eq!((extension.path.as_deref(), extension.uid), (Some(&b"a\nb"[..]), Some(70)));
        for wrong in
            [&b"99 path=a\n"[..], b"0 a=b\n", b"3 a=b\n", b"x", b"10 path=a\nb\n", b"18446744073709551615 a=b\n"]
        {
            assert!(matches!(Extension::default().add(wrong), Err(Error::Damaged { .. })), "{wrong:?}");
        }
    }
}
