//! Layers on each other (overlayfs.rst of the kernel's documents).

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Sources, attach, clone_handle, data, filesystem, saved, with_scratch};
use crate::error::{During, Error, Result};
use crate::inside::Inside;
use crate::spec::Spec;

/// The longest value that fsconfig(2) takes.
const MAX_VALUE_BYTES: usize = 255;
/// mount(2) takes a page of options, with a zero behind them.
const MAX_OPTIONS_BYTES: usize = 4_095;

/// A writable layer over the others: what is seen, and that layer. Where it is kept for others, what things are mounted on is
/// made in a layer of its own, in memory: else whoever compares the layers would find it.
pub fn make(
    spec: &Spec,
    sources: &Sources,
    binds: &[Option<OwnedFd>],
    files: &[(PathBuf, OwnedFd)],
) -> Result<(OwnedFd, OwnedFd)> {
    with_scratch(&data(&[("mode", "700")]), |scratch| {
        let place = |name: &str| Inside::new(scratch).make_dir(Path::new(name)).during("preparing the layers");
        // By numbers: the kernel takes few bytes of names.
        let layers = [&sources.root].into_iter().chain(&sources.lowers).enumerate();
        let mut names = Vec::new();
        for (number, layer) in layers {
            let name = number.to_string();
            attach(layer.as_fd(), place(&name)?.as_fd()).during("mounting a layer")?;
            names.push(name);
        }
        for name in ["w", "p/upper", "p/work", "stack"] {
            place(name)?;
        }
        match &sources.writable {
            Some(directory) => attach(directory.as_fd(), place("w")?.as_fd()).during("mounting the writable layer")?,
            None => {
                place("w/upper")?;
                place("w/work")?;
            }
        }
        // Relative, because a path from the root would not see what covers the root.
        rustix::process::fchdir(scratch).during("preparing the layers")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let layer = rustix::fs::open("w/upper", flags, Mode::empty()).during("opening the writable layer")?;
        if let Some(saved) = &sources.saved {
            saved::check_unused(Path::new("w/upper"))?;
            saved.restore(spec, &layer).inspect_err(|_| drop(std::fs::remove_dir_all("w/upper")))?;
        }
        if sources.writable.is_some() && !sources.temporary {
            make_points(&Inside::new(stack(&names, "p", false)?.as_fd()), spec, binds, files);
            names.insert(0, "p/upper".into());
        }
        let root = stack(&names, "w", sources.temporary)?;
        check_writable(&root)?;
        Ok((root, layer))
    })
}

/// Where the kernel cannot make what it needs beside the writable layer, it mounts an overlay that is only read, and says so to
/// nobody but its log.
fn check_writable(root: &OwnedFd) -> Result<()> {
    let found = rustix::fs::fstatvfs(root).during("looking at the root")?;
    if !found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let probe = c"w/work/probe";
    let made = rustix::fs::mkdirat(CWD, probe, Mode::from_raw_mode(0o700))
        .and_then(|()| rustix::fs::unlinkat(CWD, probe, AtFlags::REMOVEDIR));
    match made {
        Ok(()) => Err(Error::mount("/", "overlay: its writable layer cannot be written to")),
        Err(errno) => Err(Error::mounting("/", errno)),
    }
}

/// Makes what the configuration's mounts and the files laid over `/etc` need a place on. What cannot be made is an error when it
/// is mounted on.
fn make_points(inside: &Inside<'_>, spec: &Spec, binds: &[Option<OwnedFd>], files: &[(PathBuf, OwnedFd)]) {
    let is_file =
        |bind: &OwnedFd| rustix::fs::fstat(bind).is_ok_and(|stat| !FileType::from_raw_mode(stat.st_mode).is_dir());
    let mounts =
        spec.mounts.iter().zip(binds).map(|(mount, bind)| (&mount.destination, bind.as_ref().is_some_and(is_file)));
    let all: Vec<(&PathBuf, bool)> = mounts.chain(files.iter().map(|(path, _)| (path, true))).collect();
    for (number, (path, file)) in all.iter().enumerate() {
        // What is below another mount is made in that.
        if all[..number].iter().any(|(above, _)| path.starts_with(above)) {
            continue;
        }
        let _ = if *file { inside.make_file(path) } else { inside.make_dir(path) };
    }
}

/// The layers of these names, topmost first, below the writable one in the directory `writable`; all in this process's own.
/// What is `temporary` is never waited for until it is on a disk.
fn stack(names: &[String], writable: &str, temporary: bool) -> Result<OwnedFd> {
    let names = names.join(":");
    let [upper, work] = ["upper", "work"].map(|name| format!("{writable}/{name}"));
    // Without rights on the host an overlay keeps its marks among the user's attributes.
    let flags: &[&str] = if temporary { &["userxattr", "volatile"] } else { &["userxattr"] };
    if names.len() <= MAX_VALUE_BYTES {
        let mut options = data(&[("lowerdir", &names), ("upperdir", &upper), ("workdir", &work)]);
        options.data.extend(flags.iter().map(|flag| ((*flag).to_owned(), None)));
        let made = filesystem::make("overlay", Path::new("overlay"), &options);
        return made.map_err(|reason| Error::mount("/", format!("overlay: {reason}")));
    }
    // Kernels before 6.5 have no other way to be told of so many.
    let options = format!("lowerdir={names},upperdir={upper},workdir={work},{}", flags.join(","));
    if options.len() > MAX_OPTIONS_BYTES {
        return Err(Error::unsupported("a root of so many layers", "make one layer of several"));
    }
    let options = CString::new(options).unwrap_or_default();
    let mounted = rustix::mount::mount("overlay", "stack", "overlay", MountFlags::empty(), options.as_c_str());
    let copied = mounted.and_then(|()| {
        let stacked = rustix::fs::open("stack", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let copy = clone_handle(stacked.as_fd(), false);
        rustix::mount::unmount("stack", UnmountFlags::DETACH)?;
        copy
    });
    copied.map_err(|errno| Error::mounting("/", errno))
}
