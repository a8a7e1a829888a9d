//! The helper that Node starts once: makes containers, carries their input, output and ends over one socket, and takes
//! everything down when the socket closes, however Node has ended.

mod boot;
mod frames;
mod freezing;
mod handed;
mod making;
mod message;
mod served;
mod watcher;

pub use message::Failure;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Instant;

use archive::copy::Copy;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::birth;
use crate::cgroup::{Cgroup, oom::OomWatch};
use crate::error::{Error, Result};
use crate::exec::{self, Task};
use crate::launch::{self, Launched};
use crate::namespaces::IdMapper;
use crate::network::{Attachment, Networks, user::Token};
use crate::seccomp::Filter;
use crate::spec::{IdMapping, Process, Spec, User, check_process};
use crate::work::{self, Work};
use frames::{Inbox, Outbox};
use freezing::Freezing;
use handed::{Given, Handed};
use making::{Making, Outcome, Purpose, Remains};
use message::{PROTOCOL, Reply, Request};
use served::{Ends, Served, Source};

/// Serves standard input and output until Node lets go; whether all went well. With `descriptors` there is a third socket, by
/// which those come.
pub fn main(descriptors: bool) -> bool {
    let handed = Handed::new(descriptors.then(crate::sys::inherited_descriptor));
    // Only containers end it, or Node: Ctrl-C at the terminal reaches the whole group and is Node's to decide on.
    let ready = crate::sys::catch_signals().is_ok()
        && rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok()
        && [rustix::stdio::stdin(), rustix::stdio::stdout()].iter().all(|fd| {
            rustix::fs::fcntl_getfl(fd).and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)).is_ok()
        });
    if !ready {
        return false;
    }
    let mut helper = Helper { handed, ..Helper::default() };
    helper.outbox.send(&Reply::Hello { protocol: PROTOCOL }, &[]);
    let served = helper.serve();
    helper.take_down();
    served.is_ok()
}

/// Something that can be done.
enum Ready {
    Process(u32, Source),
    /// A process on its way.
    Making(u32),
    /// What is left of one that could not be made.
    Remains(u32),
    /// Of a container's network.
    Network(u32, Token),
    /// A container's memory.
    Oom(u32),
    /// The end of who has removed a container's layer.
    Removed(u32),
}

/// A container that runs, or is going to.
struct Running {
    spec: Spec,
    cgroup: Cgroup,
    filter: Option<Filter>,
    network: Attachment,
    /// Where an overlay keeps what is written. In memory that is gone when this is closed.
    layer: Option<OwnedFd>,
    /// Who removes that behind it, where memory would not do.
    remover: Option<OwnedFd>,
    /// News of memory, where that is limited.
    oom: Option<OomWatch>,
}

/// A process's exit code, or the signal that ended it.
type End = (Option<i32>, Option<i32>);

#[derive(Default)]
struct Helper {
    inbox: Inbox,
    outbox: Outbox,
    handed: Handed,
    processes: BTreeMap<u32, Served>,
    makings: BTreeMap<u32, Making>,
    remains: BTreeMap<u32, Remains>,
    containers: BTreeMap<u32, Running>,
    /// Containers that have ended, but for their layers: who removes those, and how the first processes ended.
    removing: BTreeMap<u32, (OwnedFd, End)>,
    freezing: Vec<Freezing>,
    mapper: IdMapper,
    networks: Networks,
    /// The profile of this runtime, compiled when it is first needed.
    default_filter: Option<Filter>,
    watcher: Option<OwnedFd>,
}

impl Helper {
    fn serve(&mut self) -> Result<()> {
        loop {
            let Some((requests, ready)) = self.wait() else { return Ok(()) };
            for ready in ready {
                match ready {
                    Ready::Process(number, source) => self.handle(number, source),
                    Ready::Making(number) => self.advance(number),
                    Ready::Remains(number) => self.clear_away(number),
                    Ready::Network(number, token) => self.handle_network(number, token),
                    Ready::Oom(number) => self.handle_oom(number),
                    Ready::Removed(number) => self.tell_end(number),
                }
            }
            self.containers.values_mut().for_each(|container| container.network.tick());
            self.settle_freezing();
            if requests {
                if !self.inbox.fill(rustix::stdio::stdin()) {
                    return Ok(());
                }
                while let Some((value, data)) = self.inbox.next()? {
                    let request = serde_json::from_value(value);
                    self.obey(request.map_err(|error| Error::Internal { reason: error.to_string() })?, &data);
                }
            }
            if !self.outbox.flush(rustix::stdio::stdout()) {
                return Ok(());
            }
            self.reap_orphans();
        }
    }

    /// Sleeps until something can be done: whether requests wait, and which processes are ready for what. None when the
    /// socket is gone.
    fn wait(&self) -> Option<(bool, Vec<Ready>)> {
        let congested = self.outbox.is_congested();
        let writing = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut polled = vec![
            PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN),
            PollFd::from_borrowed_fd(rustix::stdio::stdout(), writing),
        ];
        let mut sources = Vec::new();
        for process in self.processes.values() {
            for (source, fd, flags) in process.sources(congested) {
                polled.push(PollFd::from_borrowed_fd(fd, flags));
                sources.push(Ready::Process(process.number, source));
            }
        }
        for making in self.makings.values() {
            polled.push(PollFd::from_borrowed_fd(making.channel(), PollFlags::IN));
            sources.push(Ready::Making(making.number));
        }
        for remains in self.remains.values() {
            polled.push(PollFd::from_borrowed_fd(remains.handle(), PollFlags::IN));
            sources.push(Ready::Remains(remains.number));
        }
        for (number, (remover, _)) in &self.removing {
            polled.push(PollFd::new(remover, PollFlags::IN));
            sources.push(Ready::Removed(*number));
        }
        for (number, container) in &self.containers {
            if let Some(watch) = &container.oom {
                polled.push(PollFd::new(watch, PollFlags::IN));
                sources.push(Ready::Oom(*number));
            }
            for (token, fd, flags) in container.network.sources() {
                polled.push(PollFd::from_borrowed_fd(fd, flags));
                sources.push(Ready::Network(*number, token));
            }
        }
        match rustix::event::poll(&mut polled, self.patience().as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Some((false, Vec::new())),
            Err(_) => return None,
        }
        let gone = PollFlags::ERR | PollFlags::NVAL;
        if polled[1].revents().intersects(gone) {
            return None;
        }
        let ready = sources.into_iter().zip(&polled[2..]).filter(|(_, polled)| !polled.revents().is_empty());
        Some((!polled[0].revents().is_empty(), ready.map(|(source, _)| source).collect()))
    }

    /// How long nothing may happen before something is due.
    fn patience(&self) -> Option<Timespec> {
        let networks = self.containers.values().filter_map(|container| container.network.deadline());
        let deadline = networks.chain(self.freezing.iter().map(Freezing::due)).min()?;
        Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()
    }

    fn handle_network(&mut self, number: u32, token: Token) {
        if let Some(container) = self.containers.get_mut(&number) {
            container.network.handle(token);
        }
    }

    fn handle_oom(&mut self, number: u32) {
        let watch = self.containers.get_mut(&number).and_then(|container| container.oom.as_mut());
        if watch.is_some_and(OomWatch::take) {
            self.outbox.send(&Reply::Oom { process: number }, &[]);
        }
    }

    fn handle(&mut self, number: u32, source: Source) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        if !process.handle(source, &mut self.outbox) {
            return;
        }
        let Some(process) = self.processes.remove(&number) else { return };
        let end = process.finish(&mut self.outbox);
        if let Some(container) = self.containers.remove(&number) {
            drop(container.layer);
            // Where the last process is slow to go, the kernel keeps the group; there is nobody left to be told.
            let _ = container.cgroup.remove();
            self.networks.release(container.network);
            if let Some(remover) = container.remover {
                self.removing.insert(number, (remover, end));
                return;
            }
        }
        self.outbox.send(&Reply::Exited { process: number, code: end.0, signal: end.1 }, &[]);
    }

    /// Nothing is left of a container, not even its layer.
    fn tell_end(&mut self, number: u32) {
        if let Some((_, (code, signal))) = self.removing.remove(&number) {
            self.outbox.send(&Reply::Exited { process: number, code, signal }, &[]);
        }
    }

    fn obey(&mut self, request: Request, data: &[u8]) {
        match request {
            Request::Boot(boot) => {
                let process = boot.process;
                let given = self.handed.take(process, &boot.streams);
                let begun = given.and_then(|given| self.boot(boot, given));
                self.tell_failure(process, begun);
            }
            Request::Exec { container, process, spec, streams } => {
                let given = self.handed.take(process, &streams);
                let checked = given.and_then(|given| check_process("process", &spec).map(|()| given));
                let begun = checked.and_then(|given| self.exec(container, process, &spec, Task::Program, given));
                self.tell_failure(process, begun);
            }
            Request::Copy { container, process, copy, user } => {
                let begun = self.copy(container, process, copy, user);
                self.tell_failure(process, begun);
            }
            Request::Snapshot { container, process } => {
                let started = self.snapshot(container, process);
                self.tell_failure(process, started);
            }
            Request::Work { process, work, uid_mappings, gid_mappings } => {
                let started = self.work(process, work, &uid_mappings, &gid_mappings);
                self.tell_failure(process, started);
            }
            Request::Abandon { process } => self.abandon(process),
            Request::Write { process } => self.with(process, |process, outbox| process.write(data, outbox)),
            Request::End { process } => self.with(process, Served::end_input),
            Request::Signal { process, signal } => self.signal(process, signal),
            Request::Hold { process, held } => self.with(process, |process, _| process.hold(held)),
            Request::Resize { process, rows, columns } => {
                self.with(process, |process, _| process.resize(rows, columns));
            }
            Request::Freeze { container, request, frozen } => {
                let begun = self.container(container).and_then(|found| found.cgroup.begin_freezing(frozen));
                match begun {
                    Ok(()) => self.freezing.push(Freezing::new(request, container, frozen)),
                    Err(error) => self.reply(request, Err(error)),
                }
            }
            Request::Stats { container, request } => {
                let stats = self.container(container).map(|container| Some(container.cgroup.stats()));
                self.reply(request, stats);
            }
        }
    }

    /// Whatever has been begun and not failed is told of later.
    fn tell_failure(&mut self, process: u32, begun: Result<()>) {
        if let Err(error) = begun {
            self.outbox.send(&Reply::Failed { process, error: error.into() }, &[]);
        }
    }

    fn tell_start(&mut self, process: u32, pid: Pid) {
        let container = self.containers.get(&process);
        let freezes = container.is_some_and(|container| container.cgroup.freezes());
        let network = container.and_then(|container| container.network.given());
        let pid = pid.as_raw_nonzero().get();
        self.outbox.send(&Reply::Started { process, pid, freezes, network }, &[]);
    }

    /// Takes what a process on its way says.
    fn advance(&mut self, number: u32) {
        let Some(making) = self.makings.remove(&number) else { return };
        match making.advance(&mut self.networks) {
            Outcome::OnItsWay(making) => drop(self.makings.insert(number, making)),
            Outcome::Failed(remains) => drop(self.remains.insert(number, remains)),
            Outcome::Runs(process, purpose) => {
                let pid = process.pid();
                self.processes.insert(number, process);
                if let Purpose::Container(mut container, _) = purpose {
                    let memory = container.spec.linux.resources.memory.as_ref();
                    let limited = memory.is_some_and(|memory| memory.limit.is_some());
                    container.oom = if limited { container.cgroup.watch_oom() } else { None };
                    self.containers.insert(number, *container);
                }
                self.tell_start(number, pid);
            }
        }
    }

    /// Nobody wants the process any more, whether it is on its way or, by now, there.
    fn abandon(&mut self, number: u32) {
        match self.makings.remove(&number) {
            Some(making) => drop(self.remains.insert(number, making.abandon(launch::died()))),
            None => self.signal(number, Signal::KILL.as_raw()),
        }
    }

    /// The kernel has let go of what could not be made.
    fn clear_away(&mut self, number: u32) {
        let Some(remains) = self.remains.remove(&number) else { return };
        remains.reap();
        if let Purpose::Container(container, _) = remains.purpose {
            let _ = container.cgroup.remove();
            self.networks.release(container.network);
        }
        self.outbox.send(&Reply::Failed { process: number, error: remains.error.into() }, &[]);
    }

    fn reply(&mut self, request: u32, done: Result<Option<crate::cgroup::stats::Stats>>) {
        let reply = match done {
            Ok(stats) => Reply::Done { request, stats },
            Err(error) => Reply::Refused { request, error: error.into() },
        };
        self.outbox.send(&reply, &[]);
    }

    fn exec(&mut self, container: u32, number: u32, process: &Process, task: Task, given: Given) -> Result<()> {
        let running = self.container(container)?;
        if running.cgroup.is_frozen() {
            // It would stand still before it could say that it runs.
            return Err(Error::ContainerStatus {
                id: format!("guest-{container}"),
                status: "paused".into(),
                wanted: "running".into(),
            });
        }
        let init = self.processes.get(&container).ok_or_else(|| unknown(container))?;
        let (streams, ends) = Ends::make(process.terminal, given)?;
        let birth = exec::begin(exec::Order {
            init: init.pid(),
            pidfd: init.pidfd(),
            cgroup: &running.cgroup,
            process,
            filter: running.filter.as_ref(),
            streams,
            preserve_fds: 0,
            tied: true,
            task,
        })?;
        let purpose = Purpose::Exec(process.oom_score_adj);
        self.makings.insert(number, Making::new(number, birth, ends, purpose));
        Ok(())
    }

    /// Work waits for nothing of the host's before it says that it begins.
    fn work(&mut self, number: u32, work: Work, uids: &[IdMapping], gids: &[IdMapping]) -> Result<()> {
        let (streams, ends) = Ends::make(false, Given::default())?;
        let launched = work::launch(work, uids, gids, streams)?;
        self.serve_work(number, launched, ends)
    }

    fn snapshot(&mut self, container: u32, number: u32) -> Result<()> {
        let init = self.processes.get(&container).ok_or_else(|| unknown(container))?;
        let layer =
            self.container(container)?.layer.as_ref().ok_or_else(|| {
                Error::unsupported("a snapshot of a container without a writable layer", "give it one")
            })?;
        let (streams, ends) = Ends::make(false, Given::default())?;
        let launched = work::launch_packing(layer, init.pidfd(), streams)?;
        self.serve_work(number, launched, ends)
    }

    fn serve_work(&mut self, number: u32, launched: Launched, ends: Ends) -> Result<()> {
        launched.start()?;
        let pid = launched.pid;
        self.processes.insert(number, Served::new(number, launched, ends));
        self.tell_start(number, pid);
        Ok(())
    }

    /// A copy is made by a process like any other of the container, so that it sees its files and has no other rights.
    fn copy(&mut self, container: u32, number: u32, copy: Copy, user: Option<User>) -> Result<()> {
        let mut process = self.container(container)?.spec.process()?.clone();
        process.user = user.unwrap_or(process.user);
        process.terminal = false;
        process.cwd = "/".into();
        self.exec(container, number, &process, Task::Copy(copy), Given::default())
    }

    fn signal(&mut self, number: u32, signal: i32) {
        let Some(process) = self.processes.get(&number) else { return };
        let container = self.containers.get(&number);
        process.signal(signal, container.is_none());
        // A process that stands still in version 1 does not even die.
        if let Some(container) = container.filter(|_| signal == libc::SIGKILL)
            && container.cgroup.is_frozen()
        {
            let _ = container.cgroup.begin_freezing(false);
        }
    }

    fn with(&mut self, number: u32, action: impl FnOnce(&mut Served, &mut Outbox)) {
        if let Some(process) = self.processes.get_mut(&number) {
            action(process, &mut self.outbox);
        }
    }

    fn container(&self, number: u32) -> Result<&Running> {
        self.containers.get(&number).ok_or_else(|| unknown(number))
    }

    /// Children of processes that did not wait for them come here, and those that have borne one. Whoever is served or on
    /// the way is left to be asked by name.
    fn reap_orphans(&self) {
        while let Some(pid) = crate::sys::ended_child() {
            let served = self.processes.values().map(Served::pid);
            if served.chain(self.makings.values().filter_map(Making::pid)).any(|known| known == pid) {
                return;
            }
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }

    /// Node is gone: nothing outlives it. What the kernel does not let go of is waited for.
    fn take_down(&mut self) {
        // Which may take longer than anybody should wait for the end of these.
        let _ = birth::drop_streams();
        // Work on a store would wait for its input, whose other end is here.
        for process in self.processes.values() {
            process.signal(Signal::KILL.as_raw(), false);
        }
        for container in self.containers.values().filter(|container| container.cgroup.is_frozen()) {
            let _ = container.cgroup.begin_freezing(false);
        }
        for (number, making) in std::mem::take(&mut self.makings) {
            self.remains.insert(number, making.abandon(launch::died()));
        }
        // In any order: a container's first process has not ended before all others of its namespace are waited for, of
        // which those of exec are children of this one.
        loop {
            self.remove_ended();
            if self.containers.is_empty() && self.remains.is_empty() {
                // Not before: this one may be killed here, too. It is a child, and waited for below.
                self.dismiss_watcher();
            }
            if rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED).is_err() {
                return;
            }
        }
    }

    fn remove_ended(&mut self) {
        let processes = &self.processes;
        let has_ended = |number: &u32| processes.get(number).is_none_or(|init| making::has_ended(init.pidfd()));
        for (_, container) in self.containers.extract_if(.., |number, _| has_ended(number)) {
            let _ = container.cgroup.remove();
        }
        for (_, remains) in self.remains.extract_if(.., |_, remains| making::has_ended(remains.handle())) {
            if let Purpose::Container(container, _) = remains.purpose {
                let _ = container.cgroup.remove();
            }
        }
    }
}

fn unknown(container: u32) -> Error {
    Error::ContainerUnknown { id: format!("guest-{container}") }
}
