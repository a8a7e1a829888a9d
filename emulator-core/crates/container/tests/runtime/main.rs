//! Containers made by the runtime's command line, with the host's kernel as the judge: /proc, mountinfo, cgroup files. Each
//! test runs as root, where the tests do, and as a user without rights; where the machine forbids one, it says so.

#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod bundle;
mod cgroups;
mod containerd;
mod docker;
mod escapes;
mod handed;
mod isolation;
mod lifecycle;
mod limits;
mod podman;
mod refusals;
