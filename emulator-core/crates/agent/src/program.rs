//! The last step before a program of the image: its session, whose it is, its directory, then execve. A process of its own
//! takes it, so that nothing has to be done between fork and execve (signal-safety(7)).

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// The first argument of a process that takes this step: `as SESSION UID GID GROUPS DIRECTORY PROGRAM ARGUMENTS...`.
pub const STEP: &str = "as";

/// The session of a process that has no terminal; any other word leaves it in that of process 1, and at its terminal.
pub const OWN_SESSION: &str = "apart";

/// What a shell says of a program that is not there, and of one that cannot be run (POSIX.1-2024, 2.8.2).
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Becomes the program that `words` tell of; with `-` for a program, the agent of the channel on standard input.
pub fn become_program(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.collect();
    let [session, uid, gid, groups, directory, program, arguments @ ..] = &words[..] else {
        return ExitCode::from(2);
    };
    if session == OWN_SESSION {
        // Fails for who leads a process group, which a child of init does not.
        let _ = rustix::process::setsid();
    }
    if let Err(error) = take_identity(uid, gid, groups) {
        return fail("init", &error.into());
    }
    if let Err(error) = std::env::set_current_dir(directory) {
        return fail(&directory.to_string_lossy(), &error);
    }
    if program == "-" {
        return crate::serve("-");
    }
    fail(&program.to_string_lossy(), &Command::new(program).args(arguments).exec())
}

fn take_identity(uid: &OsString, gid: &OsString, groups: &OsString) -> Result<(), Errno> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| Errno::INVAL);
    let groups = groups.to_string_lossy();
    let groups = groups.split(',').filter(|text| !text.is_empty());
    let groups = groups.map(|text| number(text).map(Gid::from_raw)).collect::<Result<Vec<_>, _>>()?;
    let gid = Gid::from_raw(number(&gid.to_string_lossy())?);
    let uid = Uid::from_raw(number(&uid.to_string_lossy())?);
    // There is one thread, so that its ids are those of the process. The user's own right to change them goes last.
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

fn fail(what: &str, error: &std::io::Error) -> ExitCode {
    // Nobody can be told that nobody can be told.
    let _ = writeln!(std::io::stderr(), "{what}: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })
}
