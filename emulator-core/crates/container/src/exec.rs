//! Another process in a container that runs.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use archive::copy::{Copy, Opened};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid};

use crate::birth::{self, Birth, Side};
use crate::capabilities::Sets;
use crate::cgroup::{Cgroup, Entrance};
use crate::channel::{Channel, Report};
use crate::error::{During, Error, Result};
use crate::init;
use crate::inside::Inside;
use crate::launch::{self, Launched, Streams};
use crate::namespaces;
use crate::process::{self, Program};
use crate::seccomp::Filter;
use crate::spec::Process;
use crate::sys;
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

/// Makes the process, ready to become the program.
pub fn launch(order: Order<'_>) -> Result<Launched> {
    let oom_score = order.process.oom_score_adj;
    let birth = begin(order)?;
    let heard = birth.channel.receive_with()?;
    let launched = birth::take(birth.channel, heard)?;
    let ready =
        admit(&launched, oom_score).and_then(|()| launched.hear(launched.channel().receive()?, || Err(launch::died())));
    ready.inspect_err(|_| launched.abandon())?;
    Ok(launched)
}

/// Begins to make the process. A process id namespace holds for who is born in it, so that it takes two: one joins the
/// namespaces and bears the other, as a child of the runtime.
pub fn begin(order: Order<'_>) -> Result<Birth> {
    let entrance = order.cgroup.entrance()?;
    match Birth::begin(entrance.unified.as_ref().map(AsFd::as_fd))? {
        Side::Runtime(birth) => Ok(birth),
        Side::Between(channel) => pass_through(order, &entrance, &channel),
    }
}

/// Does for the process what it cannot do itself, and lets it set itself up.
pub fn admit(launched: &Launched, oom_score: Option<i32>) -> Result<()> {
    process::adjust_oom(launched.pid, oom_score)?;
    launched.release()
}

fn pass_through(order: Order<'_>, entrance: &Entrance, channel: &Channel) -> ! {
    let join = || {
        process::tie(true)?;
        // Processes of the container must not look into this one, which has files of the host open.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).during("hiding from the container")?;
        entrance.enter()?;
        process::raise_limits(None, &order.process.rlimits)?;
        namespaces::join_process(order.init, order.pidfd)?;
        if order.tied {
            // The helper has more open, for others.
            let own = order.streams.descriptors().into_iter().chain([channel.as_fd().as_raw_fd()]);
            birth::leave_runtime(own.collect())?;
        }
        sys::clone3(libc::CLONE_PARENT as u64, None).during("making the process")
    };
    let born = join();
    match born.transpose() {
        None => run(order, channel),
        Some(born) => birth::announce(born, channel),
    }
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
    process::tie(true)?;
    channel.wait()?;
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
    process::prepare(&process, &sets, order.filter, order.preserve_fds)?;
    process::tie(order.tied)?;
    let work = match order.task {
        Task::Program => Work::Program(Program::find(&process)?),
        Task::Copy(copy) => {
            process::filter_late(&process, order.filter)?;
            Work::Copy(copy.open()?)
        }
    };
    channel.send(&Report::Ready)?;
    channel.wait()?;
    Ok(work)
}

/// Copies, having said that it begins; the exit status tells whether all went well, and the standard error why not.
fn copy(opened: Opened, channel: &Channel) -> Error {
    if let Err(error) = channel.send(&Report::Ready) {
        return error;
    }
    // The runtime's own ends are among what was inherited: with one of a pipe open here, its end would never come.
    if let Err(error) = sys::close_all_but(vec![opened.as_fd().as_raw_fd()]).during("closing descriptors") {
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
