//! Containers on the host's own kernel: namespaces, cgroups, mounts and filters behind an OCI runtime's command line.
//!
//! One thread throughout: a container is a copy of this process (clone3) that gives up what it must not have, step by
//! step, and becomes the program. `ARCHITECTURE.md` tells the way; `launch` and `init` are its two sides.

mod birth;
mod capabilities;
mod cgroup;
mod channel;
mod cli;
mod error;
mod exec;
mod gate;
mod hooks;
mod init;
mod inside;
mod launch;
mod mounts;
mod namespaces;
mod network;
mod process;
mod reaper;
mod seal;
mod seccomp;
mod serve;
mod spec;
mod state;
mod sys;
mod terminal;
mod user;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Option<Vec<String>> = std::env::args_os().skip(1).map(|word| word.into_string().ok()).collect();
    cli::main(words.unwrap_or_default())
}
