//! Extended attributes that belong to a file's contents, as layers keep them.

use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};

use crate::OVERLAY_ATTRIBUTES;

/// The most that the kernel gives: of a list of names, and of a value (xattr(7)).
const MAX_BYTES: usize = 64 << 10;

/// What a program may do beyond its user.
pub const CAPABILITY: &str = "security.capability";

/// The attributes of a file that are kept, and their values.
pub fn read(file: impl AsFd) -> Result<Vec<(String, Vec<u8>)>> {
    let file = file.as_fd();
    let mut list = vec![0; MAX_BYTES];
    let length = match rustix::fs::flistxattr(file, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        result => result?,
    };
    let names = list[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let kept =
        |name: &&str| *name == CAPABILITY || (name.starts_with("user.") && !name.starts_with(OVERLAY_ATTRIBUTES));
    let value = |name: &str| {
        let mut value = vec![0; MAX_BYTES];
        let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
        value.truncate(length);
        Ok((name.to_owned(), value))
    };
    names.filter(kept).map(value).collect()
}

/// Gives a file an attribute.
pub fn set(file: impl AsFd, name: &str, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(file.as_fd(), name, value, XattrFlags::empty())
}
