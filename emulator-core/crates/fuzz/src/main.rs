//! Runs fuzz targets for as long as one likes.
//!
//! `cargo run -p fuzz -- [--target NAME] [--minutes N] [--seed S]`, or `--target NAME --input HEX` for one input.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command's own report")]

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuzz::{TARGETS, Target, run};

struct Options {
    target: Option<String>,
    minutes: u64,
    seed: u64,
    input: Option<Vec<u8>>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| options.target.as_deref().is_none_or(|name| name == target.name)).collect();
    if let Some(input) = &options.input {
        chosen.iter().for_each(|target| (target.run)(input));
        return ExitCode::SUCCESS;
    }
    // Failing inputs are reported when they have been made small.
    std::panic::set_hook(Box::new(|_| {}));
    let share = Duration::from_secs(options.minutes * 60) / chosen.len().max(1) as u32;
    let failed = chosen.iter().filter(|target| !survives(target, options.seed, share)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs `target` for `share`; false where an input fails.
fn survives(target: &Target, seed: u64, share: Duration) -> bool {
    let begin = Instant::now();
    let report = run(target, seed, |_| begin.elapsed() < share);
    let verdict = if report.failure.is_some() { "FAILED" } else { "ok" };
    println!("{}: {} inputs in {} s, seed {seed}: {verdict}", target.name, report.inputs, begin.elapsed().as_secs());
    let Some(input) = report.failure else { return true };
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("again: cargo run -p fuzz -- --target {} --input {hex}", target.name);
    false
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut options = Options { target: None, minutes: 60, seed: now.as_secs(), input: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"));
        match name.as_str() {
            "--target" => options.target = Some(value),
            "--minutes" => options.minutes = number()?,
            "--seed" => options.seed = number()?,
            "--input" => options.input = Some(bytes(&value)?),
            _ => return Err(format!("{name}: not an option (--target, --minutes, --seed, --input)")),
        }
    }
    let known = options.target.as_deref().is_none_or(|name| TARGETS.iter().any(|target| target.name == name));
    if known { Ok(options) } else { Err(format!("no such target; there are {}", names())) }
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digit = |place: usize| hex.get(place..place + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map(|place| digit(place).ok_or_else(|| format!("{hex}: not bytes in hex"))).collect()
}
