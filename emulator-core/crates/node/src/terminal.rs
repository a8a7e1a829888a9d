//! Pseudoterminals (pty(7)).

use std::os::fd::{IntoRawFd, OwnedFd};

use napi_derive::napi;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::error::{During, Result, borrow};

/// Both ends of a terminal.
#[napi(object)]
pub struct Terminal {
    /// Where what is at the other end is typed to and seen.
    pub master: i32,
    /// What a program has as its terminal.
    pub slave: i32,
}

/// The size of a terminal, in characters.
#[napi(object)]
pub struct WindowSize {
    /// Width.
    pub columns: f64,
    /// Height.
    pub rows: f64,
}

/// A new terminal of that size; nobody's controlling one yet.
#[napi]
pub fn open_terminal(size: WindowSize) -> Result<Terminal> {
    let opened = winsize(&size).and_then(open);
    let (master, slave) = opened.during("opening a terminal")?;
    Ok(Terminal { master: master.into_raw_fd(), slave: slave.into_raw_fd() })
}

fn open(size: Winsize) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    rustix::termios::tcsetwinsize(&master, size)?;
    Ok((master, slave))
}

/// The size of the terminal that `descriptor` is either end of.
#[napi]
pub fn window_size(descriptor: f64) -> Result<WindowSize> {
    let size = borrow(descriptor).and_then(rustix::termios::tcgetwinsize).during("asking for a terminal's size")?;
    Ok(WindowSize { columns: size.ws_col.into(), rows: size.ws_row.into() })
}

/// Gives it another size; its program is told (SIGWINCH).
#[napi]
pub fn set_window_size(descriptor: f64, size: WindowSize) -> Result<()> {
    let set = borrow(descriptor).and_then(|terminal| rustix::termios::tcsetwinsize(terminal, winsize(&size)?));
    set.during("setting a terminal's size")
}

fn winsize(size: &WindowSize) -> rustix::io::Result<Winsize> {
    let characters = |number: f64| {
        let fits = number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number);
        if fits { Ok(number as u16) } else { Err(Errno::INVAL) }
    };
    Ok(Winsize { ws_col: characters(size.columns)?, ws_row: characters(size.rows)?, ws_xpixel: 0, ws_ypixel: 0 })
}
