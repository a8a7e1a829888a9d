//! What a container's first process and the runtime tell each other while the container is made: one JSON value a packet.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{During, Error, Result};

/// Longest packet: an error whose text quotes a path or two.
const MAX_BYTES: usize = 64 << 10;

/// From the container's first process, or one of `exec`.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// The container's layer is removed behind it by a process of its own. Comes with a pidfd of that.
    Remover,
    /// The process has been born by one between, and has this number in the runtime's namespace. Comes with a pidfd.
    Spawned(i32),
    /// The root is there. Comes with a descriptor of where what is written to it is kept.
    Layer,
    /// The namespaces are there: it is the time of hooks.
    Hooks,
    /// Nothing but the program's start is left to do.
    Ready,
    /// It went wrong.
    Failed(Error),
}

/// From the runtime: go on. Carries the container's state, as hooks get it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Go(pub String);

/// One end.
pub struct Channel(OwnedFd);

impl Channel {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self)> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .during("making a socket pair")?;
        Ok((Self(one), Self(other)))
    }

    /// Sends a message, by a call that no seccomp profile forbids. Fails when the other end is gone.
    pub fn send(&self, message: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(message).map_err(|error| Error::Internal { reason: error.to_string() })?;
        rustix::io::write(&self.0, &text).during("telling the other process").map(drop)
    }

    /// Sends a message with a descriptor (unix(7), SCM_RIGHTS).
    pub fn send_with(&self, message: &impl Serialize, descriptor: BorrowedFd<'_>) -> Result<()> {
        let text = serde_json::to_vec(message).map_err(|error| Error::Internal { reason: error.to_string() })?;
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL)
            .during("telling the other process")
            .map(drop)
    }

    /// The next message, by a call that no seccomp profile forbids; none when the other end is gone.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let mut packet = vec![0; MAX_BYTES];
        let length = loop {
            match rustix::io::read(&self.0, &mut packet) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => break 0,
                result => break result.during("listening to the other process")?,
            }
        };
        (length > 0).then(|| parse(&packet[..length])).transpose()
    }

    /// The next message, and the descriptor that came with it; none when the other end is gone.
    pub fn receive_with<T: DeserializeOwned>(&self) -> Result<Option<(T, Option<OwnedFd>)>> {
        let mut packet = vec![0; MAX_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let (length, mut descriptors) = loop {
            match receive_rights(self.0.as_fd(), &mut packet, &mut space) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                result => break result.during("listening to the other process")?,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        parse(&packet[..length]).map(|message| Some((message, descriptors.pop())))
    }

    /// Waits for the permission to go on. A runtime that has died gives none.
    pub fn wait(&self) -> Result<Go> {
        self.receive()?.ok_or_else(|| Error::Internal { reason: "the runtime has died".into() })
    }
}

/// The next message of a socket: how many `bytes` it has, and the descriptors that came with it, as far as there is `space`
/// for them (unix(7), SCM_RIGHTS).
pub fn receive_rights(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    space: &mut [MaybeUninit<u8>],
) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = RecvAncillaryBuffer::new(space);
    let parts = &mut [IoSliceMut::new(bytes)];
    let received = rustix::net::recvmsg(socket, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok((received.bytes, descriptors.flatten().collect()))
}

fn parse<T: DeserializeOwned>(packet: &[u8]) -> Result<T> {
    serde_json::from_slice(packet).map_err(|error| Error::Internal { reason: error.to_string() })
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
