//! The `pc` board. `pc.rs` says which chips there are, `wires.rs` how their pins are connected; `ports.rs` and
//! `address_space.rs` decode addresses; `bus.rs` is the face the processor sees.

mod address_space;
mod bus;
mod ecam;
mod pc;
mod ports;
mod snapshot;
mod wires;

pub(crate) use pc::{BoardConfig, BoardEvent, Pc};

#[cfg(test)]
mod tests;
