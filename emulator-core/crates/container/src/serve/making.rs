//! Processes on their way: each says over its channel how it gets on, so that one that waits for a file system of the
//! host's, perhaps for ever, keeps nobody else waiting.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::Running;
use super::served::{Ends, Served};
use crate::birth::{self, Birth};
use crate::channel::Report;
use crate::error::{Error, Result};
use crate::exec;
use crate::launch::{self, Launched};
use crate::network::Networks;

/// What a process is going to be.
pub enum Purpose {
    /// A container's first; and where the other end of its cable comes from, where it lays that itself.
    Container(Box<Running>, Option<OwnedFd>),
    /// Another one, and how soon it is killed when memory runs out.
    Exec(Option<i32>),
}

/// How far it is.
enum Stage {
    Unborn(Birth),
    /// It sets itself up.
    Born(Launched),
    /// It has been let go on to its program.
    Released(Launched),
}

/// A process that is being made.
pub struct Making {
    pub number: u32,
    stage: Stage,
    ends: Ends,
    purpose: Purpose,
}

/// What has become of it.
pub enum Outcome {
    OnItsWay(Making),
    Runs(Served, Purpose),
    Failed(Remains),
}

/// What is left of a process that could not be made, until the kernel has let go of it.
pub struct Remains {
    pub number: u32,
    pub error: Error,
    pub purpose: Purpose,
    handle: OwnedFd,
}

impl Making {
    /// The process `number`, of which `birth` has begun.
    pub fn new(number: u32, birth: Birth, ends: Ends, purpose: Purpose) -> Self {
        Self { number, stage: Stage::Unborn(birth), ends, purpose }
    }

    /// What it says next comes here.
    pub fn channel(&self) -> BorrowedFd<'_> {
        match &self.stage {
            Stage::Unborn(birth) => birth.channel.as_fd(),
            Stage::Born(launched) | Stage::Released(launched) => launched.channel().as_fd(),
        }
    }

    /// Its number on the host, once it has one.
    pub fn pid(&self) -> Option<Pid> {
        match &self.stage {
            Stage::Unborn(_) => None,
            Stage::Born(launched) | Stage::Released(launched) => Some(launched.pid),
        }
    }

    /// Takes what it says.
    pub fn advance(self, networks: &mut Networks) -> Outcome {
        let Self { number, stage, ends, mut purpose } = self;
        let next = match stage {
            Stage::Unborn(birth) => take_birth(birth, &mut purpose, networks),
            Stage::Born(launched) => take_report(launched, &mut purpose),
            Stage::Released(launched) => match launched.channel().receive().and_then(Launched::hear_start) {
                Ok(()) => return serve(number, launched, ends, purpose),
                Err(error) => Err((error, launched.into_handle())),
            },
        };
        match next {
            Ok(stage) => Outcome::OnItsWay(Self { number, stage, ends, purpose }),
            Err((error, handle)) => Outcome::Failed(Remains::new(number, error, purpose, handle)),
        }
    }

    /// Ends it, because of `error`.
    pub fn abandon(self, error: Error) -> Remains {
        let handle = match self.stage {
            // What it has borne and not told of yet hears nobody, and ends.
            Stage::Unborn(birth) => birth.between,
            Stage::Born(launched) | Stage::Released(launched) => launched.into_handle(),
        };
        Remains::new(self.number, error, self.purpose, handle)
    }
}

/// A next stage, or why there is none and a handle on what is left.
type Next = Result<Stage, (Error, OwnedFd)>;

fn take_birth(Birth { between, channel }: Birth, purpose: &mut Purpose, networks: &mut Networks) -> Next {
    let mut heard = channel.receive_with();
    if let (Ok(Some((Report::Remover, remover))), Purpose::Container(container, _)) = (&mut heard, &mut *purpose) {
        container.remover = remover.take();
        return Ok(Stage::Unborn(Birth { between, channel }));
    }
    let launched = match heard.and_then(|heard| birth::take(channel, heard)) {
        Ok(launched) => launched,
        Err(error) => return Err((error, between)),
    };
    let admitted = match purpose {
        Purpose::Container(container, _) => {
            launched.admit(&container.spec, |pid| networks.connect(&container.network, pid))
        }
        Purpose::Exec(oom_score) => exec::admit(&launched, *oom_score),
    };
    match admitted {
        Ok(()) => Ok(Stage::Born(launched)),
        Err(error) => Err((error, launched.into_handle())),
    }
}

fn take_report(launched: Launched, purpose: &mut Purpose) -> Next {
    // The helper's containers have no hooks.
    let heard = launched.channel().receive_with().and_then(|heard| {
        let (report, descriptor) = heard.unzip();
        if let (Some(Report::Layer), Purpose::Container(container, _)) = (&report, &mut *purpose) {
            container.layer = descriptor.flatten();
        }
        launched.hear(report, || Err(launch::died()))
    });
    let released = heard.and_then(|ready| {
        if !ready {
            return Ok(false);
        }
        if let Purpose::Container(container, Some(socket)) = purpose {
            container.network.plug(socket)?;
        }
        launched.release().map(|()| true)
    });
    match released {
        Ok(true) => Ok(Stage::Released(launched)),
        Ok(false) => Ok(Stage::Born(launched)),
        Err(error) => Err((error, launched.into_handle())),
    }
}

fn serve(number: u32, launched: Launched, mut ends: Ends, purpose: Purpose) -> Outcome {
    match ends.receive_terminal() {
        Ok(()) => Outcome::Runs(Served::new(number, launched, ends), purpose),
        Err(error) => Outcome::Failed(Remains::new(number, error, purpose, launched.into_handle())),
    }
}

impl Remains {
    fn new(number: u32, error: Error, purpose: Purpose, handle: OwnedFd) -> Self {
        // One that waits for a file system may take its time to die.
        let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
        Self { number, error, purpose, handle }
    }

    /// Readable once the process has ended.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Waits for the process, which has ended.
    pub fn reap(&self) {
        // Nobody else's business any more, if others have.
        let _ = rustix::process::waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED);
    }
}

/// Whether the process has ended that `handle` refers to.
pub fn has_ended(handle: BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(handle, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}
