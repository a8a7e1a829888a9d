//! A first process besides the program: it waits for those that nobody else waits for, and hands signals on. A program
//! that is the first itself gets no signal it has no handler for, and has to wait for whatever is left to it.

use std::ffi::CString;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::error::{During, Error, Result};
use crate::process::{self, Program};
use crate::seccomp::Filter;
use crate::spec::Process;
use crate::sys;

/// The word by which this program is told to wait for a child, whose number is the next.
pub const TASK: &str = "reap";

/// Starts `program` and stays. Only returns with the reason why that could not be, in whichever process finds out.
pub fn run(program: Program, process: &Process, filter: Option<&Filter>) -> Error {
    // Held back from here on, so that not even the earliest end of the program is missed.
    let begun = sys::catch_signals().and_then(|_| sys::clone3(0, None)).during("starting the program");
    match begun {
        Err(error) => error,
        Ok(None) => match to_foreground() {
            Ok(()) => program.run(process, filter),
            Err(error) => error,
        },
        Ok(Some(child)) => match stay(child.pid, process, filter) {
            Ok(code) => std::process::exit(code),
            Err(error) => error,
        },
    }
}

/// What a terminal sends is for the program alone, or it would get it twice.
fn to_foreground() -> Result<()> {
    rustix::process::setpgid(None, None).during("beginning a process group")?;
    let own = rustix::process::getpgrp();
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        rustix::termios::tcsetpgrp(rustix::stdio::stdin(), own).during("taking the terminal")?;
    }
    sys::reset_signals();
    Ok(())
}

/// Serves until the program has ended; its exit code as a shell counts it.
fn stay(program: Pid, process: &Process, filter: Option<&Filter>) -> Result<i32> {
    // Among them the end that tells the runtime, by being closed, that the program runs.
    sys::close_on_exec_from(3).during("closing descriptors")?;
    process::filter_late(process, filter)?;
    // As a program of its own it has nothing of the runtime's memory, and is the container's: who made the container joins it by
    // its first process, which without rights on the host is refused for a copy of what was started there (ptrace(2), "Ptrace
    // access mode checking"). Only returns where the container has no /proc.
    let words = [c"terrarium-init".to_owned(), c_string(TASK), c_string(&program.as_raw_nonzero().to_string())];
    let _ = sys::execve(c"/proc/self/exe", &words, &[]);
    sys::close_from(3).during("closing descriptors")?;
    serve(program)
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// Waits for `program`, a child that has been started, and all others; its exit code.
pub fn serve(program: Pid) -> Result<i32> {
    let signals = sys::catch_signals().during("holding signals back")?;
    loop {
        if let Some(code) = reap(program) {
            return Ok(code);
        }
        // Fails only for signals, which are what is waited for.
        let _ = rustix::event::poll(&mut [PollFd::new(&signals, PollFlags::IN)], None);
        while let Some(number) = sys::read_signal(&signals) {
            if let Some(signal) = Signal::from_named_raw(number).filter(|signal| *signal != Signal::CHILD) {
                // It may have ended in this moment.
                let _ = rustix::process::kill_process(program, signal);
            }
        }
    }
}

/// Waits for all that have ended; the program's exit code if it is among them.
fn reap(program: Pid) -> Option<i32> {
    let code = |status: WaitStatus| match status.terminating_signal() {
        Some(signal) => 128 + signal,
        None => status.exit_status().unwrap_or_default(),
    };
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            return Some(code(status));
        }
    }
    None
}
