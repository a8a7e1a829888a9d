//! Making a container for Node.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::handed::Given;
use super::making::{Making, Purpose};
use super::message::Boot;
use super::served::Ends;
use super::{Helper, Running};
use crate::birth::{self, Birth, Side};
use crate::cgroup::{Cgroup, orphans::Life};
use crate::error::{Error, Result};
use crate::launch::{self, Network, Order, Streams};
use crate::mounts::{self, Layout, protect};
use crate::network::Attachment;
use crate::seccomp::{self, Filter};
use crate::spec::Spec;

impl Helper {
    /// Begins to make the container, whose program has what is `given` as standard streams. Where that fails nothing stays behind.
    pub fn boot(&mut self, mut boot: Box<Boot>, given: Given) -> Result<()> {
        crate::spec::check(&boot.spec)?;
        check_possible(&boot.spec)?;
        if boot.default_protection {
            protect::complete(&mut boot.spec.linux);
        }
        let filter = match (&boot.spec.linux.seccomp, boot.default_protection) {
            (Some(profile), _) => Some(seccomp::compile(profile)?),
            (None, true) => Some(self.default_filter()?),
            (None, false) => None,
        };
        if launch::may_mount() {
            // Kept by this process; the one between would make them anew each time.
            mounts::prepare_mappings(&boot.spec, boot.idmapped, &mut self.mapper)?;
        }
        let network = self.networks.prepare(&boot.network)?;
        match self.begin(&boot, filter.as_ref(), &network, given) {
            Ok((birth, ends, cgroup, other_end)) => {
                let running =
                    Running { spec: boot.spec, cgroup, filter, network, oom: None, layer: None, remover: None };
                let purpose = Purpose::Container(Box::new(running), other_end);
                self.makings.insert(boot.process, Making::new(boot.process, birth, ends, purpose));
                Ok(())
            }
            Err(error) => {
                self.networks.release(network);
                Err(error)
            }
        }
    }

    fn begin(
        &mut self,
        boot: &Boot,
        filter: Option<&Filter>,
        network: &Attachment,
        given: Given,
    ) -> Result<(Birth, Ends, Cgroup, Option<OwnedFd>)> {
        let spec = &boot.spec;
        let (cable, other_end) = network.cable()?;
        let (streams, ends) = Ends::make(spec.process()?.terminal, given)?;
        let id = format!("guest-{}", boot.process);
        let cgroup = Cgroup::create(&id, Life::Tied, spec.linux.cgroups_path.as_deref(), &spec.linux.resources)?;
        if !cgroup.is_empty() {
            self.watch();
        }
        match Birth::begin(None) {
            Ok(Side::Runtime(birth)) => Ok((birth, ends, cgroup, other_end)),
            Ok(Side::Between(channel)) => {
                let interface = network.interface();
                let network = Network {
                    names: boot.network.names(spec.hostname.as_deref(), interface),
                    device: interface.map(|interface| (interface, cable)),
                };
                birth::bear(order(boot, &cgroup, filter, streams, network), &mut self.mapper, &channel)
            }
            Err(error) => {
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

/// What only a process of its own can have.
fn check_possible(spec: &Spec) -> Result<()> {
    if spec.linux.namespaces.iter().any(|namespace| namespace.path.is_some()) {
        return Err(Error::unsupported("joining namespaces by path, here", "use the OCI command line"));
    }
    match spec.hooks.is_empty() {
        true => Ok(()),
        // This process would wait for them.
        false => Err(Error::unsupported("hooks, here", "use the OCI command line")),
    }
}

fn order<'a>(
    boot: &'a Boot,
    cgroup: &'a Cgroup,
    filter: Option<&'a Filter>,
    streams: Streams,
    network: Network,
) -> Order<'a> {
    Order {
        spec: &boot.spec,
        bundle: Path::new("/"),
        layout: Layout {
            idmapped: boot.idmapped,
            overlay: boot.overlay,
            lowers: boot.lowers.clone(),
            writable: boot.writable.clone(),
            temporary: false,
            saved: boot.saved.clone(),
        },
        cgroup,
        filter,
        streams,
        gate: None,
        preserve_fds: 0,
        tied: true,
        reaper: boot.init,
        network: Some(network),
        _mark: None,
    }
}
