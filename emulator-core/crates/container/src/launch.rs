//! Making a container: the runtime's side. `init` is the other.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use rustix::thread::CapabilitySet;

use crate::capabilities::Sets;
use crate::cgroup::{Cgroup, Entrance};
use crate::channel::{Channel, Go, Report};
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::hooks;
use crate::init;
use crate::mounts::{Layout, Sources};
use crate::namespaces::{self, IdMapper};
use crate::network::{Cable, Interface, files::Names};
use crate::process;
use crate::seccomp::Filter;
use crate::spec::{NamespaceKind, Spec};
use crate::sys::{self, Cloned};

/// Where a process reads and writes.
pub enum Streams {
    /// Where the runtime does.
    Inherited,
    /// Standard input, output and error.
    Given([OwnedFd; 3]),
    /// A terminal of the container, whose master is sent over this socket.
    Terminal(OwnedFd),
}

impl Streams {
    /// Those that are not this process's own.
    pub fn descriptors(&self) -> Vec<RawFd> {
        match self {
            Self::Inherited => Vec::new(),
            Self::Given(streams) => streams.iter().map(AsRawFd::as_raw_fd).collect(),
            Self::Terminal(socket) => vec![socket.as_raw_fd()],
        }
    }
}

/// A container to be made.
pub struct Order<'a> {
    pub spec: &'a Spec,
    pub bundle: &'a Path,
    pub layout: Layout,
    pub cgroup: &'a Cgroup,
    pub filter: Option<&'a Filter>,
    pub streams: Streams,
    /// Where it waits to be started; without one it starts at once.
    pub gate: Option<Gate>,
    /// How many descriptors behind the standard streams the program gets.
    pub preserve_fds: u32,
    /// Whether it is killed when the runtime ends.
    pub tied: bool,
    /// Whether a process of ours is the first, and the program its child.
    pub reaper: bool,
    pub network: Option<Network>,
    /// Open as long as the program does not run.
    pub _mark: Option<OwnedFd>,
}

/// What a container has of the network beyond its namespace.
pub struct Network {
    /// The device it sets up.
    pub device: Option<(Interface, Cable)>,
    pub names: Names,
}

/// What whoever makes a container does while that is being made.
pub struct Callbacks<'a> {
    /// The container's state, as hooks are told it.
    pub state: &'a dyn Fn(Pid) -> String,
    /// What there is to do while the process sets itself up.
    pub meanwhile: &'a mut dyn FnMut(Pid) -> Result<()>,
    /// Waits for what the process says next; an error calls it off.
    pub wait: &'a dyn Fn(BorrowedFd<'_>) -> Result<()>,
}

/// What is opened of the host before the first process is born.
pub struct Provisions {
    pub sources: Option<Sources>,
    /// None where the process is born into a user namespace, in which it has every capability.
    pub sets: Option<Sets>,
    pub entrance: Entrance,
}

/// A process of a container, made and not yet started.
pub struct Launched {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    channel: Channel,
}

/// Opens what the configuration names on the host, where this process may copy mounts; the container's could not where
/// it has fewer rights to the host's files. A file system that does not answer is met here.
pub fn open_sources(spec: &Spec, bundle: &Path, layout: &Layout, mapper: &mut IdMapper) -> Result<Option<Sources>> {
    may_mount().then(|| Sources::open(spec, bundle, layout, mapper)).transpose()
}

/// Whether this process may copy mounts.
pub fn may_mount() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Makes the container; its first process is ready to become the program. Whatever fails, no process is left.
pub fn launch(order: Order<'_>, sources: Option<Sources>, callbacks: Callbacks<'_>) -> Result<Launched> {
    let spec = order.spec;
    let provisions = Provisions::gather(&order, sources)?;
    let (ours, theirs) = Channel::pair()?;
    let Some(Cloned { pid, pidfd }) = provisions.give_birth(namespaces::born_into(spec))? else {
        drop(ours);
        init::run(order, provisions, &theirs)
    };
    drop((provisions, theirs));
    let launched = Launched { pid, pidfd, channel: ours };
    match accompany(spec, &launched, callbacks) {
        Ok(()) => Ok(launched),
        Err(error) => {
            launched.abandon();
            Err(error)
        }
    }
}

impl Provisions {
    /// Opens the rest, and joins what has to be joined before the birth.
    pub fn gather(order: &Order<'_>, sources: Option<Sources>) -> Result<Self> {
        let spec = order.spec;
        let with_user = spec.has_new(NamespaceKind::User);
        let sets = match with_user {
            true => None,
            false => Some(Sets::grantable(spec.process()?.capabilities.as_ref())?),
        };
        // The child of a new user namespace has no rights over the host's any more; and of a process id namespace one has
        // to be born.
        namespaces::join(spec, |kind| kind == NamespaceKind::Pid || with_user)?;
        Ok(Self { sources, sets, entrance: order.cgroup.entrance()? })
    }

    /// clone3(2) into the container's groups; `None` for the child.
    pub fn give_birth(&self, flags: u64) -> Result<Option<Cloned>> {
        let unified = self.entrance.unified.as_ref().map(AsFd::as_fd);
        sys::clone3(flags, unified).map_err(|errno| namespaces::refused(flags, errno))
    }
}

fn accompany(spec: &Spec, launched: &Launched, callbacks: Callbacks<'_>) -> Result<()> {
    launched.admit(spec, |_| Ok(()))?;
    (callbacks.meanwhile)(launched.pid)?;
    loop {
        (callbacks.wait)(launched.channel.as_fd())?;
        let ready = launched.hear(launched.channel.receive()?, || {
            let state = (callbacks.state)(launched.pid);
            hooks::run(&spec.hooks.prestart, &state)?;
            hooks::run(&spec.hooks.create_runtime, &state)?;
            Ok(state)
        })?;
        if ready {
            return Ok(());
        }
    }
}

/// A process has gone without a word.
pub fn died() -> Error {
    Error::Internal { reason: "a process of the container was killed while it was made".into() }
}

impl Launched {
    /// A process that has been born, and the runtime's end of its channel.
    pub fn new(pid: Pid, pidfd: OwnedFd, channel: Channel) -> Self {
        Self { pid, pidfd, channel }
    }

    /// What the process says comes here.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Does for a container's first process what it cannot do itself, and lets it set itself up. `connect` gives it its
    /// network device.
    pub fn admit(&self, spec: &Spec, connect: impl FnOnce(Pid) -> Result<()>) -> Result<()> {
        if spec.has_new(NamespaceKind::User) {
            namespaces::map_ids(self.pid, &spec.linux.uid_mappings, &spec.linux.gid_mappings)?;
        }
        let process = spec.process()?;
        process::adjust_oom(self.pid, process.oom_score_adj)?;
        process::raise_limits(Some(self.pid), &process.rlimits)?;
        connect(self.pid)?;
        self.release()
    }

    /// Takes what a process says that sets itself up; whether it is ready. `hooks` runs the runtime's, and has the state
    /// as the container's are told it.
    pub fn hear(&self, report: Option<Report>, hooks: impl FnOnce() -> Result<String>) -> Result<bool> {
        match report {
            Some(Report::Hooks) => self.channel.send(&Go(hooks()?)).map(|()| false),
            // Its descriptor is of use to the helper alone.
            Some(Report::Layer) => Ok(false),
            Some(Report::Ready) => Ok(true),
            Some(Report::Failed(error)) => Err(error),
            Some(Report::Remover | Report::Spawned(_)) | None => Err(died()),
        }
    }

    /// Takes what a process says that has been let go on to its program, which is nothing where it has become that.
    pub fn hear_start(report: Option<Report>) -> Result<()> {
        match report {
            // A copy is no program, and says so itself.
            None | Some(Report::Ready) => Ok(()),
            Some(Report::Failed(error)) => Err(error),
            Some(_) => Err(died()),
        }
    }

    /// Lets it go on.
    pub fn release(&self) -> Result<()> {
        self.channel.send(&Go(String::new()))
    }

    /// Lets it become the program; resolves when it has. Where it does not, no process is left.
    pub fn start(&self) -> Result<()> {
        let started = self.release().and_then(|()| Self::hear_start(self.channel.receive()?));
        started.inspect_err(|_| self.abandon())
    }

    /// The handle on it alone. It hears nothing any more.
    pub fn into_handle(self) -> OwnedFd {
        self.pidfd
    }

    /// Kills it and waits for its end.
    pub fn abandon(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Waits for its end: the exit code, or 128 and the number of the signal, as a shell counts.
    pub fn wait(&self) -> i32 {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(Some(status)) => {
                    let signal = status.terminating_signal();
                    return signal.map_or_else(|| status.exit_status().unwrap_or(0), |signal| 128 + signal);
                }
                _ => return 255,
            }
        }
    }
}
