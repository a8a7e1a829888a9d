//! Irregular instructions as small guest programs.

mod control;
mod descriptor;
mod far;
mod flags;
mod io;
mod legacy;
mod strings;
mod syscall;
mod task;

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;
