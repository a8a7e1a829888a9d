//! What a container's snapshot has of its writable layer, for the layer of another one.

use std::fs::File;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use archive::unpack::{self, Form, Limits, Owners};
use rustix::fs::{CWD, Mode, OFlags};
use serde::Deserialize;

use crate::error::{During, Error, Result};
use crate::spec::Spec;

/// An archive of a writable layer.
#[derive(Debug, Clone, Deserialize)]
pub struct Saved {
    pub archive: PathBuf,
    pub limits: Limits,
}

/// The same, opened while paths lead to the host.
pub struct Opened {
    archive: OwnedFd,
    limits: Limits,
}

impl Saved {
    /// Opens the archive.
    pub fn open(&self) -> Result<Opened> {
        let archive = rustix::fs::openat(CWD, &self.archive, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .during(format!("opening {}", self.archive.display()))?;
        Ok(Opened { archive, limits: self.limits })
    }
}

impl Opened {
    /// Unpacks it to `layer`, in which nothing is. By the container's first process, as its root: nothing is done
    /// that this could not do.
    pub fn restore(&self, spec: &Spec, layer: &OwnedFd) -> Result<()> {
        let during = "preparing the writable layer";
        let ids: u32 = spec.linux.uid_mappings.iter().fold(0, |sum, range| range.size.saturating_add(sum));
        let owners = if ids > 1 { Owners::Kept } else { Owners::Root };
        let input = BufReader::with_capacity(1 << 16, File::from(self.archive.try_clone().during(during)?));
        let mask = rustix::process::umask(Mode::empty());
        let form = Form::Layer { lowers: Vec::new(), owners };
        let unpacked = unpack::unpack(input, layer.try_clone().during(during)?, self.limits, form);
        rustix::process::umask(mask);
        Ok(unpacked.map(drop)?)
    }
}

/// What has been written to a layer before would be taken for the snapshot's.
pub fn check_unused(layer: &Path) -> Result<()> {
    match std::fs::read_dir(layer).during("reading the writable layer")?.next() {
        None => Ok(()),
        Some(_) => Err(Error::OptionInvalid {
            option: "writes".into(),
            expected: "a layer in which nothing is yet, for a snapshot".into(),
        }),
    }
}
