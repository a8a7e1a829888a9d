//! Errors as Node's own are: the name of the error as their code.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// A result whose error has the name of an errno(3) as its code.
pub type Result<T> = napi::Result<T, &'static str>;

/// Names the operation that the kernel refused.
pub trait During<T> {
    /// The value, or an error that says what was being done.
    fn during(self, operation: &str) -> Result<T>;
}

impl<T> During<T> for rustix::io::Result<T> {
    fn during(self, operation: &str) -> Result<T> {
        self.map_err(|errno| napi::Error::new(name(errno), format!("{operation}: {errno}")))
    }
}

impl<T> During<T> for napi::Result<T> {
    fn during(self, operation: &str) -> Result<T> {
        self.map_err(|error| napi::Error::new("EFAULT", format!("{operation}: {}", error.reason)))
    }
}

/// A descriptor of the caller's. JavaScript's numbers may be none, which is an error here and not another descriptor.
pub fn borrow<'a>(number: f64) -> rustix::io::Result<BorrowedFd<'a>> {
    // SAFETY: the number is not -1, and goes to a system call at once, which refuses one that is not open. As with
    // `node:fs` the caller answers for what it stands for; no memory of this process's depends on that.
    whole(number).map(|number| unsafe { BorrowedFd::borrow_raw(number) })
}

/// A number that is a descriptor's or a process's.
pub fn whole(number: f64) -> rustix::io::Result<i32> {
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&number);
    if is_whole { Ok(number as i32) } else { Err(Errno::BADF) }
}

macro_rules! names {
    ($($name:ident $text:literal)*) => {
        /// As errno(3) has it; what the calls here do not return has one name.
        fn name(errno: Errno) -> &'static str {
            match errno {
                $(Errno::$name => $text,)*
                _ => "EOTHER",
            }
        }
    };
}

names! {
    ACCESS "EACCES" ADDRINUSE "EADDRINUSE" AGAIN "EAGAIN" BADF "EBADF" CONNREFUSED "ECONNREFUSED" CONNRESET "ECONNRESET"
    INTR "EINTR" INVAL "EINVAL" IO "EIO" MFILE "EMFILE" MSGSIZE "EMSGSIZE" NAMETOOLONG "ENAMETOOLONG" NFILE "ENFILE"
    NOBUFS "ENOBUFS" NODEV "ENODEV" NOENT "ENOENT" NOMEM "ENOMEM" NOSPC "ENOSPC" NOSYS "ENOSYS" NOTCONN "ENOTCONN"
    NOTDIR "ENOTDIR" NOTSOCK "ENOTSOCK" NOTTY "ENOTTY" PERM "EPERM" PIPE "EPIPE" PROTOTYPE "EPROTOTYPE" ROFS "EROFS"
    SRCH "ESRCH" TOOMANYREFS "ETOOMANYREFS"
}
