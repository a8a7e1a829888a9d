//! Why an archive is not unpacked, or not made.

use rustix::io::Errno;

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An archive holds what is not unpacked.
    #[error("the archive is refused for {entry:?}: {reason}")]
    Refused {
        /// The member, as the archive calls it.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An archive becomes more than the caller allows.
    #[error("the archive is refused: it is more than {limit}")]
    TooLarge {
        /// How much is allowed.
        limit: String,
    },
    /// An archive cannot be read.
    #[error("the archive is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Nothing can be copied from or to a path.
    #[error("{path} cannot be copied: {errno}")]
    Path {
        /// The path in the guest.
        path: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel refused an operation.
    #[error("{operation}: {errno}")]
    System {
        /// What was being done.
        operation: String,
        /// Its answer.
        errno: Errno,
    },
}

/// The result of anything that can fail this way.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the reason is a file system that is full, or a quota.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::System { errno: Errno::NOSPC | Errno::DQUOT, .. })
    }

    /// The failure as the host reads it from whoever copies in a guest: its code and each of its details as NAME=VALUE, every
    /// one of them ended by a zero byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (code, details) = match self {
            Self::Refused { entry, reason } => {
                ("ARCHIVE_REFUSED", vec![("entry", entry.clone()), ("reason", reason.clone())])
            }
            Self::TooLarge { limit } => ("ARCHIVE_TOO_LARGE", vec![("limit", limit.clone())]),
            Self::Damaged { reason } => ("ARCHIVE_DAMAGED", vec![("reason", reason.clone())]),
            Self::Path { path, errno } => {
                ("PATH_UNUSABLE", vec![("path", path.clone()), ("reason", errno.to_string())])
            }
            Self::System { operation, .. } if self.is_full() => ("DISK_FULL", vec![("operation", operation.clone())]),
            Self::System { operation, errno } => {
                ("SYSTEM", vec![("operation", operation.clone()), ("reason", errno.to_string())])
            }
        };
        let details = details.iter().map(|(name, value)| format!("{name}={}\0", value.replace('\0', " ")));
        [format!("{code}\0")].into_iter().chain(details).collect::<String>().into_bytes()
    }

    /// What the kernel answered while something at `path` was being done.
    pub(crate) fn system(doing: &str, path: &[u8], errno: Errno) -> Self {
        Self::System { operation: format!("{doing} {}", String::from_utf8_lossy(path)), errno }
    }
}

/// An archive that cannot be read to its end.
pub(crate) fn damaged(reason: impl ToString) -> Error {
    Error::Damaged { reason: reason.to_string() }
}

/// A member that is not unpacked, and so the archive.
pub(crate) fn refused(path: &[u8], reason: impl ToString) -> Error {
    let shown: String = String::from_utf8_lossy(path).chars().take(200).collect();
    Error::Refused { entry: shown, reason: reason.to_string() }
}

/// Names the operation that the kernel refused.
pub(crate) trait During<T> {
    /// The value, or an [`Error::System`] that says what was being done.
    fn during(self, operation: impl Into<String>) -> Result<T>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|errno| Error::System { operation: operation.into(), errno })
    }
}

impl<T> During<T> for std::io::Result<T> {
    /// An error without the kernel's number is the archive's own fault.
    fn during(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => Error::System { operation: operation.into(), errno },
            None => damaged(error),
        })
    }
}
