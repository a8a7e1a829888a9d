//! Namespaces: which are made, which are joined, and how ids map into them.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::error::{During, Error, Result};
use crate::spec::{IdMapping, NamespaceKind, Spec};
use crate::sys;

/// Flags of clone3(2) for those the first process is born into. A cgroup namespace takes its root from where the process
/// is, and offsets of a time namespace are set before anybody is in it: both come later.
pub fn born_into(spec: &Spec) -> u64 {
    let later = [NamespaceKind::Cgroup, NamespaceKind::Time];
    NamespaceKind::ALL
        .into_iter()
        .filter(|kind| spec.has_new(*kind) && !later.contains(kind))
        .map(|kind| kind.flag())
        .sum()
}

/// Joins the namespaces given by path. A process id namespace holds for children only.
pub fn join(spec: &Spec, wanted: impl Fn(NamespaceKind) -> bool) -> Result<()> {
    for kind in NamespaceKind::ALL.into_iter().filter(|kind| wanted(*kind)) {
        let Some(path) = spec.namespace(kind).and_then(|namespace| namespace.path.as_ref()) else { continue };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let joined = rustix::fs::open(path, flags, Mode::empty()).and_then(|fd| sys::setns(fd.as_fd(), kind.flag()));
        joined.map_err(|errno| Error::NamespaceRefused {
            namespaces: format!("{} at {}", kind.file(), path.display()),
            reason: errno.to_string(),
            mend: "check the path, and who owns it".into(),
        })?;
    }
    Ok(())
}

/// The ones that are not born into.
pub fn unshare_later(spec: &Spec) -> Result<()> {
    if spec.has_new(NamespaceKind::Cgroup) {
        sys::unshare(NamespaceKind::Cgroup.flag()).map_err(|errno| refused(NamespaceKind::Cgroup.flag(), errno))?;
    }
    if spec.has_new(NamespaceKind::Time) {
        sys::unshare(NamespaceKind::Time.flag()).map_err(|errno| refused(NamespaceKind::Time.flag(), errno))?;
        enter_time(spec)?;
    }
    Ok(())
}

/// time_namespaces(7): only children would be in the new one, unless it is joined.
fn enter_time(spec: &Spec) -> Result<()> {
    for (clock, offset) in &spec.linux.time_offsets {
        let line = format!("{clock} {} {}", offset.secs, offset.nanosecs);
        fs::write("/proc/self/timens_offsets", line).during(format!("setting the clock {clock}"))?;
    }
    let path = "/proc/self/ns/time_for_children";
    let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during(path)?;
    sys::setns(namespace.as_fd(), NamespaceKind::Time.flag()).during("joining the time namespace")
}

/// The error for namespaces the kernel does not make.
pub fn refused(flags: u64, errno: Errno) -> Error {
    let names: Vec<_> =
        NamespaceKind::ALL.iter().filter(|kind| flags & kind.flag() != 0).map(|kind| kind.file()).collect();
    let with_user = flags & NamespaceKind::User.flag() != 0;
    let mend = match errno {
        Errno::PERM if !with_user => "be root, or add a user namespace",
        Errno::PERM => "be root, or allow user namespaces to everybody (sysctl kernel.unprivileged_userns_clone)",
        Errno::NOSPC => "raise the limits in /proc/sys/user",
        _ => "use a kernel that has them",
    };
    Error::NamespaceRefused { namespaces: names.join(", "), reason: errno.to_string(), mend: mend.into() }
}

/// Writes the maps of the user namespace that `pid` is alone in (user_namespaces(7)).
pub fn map_ids(pid: Pid, uids: &[IdMapping], gids: &[IdMapping]) -> Result<()> {
    let directory = format!("/proc/{}", pid.as_raw_nonzero());
    let own = (rustix::process::geteuid(), rustix::process::getegid());
    if own.0.is_root() || (is_only(uids, own.0.as_raw()) && is_only(gids, own.1.as_raw())) {
        if !own.0.is_root() {
            // Dropping a group could open what the group is denied.
            write_map(&format!("{directory}/setgroups"), "deny".into())?;
        }
        write_map(&format!("{directory}/uid_map"), lines(uids))?;
        return write_map(&format!("{directory}/gid_map"), lines(gids));
    }
    delegated("newuidmap", pid, uids)?;
    delegated("newgidmap", pid, gids)
}

/// What everybody may map: oneself.
fn is_only(map: &[IdMapping], id: u32) -> bool {
    matches!(map, [IdMapping { host_id, size: 1, .. }] if *host_id == id)
}

fn lines(map: &[IdMapping]) -> String {
    map.iter().map(|range| format!("{} {} {}\n", range.container_id, range.host_id, range.size)).collect()
}

fn write_map(file: &str, text: String) -> Result<()> {
    fs::write(file, text).map_err(|error| Error::IdMappingRefused {
        reason: format!("{file}: {error}"),
        mend: "map ids that are yours, and each only once".into(),
    })
}

/// Ranges that /etc/subuid grants are written by a program that is allowed to.
fn delegated(program: &str, pid: Pid, map: &[IdMapping]) -> Result<()> {
    let numbers = map.iter().flat_map(|range| [range.container_id, range.host_id, range.size]);
    let mut command = Command::new(program);
    command.arg(pid.as_raw_nonzero().to_string()).args(numbers.map(|number| number.to_string()));
    let reason = match command.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::IdMappingRefused {
        reason: format!("{program}: {reason}"),
        mend: "map only yourself, or install uidmap and have ranges in /etc/subuid and /etc/subgid".into(),
    })
}

/// User namespaces that exist only to say how a mount maps ids; kept, since making one costs two processes' time.
#[derive(Default)]
pub struct IdMapper {
    known: Vec<(Vec<IdMapping>, Vec<IdMapping>, OwnedFd)>,
}

impl IdMapper {
    /// Those that are open.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.known.iter().map(|(_, _, namespace)| namespace.as_raw_fd())
    }

    /// A namespace with these maps.
    pub fn namespace(&mut self, uids: &[IdMapping], gids: &[IdMapping]) -> Result<BorrowedFd<'_>> {
        let position =
            self.known.iter().position(|(known_uids, known_gids, _)| known_uids == uids && known_gids == gids);
        let position = match position {
            Some(position) => position,
            None => {
                self.known.push((uids.to_vec(), gids.to_vec(), make_mapping(uids, gids)?));
                self.known.len() - 1
            }
        };
        Ok(self.known[position].2.as_fd())
    }
}

/// A namespace lives as long as a process is in it or a descriptor refers to it.
fn make_mapping(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd> {
    let flags = NamespaceKind::User.flag();
    let Some(child) = sys::clone3(flags, None).map_err(|errno| refused(flags, errno))? else {
        // Does nothing and is killed.
        loop {
            std::thread::park();
        }
    };
    let opened = map_ids(child.pid, uids, gids).and_then(|()| {
        let path = format!("/proc/{}/ns/user", child.pid.as_raw_nonzero());
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("opening the user namespace")
    });
    let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = rustix::process::waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
    opened
}

/// Joins every namespace of the process that `pidfd` refers to which is not already this one's (setns(2)).
pub fn join_process(pid: Pid, pidfd: BorrowedFd<'_>) -> Result<()> {
    let identity = |path: String| rustix::fs::stat(&path).map(|stat| (stat.st_dev, stat.st_ino)).during(path);
    let mut flags = 0;
    for kind in NamespaceKind::ALL {
        let own = identity(format!("/proc/self/ns/{}", kind.file()))?;
        if own != identity(format!("/proc/{}/ns/{}", pid.as_raw_nonzero(), kind.file()))? {
            flags |= kind.flag();
        }
    }
    if flags == 0 {
        return Ok(());
    }
    sys::setns(pidfd, flags).map_err(|errno| refused(flags, errno))
}

/// A handle on a process by its number, that is sure to be the one that started at `start_time`.
pub fn open_process(pid: Pid, start_time: u64) -> Option<OwnedFd> {
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    (start_time_of(pid)? == start_time).then_some(pidfd)
}

/// When a process started, in clock ticks since boot; none for one that has ended (proc_pid_stat(5)).
pub fn start_time_of(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything, so count from its end: state is field 3, start time 22.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok())?
}
