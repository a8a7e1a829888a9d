//! create, start, run, kill, delete, pause, resume.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::args::{Args, Known, invalid};
use super::log::Log;
use super::relay::{self, Terminal};
use super::{Context, one_id};
use crate::capabilities;
use crate::cgroup::{Cgroup, orphans};
use crate::error::{During, Error, Result};
use crate::gate::{self, Gate};
use crate::hooks;
use crate::launch::{self, Callbacks, Launched, Order, Streams};
use crate::mounts::{Layout, Sources};
use crate::namespaces::{IdMapper, start_time_of};
use crate::seal;
use crate::seccomp;
use crate::spec::Spec;
use crate::state::{self, Container, Record, Status};
use crate::terminal;

const CREATE: Known = Known {
    values: &["bundle,b", "pid-file", "console-socket", "preserve-fds"],
    flags: &["no-pivot", "no-new-keyring", "detach,d", "keep", "no-subreaper"],
};

/// A container that is being made, and what has to go if it fails.
struct New<'a> {
    id: &'a str,
    bundle: PathBuf,
    spec: Spec,
    directory: PathBuf,
    cgroup: Cgroup,
    /// What it has of the host's files, until its first process has that.
    sources: Option<Sources>,
    /// Held by the first process, until it becomes the program.
    mark: Option<OwnedFd>,
}

/// Makes a container that waits for `start`.
pub fn create(context: &Context, words: impl Iterator<Item = String>, log: &Log) -> Result<u8> {
    let args = Args::parse(words, &CREATE)?;
    let mut new = New::begin(context, &args, log)?;
    new.guard(|new| {
        let gate = Gate::create(&new.directory)?;
        let streams = match (new.spec.process()?.terminal, args.value("console-socket")) {
            (false, None) => Streams::Inherited,
            (true, Some(socket)) => Streams::Terminal(terminal::connect(Path::new(socket))?),
            (true, None) => return Err(invalid("--console-socket", "given, since process.terminal is set")),
            (false, Some(_)) => return Err(invalid("--console-socket", "left out, since process.terminal is not set")),
        };
        let launched = new.launch(&args, streams, Some(gate), None)?;
        let made =
            write_pid(&args, launched.pid).and_then(|()| gate::reach(&new.directory)).and_then(|()| launched.release());
        made.inspect_err(|_| launched.abandon())
    })?;
    Ok(0)
}

/// Makes a container, runs it to its end and removes it; or leaves it running.
pub fn run(context: &Context, words: impl Iterator<Item = String>, log: &Log) -> Result<u8> {
    let args = Args::parse(words, &CREATE)?;
    let detach = args.has("detach");
    let mut new = New::begin(context, &args, log)?;
    // Signals that come from here on are for the container; before that is made, they call it off.
    let signals = if detach { None } else { Some(relay::Signals::catch()?) };
    let (launched, terminal) = new.guard(|new| {
        let (streams, terminal) = relay::streams(new.spec.process()?.terminal, args.value("console-socket"), detach)?;
        let launched = new.launch(&args, streams, None, signals.as_ref())?;
        let started = write_pid(&args, launched.pid).and_then(|()| launched.start()).and_then(|()| {
            state::await_program(&new.directory);
            let pid = launched.pid.as_raw_nonzero().get();
            hooks::run(&new.spec.hooks.poststart, &new.state(Status::Running, pid))
        });
        started.inspect_err(|_| launched.abandon())?;
        Ok((launched, terminal.map(Terminal::open).transpose()?))
    })?;
    let Some(signals) = signals else { return Ok(0) };
    let status = relay::accompany(&launched, &signals, terminal);
    if !args.has("keep") {
        let failed = hooks::run_all(&new.spec.hooks.poststop, &new.state(Status::Stopped, 0));
        new.remove()?;
        failed.iter().for_each(|error| log.warn(&error.to_string()));
    }
    Ok(status as u8)
}

impl<'a> New<'a> {
    fn begin(context: &Context, args: &'a Args, log: &Log) -> Result<Self> {
        for (option, mend) in [
            ("no-pivot", "leave it out: a root in memory is no hindrance here"),
            ("no-new-keyring", "leave it out: a container sees no keys of the host's"),
        ] {
            if args.has(option) {
                return Err(Error::unsupported(format!("--{option}"), mend));
            }
        }
        let id = one_id(args)?;
        let bundle = args.value("bundle").unwrap_or(".");
        let bundle = fs::canonicalize(bundle).during(format!("finding the bundle {bundle}"))?;
        let text =
            fs::read(bundle.join("config.json")).during(format!("reading {}", bundle.join("config.json").display()))?;
        let spec = Spec::parse(&text)?;
        seal::ensure_for(&spec)?;
        for name in spec.process()?.capabilities.iter().flat_map(capabilities::unknown) {
            log.warn(&format!("there is no capability {name}: it is left out"));
        }
        // Before anything is made: what is on a file system that does not answer is waited for here, and may be for ever.
        let sources = launch::open_sources(&spec, &bundle, &Layout::default(), &mut IdMapper::default())?;
        let directory = context.store.reserve(id)?;
        let made = state::mark(&directory).and_then(|mark| {
            let resources = &spec.linux.resources;
            Ok((mark, Cgroup::create(id, orphans::Life::Own, spec.linux.cgroups_path.as_deref(), resources)?))
        });
        match made {
            Ok((mark, cgroup)) => Ok(Self { id, bundle, spec, directory, cgroup, sources, mark: Some(mark) }),
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                Err(error)
            }
        }
    }

    /// Nothing half-made stays behind.
    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        work(self).inspect_err(|_| drop(self.remove()))
    }

    fn remove(&self) -> Result<()> {
        let removed = self.cgroup.remove();
        fs::remove_dir_all(&self.directory).during(format!("removing {}", self.directory.display()))?;
        removed
    }

    fn state(&self, status: Status, pid: i32) -> String {
        state::document(self.id, status.name(), pid, &self.bundle, &self.spec.annotations).to_string()
    }

    /// Has the first process made. Signals that call it off are left to be read.
    fn launch(
        &mut self,
        args: &Args,
        streams: Streams,
        gate: Option<Gate>,
        signals: Option<&relay::Signals>,
    ) -> Result<Launched> {
        let (sources, mark) = (self.sources.take(), self.mark.take());
        let filter = self.spec.linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
        let order = Order {
            spec: &self.spec,
            bundle: &self.bundle,
            layout: Layout::default(),
            cgroup: &self.cgroup,
            filter: filter.as_ref(),
            streams,
            gate,
            preserve_fds: args.number("preserve-fds")?.unwrap_or(0),
            tied: false,
            reaper: false,
            network: None,
            _mark: mark,
        };
        let callbacks = Callbacks {
            state: &|pid| self.state(Status::Creating, pid.as_raw_nonzero().get()),
            meanwhile: &mut |pid| self.record(pid),
            wait: &|channel| signals.map_or(Ok(()), |signals| signals.wait_beside(channel)),
        };
        launch::launch(order, sources, callbacks)
    }

    /// Writes down what there is now.
    fn record(&self, pid: Pid) -> Result<()> {
        let record = Record {
            id: self.id.to_owned(),
            bundle: self.bundle.clone(),
            pid: pid.as_raw_nonzero().get(),
            start_time: start_time_of(pid).unwrap_or_default(),
            cgroup: self.cgroup.clone(),
            created: state::now(),
            owner: rustix::process::geteuid().as_raw(),
            spec: self.spec.clone(),
        };
        record.save(&self.directory)
    }
}

/// Writes the file of `--pid-file`.
pub fn write_pid(args: &Args, pid: Pid) -> Result<()> {
    let Some(path) = args.value("pid-file") else { return Ok(()) };
    let temporary = format!("{path}.new");
    fs::write(&temporary, pid.as_raw_nonzero().to_string()).during(format!("writing {path}"))?;
    fs::rename(&temporary, path).during(format!("writing {path}"))
}

/// Starts a container that waits.
pub fn start(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &[], flags: &[] })?;
    let container = context.store.open(one_id(&args)?)?;
    container.require(&[Status::Created])?;
    gate::open(container.directory())?;
    state::await_program(container.directory());
    // It may have ended by now, and has run all the same.
    let state = container.document_as(Status::Running).to_string();
    // runtime.md: where one of these fails the container is stopped.
    hooks::run(&container.record.spec.hooks.poststart, &state)
        .inspect_err(|_| drop(signal_first(&container, Signal::KILL)))?;
    Ok(0)
}

/// Sends a signal, SIGTERM unless another is named.
pub fn kill(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &[], flags: &["all,a"] })?;
    // The flag may stand behind the id.
    let all = args.has("all") || args.rest.iter().any(|word| word == "--all" || word == "-a");
    let mut rest = args.rest.iter().filter(|word| !word.starts_with('-'));
    let id = rest.next().ok_or_else(|| invalid("the arguments", "a container id and perhaps a signal"))?;
    let signal = signal_of(rest.next().map_or("TERM", String::as_str))?;
    let container = context.store.open(id)?;
    let cgroup = &container.record.cgroup;
    if all {
        cgroup.signal(signal);
    } else {
        container.require(&[Status::Created, Status::Running, Status::Paused])?;
        signal_first(&container, signal)?;
    }
    // A process that stands still in version 1 does not even die.
    if signal == Signal::KILL && cgroup.is_frozen() {
        cgroup.freeze(false)?;
    }
    Ok(0)
}

fn signal_first(container: &Container, signal: Signal) -> Result<()> {
    match container.record.process() {
        Some((_, pidfd)) => match rustix::process::pidfd_send_signal(pidfd.as_fd(), signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => result.during("sending the signal"),
        },
        None => Ok(()),
    }
}

/// A signal by number or by name, with or without SIG.
pub fn signal_of(text: &str) -> Result<Signal> {
    const NAMES: [(&str, i32); 33] = [
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("ILL", libc::SIGILL),
        ("TRAP", libc::SIGTRAP),
        ("ABRT", libc::SIGABRT),
        ("BUS", libc::SIGBUS),
        ("FPE", libc::SIGFPE),
        ("KILL", libc::SIGKILL),
        ("USR1", libc::SIGUSR1),
        ("SEGV", libc::SIGSEGV),
        ("USR2", libc::SIGUSR2),
        ("PIPE", libc::SIGPIPE),
        ("ALRM", libc::SIGALRM),
        ("TERM", libc::SIGTERM),
        ("STKFLT", libc::SIGSTKFLT),
        ("CHLD", libc::SIGCHLD),
        ("CONT", libc::SIGCONT),
        ("STOP", libc::SIGSTOP),
        ("TSTP", libc::SIGTSTP),
        ("TTIN", libc::SIGTTIN),
        ("TTOU", libc::SIGTTOU),
        ("URG", libc::SIGURG),
        ("XCPU", libc::SIGXCPU),
        ("XFSZ", libc::SIGXFSZ),
        ("VTALRM", libc::SIGVTALRM),
        ("PROF", libc::SIGPROF),
        ("WINCH", libc::SIGWINCH),
        ("IO", libc::SIGIO),
        ("POLL", libc::SIGIO),
        ("PWR", libc::SIGPWR),
        ("SYS", libc::SIGSYS),
        ("IOT", libc::SIGABRT),
    ];
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = number.or_else(|| text.parse().ok()).filter(|number| (1..=64).contains(number));
    // Real-time signals have no names here.
    let signal = number.and_then(Signal::from_named_raw);
    signal.ok_or_else(|| invalid("the signal", "a name such as TERM, or a number"))
}

/// Removes what has ended, and what commands that were killed have left; with `--force`, ends it first.
pub fn delete(context: &Context, words: impl Iterator<Item = String>, log: &Log) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &[], flags: &["force,f"] })?;
    let id = one_id(&args)?;
    orphans::remove_ended();
    let container = match context.store.open(id) {
        Err(Error::ContainerUnknown { .. }) if args.has("force") => {
            let _ = context.store.remove_remains(id);
            return Ok(0);
        }
        result => result?,
    };
    if args.has("force") {
        signal_first(&container, Signal::KILL)?;
    } else {
        container.require(&[Status::Stopped])?;
    }
    container.record.cgroup.remove()?;
    wait_for_end(&container)?;
    let state = container.document().to_string();
    context.store.remove_remains(id)?;
    // runtime.md: what these hooks do wrong is logged, and the container is gone all the same.
    let failed = hooks::run_all(&container.record.spec.hooks.poststop, &state);
    failed.iter().for_each(|error| log.warn(&error.to_string()));
    Ok(0)
}

fn wait_for_end(container: &Container) -> Result<()> {
    for _ in 0..1000 {
        if container.status() == Status::Stopped {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    container.require(&[Status::Stopped]).map(drop)
}

/// Stops all processes, or lets them go on.
pub fn freeze(context: &Context, words: impl Iterator<Item = String>, frozen: bool) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &[], flags: &[] })?;
    let container = context.store.open(one_id(&args)?)?;
    container.require(&[if frozen { Status::Running } else { Status::Paused }])?;
    container.record.cgroup.freeze(frozen)?;
    Ok(0)
}
