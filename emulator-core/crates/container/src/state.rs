//! What is known of containers between calls of the runtime: a directory for each, with its state, its configuration and,
//! until it is started, its gate.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cgroup::Cgroup;
use crate::error::{During, Error, Result};
use crate::gate;
use crate::namespaces::open_process;
use crate::spec::{OCI_VERSION, Spec};

const STATE: &str = "state.json";

/// All containers of one `--root`.
pub struct Store {
    root: PathBuf,
}

/// What is written down of a container.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub bundle: PathBuf,
    pub pid: i32,
    pub start_time: u64,
    pub cgroup: Cgroup,
    /// When it was made, as RFC 3339 has it.
    pub created: String,
    pub owner: u32,
    pub spec: Spec,
}

/// A container and where it is in its life (runtime.md, "State").
pub struct Container {
    pub record: Record,
    directory: PathBuf,
}

/// Stages of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl Store {
    /// The store in `root`, or where the system keeps such things.
    pub fn new(root: Option<PathBuf>) -> Self {
        let default = || match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(directory) if !rustix::process::geteuid().is_root() => Path::new(&directory).join("terrarium"),
            _ => PathBuf::from("/run/terrarium"),
        };
        Self { root: root.unwrap_or_else(default) }
    }

    /// Reserves a name: its directory is there afterwards, and nothing in it.
    pub fn reserve(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o711);
        builder.recursive(true).create(&self.root).during(format!("making {}", self.root.display()))?;
        let directory = self.root.join(id);
        match builder.recursive(false).create(&directory) {
            Ok(()) => Ok(directory),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::ContainerExists { id: id.to_owned() }),
            Err(error) => Err(error).during(format!("making {}", directory.display())),
        }
    }

    /// A container by its name.
    pub fn open(&self, id: &str) -> Result<Container> {
        check_id(id)?;
        let directory = self.root.join(id);
        let unknown = || Error::ContainerUnknown { id: id.to_owned() };
        let text = match fs::read(directory.join(STATE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown()),
            result => result.during(format!("reading the state of {id}"))?,
        };
        let record = serde_json::from_slice(&text)
            .map_err(|error| Error::Internal { reason: format!("the state of {id} is damaged: {error}") })?;
        Ok(Container { record, directory })
    }

    /// All that are complete, by name.
    pub fn all(&self) -> Vec<Container> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<_> = names.filter_map(|id| self.open(&id).ok()).collect();
        found.sort_by(|one, other| one.record.id.cmp(&other.record.id));
        found
    }

    /// What a call that was killed has left of a container that never was complete.
    pub fn remove_remains(&self, id: &str) -> Result<()> {
        check_id(id)?;
        match fs::remove_dir_all(self.root.join(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::ContainerUnknown { id: id.to_owned() }),
            result => result.during(format!("removing {id}")),
        }
    }
}

/// Locks a container's directory (flock(2)). The lock ends with the last copy of the descriptor that comes of it: the first
/// process has one that becoming the program closes, so that nobody need note that it has.
pub fn mark(directory: &Path) -> Result<OwnedFd> {
    let operation = || format!("locking {}", directory.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(directory, flags, Mode::empty()).during(operation())?;
    rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive).during(operation())?;
    Ok(handle)
}

/// Whether a container's first process has not become the program yet.
fn is_marked(directory: &Path) -> bool {
    share(directory, FlockOperation::NonBlockingLockShared) == Err(Errno::AGAIN)
}

/// Waits for the mark of a process that is becoming the program: the kernel closes its descriptors one after another.
pub fn await_program(directory: &Path) {
    // Who may not look is told of the program by other means.
    let _ = share(directory, FlockOperation::LockShared);
}

fn share(directory: &Path, operation: FlockOperation) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(directory, flags, Mode::empty())?;
    rustix::fs::flock(&handle, operation)
}

/// A name becomes a directory's.
fn check_id(id: &str) -> Result<()> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+-.".contains(letter);
    match !id.is_empty() && id.len() <= 255 && id.chars().all(allowed) && id != "." && id != ".." {
        true => Ok(()),
        false => Err(Error::OptionInvalid {
            option: "container id".into(),
            expected: "made of letters, digits and _ + - .".into(),
        }),
    }
}

impl Record {
    /// Writes it into `directory`; whoever reads sees all of it or none.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Internal { reason: error.to_string() })?;
        let temporary = directory.join(format!("{STATE}.new"));
        fs::write(&temporary, text).during("writing the state")?;
        fs::rename(&temporary, directory.join(STATE)).during("writing the state")
    }

    /// The first process; none when it has ended.
    pub fn process(&self) -> Option<(Pid, OwnedFd)> {
        let pid = Pid::from_raw(self.pid)?;
        Some((pid, open_process(pid, self.start_time)?))
    }
}

/// The state as the specification writes it.
pub fn document(id: &str, status: &str, pid: i32, bundle: &Path, annotations: &BTreeMap<String, String>) -> Value {
    let mut state = json!({"ociVersion": OCI_VERSION, "id": id, "status": status, "bundle": bundle});
    if pid > 0 {
        state["pid"] = pid.into();
    }
    if !annotations.is_empty() {
        state["annotations"] = json!(annotations);
    }
    state
}

impl Container {
    /// Where it is in its life.
    pub fn status(&self) -> Status {
        match self.record.process() {
            None => Status::Stopped,
            // runtime.md: it runs once it has executed the program, whoever has let it go on before.
            Some(_) if is_marked(&self.directory) => match gate::is_reached(&self.directory) {
                true => Status::Created,
                false => Status::Creating,
            },
            Some(_) if self.record.cgroup.is_frozen() => Status::Paused,
            Some(_) => Status::Running,
        }
    }

    /// Its state, as the specification writes it.
    pub fn document(&self) -> Value {
        self.document_as(self.status())
    }

    /// Its state where it is that far.
    pub fn document_as(&self, status: Status) -> Value {
        let Record { id, pid, bundle, spec, .. } = &self.record;
        let pid = if status == Status::Stopped { 0 } else { *pid };
        document(id, status.name(), pid, bundle, &spec.annotations)
    }

    /// Refuses what is not possible at this stage.
    pub fn require(&self, allowed: &[Status]) -> Result<Status> {
        let status = self.status();
        if allowed.contains(&status) {
            return Ok(status);
        }
        let wanted: Vec<_> = allowed.iter().map(|status| status.name()).collect();
        Err(Error::ContainerStatus {
            id: self.record.id.clone(),
            status: status.name().to_owned(),
            wanted: wanted.join(" or "),
        })
    }

    /// Where its state is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Now, as RFC 3339 writes it, in UTC.
pub fn now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = ((elapsed.as_secs() / 86_400) as i64, elapsed.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", elapsed.subsec_nanos())
}

/// Year, month and day, that many days after 1970 began. Years are taken to begin in March, so that a leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        // As date(1) has them: date -u -d @$((86400 * N)) +%F
        for (days, date) in [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_783, (2026, 11, 26))] {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn names_are_no_paths() {
        for id in ["", ".", "..", "a/b", "../x", "a\0b", "ü"] {
            assert!(matches!(check_id(id), Err(Error::OptionInvalid { .. })), "{id:?}");
        }
        check_id("web-1_a+b.c").expect("a name");
    }
}
