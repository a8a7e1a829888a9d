//! exec.

use std::fs;
use std::os::fd::AsFd;

use super::Context;
use super::args::{Args, Known, invalid};
use super::lifecycle::write_pid;
use super::relay::{self, Signals, Terminal};
use crate::error::{During, Error, Result};
use crate::exec::{self, Order, Task};
use crate::seal;
use crate::seccomp;
use crate::spec::{Capabilities, Process, check_process};
use crate::state::{Container, Status};

/// Runs another process in a container.
pub fn exec(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    const KNOWN: Known = Known {
        values: &[
            "process,p",
            "cwd",
            "env,e",
            "user,u",
            "cap,c",
            "additional-gids,g",
            "pid-file",
            "console-socket",
            "preserve-fds",
            "apparmor",
            "process-label",
        ],
        flags: &["detach,d", "tty,t", "no-new-privs"],
    };
    let args = Args::parse(words, &KNOWN)?;
    let (id, command) = args.rest.split_first().ok_or_else(|| invalid("the arguments", "a container id"))?;
    let container = context.store.open(id)?;
    container.require(&[Status::Running, Status::Created])?;
    let process = match args.value("process") {
        Some(path) => {
            let text = fs::read(path).during(format!("reading {path}"))?;
            serde_json::from_slice(&text).map_err(|error| Error::spec(path, error.to_string()))?
        }
        None => process_of(&container, &args, command)?,
    };
    check_process("process", &process)?;
    seal::ensure_for(&container.record.spec)?;
    run(&container, &args, &process)
}

fn run(container: &Container, args: &Args, process: &Process) -> Result<u8> {
    let detach = args.has("detach");
    let record = &container.record;
    let (pid, pidfd) = record.process().ok_or_else(|| Error::ContainerUnknown { id: record.id.clone() })?;
    let filter = record.spec.linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
    let signals = if detach { None } else { Some(Signals::catch()?) };
    let (streams, socket) = relay::streams(process.terminal, args.value("console-socket"), detach)?;
    let launched = exec::launch(Order {
        init: pid,
        pidfd: pidfd.as_fd(),
        cgroup: &record.cgroup,
        process,
        filter: filter.as_ref(),
        streams,
        preserve_fds: args.number("preserve-fds")?.unwrap_or(0),
        tied: false,
        task: Task::Program,
    })?;
    write_pid(args, launched.pid).inspect_err(|_| launched.abandon())?;
    launched.start()?;
    let Some(signals) = signals else { return Ok(0) };
    let terminal = socket.map(Terminal::open).transpose()?;
    Ok(relay::accompany(&launched, &signals, terminal) as u8)
}

/// The container's own process, changed as the options say.
fn process_of(container: &Container, args: &Args, command: &[String]) -> Result<Process> {
    let mut process = container.record.spec.process()?.clone();
    process.args = command.to_vec();
    process.terminal = args.has("tty");
    process.env.extend(args.all("env").map(str::to_owned));
    if let Some(directory) = args.value("cwd") {
        process.cwd = directory.into();
    }
    if let Some(user) = args.value("user") {
        let number = |text: &str| text.parse().map_err(|_| invalid("--user", "UID or UID:GID, in numbers"));
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        (process.user.uid, process.user.gid) = (number(uid)?, number(gid)?);
    }
    for gid in args.all("additional-gids") {
        process.user.additional_gids.push(gid.parse().map_err(|_| invalid("--additional-gids", "a number"))?);
    }
    let more: Vec<_> = args.all("cap").map(str::to_owned).collect();
    if !more.is_empty() {
        let own = process.capabilities.get_or_insert_with(Capabilities::default);
        for set in [&mut own.bounding, &mut own.effective, &mut own.permitted] {
            set.extend(more.iter().cloned());
        }
    }
    process.no_new_privileges |= args.has("no-new-privs");
    // What is asked for here is refused like what the configuration asks for.
    let label = |name: &str, own: Option<String>| args.value(name).map(str::to_owned).or(own);
    process.apparmor_profile = label("apparmor", process.apparmor_profile);
    process.selinux_label = label("process-label", process.selinux_label);
    Ok(process)
}
