//! Compares our processor with the host's: `conformance [--cases N] [--seed S] [--row MNEMONIC] [--speed] [--replay CASE] [--engine jit]`.
//! With `--engine jit`, our compiled code with our interpreter: sequences of instructions, unless rows are named.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of the command line")]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::process::ExitCode;
    use std::thread;
    use std::time::Instant;

    use oracle::campaign::{Comparison, Outcome, Pair, Summary, case, case_of, sequence_of};
    use oracle::engines::{CASES_A_THREAD, Engines};
    use oracle::host::Host;
    use oracle::text;
    use x86::instructions::rows;

    const USAGE: &str =
        "conformance [--cases N] [--seed S] [--row MNEMONIC] [--speed] [--replay CASE] [--engine interpreter|jit]";
    const USUAL_CASES: u64 = 1_000_000;

    struct Options {
        cases: u64,
        seed: u64,
        /// Numbers of the rows cases are drawn from; none for all of them.
        rows: Vec<u16>,
        speed: bool,
        replay: Option<String>,
        /// Compiled code is what is compared, and our interpreter the judge.
        compiles: bool,
    }

    fn options() -> Result<Options, String> {
        let mut options =
            Options { cases: USUAL_CASES, seed: 1, rows: Vec::new(), speed: false, replay: None, compiles: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value: {USAGE}"));
            let number = |text: String| text.parse().map_err(|_| format!("\"{text}\" is no number"));
            match name.as_str() {
                "--cases" => options.cases = number(value()?)?,
                "--seed" => options.seed = number(value()?)?,
                "--row" => options.rows.extend(named(&value()?)?),
                "--speed" => options.speed = true,
                "--replay" => options.replay = Some(value()?),
                "--engine" => options.compiles = is_jit(&value()?)?,
                _ => return Err(format!("{name} is not understood: {USAGE}")),
            }
        }
        Ok(options)
    }

    fn is_jit(engine: &str) -> Result<bool, String> {
        match engine {
            "jit" => Ok(true),
            "interpreter" => Ok(false),
            other => Err(format!("there is no engine {other}: {USAGE}")),
        }
    }

    /// The rows with a mnemonic.
    fn named(mnemonic: &str) -> Result<Vec<u16>, String> {
        let mnemonic = mnemonic.to_uppercase();
        let found: Vec<u16> = (0..).zip(rows()).filter(|(_, row)| row.mnemonic == mnemonic).map(|(n, _)| n).collect();
        if found.is_empty() { Err(format!("no row is called {mnemonic}")) } else { Ok(found) }
    }

    fn replay(line: &str, compiles: bool) -> Result<bool, String> {
        let case = text::read(line)?;
        let outcome = if compiles { Engines::new().compare(&case) } else { Pair::new().compare(&case) };
        Ok(match outcome {
            Outcome::Same => {
                println!("the same on both");
                true
            }
            Outcome::Deviates(deviation) => {
                println!("deliberate deviation: {}", deviation.reason);
                true
            }
            Outcome::NotJudged(reason) => {
                println!("not judged: {reason}");
                true
            }
            Outcome::Different(report) => {
                println!("{report}");
                false
            }
        })
    }

    fn campaign(options: &Options) -> bool {
        let mut summary = Summary::default();
        let start = Instant::now();
        let make = |number| match options.rows.as_slice() {
            [] if options.compiles => sequence_of(options.seed, number),
            [] => case(options.seed, number),
            chosen => case_of(chosen, options.seed, number),
        };
        let mut numbers = 0..;
        let mut compare = |pair: &mut dyn Comparison, summary: &mut Summary, most: u64| {
            while summary.cases() < most {
                summary.take(pair, numbers.next().and_then(make));
            }
        };
        if options.compiles {
            while summary.cases() < options.cases {
                let most = options.cases.min(summary.cases() + CASES_A_THREAD);
                thread::scope(|scope| {
                    scope.spawn(|| compare(&mut Engines::new(), &mut summary, most));
                });
            }
        } else {
            compare(&mut Pair::new(), &mut summary, options.cases);
        }
        println!("{summary}");
        if options.speed {
            println!("{:.0} cases a second", summary.cases() as f64 / start.elapsed().as_secs_f64());
        }
        summary.mismatches == 0
    }

    pub fn main() -> ExitCode {
        let unavailable = |options: &Options| if options.compiles { None } else { Host::unavailable() };
        let done = options().and_then(|options| match (unavailable(&options), &options.replay) {
            (Some(cause), _) => Err(cause),
            (None, Some(line)) => replay(line, options.compiles),
            (None, None) => Ok(campaign(&options)),
        });
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(message) => {
                eprintln!("{message}");
                ExitCode::from(2)
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() {
    eprintln!("The judge is an x86-64 processor under Linux.");
    std::process::exit(2);
}
