//! Handles on processes (pidfd_open(2)), which mean the same process whatever becomes of its number.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::{During, Result, whole};

/// All that a thread needs which only waits.
const STACK_BYTES: usize = 64 << 10;

/// A process, not necessarily a child. Whoever opened it by a number makes sure that the number was not another's by then.
#[napi]
pub struct ProcessHandle {
    /// Nothing once it is closed.
    handle: Option<Arc<Handle>>,
}

struct Handle {
    process: OwnedFd,
    /// Becomes readable when nobody is to wait any more.
    closing: OwnedFd,
}

#[napi]
impl ProcessHandle {
    /// The process that has the number `pid` now; `ESRCH` where there is none.
    #[napi(factory)]
    pub fn open(pid: f64) -> Result<Self> {
        let handle = Handle::open(pid).during("opening a process")?;
        Ok(Self { handle: Some(Arc::new(handle)) })
    }

    /// Sends it a signal, by number; `ESRCH` where it has ended and been waited for.
    #[napi]
    pub fn signal(&self, number: f64) -> Result<()> {
        let sent = self.handle().and_then(|handle| {
            let signal = whole(number).ok().and_then(Signal::from_named_raw).ok_or(Errno::INVAL)?;
            rustix::process::pidfd_send_signal(&handle.process, signal)
        });
        sent.during("sending a signal")
    }

    /// Resolves with true when it has ended, with false when the handle is closed before. A thread waits for it, not one of
    /// those that Node has for files; until then this process does not end by itself.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn ended<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let handle = Arc::clone(self.handle().during("waiting for a process")?);
        let (deferred, promise) = env.create_deferred().during("waiting for a process")?;
        let wait = move || match handle.wait() {
            Ok(ended) => deferred.resolve(move |_| Ok(ended)),
            Err(errno) => deferred.reject(napi::Error::from_reason(format!("waiting for a process: {errno}"))),
        };
        let thread = thread::Builder::new().name("process end".into()).stack_size(STACK_BYTES).spawn(wait);
        thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)).during("waiting for a process")?;
        Ok(promise)
    }

    /// Lets go of it.
    #[napi]
    pub fn close(&mut self) {
        if let Some(handle) = self.handle.take() {
            // It takes 2^64 - 2 before it does not.
            let _ = rustix::io::write(&handle.closing, &1_u64.to_ne_bytes());
        }
    }

    fn handle(&self) -> rustix::io::Result<&Arc<Handle>> {
        self.handle.as_ref().ok_or(Errno::BADF)
    }
}

impl Handle {
    fn open(pid: f64) -> rustix::io::Result<Self> {
        let pid = whole(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { process, closing: rustix::event::eventfd(0, EventfdFlags::CLOEXEC)? })
    }

    /// Waits for the end; whether that is what came.
    fn wait(&self) -> rustix::io::Result<bool> {
        loop {
            let watched = [self.process.as_fd(), self.closing.as_fd()];
            let mut polled = watched.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            match rustix::event::poll(&mut polled, None) {
                Err(Errno::INTR) => {}
                result => return result.map(|_| !polled[0].revents().is_empty()),
            }
        }
    }
}
