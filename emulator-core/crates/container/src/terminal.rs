//! The container's terminal: a pair from its own /dev/pts, whose other end goes to whoever asked for it.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::channel::receive_rights;
use crate::error::{During, Error, Result};
use crate::inside::Inside;
use crate::mounts;
use crate::spec::ConsoleSize;

/// Major and minor number of /dev/ptmx.
const PTMX: (u32, u32) = (5, 2);

/// Makes a pair in the container's /dev/pts; the slave is opened through the master, so that no name is looked up twice.
pub fn open(inside: &Inside<'_>, size: Option<ConsoleSize>) -> Result<(OwnedFd, OwnedFd)> {
    let handle = inside.open_without_links(Path::new("/dev/pts/ptmx")).during("opening /dev/pts/ptmx")?;
    let stat = rustix::fs::fstat(&handle).during("looking at /dev/pts/ptmx")?;
    let is_ptmx =
        FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == rustix::fs::makedev(PTMX.0, PTMX.1);
    if !is_ptmx {
        return Err(Error::mount("/dev/pts", "its ptmx is another device"));
    }
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).during("opening a terminal")?;
    rustix::pty::unlockpt(&master).during("unlocking the terminal")?;
    let slave_flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, slave_flags).during("opening the terminal's other end")?;
    if let Some(ConsoleSize { height, width }) = size {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).during("setting the terminal's size")?;
    }
    Ok((master, slave))
}

/// Shows the terminal as /dev/console.
pub fn show(inside: &Inside<'_>, slave: &OwnedFd) -> Result<()> {
    let shown = inside.make_file(Path::new("/dev/console")).and_then(|target| {
        let copy = mounts::clone_handle(slave.as_fd(), false)?;
        mounts::attach(copy.as_fd(), target.as_fd())
    });
    shown.map_err(|errno| Error::mount("/dev/console", errno))
}

/// Makes the terminal this process's controlling one and all three standard streams.
pub fn take(slave: OwnedFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(&slave).during("taking the terminal")?;
    let streams = rustix::stdio::dup2_stdin(&slave)
        .and_then(|()| rustix::stdio::dup2_stdout(&slave))
        .and_then(|()| rustix::stdio::dup2_stderr(&slave));
    streams.during("taking the terminal")
}

/// A connection to the socket at `path`, for `--console-socket`.
pub fn connect(path: &Path) -> Result<OwnedFd> {
    let operation = || format!("connecting to {}", path.display());
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = socket.during(operation())?;
    let address = SocketAddrUnix::new(path).during(operation())?;
    rustix::net::connect(&socket, &address).during(operation())?;
    Ok(socket)
}

/// Sends the master over a socket (unix(7), SCM_RIGHTS).
pub fn send(socket: BorrowedFd<'_>, master: &OwnedFd) -> Result<()> {
    let descriptors = [master.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let name = IoSlice::new(b"/dev/ptmx");
    rustix::net::sendmsg(socket, &[name], &mut control, SendFlags::NOSIGNAL).during("handing the terminal over")?;
    Ok(())
}

/// Receives what [`send`] sent.
pub fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let received = receive_rights(socket, &mut name, &mut space);
    received.and_then(|(_, mut descriptors)| descriptors.pop().ok_or(Errno::BADMSG)).during("receiving the terminal")
}
