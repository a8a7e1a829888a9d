//! x87 instructions as bytes, run on a bare processor: against the host's own x87, and against the manual where the host
//! cannot be asked (modes, privileges, faults).

mod behaviour;
#[cfg(target_arch = "x86_64")]
mod host;
mod rig;
mod xsave;
