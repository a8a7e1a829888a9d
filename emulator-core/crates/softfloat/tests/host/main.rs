//! The host CPU as judge: the same operation on random and special operands, here and there.
#![cfg(target_arch = "x86_64")]

mod sse;
mod support;
mod transcendental;
mod x87;
