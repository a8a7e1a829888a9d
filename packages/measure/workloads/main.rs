//! Programs' work in small pieces, as one static Linux program that runs anywhere: on the host and in every guest.
//!
//! `cpu-workloads <milliseconds> <workload>` repeats a pass of the workload for that long and prints
//! `<workload> <passes> <nanoseconds a unit> <checksum>`. `cpu-workloads <milliseconds> <name> <command>...` makes the
//! command the workload; its checksum is of what it prints. Every pass computes the same, so that checksums can be
//! compared, between passes and between machines, however long each of them ran.

mod command;
mod computation;
mod floating_point;
// The bare guest program of the benchmarks has these too; a round of them is a pass here.
mod integer;
mod kernel;
mod memory;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One repetition of a workload: does its units, and returns a checksum of what it computed.
type Pass = Box<dyn FnMut() -> u64>;

/// A workload, ready to run.
struct Workload {
    pass: Pass,
    /// What the time is given for one of: calls, bytes, steps.
    units: u32,
}

impl Workload {
    fn new(units: u32, pass: impl FnMut() -> u64 + 'static) -> Self {
        Self { pass: Box::new(pass), units }
    }
}

fn find(name: &str) -> Option<Workload> {
    Some(match name {
        "xorshift64" => of_integer("alu")?,
        "branches" | "calls" | "sha256" | "sieve" => of_integer(name)?,
        "bytecode" => computation::bytecode(),
        "crc32" => computation::crc32(),
        "qsort" => computation::sort(),
        "memchr" => memory::memchr(),
        "memcpy" => memory::memcpy(),
        "memcpy-sse2" => memory::memcpy_sse2(),
        "pointer-chase" => memory::pointer_chase(),
        "matmul" => floating_point::matmul(),
        "matmul-sse2" => floating_point::matmul_sse2(),
        #[cfg(target_arch = "x86_64")]
        "matmul-fma" => floating_point::matmul_fma(),
        #[cfg(target_arch = "x86_64")]
        "blend-avx2" => computation::blend_avx2(),
        "nbody" => floating_point::nbody(),
        "x87" => floating_point::x87(),
        "exec" => kernel::exec(),
        "fork" => kernel::fork(),
        "getppid" => kernel::getppid(),
        "page-faults" => kernel::page_faults(),
        "pipe" => kernel::pipe(),
        _ => return None,
    })
}

fn of_integer(name: &str) -> Option<Workload> {
    let rounds = integer::find(name)?;
    Some(Workload::new(1, move || rounds(black_box(1))))
}

/// Xorshift64 (Marsaglia, 2003): where a workload needs numbers without a pattern.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Numbers into one.
fn checksum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, |sum: u64, value| sum.rotate_left(5) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

struct Measured {
    passes: u32,
    elapsed: Duration,
    checksum: u64,
}

/// Passes until `budget` is used up. `None` when they did not all compute the same.
fn measure(pass: &mut Pass, budget: Duration) -> Option<Measured> {
    let start = Instant::now();
    let checksum = pass();
    let mut passes = 1;
    while start.elapsed() < budget {
        if pass() != checksum {
            return None;
        }
        passes += 1;
    }
    Some(Measured { passes, elapsed: start.elapsed(), checksum })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (milliseconds, name, command) = match arguments.as_slice() {
        // What `exec` runs.
        [] => return ExitCode::SUCCESS,
        [milliseconds, name, command @ ..] => (milliseconds.parse(), name, command),
        [_] => return usage(),
    };
    let Ok(milliseconds) = milliseconds else { return usage() };
    let budget = Duration::from_millis(milliseconds);
    let workload = if command.is_empty() { find(name) } else { Some(command::workload(command)) };
    let Some(Workload { mut pass, units }) = workload else {
        eprintln!("there is no workload {name}");
        return ExitCode::FAILURE;
    };
    // Pieces are measured when caches and translations are warm. A command starts cold, as commands do.
    let warmed_up = !command.is_empty() || measure(&mut pass, budget / 4).is_some();
    let Some(Measured { passes, elapsed, checksum }) = measure(&mut pass, budget).filter(|_| warmed_up) else {
        eprintln!("{name}: passes differ in what they compute");
        return ExitCode::FAILURE;
    };
    let nanoseconds = elapsed.as_nanos() as f64 / f64::from(passes) / f64::from(units);
    println!("{name} {passes} {nanoseconds:.3} {checksum:016x}");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: cpu-workloads <milliseconds> <workload> [<command>...]");
    ExitCode::FAILURE
}
