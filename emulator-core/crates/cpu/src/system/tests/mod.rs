//! Irregular instructions as small guest programs.

mod control;
mod descriptor;
mod far;
mod flags;
mod io;
mod legacy;
mod spaces;
mod strings;
mod syscall;
mod task;
mod user;

use super::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};
