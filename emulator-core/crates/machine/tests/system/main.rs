//! What user mode cannot reach, as small guests on the bare board. Each test names the section of the Intel SDM
//! that judges it; QEMU and the host's own processor judge it too, where they are there.

mod bench;
mod debug;
mod exceptions;
mod extended_state;
mod gates;
mod interrupts;
mod model_specific;
mod modes;
mod paging;
mod paging32;
mod regions;
mod restart;
mod returns;
mod segmentation;
mod selectors;
mod tasks;
mod virtual_8086;
