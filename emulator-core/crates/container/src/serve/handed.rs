//! Standard streams that are the caller's own. Their descriptors come over a socket of their own (unix(7), SCM_RIGHTS), in one
//! datagram a process, which has been sent before that is asked for; it begins with the process's number.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use serde::Deserialize;

use crate::channel::receive_rights;
use crate::error::{During, Error, Result};

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

/// A process's standard streams as far as they are the caller's.
pub type Given = [Option<OwnedFd>; 3];

/// Descriptors that have come, or are about to.
#[derive(Default)]
pub struct Handed {
    /// None where Node has no way to hand anything over.
    socket: Option<OwnedFd>,
    /// What came for processes that have not been asked for yet.
    waiting: BTreeMap<u32, Vec<OwnedFd>>,
}

impl Handed {
    /// What comes over `socket`, which never waits.
    pub fn new(socket: Option<OwnedFd>) -> Self {
        if let Some(socket) = &socket {
            // Fails for no descriptor that is open.
            let _ = rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC);
        }
        Self { socket, waiting: BTreeMap::new() }
    }

    /// The descriptors that have come for `process`, which are its `streams`.
    pub fn take(&mut self, process: u32, streams: &[Stream]) -> Result<Given> {
        let mut given = Given::default();
        if streams.is_empty() {
            return Ok(given);
        }
        while !self.waiting.contains_key(&process) {
            let (number, descriptors) = self.receive()?;
            self.waiting.insert(number, descriptors);
        }
        let descriptors = self.waiting.remove(&process).unwrap_or_default();
        if descriptors.len() != streams.len() {
            let reason = format!("{} descriptors have come for {} streams", descriptors.len(), streams.len());
            return Err(Error::Internal { reason });
        }
        for (stream, descriptor) in streams.iter().zip(descriptors) {
            stream.check(&descriptor)?;
            given[*stream as usize] = Some(descriptor);
        }
        Ok(given)
    }

    fn receive(&self) -> Result<(u32, Vec<OwnedFd>)> {
        let operation = "receiving descriptors";
        let socket = self.socket.as_ref().ok_or(rustix::io::Errno::NOTCONN).during(operation)?;
        let mut number = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let (_, descriptors) = receive_rights(socket.as_fd(), &mut number, &mut space).during(operation)?;
        Ok((u32::from_ne_bytes(number), descriptors))
    }
}

impl Stream {
    /// Whether it is read from.
    pub fn is_input(self) -> bool {
        self == Self::Stdin
    }

    /// What a program expects of a standard stream: that it can be read or written, and that to do so waits. A directory would
    /// lead out of the container (openat(2), `..`).
    fn check(self, descriptor: &OwnedFd) -> Result<()> {
        let operation = "looking at a descriptor";
        let flags = rustix::fs::fcntl_getfl(descriptor).during(operation)?;
        let stat = rustix::fs::fstat(descriptor).during(operation)?;
        let wrong = if self.is_input() { OFlags::WRONLY } else { OFlags::RDONLY };
        let is_usable = flags & OFlags::RWMODE != wrong
            && !flags.contains(OFlags::PATH)
            && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        if !is_usable {
            let (option, purpose) = match self {
                Self::Stdin => ("stdin", "reading"),
                Self::Stdout => ("stdout", "writing"),
                Self::Stderr => ("stderr", "writing"),
            };
            let expected = format!("a descriptor that is open for {purpose}, of anything but a directory");
            return Err(Error::OptionInvalid { option: option.into(), expected });
        }
        rustix::fs::fcntl_setfl(descriptor, flags - OFlags::NONBLOCK).during(operation)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;

    use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};

    use super::*;

    fn pair() -> (OwnedFd, Handed) {
        let flags = SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).expect("a pair of sockets");
        (ours, Handed::new(Some(theirs)))
    }

    fn hand(socket: &OwnedFd, process: u32, files: &[File]) {
        let descriptors: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let number = process.to_ne_bytes();
        rustix::net::sendmsg(socket, &[IoSlice::new(&number)], &mut control, SendFlags::empty()).expect("sending");
    }

    fn null() -> File {
        File::options().read(true).write(true).open("/dev/null").expect("/dev/null")
    }

    #[test]
    fn each_process_gets_its_own_whatever_comes_first() {
        let (socket, mut handed) = pair();
        hand(&socket, 7, &[null()]);
        hand(&socket, 8, &[null(), null()]);
        let given = handed.take(8, &[Stream::Stdin, Stream::Stderr]).expect("those of 8");
        assert_eq!(given.map(|one| one.is_some()), [true, false, true]);
        let given = handed.take(7, &[Stream::Stdout]).expect("those of 7");
        assert_eq!(given.map(|one| one.is_some()), [false, true, false]);
    }

    #[test]
    fn what_has_not_come_is_not_waited_for() {
        let (socket, mut handed) = pair();
        assert!(matches!(handed.take(1, &[Stream::Stdin]), Err(Error::System { .. })));
        hand(&socket, 1, &[null()]);
        assert!(matches!(handed.take(1, &[Stream::Stdin, Stream::Stdout]), Err(Error::Internal { .. })));
        // More than a process has streams: the kernel keeps the rest back.
        hand(&socket, 2, &[null(), null(), null(), null(), null()]);
        assert!(handed.take(2, &[Stream::Stdin]).is_err());
        assert!(handed.waiting.is_empty());
        assert!(matches!(Handed::default().take(3, &[Stream::Stdin]), Err(Error::System { .. })));
    }

    #[test]
    fn what_leads_elsewhere_is_no_stream() {
        let (socket, mut handed) = pair();
        let path = rustix::fs::open("/dev/null", OFlags::PATH, rustix::fs::Mode::empty()).expect("a path");
        for file in [File::open("/").expect("the root"), path.into()] {
            hand(&socket, 1, &[file]);
            assert!(matches!(handed.take(1, &[Stream::Stdin]), Err(Error::OptionInvalid { .. })));
        }
    }

    #[test]
    fn a_stream_waits_for_what_is_not_there_yet() {
        let (socket, mut handed) = pair();
        let file = null();
        rustix::fs::fcntl_setfl(&file, OFlags::NONBLOCK).expect("setting O_NONBLOCK");
        hand(&socket, 1, &[file]);
        let [given, ..] = handed.take(1, &[Stream::Stdin]).expect("a stream");
        let flags = rustix::fs::fcntl_getfl(given.expect("a descriptor")).expect("its flags");
        assert!(!flags.contains(OFlags::NONBLOCK));
    }
}
