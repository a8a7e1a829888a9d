//! Files and trees copied in and out of a guest, by a process in the guest: what it may do there is the copy's right.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

use crate::error::{During, Error, Result};
use crate::pack;
use crate::unpack::{self, Form, Limits, Owners};

/// What is copied. Paths are absolute, or from the process's own directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Copy {
    /// The input to a file, which gets `mode` where it is new.
    FileIn {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file to the output.
    FileOut {
        /// The file.
        path: PathBuf,
    },
    /// The files in the archive on the input to a directory, which is there.
    TreeIn {
        /// The directory.
        path: PathBuf,
        /// Whether files become those of whom the archive says.
        #[serde(default)]
        owners: bool,
    },
    /// What is at a path to an archive on the output; of a path that ends in a slash or `/.`, what is in that directory.
    TreeOut {
        /// The path.
        path: PathBuf,
        /// What it is called in the archive; its own name where absent.
        name: Option<String>,
        /// Whether what a link in its last part leads to is copied; otherwise the link is.
        #[serde(default)]
        follow: bool,
    },
}

/// A copy whose end in the guest is open.
pub struct Opened {
    end: OwnedFd,
    task: Task,
}

enum Task {
    FileIn,
    FileOut,
    TreeIn { owners: Owners },
    TreeOut { entry: CString, name: Vec<u8> },
}

impl Copy {
    /// Opens what is copied, or what it is copied to.
    ///
    /// # Errors
    /// [`Error::Path`]
    pub fn open(&self) -> Result<Opened> {
        let (Self::FileIn { path, .. }
        | Self::FileOut { path }
        | Self::TreeIn { path, .. }
        | Self::TreeOut { path, .. }) = self;
        self.open_end().map_err(|errno| Error::Path { path: path.display().to_string(), errno })
    }

    fn open_end(&self) -> rustix::io::Result<Opened> {
        let opened = |end, task| Ok(Opened { end, task });
        match self {
            Self::FileIn { path, mode } => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(*mode);
                opened(open_file(&mut options, path)?, Task::FileIn)
            }
            Self::FileOut { path } => opened(open_file(OpenOptions::new().read(true), path)?, Task::FileOut),
            Self::TreeIn { path, owners } => {
                let owners = if *owners { Owners::Kept } else { Owners::Own };
                opened(open_directory(path, OFlags::RDONLY)?, Task::TreeIn { owners })
            }
            Self::TreeOut { path, name, follow } => {
                let bytes = path.as_os_str().as_bytes();
                let whole = path.file_name().filter(|_| !bytes.ends_with(b"/") && !bytes.ends_with(b"/."));
                let Some(own_name) = whole else {
                    let task = Task::TreeOut { entry: c".".into(), name: Vec::new() };
                    return opened(open_directory(path, OFlags::RDONLY)?, task);
                };
                let name = name.as_ref().map_or(own_name.as_bytes(), |name| name.as_bytes()).to_vec();
                let meant = if *follow { std::fs::canonicalize(path).map_err(errno_of)? } else { path.clone() };
                let entry = meant.file_name().ok_or(Errno::INVAL)?;
                let above = meant.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let parent = open_directory(above, OFlags::PATH)?;
                let entry = CString::new(entry.as_bytes()).map_err(|_| Errno::INVAL)?;
                rustix::fs::statat(&parent, &entry, AtFlags::SYMLINK_NOFOLLOW)?;
                opened(parent, Task::TreeOut { entry, name })
            }
        }
    }
}

/// Opens what must be a file: a pipe or a device might keep whoever opens or reads it waiting for ever.
fn open_file(options: &mut OpenOptions, path: &Path) -> rustix::io::Result<OwnedFd> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file: OwnedFd = file.map_err(errno_of)?.into();
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::NODEV),
    }
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn open_directory(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

impl Opened {
    /// Copies; `input` is read, or `output` written.
    pub fn run(self, mut input: impl Read, mut output: impl Write) -> Result<()> {
        match self.task {
            Task::FileIn => std::io::copy(&mut input, &mut File::from(self.end)).map(drop).during("writing the file"),
            Task::FileOut => std::io::copy(&mut File::from(self.end), &mut output).map(drop).during("reading the file"),
            Task::TreeIn { owners } => {
                // How much the guest has room for is its own business.
                let limits = Limits { bytes: u64::MAX, entries: u64::MAX };
                unpack::unpack(input, self.end, limits, Form::Tree { set_ids: true, owners }).map(drop)
            }
            Task::TreeOut { entry, name } => pack::pack_tree(&self.end, &entry, &name, &mut output),
        }?;
        output.flush().during("writing what is copied")
    }
}

impl AsFd for Opened {
    /// What is open in the guest.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}
