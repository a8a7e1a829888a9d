//! A container must not be able to overwrite the runtime on the host, which it can reach as the file its first process was
//! made from (/proc/PID/exe). So that file is a sealed copy in memory, unless its ids give it no right to write.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{MemfdFlags, Mode, SealFlags};

use crate::error::{During, Error, Result};
use crate::spec::{NamespaceKind, Spec};
use crate::sys;

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// [`ensure`], unless nobody in the container could write to this program's file.
pub fn ensure_for(spec: &Spec) -> Result<()> {
    if is_out_of_reach(spec)? { Ok(()) } else { ensure() }
}

/// user_namespaces(7): whoever has a capability there has it over files alone whose owner and group are mapped there. What
/// access control lists allow to others is in the group's bits, too (acl(5)).
fn is_out_of_reach(spec: &Spec) -> Result<bool> {
    let program = rustix::fs::stat("/proc/self/exe").during("looking at /proc/self/exe")?;
    let others = Mode::WGRP | Mode::WOTH;
    let maps_owner = spec.linux.uid_mappings.iter().any(|range| {
        let from_first = program.st_uid.checked_sub(range.host_id);
        from_first.is_some_and(|distance| distance < range.size)
    });
    let is_private = !Mode::from_raw_mode(program.st_mode).intersects(others);
    Ok(spec.has_new(NamespaceKind::User) && is_private && !maps_owner)
}

/// Runs this program again from a sealed copy, unless it is one. Only returns when it is.
pub fn ensure() -> Result<()> {
    let mut original = File::open("/proc/self/exe").during("opening /proc/self/exe")?;
    if rustix::fs::fcntl_get_seals(&original).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(());
    }
    let copy = rustix::fs::memfd_create("terrarium-container", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .during("making a file in memory")?;
    let mut copy = File::from(copy);
    io::copy(&mut original, &mut copy).during("copying the runtime")?;
    rustix::fs::fcntl_add_seals(&copy, SEALS).during("sealing the runtime")?;
    let path = CString::new(format!("/proc/self/fd/{}", copy.as_raw_fd())).unwrap_or_default();
    let text = |bytes: &std::ffi::OsStr| CString::new(bytes.as_bytes()).unwrap_or_default();
    let args: Vec<_> = std::env::args_os().map(|arg| text(&arg)).collect();
    let env = std::env::vars_os().map(|(name, value)| {
        let mut variable = name;
        variable.push("=");
        variable.push(value);
        text(&variable)
    });
    let errno = sys::execve(&path, &args, &env.collect::<Vec<_>>());
    Err(Error::System { operation: "starting the sealed runtime".into(), reason: errno.to_string() })
}
