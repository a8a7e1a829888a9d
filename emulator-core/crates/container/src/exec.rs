//! Another process in a container that runs.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use archive::copy::{Copy, Opened};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::capabilities::Sets;
use crate::cgroup::{Cgroup, Entrance};
use crate::channel::{Channel, Report};
use crate::error::{During, Error, Result};
use crate::init;
use crate::inside::Inside;
use crate::launch::{Launched, Streams};
use crate::namespaces;
use crate::process::{self, Program};
use crate::seccomp::Filter;
use crate::spec::Process;
use crate::sys::{self, Cloned};
use crate::terminal;
use crate::user;

/// A process to be started in a container.
pub struct Order<'a> {
    /// The container's first process, whose namespaces are joined.
    pub init: Pid,
    pub pidfd: BorrowedFd<'a>,
    pub cgroup: &'a Cgroup,
    pub process: &'a Process,
    pub filter: Option<&'a Filter>,
    pub streams: Streams,
    pub preserve_fds: u32,
    pub tied: bool,
    pub task: Task,
}

/// What the process does once it is in the container.
pub enum Task {
    /// It becomes the program.
    Program,
    /// It copies.
    Copy(Copy),
}

/// Makes the process, ready to become the program. A process id namespace holds for who is born in it, so that it takes
/// two: one joins the namespaces and bears the other, as a child of the runtime.
pub fn launch(order: Order<'_>) -> Result<Launched> {
    let entrance = order.cgroup.entrance()?;
    let oom_score = order.process.oom_score_adj;
    let (ours, theirs) = Channel::pair()?;
    let unified = entrance.unified.as_ref().map(AsFd::as_fd);
    let Some(between) = sys::clone3(0, unified).map_err(|errno| namespaces::refused(0, errno))? else {
        drop(ours);
        pass_through(order, &entrance, &theirs)
    };
    drop(theirs);
    let heard = listen(&ours);
    let _ = rustix::process::waitid(WaitId::PidFd(between.pidfd.as_fd()), WaitIdOptions::EXITED);
    let (pid, report) = heard?;
    // It is a child that nobody has waited for: the number is still its own.
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).during("opening the new process")?;
    let launched = Launched::new(pid, pidfd, ours);
    let ready = process::adjust_oom(pid, oom_score).and_then(|()| match report {
        Report::Ready => Ok(()),
        Report::Failed(error) => Err(error),
        _ => Err(killed()),
    });
    match ready {
        Ok(()) => Ok(launched),
        Err(error) => {
            launched.abandon();
            Err(error)
        }
    }
}

/// The new process's number, from the one that bore it, and how it got on, from itself: either may come first.
fn listen(channel: &Channel) -> Result<(Pid, Report)> {
    let (mut pid, mut report) = (None, None);
    loop {
        match channel.receive()? {
            Some(Report::Spawned(number)) => pid = Pid::from_raw(number),
            Some(other) => report = Some(other),
            // Both are gone, or the one between, which bore none.
            None => {
                return Err(match report {
                    Some(Report::Failed(error)) => error,
                    _ => killed(),
                });
            }
        }
        (pid, report) = match (pid, report) {
            (Some(pid), Some(report)) => return Ok((pid, report)),
            incomplete => incomplete,
        };
    }
}

fn killed() -> Error {
    Error::Internal { reason: "the process was killed while it was made".into() }
}

fn pass_through(order: Order<'_>, entrance: &Entrance, channel: &Channel) -> ! {
    let joined = (|| {
        // Processes of the container must not look into this one, which has files of the host open.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).during("hiding from the container")?;
        entrance.enter()?;
        process::raise_limits(None, &order.process.rlimits)?;
        namespaces::join_process(order.init, order.pidfd)?;
        sys::clone3(libc::CLONE_PARENT as u64, None).during("making the process")
    })();
    let report = match joined {
        Ok(None) => run(order, channel),
        Ok(Some(Cloned { pid, .. })) => Report::Spawned(pid.as_raw_nonzero().get()),
        Err(error) => Report::Failed(error),
    };
    drop(channel.send(&report));
    std::process::exit(0)
}

fn run(order: Order<'_>, channel: &Channel) -> ! {
    let Order { process, filter, .. } = order;
    let error = match make(order, channel) {
        Ok(Work::Program(program)) => program.run(process, filter),
        Ok(Work::Copy(opened)) => copy(opened, channel),
        Err(error) => error,
    };
    drop(channel.send(&Report::Failed(error)));
    std::process::exit(1)
}

/// What is left to do.
enum Work {
    Program(Program),
    Copy(Opened),
}

fn make(order: Order<'_>, channel: &Channel) -> Result<Work> {
    rustix::process::setsid().during("beginning a session")?;
    sys::reset_signals();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).during("opening the container's root")?;
    let inside = Inside::new(root.as_fd());
    let mut process = user::resolve(&inside, order.process)?;
    if matches!(order.task, Task::Copy(_)) && process.user.uid != 0 {
        // A program of a user who is not root has lost them by execve(2), which a copy does not come to.
        process.capabilities = None;
    }
    match order.streams {
        Streams::Inherited => {}
        Streams::Given(streams) => init::take_streams(&streams)?,
        Streams::Terminal(socket) => terminal::take(init::open_terminal(&inside, &process, &socket)?)?,
    }
    let sets = Sets::grantable(process.capabilities.as_ref())?;
    process::prepare(&process, &sets, order.filter)?;
    if order.tied {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).during("tying it to the runtime")?;
    }
    let work = match order.task {
        Task::Program => Work::Program(Program::find(&process)?),
        Task::Copy(copy) => {
            process::filter_late(&process, order.filter)?;
            Work::Copy(copy.open()?)
        }
    };
    channel.send(&Report::Ready)?;
    channel.wait()?;
    sys::close_on_exec_from(3 + order.preserve_fds).during("closing descriptors")?;
    Ok(work)
}

/// Copies, having said that it begins; the exit status tells whether all went well, and the standard error why not.
fn copy(opened: Opened, channel: &Channel) -> Error {
    if let Err(error) = channel.send(&Report::Ready) {
        return error;
    }
    // The runtime's own ends are among what was inherited: with one of a pipe open here, its end would never come.
    if let Err(error) = sys::close_all_but(opened.as_fd()).during("closing descriptors") {
        return error;
    }
    let status = match opened.run(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = std::io::stderr().write_all(&error.to_bytes());
            1
        }
    };
    std::process::exit(status)
}
