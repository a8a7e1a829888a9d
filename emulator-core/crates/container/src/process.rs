//! What the first process and those of `exec` have in common: becoming the program, with the rights it is to have.

use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::capabilities::{self, Sets};
use crate::error::{During, Error, Result};
use crate::inside::Inside;
use crate::seccomp::Filter;
use crate::spec::{self, Process};
use crate::sys;

const RESOURCES: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

/// Raises the hard limits of a process (this one, without `pid`) as far as `limits` want: that takes rights on the host,
/// which it is going to lose.
pub fn raise_limits(pid: Option<Pid>, limits: &[spec::Rlimit]) -> Result<()> {
    for limit in limits {
        let (resource, wanted) = limit_of(limit)?;
        let own = rustix::process::getrlimit(resource);
        let higher = own.maximum.is_some_and(|own| wanted.maximum.is_none_or(|wanted| wanted > own));
        if higher {
            let raised = Rlimit { current: own.current, maximum: wanted.maximum };
            rustix::process::prlimit(pid, resource, raised).during(refused(limit))?;
        }
    }
    Ok(())
}

/// Sets this process's limits, which lets it open no more files perhaps.
fn set_limits(limits: &[spec::Rlimit]) -> Result<()> {
    limits.iter().try_for_each(|limit| {
        let (resource, wanted) = limit_of(limit)?;
        rustix::process::setrlimit(resource, wanted).during(refused(limit))
    })
}

fn limit_of(limit: &spec::Rlimit) -> Result<(Resource, Rlimit)> {
    let Some((_, resource)) = RESOURCES.iter().find(|(name, _)| *name == limit.resource) else {
        return Err(Error::spec("process.rlimits", format!("there is no {:?}", limit.resource)));
    };
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    Ok((*resource, Rlimit { current: finite(limit.soft), maximum: finite(limit.hard) }))
}

fn refused(limit: &spec::Rlimit) -> String {
    format!("setting {} to {} and {}", limit.resource, limit.soft, limit.hard)
}

/// Sets how soon process `pid` is killed when memory runs out.
pub fn adjust_oom(pid: Pid, score: Option<i32>) -> Result<()> {
    let Some(score) = score else { return Ok(()) };
    let file = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
    std::fs::write(&file, score.to_string()).during(format!("writing {score} to {file}"))
}

/// Everything that needs rights the program will not have, up to its user and its limits. Of descriptors it keeps
/// `preserve_fds` behind the standard streams.
pub fn prepare(process: &Process, sets: &Sets, filter: Option<&Filter>, preserve_fds: u32) -> Result<()> {
    // Filters that are older than this call do not know it.
    sys::close_on_exec_from(3 + preserve_fds).during("closing descriptors")?;
    sys::new_session_keyring().or_else(ignore_missing).during("making a session keyring")?;
    if let Some(priority) = &process.io_priority {
        set_io_priority(priority)?;
    }
    sets.bound()?;
    make_directory(&process.cwd);
    change_user(process)?;
    enter_directory(&process.cwd)?;
    // Without no_new_privs the kernel takes filters from administrators only, which this process now ceases to be. What is
    // behind is what every program calls.
    if let Some(filter) = filter.filter(|_| !process.no_new_privileges) {
        capabilities::make_effective()?;
        sys::seccomp_set_filter(&filter.program, filter.flags).during("installing the seccomp filter")?;
    }
    sets.assume()?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).during("setting no_new_privs")?;
    }
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)));
    set_limits(&process.rlimits)
}

/// Has this process killed when the one ends that made it, or not; a change of the user clears that (prctl(2)).
pub fn tie(tied: bool) -> Result<()> {
    let signal = tied.then_some(Signal::KILL);
    rustix::process::set_parent_process_death_signal(signal).during("tying the process to the runtime")
}

/// Kernels may be built without keys.
fn ignore_missing(errno: Errno) -> rustix::io::Result<()> {
    if matches!(errno, Errno::NOSYS | Errno::PERM | Errno::DQUOT) { Ok(()) } else { Err(errno) }
}

fn set_io_priority(priority: &spec::IoPriority) -> Result<()> {
    // ioprio_set(2): the class is in the upper three bits.
    let class = match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(Error::spec("process.ioPriority.class", format!("there is no {other:?}"))),
    };
    sys::set_io_priority(class << 13 | priority.priority).during("setting the priority for devices")
}

fn change_user(process: &Process) -> Result<()> {
    let user = &process.user;
    let groups: Vec<_> = user.additional_gids.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // user_namespaces(7): where setgroups is denied, groups stay as they are.
        Err(Errno::PERM) if groups.is_empty() && is_denied() => {}
        Err(Errno::PERM) if is_denied() => return Err(unmapped("group", groups[0].as_raw(), Errno::INVAL)),
        Err(Errno::INVAL) => return Err(unmapped("group", groups.first().map_or(0, |gid| gid.as_raw()), Errno::INVAL)),
        result => result.during("setting the groups")?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|errno| unmapped("group", user.gid, errno))?;
    rustix::thread::set_keep_capabilities(true).during("keeping the capabilities")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|errno| unmapped("user", user.uid, errno))?;
    rustix::thread::set_keep_capabilities(false).during("keeping the capabilities")
}

/// user_namespaces(7): an id that is not mapped is no valid one there.
pub fn unmapped(kind: &str, id: u32, errno: Errno) -> Error {
    match errno {
        Errno::INVAL => Error::IdMappingRefused {
            reason: format!("the container has no {kind} {id}"),
            mend: "map that id, which takes root or a range in /etc/subuid and /etc/subgid, or be another user".into(),
        },
        errno => Error::System { operation: format!("becoming {kind} {id}"), reason: errno.to_string() },
    }
}

fn is_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.starts_with("deny"))
}

/// Makes the directory where it is missing, as runc has it: by root, and by no way that a descriptor could lead out of the
/// root. Where that fails, entering it says so.
fn make_directory(path: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty());
    drop(root.and_then(|root| Inside::new(root.as_fd()).make_dir(path)));
}

/// A descriptor that leaked from the host must not serve as a way there: whatever lies outside of the root has no path here.
fn enter_directory(path: &Path) -> Result<()> {
    rustix::process::chdir(path).during(format!("entering the directory {}", path.display()))?;
    let current = rustix::process::getcwd(Vec::new()).during("asking for the current directory")?;
    match current.to_bytes().starts_with(b"/") {
        true => Ok(()),
        false => Err(Error::spec("process.cwd", "it leads out of the container")),
    }
}

/// Installs the filter where no_new_privs lets everybody do so: as late as possible, for it need not allow what comes before.
pub fn filter_late(process: &Process, filter: Option<&Filter>) -> Result<()> {
    let Some(filter) = filter.filter(|_| process.no_new_privileges) else { return Ok(()) };
    sys::seccomp_set_filter(&filter.program, filter.flags).during("installing the seccomp filter")
}

/// A program that has been found, with its arguments and environment.
pub struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Finds it as the shell would: by its path, or by the PATH it is given.
    pub fn find(process: &Process) -> Result<Self> {
        let name = process.args.first().map_or("", String::as_str);
        let paths: Vec<PathBuf> = match name.contains('/') {
            true => vec![name.into()],
            false => {
                let path = process.env.iter().find_map(|variable| variable.strip_prefix("PATH="));
                let path = path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
                path.split(':').map(|directory| Path::new(directory).join(name)).collect()
            }
        };
        let mut reason = Errno::NOENT;
        for path in paths {
            match runnable(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path: c_string(path.as_os_str()),
                        args: process.args.iter().map(|arg| c_string(OsStr::new(arg))).collect(),
                        env: process.env.iter().map(|variable| c_string(OsStr::new(variable))).collect(),
                    });
                }
                Err(Errno::NOENT) => {}
                Err(errno) => reason = errno,
            }
        }
        Err(unusable(name, reason))
    }

    /// Becomes the program. Returns only to say why it could not.
    pub fn run(self, process: &Process, filter: Option<&Filter>) -> Error {
        if let Err(error) = filter_late(process, filter) {
            return error;
        }
        let errno = sys::execve(&self.path, &self.args, &self.env);
        unusable(&self.path.to_string_lossy(), errno)
    }
}

fn unusable(program: &str, errno: Errno) -> Error {
    let reason = match errno {
        Errno::NOENT if program.contains('/') => {
            "there is no such program, or no interpreter for it: look for it in the root file system".to_owned()
        }
        Errno::NOENT => {
            "there is no such program in any directory of its PATH: give its path, or another PATH".to_owned()
        }
        Errno::NOEXEC => format!(
            "it is for another architecture, or no program at all: take an image whose platform is this machine's, {}",
            std::env::consts::ARCH
        ),
        Errno::ACCESS => format!("{errno}: make it executable, and its directories open, for that user"),
        errno => errno.to_string(),
    };
    Error::ProgramUnusable { program: program.to_owned(), reason }
}

fn runnable(path: &Path) -> rustix::io::Result<()> {
    if FileType::from_raw_mode(rustix::fs::stat(path)?.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // A filter that is older than this form of the call; real and effective ids are the same here.
        Err(Errno::PERM | Errno::NOSYS) => rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()),
        result => result,
    }
}

/// Texts were checked for NUL characters when the configuration was read.
fn c_string(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).unwrap_or_default()
}
