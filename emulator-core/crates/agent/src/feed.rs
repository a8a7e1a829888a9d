//! The input of an image's program that has no terminal. The console is a serial line, which has no end and no brake; what the
//! agent starts has both. So the program reads from a named pipe, which a process that the host starts feeds.

use std::fs::File;
use std::process::ExitCode;

use rustix::fs::{CWD, FileType, Gid, Mode, Uid};

/// The first argument of a process that feeds the program.
pub const TASK: &str = "feed";

/// The pipe, until both ends are open.
const PIPE: &str = "/dev/.terrarium-input";

/// Makes the pipe, for this user's processes to write to.
pub fn make(uid: u32, gid: u32) -> std::io::Result<()> {
    rustix::fs::mknodat(CWD, PIPE, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    Ok(rustix::fs::chown(PIPE, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

/// The program's end, as soon as somebody has the other.
pub fn open() -> std::io::Result<File> {
    let pipe = File::open(PIPE)?;
    std::fs::remove_file(PIPE)?;
    Ok(pipe)
}

/// Passes standard input on until it ends.
pub fn run() -> ExitCode {
    let fed = std::fs::OpenOptions::new().write(true).open(PIPE);
    match fed.and_then(|mut pipe| std::io::copy(&mut std::io::stdin().lock(), &mut pipe)) {
        Ok(_) => ExitCode::SUCCESS,
        // The program reads no more.
        Err(_) => ExitCode::FAILURE,
    }
}
