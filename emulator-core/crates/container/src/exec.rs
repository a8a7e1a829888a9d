//! Another process in a container that runs.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

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
    /// It copies its input to a file.
    CopyIn { path: PathBuf, mode: u32 },
    /// It copies a file to its output.
    CopyOut { path: PathBuf },
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
        Ok(Work::Copy(from, to)) => copy(from, to, channel),
        Err(error) => error,
    };
    drop(channel.send(&Report::Failed(error)));
    std::process::exit(1)
}

/// What is left to do.
enum Work {
    Program(Program),
    Copy(File, File),
}

fn make(order: Order<'_>, channel: &Channel) -> Result<Work> {
    process::tie(true)?;
    channel.wait()?;
    rustix::process::setsid().during("beginning a session")?;
    sys::reset_signals();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).during("opening the container's root")?;
    let inside = Inside::new(root.as_fd());
    let process = user::resolve(&inside, order.process)?;
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
        task => {
            process::filter_late(&process, order.filter)?;
            open(&task)?
        }
    };
    channel.send(&Report::Ready)?;
    channel.wait()?;
    Ok(work)
}

/// Opens both ends of a copy.
fn open(task: &Task) -> Result<Work> {
    // An owned copy of a standard stream.
    let stream = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from).during("copying a descriptor");
    Ok(match task {
        Task::CopyIn { path, mode } => {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(*mode).open(path);
            Work::Copy(stream(rustix::stdio::stdin())?, file.during(path.display().to_string())?)
        }
        Task::CopyOut { path } => {
            let file = File::open(path).during(path.display().to_string())?;
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                return Err(Error::System {
                    operation: path.display().to_string(),
                    reason: "it is a directory".into(),
                });
            }
            Work::Copy(file, stream(rustix::stdio::stdout())?)
        }
        Task::Program => return Err(Error::Internal { reason: "a program is no copy".into() }),
    })
}

/// Copies, having said that it begins; the exit status tells whether all went well.
fn copy(from: File, to: File, channel: &Channel) -> Error {
    let streams = rustix::stdio::dup2_stdin(&from).and_then(|()| rustix::stdio::dup2_stdout(&to));
    if let Err(error) = streams.during("taking the files").and_then(|()| channel.send(&Report::Ready)) {
        return error;
    }
    // The runtime's own ends are among what was inherited: with one of a pipe open here, its end would never come.
    if let Err(error) = sys::close_from(3).during("closing descriptors") {
        return error;
    }
    let status = match std::io::copy(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
        Ok(_) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
    };
    std::process::exit(status)
}
