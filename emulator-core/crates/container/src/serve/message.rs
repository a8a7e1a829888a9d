//! What Node and the helper say to each other. Processes are numbered by Node; a container has the number of its first one.

use std::path::PathBuf;

use archive::copy::Copy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cgroup::stats::Stats;
use crate::error::Error;
use crate::mounts::saved::Saved;
use crate::network::{Given, Wanted};
use crate::spec::{IdMapping, Process, Spec, User};
use crate::work::Work;

use super::handed::Stream;

/// Number of what is said here and in packages/container/src/helper.ts; whoever changes that makes it another in both.
pub const PROTOCOL: u32 = 4;

/// From Node.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Makes a container and starts its program.
    Boot(Box<Boot>),
    /// Starts another process.
    Exec {
        container: u32,
        process: u32,
        spec: Box<Process>,
        #[serde(default)]
        streams: Vec<Stream>,
    },
    /// Copies between the process's streams and the container's files, as its user or another.
    Copy { container: u32, process: u32, copy: Copy, user: Option<User> },
    /// Writes what a container has written to its root, as an archive.
    Snapshot { container: u32, process: u32 },
    /// Works on a store of images.
    Work { process: u32, work: Work, uid_mappings: Vec<IdMapping>, gid_mappings: Vec<IdMapping> },
    /// Nobody wants a process any more that has been asked for: it ends, however far it is.
    Abandon { process: u32 },
    /// The bytes behind are for its input.
    Write { process: u32 },
    /// Its input ends.
    End { process: u32 },
    /// Sends a signal to its group, or to the container's first process.
    Signal { process: u32, signal: i32 },
    /// Nobody takes its output for now, or somebody does again.
    Hold { process: u32, held: bool },
    /// Its terminal has another size.
    Resize { process: u32, rows: u16, columns: u16 },
    /// Stops all processes of a container, or lets them go on.
    Freeze { container: u32, request: u32, frozen: bool },
    /// Asks what a container has used.
    Stats { container: u32, request: u32 },
}

/// A container to be made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Boot {
    pub process: u32,
    pub spec: Spec,
    /// Files of root on the host are those of root in the container.
    pub idmapped: bool,
    /// What is written goes elsewhere than to the root.
    pub overlay: bool,
    /// Directories below the root's, topmost first.
    #[serde(default)]
    pub lowers: Vec<PathBuf>,
    /// Where what is written is kept; in memory without, or where that would not do.
    pub writable: Option<PathBuf>,
    /// What has been written from the beginning.
    pub saved: Option<Saved>,
    /// Whether this runtime's system call filter, masked and read-only paths are used where the configuration has none.
    pub default_protection: bool,
    /// Whether a process of this runtime is the first, and the program its child.
    pub init: bool,
    pub network: Wanted,
    /// The standard streams that have been handed over.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

/// To Node.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Reply<'a> {
    /// The first of all.
    Hello { protocol: u32 },
    /// The program runs; `pid` is its number on the host, and `freezes` whether its container can stand still.
    Started { process: u32, pid: i32, freezes: bool, network: Option<Given> },
    /// It could not be started.
    Failed { process: u32, error: Failure },
    /// The bytes behind are what it wrote, to `stdout` or `stderr`.
    Output { process: u32, stream: &'a str },
    /// All of its input so far has been taken.
    Taken { process: u32 },
    /// It has ended. Of a container: nothing is left of it.
    Exited { process: u32, code: Option<i32>, signal: Option<i32> },
    /// The container has run out of memory.
    Oom { process: u32 },
    /// A request has been done.
    Done {
        request: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        stats: Option<Stats>,
    },
    /// A request could not be done.
    Refused { request: u32, error: Failure },
}

/// An error with its sentence.
#[derive(Debug, Serialize)]
pub struct Failure {
    #[serde(flatten)]
    error: Value,
    message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { message: error.to_string(), error: serde_json::to_value(error).unwrap_or_default() }
    }
}
