//! The byte channel to the host, cut into frames. Never blocks.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{ControlModes, OptionalActions};

use crate::message::FromAgent;

/// Longest encoded frame taken from the host, in bytes.
const MAX_FRAME_BYTES: usize = 40 << 10;

/// While more than this waits to be sent, no more output is read from processes.
const SEND_BACKLOG_BYTES: usize = 64 << 10;

/// A frame ends with this.
const END_OF_FRAME: u8 = 0;

/// Frames in and out over one file descriptor.
pub struct Channel {
    fd: OwnedFd,
    /// Encoded bytes of the frame that is coming in.
    incoming: Vec<u8>,
    /// The incoming frame is too long; it is dropped up to its end.
    overlong: bool,
    outgoing: Vec<u8>,
}

impl Channel {
    /// Opens the device at `path`; `-` stands for standard input, used in both directions.
    pub fn open(path: &str) -> Result<Self, Errno> {
        let fd = if path == "-" {
            rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?
        } else {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())?
        };
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        make_raw(&fd)?;
        // A zero byte first ends what an agent before this one may have left half-sent.
        Ok(Self { fd, incoming: Vec::new(), overlong: false, outgoing: vec![END_OF_FRAME] })
    }

    /// For poll(2).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether bytes wait to be sent.
    pub fn wants_to_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether so much waits to be sent that producers should rest.
    pub fn is_congested(&self) -> bool {
        self.outgoing.len() > SEND_BACKLOG_BYTES
    }

    /// Queues a message.
    pub fn send(&mut self, message: FromAgent<'_>) {
        self.outgoing.extend(cobs::encode_vec(&message.to_bytes()));
        self.outgoing.push(END_OF_FRAME);
    }

    /// Sends what the device takes now.
    pub fn flush(&mut self) -> Result<(), Errno> {
        while self.wants_to_write() {
            match rustix::io::write(&self.fd, &self.outgoing) {
                Ok(sent) => drop(self.outgoing.drain(..sent)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Takes one read's worth of bytes and returns the frames they complete.
    ///
    /// # Errors
    /// `PIPE` when the host's end is gone, or what read(2) says.
    pub fn receive(&mut self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut buffer = [0; 4096];
        let bytes = match rustix::io::read(&self.fd, &mut buffer) {
            Ok(0) => return Err(Errno::PIPE),
            Ok(read) => &buffer[..read],
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        };
        Ok(bytes.iter().filter_map(|&byte| self.accept(byte)).collect())
    }

    fn accept(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte != END_OF_FRAME {
            self.overlong |= self.incoming.len() >= MAX_FRAME_BYTES;
            if !self.overlong {
                self.incoming.push(byte);
            }
            return None;
        }
        let encoded = std::mem::take(&mut self.incoming);
        if std::mem::take(&mut self.overlong) || encoded.is_empty() {
            return None;
        }
        cobs::decode_vec(&encoded).ok()
    }
}

/// Stops the line discipline from interpreting bytes, where the channel is a terminal.
fn make_raw(fd: &OwnedFd) -> Result<(), Errno> {
    let mut attributes = match rustix::termios::tcgetattr(fd) {
        Ok(attributes) => attributes,
        // A socket or a pipe is raw already.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    attributes.make_raw();
    // Without CLOCAL a drop of carrier detect would hang up the line.
    attributes.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    attributes.set_speed(115_200)?;
    rustix::termios::tcsetattr(fd, OptionalActions::Flush, &attributes)
}
