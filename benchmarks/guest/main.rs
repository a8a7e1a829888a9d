//! A bare 64-bit kernel that runs one integer workload and stops. It is started through PVH, so every emulator
//! takes it as it is; the command line says `<workload> <rounds>`.
//!
//! It prints `begin` and `end <checksum>` on COM1. In between there is nothing but the workload: no interrupt, no
//! device, no system call. The checksums are printed so that nothing can be optimised away, and compared between
//! contenders, so that nobody is fast by being wrong.

#![no_std]
#![no_main]

mod start;
#[path = "../../packages/measure/workloads/integer.rs"]
mod workloads;

use core::fmt::Write;

/// COM1's transmit register, and its line status register (bit 5: transmitter ready).
const COM1: u16 = 0x3f8;

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            while start::port_in(COM1 + 5) & 0x20 == 0 {}
            start::port_out(COM1, byte);
        }
        Ok(())
    }
}

/// Called by `start.rs` with the command line, in 64-bit mode with the first 4 GiB mapped one to one.
fn main(command_line: &str) -> ! {
    let mut words = command_line.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    let rounds = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    // Printing cannot fail: `write_str` above never does.
    match workloads::find(name) {
        Some(workload) => {
            let _ = writeln!(Serial, "begin");
            let checksum = workload(rounds);
            let _ = writeln!(Serial, "end {checksum:016x}");
        }
        None => {
            let _ = writeln!(Serial, "unknown workload");
        }
    }
    start::halt()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = writeln!(Serial, "panic");
    start::halt()
}
