//! The OCI runtime command line, as containerd, Podman and Docker call it.

mod args;
mod example;
mod execute;
mod features;
mod inspect;
mod lifecycle;
mod log;
mod relay;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::Pid;

use crate::error::{Error, Result};
use crate::reaper;
use crate::seal;
use crate::state::Store;
use args::{Args, Known, invalid};

const HELP: &str = "\
terrarium-container [--root DIR] [--log FILE] [--log-format text|json] COMMAND

  create [--bundle DIR] [--pid-file F] [--console-socket S] [--preserve-fds N] ID
  start ID
  run    [--detach] [--keep] [and what create takes] ID
  exec   [--process F | --cwd D --env N=V --user U:G --cap C --tty] [--detach] [--pid-file F]
         [--console-socket S] ID PROGRAM ...
  kill [--all] ID [SIGNAL]      state ID          list [--format table|json] [--quiet]
  delete [--force] ID           pause ID          resume ID
  ps [--format table|json] ID   events [--stats | --interval 5s] ID
  update --resources F ID
  spec [--rootless] [--bundle DIR]                features
";

/// What the global options say.
pub struct Context {
    store: Store,
}

/// Does what the command line says.
pub fn main(words: Vec<String>) -> ExitCode {
    let mut log = log::Log::default();
    match run(words, &mut log) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            log.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(words: Vec<String>, log: &mut log::Log) -> Result<u8> {
    if let [task, number] = &words[..]
        && task == reaper::TASK
    {
        return wait_for(number);
    }
    const GLOBAL: Known = Known {
        values: &["root", "log", "log-format", "rootless"],
        flags: &["debug", "help,h", "version,v", "systemd-cgroup"],
    };
    let args = Args::parse(words, &GLOBAL)?;
    log.configure(args.value("log").map(PathBuf::from), args.value("log-format"))?;
    if args.has("systemd-cgroup") {
        return Err(Error::unsupported("--systemd-cgroup", "let the caller use cgroupfs"));
    }
    if args.value("rootless").is_some_and(|value| value != "auto") {
        return Err(Error::unsupported("--rootless", "leave it out: what this user may do is found out"));
    }
    let version = format!("terrarium-container {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), crate::spec::OCI_VERSION);
    if args.has("version") {
        return print(&version);
    }
    let mut rest = args.rest.iter().cloned();
    let Some(command) = rest.next().filter(|_| !args.has("help")) else { return print(HELP) };
    let context = Context { store: Store::new(args.value("root").map(PathBuf::from)) };
    match command.as_str() {
        "create" => lifecycle::create(&context, rest, log),
        "start" => lifecycle::start(&context, rest),
        "run" => lifecycle::run(&context, rest, log),
        "kill" => lifecycle::kill(&context, rest),
        "delete" => lifecycle::delete(&context, rest, log),
        "pause" => lifecycle::freeze(&context, rest, true),
        "resume" => lifecycle::freeze(&context, rest, false),
        "exec" => execute::exec(&context, rest),
        "state" => inspect::state(&context, rest),
        "list" => inspect::list(&context, rest),
        "ps" => inspect::ps(&context, rest),
        "events" => inspect::events(&context, rest),
        "update" => inspect::update(&context, rest),
        "spec" => example::spec(rest),
        // Not for people: the helper's end of Node's socket is standard input and output, and where descriptors come, the next.
        "serve" => {
            seal::ensure()?;
            Ok(u8::from(!crate::serve::main(rest.next().is_some_and(|word| word == "--descriptors"))))
        }
        // What a container runs whose files alone are wanted; its end is that it is killed.
        "idle" => loop {
            std::thread::park();
        },
        "features" => print(&features::document()),
        "help" => print(HELP),
        other => Err(invalid(&format!("command {other:?}"), "one of those that --help lists")),
    }
}

/// What a first process that `reaper` has started does.
fn wait_for(number: &str) -> Result<u8> {
    let pid = number.parse().ok().and_then(Pid::from_raw).ok_or_else(|| invalid(number, "a process's number"))?;
    // Exit codes have eight bits (wait(2)).
    Ok(reaper::serve(pid)? as u8)
}

/// Writes to standard output.
fn print(text: &str) -> Result<u8> {
    // A reader that has gone needs no more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(0)
}

/// The one container a command is about.
fn one_id(args: &Args) -> Result<&str> {
    let [id] = args.exactly("one container id")?;
    Ok(id)
}
