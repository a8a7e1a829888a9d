//! One output stream of a process: the reading end of its pipe.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// The most output in one message, so that processes take turns on the channel.
const CHUNK_BYTES: usize = 4096;

/// Standard output or standard error.
pub struct Output<P> {
    /// `None` once it has ended.
    pipe: Option<P>,
    /// How much of it is still wanted, once the process has ended.
    wanted: Option<u64>,
}

impl<P: Read + AsFd> Output<P> {
    /// Reads from `pipe`, which does not block.
    pub fn new(pipe: Option<P>) -> Self {
        Self { pipe, wanted: None }
    }

    /// Whether there is nothing more to come.
    pub fn is_over(&self) -> bool {
        self.pipe.is_none()
    }

    /// For poll(2), unless it has ended.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Wants nothing more.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// Wants only what is in the pipe at this moment: descendants of the process may hold the other end for ever.
    pub fn limit_to_present(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        self.wanted = Some(rustix::io::ioctl_fionread(pipe).unwrap_or_default());
        self.close_if_done();
    }

    /// Passes one chunk on, at most `credit` bytes, and takes it off `credit`.
    pub fn forward(&mut self, credit: &mut u32, send: impl FnOnce(&[u8])) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; CHUNK_BYTES];
        let wanted = self.wanted.map_or(CHUNK_BYTES, |bytes| usize::try_from(bytes).unwrap_or(CHUNK_BYTES));
        let room = CHUNK_BYTES.min(wanted).min(*credit as usize);
        if room == 0 {
            return;
        }
        match pipe.read(&mut buffer[..room]) {
            Ok(0) => self.pipe = None,
            Ok(bytes) => {
                *credit -= bytes as u32;
                self.wanted = self.wanted.map(|wanted| wanted.saturating_sub(bytes as u64));
                send(&buffer[..bytes]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.pipe = None,
        }
        self.close_if_done();
    }

    fn close_if_done(&mut self) {
        if self.wanted == Some(0) {
            self.pipe = None;
        }
    }
}
