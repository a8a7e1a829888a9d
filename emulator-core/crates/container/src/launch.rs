//! Making a container: the runtime's side. `init` is the other.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use rustix::thread::CapabilitySet;

use crate::capabilities::Sets;
use crate::cgroup::Cgroup;
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
    /// Gives the namespace of a process its network device.
    pub connect: &'a mut dyn FnMut(Pid) -> Result<()>,
    /// What there is to do while the process sets itself up.
    pub meanwhile: &'a mut dyn FnMut(Pid) -> Result<()>,
}

/// A process of a container, made and not yet started.
pub struct Launched {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    channel: Channel,
}

/// Makes the container; its first process is ready to become the program. Whatever fails, no process is left.
pub fn launch(order: Order<'_>, mapper: &mut IdMapper, callbacks: Callbacks<'_>) -> Result<Launched> {
    let spec = order.spec;
    let sources = match may_mount() {
        true => Some(Sources::open(spec, order.bundle, &order.layout, mapper)?),
        false => None,
    };
    let sets = match spec.has_new(NamespaceKind::User) {
        // Who is born into a user namespace has every capability there.
        true => None,
        false => Some(Sets::grantable(spec.process()?.capabilities.as_ref())?),
    };
    let with_user = spec.has_new(NamespaceKind::User);
    // The child of a new user namespace has no rights over the host's any more; and of a process id namespace one has to
    // be born.
    namespaces::join(spec, |kind| kind == NamespaceKind::Pid || with_user)?;
    let entrance = order.cgroup.entrance()?;
    let (ours, theirs) = Channel::pair()?;
    let flags = namespaces::born_into(spec);
    let unified = entrance.unified.as_ref().map(AsFd::as_fd);
    let Some(Cloned { pid, pidfd }) = sys::clone3(flags, unified).map_err(|errno| namespaces::refused(flags, errno))?
    else {
        drop(ours);
        init::run(order, sources, sets, entrance, &theirs)
    };
    drop(theirs);
    let launched = Launched { pid, pidfd, channel: ours };
    match accompany(spec, &launched, callbacks) {
        Ok(()) => Ok(launched),
        Err(error) => {
            launched.abandon();
            Err(error)
        }
    }
}

/// Whether this process may copy mounts, which the container's could not where it has fewer rights to the host's files.
fn may_mount() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Does for the first process what it cannot do itself, until it is ready.
fn accompany(spec: &Spec, launched: &Launched, callbacks: Callbacks<'_>) -> Result<()> {
    let Launched { pid, channel, .. } = launched;
    if spec.has_new(NamespaceKind::User) {
        namespaces::map_ids(*pid, &spec.linux.uid_mappings, &spec.linux.gid_mappings)?;
    }
    let process = spec.process()?;
    process::adjust_oom(*pid, process.oom_score_adj)?;
    process::raise_limits(Some(*pid), &process.rlimits)?;
    (callbacks.connect)(*pid)?;
    channel.send(&Go(String::new()))?;
    (callbacks.meanwhile)(*pid)?;
    loop {
        match channel.receive()? {
            Some(Report::Hooks) => {
                let state = (callbacks.state)(*pid);
                hooks::run(&spec.hooks.prestart, &state)?;
                hooks::run(&spec.hooks.create_runtime, &state)?;
                channel.send(&Go(state))?;
            }
            Some(Report::Ready) => return Ok(()),
            Some(Report::Failed(error)) => return Err(error),
            Some(Report::Spawned(_)) | None => return Err(died()),
        }
    }
}

fn died() -> Error {
    Error::Internal { reason: "the container's first process was killed while it was made".into() }
}

impl Launched {
    /// A process that is ready, and the runtime's end of its channel.
    pub fn new(pid: Pid, pidfd: OwnedFd, channel: Channel) -> Self {
        Self { pid, pidfd, channel }
    }

    /// Lets it go on to its gate.
    pub fn release(&self) -> Result<()> {
        self.channel.send(&Go(String::new()))
    }

    /// Lets it become the program; resolves when it has.
    pub fn start(&self) -> Result<()> {
        self.release()?;
        // The start of the program closes the other end.
        match self.channel.receive()? {
            // A copy is no program, and says so itself.
            None | Some(Report::Ready) => Ok(()),
            Some(Report::Failed(error)) => {
                self.abandon();
                Err(error)
            }
            Some(_) => Err(died()),
        }
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
