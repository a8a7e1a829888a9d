//! Making a container for Node.

use std::path::Path;

use rustix::process::Pid;

use super::message::Boot;
use super::served::{Ends, Served};
use super::{Helper, Running};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::launch::{self, Callbacks, Network, Order};
use crate::mounts::{Layout, protect};
use crate::network::Attachment;
use crate::seccomp::{self, Filter};

impl Helper {
    /// Makes the container and starts its program. Whatever fails, nothing stays behind.
    pub fn boot(&mut self, mut boot: Box<Boot>) -> Result<Pid> {
        crate::spec::check(&boot.spec)?;
        let joins = boot.spec.linux.namespaces.iter().any(|namespace| namespace.path.is_some());
        if joins {
            // This process would join, too.
            return Err(Error::unsupported("joining namespaces by path, here", "use the OCI command line"));
        }
        if boot.default_protection {
            protect::complete(&mut boot.spec.linux);
        }
        let filter = match (&boot.spec.linux.seccomp, boot.default_protection) {
            (Some(profile), _) => Some(seccomp::compile(profile)?),
            (None, true) => Some(self.default_filter()?),
            (None, false) => None,
        };
        let mut attachment = self.networks.prepare(&boot.network)?;
        match self.start(&boot, filter.as_ref(), &mut attachment) {
            Ok((process, cgroup)) => {
                let pid = process.pid();
                self.processes.insert(boot.process, process);
                let limited = boot.spec.linux.resources.memory.as_ref().is_some_and(|memory| memory.limit.is_some());
                let oom = if limited { cgroup.watch_oom() } else { None };
                let running = Running { spec: boot.spec, cgroup, filter, network: attachment, oom };
                self.containers.insert(boot.process, running);
                Ok(pid)
            }
            Err(error) => {
                self.networks.release(attachment);
                Err(error)
            }
        }
    }

    fn start(&mut self, boot: &Boot, filter: Option<&Filter>, attachment: &mut Attachment) -> Result<(Served, Cgroup)> {
        let spec = &boot.spec;
        let (cable, other_end) = attachment.cable()?;
        let (streams, ends) = Ends::make(spec.process()?.terminal)?;
        let id = format!("guest-{}", boot.process);
        let cgroup = Cgroup::create(&id, spec.linux.cgroups_path.as_deref(), &spec.linux.resources)?;
        let interface = attachment.interface();
        let order = Order {
            spec,
            bundle: Path::new("/"),
            layout: Layout {
                idmapped: boot.idmapped,
                overlay: boot.overlay,
                lowers: boot.lowers.clone(),
                writable: boot.writable.clone(),
            },
            cgroup: &cgroup,
            filter,
            streams,
            gate: None,
            preserve_fds: 0,
            tied: true,
            reaper: boot.init,
            network: Some(Network {
                device: interface.map(|interface| (interface, cable)),
                names: boot.network.names(spec.hostname.as_deref(), interface),
            }),
        };
        let callbacks = Callbacks {
            state: &|_| String::new(),
            connect: &mut |pid| self.networks.connect(attachment, pid),
            meanwhile: &mut |_| Ok(()),
        };
        let started = launch::launch(order, &mut self.mapper, callbacks).and_then(|launched| {
            other_end.map_or(Ok(()), |socket| attachment.plug(&socket)).inspect_err(|_| launched.abandon())?;
            Served::start(boot.process, launched, ends)
        });
        match started {
            Ok(process) => Ok((process, cgroup)),
            Err(error) => {
                // What was made of it has been killed.
                let _ = cgroup.remove();
                Err(error)
            }
        }
    }

    fn default_filter(&mut self) -> Result<Filter> {
        if self.default_filter.is_none() {
            self.default_filter = Some(seccomp::compile(&seccomp::default_profile())?);
        }
        self.default_filter.clone().ok_or_else(|| Error::Internal { reason: "there is no profile".into() })
    }
}
