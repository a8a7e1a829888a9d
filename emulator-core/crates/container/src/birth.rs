//! Processes that are born by one between, which may have to wait for file systems of the host's that do not answer: the
//! runtime goes on with others meanwhile. Both say over one channel how they get on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::channel::{Channel, Report};
use crate::error::{During, Error, Result};
use crate::init;
use crate::launch::{self, Launched, Order, Provisions};
use crate::mounts::{layer::Claim, temporary};
use crate::namespaces::{self, IdMapper};
use crate::network::Cable;
use crate::process;
use crate::sys::{self, Cloned};

/// A process that another one bears, which may wait long before it does.
pub struct Birth {
    /// The one between.
    pub between: OwnedFd,
    pub channel: Channel,
}

/// Who comes back from the beginning of a birth.
pub enum Side {
    Runtime(Birth),
    /// The process between, with its end of the channel.
    Between(Channel),
}

impl Birth {
    /// Makes the process between.
    pub fn begin(cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
        let (ours, theirs) = Channel::pair()?;
        Ok(match sys::clone3(0, cgroup).map_err(|errno| namespaces::refused(0, errno))? {
            Some(Cloned { pidfd, .. }) => Side::Runtime(Self { between: pidfd, channel: ours }),
            None => Side::Between(theirs),
        })
    }
}

/// The process that the one between has borne, by what that says over `channel`.
pub fn take(channel: Channel, heard: Option<(Report, Option<OwnedFd>)>) -> Result<Launched> {
    let broken = || Error::Internal { reason: "a process has been born without a handle".into() };
    match heard {
        Some((Report::Spawned(number), handle)) => {
            let pidfd = handle.ok_or_else(broken)?;
            Ok(Launched::new(Pid::from_raw(number).ok_or_else(broken)?, pidfd, channel))
        }
        Some((Report::Failed(error), _)) => Err(error),
        _ => Err(launch::died()),
    }
}

/// Bears a container's first process as a sibling of this one, says so over `channel`, and ends.
pub fn bear(mut order: Order<'_>, mapper: &mut IdMapper, channel: &Channel) -> ! {
    let born = begin(&order, mapper, channel).and_then(|()| {
        let spec = order.spec;
        let temporary = temporary::provide(spec, &mut order.layout)?;
        if let Some(temporary) = &temporary {
            channel.send_with(&Report::Remover, temporary.remover())?;
        }
        let claim = order.layout.writable.as_deref().map(Claim::take).transpose()?;
        let sources = launch::open_sources(spec, order.bundle, &order.layout, mapper)?;
        let provisions = Provisions::gather(&order, sources)?;
        match provisions.give_birth(namespaces::born_into(spec) | libc::CLONE_PARENT as u64)? {
            Some(cloned) => {
                claim.map_or(Ok(()), |claim| claim.note(cloned.pid))?;
                temporary.map_or(Ok(()), |temporary| temporary.follow(cloned.pidfd.as_fd()))?;
                Ok(cloned)
            }
            // The claim stays open in it, until it becomes the program.
            None => {
                drop(temporary);
                init::run(order, provisions, channel)
            }
        }
    });
    announce(born, channel)
}

/// What the runtime has open for other containers would stay open in this one for as long as it is made.
fn begin(order: &Order<'_>, mapper: &IdMapper, channel: &Channel) -> Result<()> {
    process::tie(true)?;
    let mut own = order.streams.descriptors();
    own.extend(mapper.descriptors());
    own.push(channel.as_fd().as_raw_fd());
    if let Some(Cable::ToLay(socket)) = order.network.as_ref().and_then(|network| Some(&network.device.as_ref()?.1)) {
        own.push(socket.as_raw_fd());
    }
    leave_runtime(own)
}

/// Lets go of what is the runtime's, but for the descriptors `own`, and of its standard streams: somebody may wait for the
/// end of those.
pub fn leave_runtime(own: Vec<RawFd>) -> Result<()> {
    sys::close_all_but(own).during("closing descriptors")?;
    drop_streams()
}

/// Has nothing as the standard streams.
pub fn drop_streams() -> Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let dropped = null.and_then(|null| {
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)
    });
    dropped.during("letting go of the standard streams")
}

/// Tells the runtime of a process that has been born for it, or why there is none, and ends.
pub fn announce(born: Result<Cloned>, channel: &Channel) -> ! {
    drop(match born {
        Ok(Cloned { pid, pidfd }) => channel.send_with(&Report::Spawned(pid.as_raw_nonzero().get()), pidfd.as_fd()),
        Err(error) => channel.send(&Report::Failed(error)),
    });
    std::process::exit(0)
}
