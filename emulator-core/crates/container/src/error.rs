//! What can go wrong, each with a stable code and the facts a program may want.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// A failure. As JSON it is `{"code": ..., "details": {...}}`, the form in which it crosses from a container's first
/// process to the runtime and from the helper to Node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", content = "details", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Error {
    /// The call itself makes no sense.
    #[error("the option {option} must be {expected}")]
    OptionInvalid { option: String, expected: String },
    /// The configuration breaks a rule of the OCI runtime specification.
    #[error("the configuration is not valid at {field}: {reason}")]
    SpecInvalid { field: String, reason: String },
    /// The configuration asks for something this runtime does not have.
    #[error("{feature} is not supported: {mend}")]
    Unsupported { feature: String, mend: String },
    /// A container of that name exists.
    #[error("there is a container {id} already: delete it, or choose another name")]
    ContainerExists { id: String },
    /// No container has that name.
    #[error("there is no container {id}")]
    ContainerUnknown { id: String },
    /// The container is in a state in which this cannot be done.
    #[error("the container {id} is {status}, and must be {wanted} for this")]
    ContainerStatus { id: String, status: String, wanted: String },
    /// The root file system is not there.
    #[error("the root file system {path} cannot be used: {reason}")]
    RootfsUnusable { path: String, reason: String },
    /// The program to run is not there, or is nothing that can be run.
    #[error("{program} cannot be run in the container: {reason}")]
    ProgramUnusable { program: String, reason: String },
    /// The kernel does not let this user make the namespaces.
    #[error("the host's kernel refuses the namespaces {namespaces} to this user ({reason}): {mend}")]
    NamespaceRefused { namespaces: String, reason: String, mend: String },
    /// User or group ids cannot be mapped as asked.
    #[error("ids cannot be mapped as asked ({reason}): {mend}")]
    IdMappingRefused { reason: String, mend: String },
    /// A mount of the configuration failed.
    #[error("nothing could be mounted on {destination}: {reason}")]
    MountFailed { destination: String, reason: String },
    /// Another container writes to the layer.
    #[error("the layer {path} is in use by {user}: wait for its end, or give another layer")]
    LayerInUse { path: String, user: String },
    /// The host lacks a cgroup controller that a limit needs.
    #[error("the host has no cgroup controller {controller}, which {needed_for} needs: mount it, or leave that out")]
    ControllerMissing { controller: String, needed_for: String },
    /// The cgroup tree does not let this user in, or refuses a value.
    #[error("the cgroup {path} cannot be used: {reason}")]
    CgroupRefused { path: String, reason: String },
    /// The host does not give a container the network it is to have.
    #[error("there can be no network {network} here ({reason}): {mend}")]
    NetworkRefused { network: String, reason: String, mend: String },
    /// A port of the host cannot be forwarded.
    #[error("the port {port} of the host cannot be forwarded ({reason}): choose another, or 0 for any")]
    PortUnavailable { port: String, reason: String },
    /// A hook of the configuration failed.
    #[error("the hook {path} failed: {reason}")]
    HookFailed { path: String, reason: String },
    /// An archive holds what is not unpacked.
    #[error("the archive is refused for {entry:?}: {reason}")]
    ArchiveRefused { entry: String, reason: String },
    /// An archive becomes more than the caller allows.
    #[error("the archive is refused: it is more than {limit}")]
    ArchiveTooLarge { limit: String },
    /// An archive cannot be read.
    #[error("the archive is damaged: {reason}")]
    ArchiveDamaged { reason: String },
    /// The user that a process is to have is not among those of the container.
    #[error("the container has no user or group {user}")]
    UserUnknown { user: String },
    /// Nothing can be copied from or to a path of the container.
    #[error("{path} cannot be copied: {reason}")]
    PathUnusable { path: String, reason: String },
    /// No space is left where something was to be written.
    #[error("{operation}: no space is left there: free some, or give another place")]
    DiskFull { operation: String },
    /// The host's kernel refused an operation.
    #[error("{operation}: {reason}")]
    System { operation: String, reason: String },
    /// Something happened that should be impossible.
    #[error("the container runtime has failed: {reason}")]
    Internal { reason: String },
}

/// The result of anything that can fail this way.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A field of the configuration that breaks a rule.
    pub fn spec(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::SpecInvalid { field: field.into(), reason: reason.into() }
    }

    /// A feature that is not there.
    pub fn unsupported(feature: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Unsupported { feature: feature.into(), mend: mend.into() }
    }

    /// What the kernel answered during an operation.
    pub fn system(operation: impl Into<String>, errno: Errno) -> Self {
        let operation = operation.into();
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::DiskFull { operation },
            errno => Self::System { operation, reason: errno.to_string() },
        }
    }

    /// What the kernel answered while something was being mounted.
    pub fn mounting(destination: impl Into<String>, errno: Errno) -> Self {
        let destination = destination.into();
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::DiskFull { operation: format!("mounting on {destination}") },
            errno => Self::mount(destination, errno),
        }
    }

    /// A mount that failed.
    pub fn mount(destination: impl Into<String>, reason: impl ToString) -> Self {
        Self::MountFailed { destination: destination.into(), reason: reason.to_string() }
    }
}

/// Names the operation that the kernel refused.
pub trait During<T> {
    /// The value, or an [`Error::System`] that says what was being done.
    fn during(self, operation: impl Into<String>) -> Result<T>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|errno| Error::system(operation, errno))
    }
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => Error::system(operation, errno),
            None => Error::System { operation: operation.into(), reason: error.to_string() },
        })
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Refused { entry, reason } => Self::ArchiveRefused { entry, reason },
            archive::Error::TooLarge { limit } => Self::ArchiveTooLarge { limit },
            archive::Error::Damaged { reason } => Self::ArchiveDamaged { reason },
            archive::Error::Path { path, errno } => Self::PathUnusable { path, reason: errno.to_string() },
            archive::Error::System { operation, errno } => Self::system(operation, errno),
        }
    }
}
