//! Capabilities (capabilities(7)).

use std::collections::BTreeSet;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{During, Result};
use crate::spec::Capabilities;

/// Names in the order of their numbers.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The sets of a process. What cannot be granted is left out, as the specification has it (config.md, "capabilities").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    bounding: CapabilitySet,
    sets: CapabilitySets,
    ambient: CapabilitySet,
}

/// Names in the configuration that the kernel does not know; the specification wants them logged.
pub fn unknown(capabilities: &Capabilities) -> BTreeSet<&String> {
    let all = [
        &capabilities.bounding,
        &capabilities.effective,
        &capabilities.inheritable,
        &capabilities.permitted,
        &capabilities.ambient,
    ];
    all.into_iter().flatten().filter(|name| !NAMES.contains(&name.as_str())).collect()
}

/// Makes effective what a change of the user has left permitted.
pub fn make_effective() -> Result<()> {
    let mut own = rustix::thread::capabilities(None).during("reading this process's capabilities")?;
    own.effective = own.permitted;
    rustix::thread::set_capabilities(None, own).during("setting the capabilities")
}

fn set_of(names: &[String]) -> CapabilitySet {
    let bits = NAMES.iter().enumerate().filter(|(_, name)| names.iter().any(|other| other == *name));
    bits.fold(CapabilitySet::empty(), |set, (number, _)| set | CapabilitySet::from_bits_retain(1 << number))
}

impl Sets {
    /// The sets that the configuration names, as far as this process can grant them. None named means none granted.
    pub fn grantable(capabilities: Option<&Capabilities>) -> Result<Self> {
        let own = rustix::thread::capabilities(None).during("reading this process's capabilities")?.permitted;
        let wanted = capabilities.cloned().unwrap_or_default();
        let [bounding, effective, inheritable, permitted, ambient] =
            [&wanted.bounding, &wanted.effective, &wanted.inheritable, &wanted.permitted, &wanted.ambient]
                .map(|names| set_of(names) & own);
        // capset(2): what is effective must be permitted; an ambient one must be permitted and inheritable.
        let sets = CapabilitySets { effective: effective & permitted, permitted, inheritable };
        Ok(Self { bounding, sets, ambient: ambient & permitted & inheritable })
    }

    /// Drops what may never be regained, while the right to do so is there.
    pub fn bound(&self) -> Result<()> {
        for number in 0..64 {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if self.bounding.contains(one) {
                continue;
            }
            match rustix::thread::remove_capability_from_bounding_set(one) {
                Ok(()) => {}
                // Past the last one this kernel has.
                Err(Errno::INVAL) if number > 0 => break,
                Err(errno) => return Err(errno).during("limiting the capabilities"),
            }
        }
        Ok(())
    }

    /// Takes the sets on. Afterwards this process can do what the container's may.
    pub fn assume(&self) -> Result<()> {
        rustix::thread::set_capabilities(None, self.sets).during("setting the capabilities")?;
        rustix::thread::clear_ambient_capability_set().during("clearing the ambient capabilities")?;
        for number in 0..NAMES.len() {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if self.ambient.contains(one) {
                rustix::thread::configure_capability_in_ambient_set(one, true)
                    .during("setting the ambient capabilities")?;
            }
        }
        Ok(())
    }
}
