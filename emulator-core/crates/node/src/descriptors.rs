//! Descriptors on their way to other processes (unix(7), SCM_RIGHTS), in datagrams: each arrives whole, or not at all.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::error::{During, Result, borrow};

/// The most descriptors in a message: a process's standard streams, and some more.
const MAX_DESCRIPTORS: usize = 8;

/// The most bytes in a message: they only say what the descriptors are.
const MAX_BYTES: usize = 4096;

/// What came in one message.
#[napi(object)]
pub struct Message {
    /// At most 4 KiB.
    pub bytes: Uint8Array,
    /// Whoever receives them closes them.
    pub descriptors: Vec<i32>,
}

/// Two sockets for messages to each other, which never wait.
#[napi(ts_return_type = "[number, number]")]
pub fn socket_pair() -> Result<Vec<i32>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .during("making a pair of sockets")?;
    Ok(vec![one.into_raw_fd(), other.into_raw_fd()])
}

/// A socket at `path` for messages from others, which never waits.
#[napi]
pub fn bind_socket(path: String) -> Result<i32> {
    let bound = socket_with(&path, |socket, address| rustix::net::bind(socket, address));
    bound.during(&format!("listening at {path}"))
}

/// A socket for messages to that at `path`, which never waits.
#[napi]
pub fn connect_socket(path: String) -> Result<i32> {
    let connected = socket_with(&path, |socket, address| rustix::net::connect(socket, address));
    connected.during(&format!("connecting to {path}"))
}

/// A socket with which the address `path` has been put to use.
fn socket_with(
    path: &str,
    put_to_use: impl FnOnce(&OwnedFd, &SocketAddrUnix) -> rustix::io::Result<()>,
) -> rustix::io::Result<i32> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    put_to_use(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into_raw_fd())
}

/// Sends up to 4 KiB and eight descriptors, of which the receiver gets copies. `EAGAIN` where too much waits there already.
#[napi]
pub fn send_message(socket: f64, bytes: Uint8Array, descriptors: Vec<f64>) -> Result<()> {
    let sent = send(socket, &bytes, &descriptors);
    sent.during("sending descriptors")
}

fn send(socket: f64, bytes: &[u8], descriptors: &[f64]) -> rustix::io::Result<()> {
    let socket = borrow(socket)?;
    let descriptors: Vec<_> = descriptors.iter().map(|number| borrow(*number)).collect::<rustix::io::Result<_>>()?;
    if bytes.len() > MAX_BYTES || descriptors.len() > MAX_DESCRIPTORS {
        return Err(Errno::MSGSIZE);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// The next message; nothing where none waits. One with more than can be sent here is refused (`EMSGSIZE`), and what came
/// of it closed.
#[napi]
pub fn receive_message(socket: f64) -> Result<Option<Message>> {
    match borrow(socket).and_then(receive) {
        Err(Errno::AGAIN) => Ok(None),
        result => result.map(Some).during("receiving descriptors"),
    }
}

fn receive(socket: BorrowedFd<'_>) -> rustix::io::Result<Message> {
    let mut bytes = vec![0; MAX_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut bytes)];
    let received = rustix::net::recvmsg(socket, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    bytes.truncate(received.bytes);
    let descriptors = descriptors.into_iter().map(IntoRawFd::into_raw_fd).collect();
    Ok(Message { bytes: Uint8Array::new(bytes), descriptors })
}
