//! Boots a kernel natively, for people who debug the emulator: serial port 0 on stdout, the rest on stderr.
//!
//! `cargo run --release --example boot -- --kernel F [--initrd F] [--append S] [--bios F] [--entry E] [--cpu MODEL] [--memory MIB]
//! [--module "F WORDS"]... [--trace exec,int,pio,mmio,irq] [--trace-from N] [--max-instructions N] [--instruction-clock NS] [--unpack]
//! [--input TEXT] [--input-after TEXT] [--restore-at N]`
//!
//! `--restore-at` replaces the machine by its own snapshot after N instructions.

use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use machine::{Boot, Clock, Config, Entry, File, Machine, Module, RunOutcome};

/// Instructions between two looks at the console.
const SLICE: u64 = 2_000_000;

struct Options {
    config: Config,
    boot: Boot,
    trace: String,
    trace_from: u64,
    max_instructions: u64,
    input: String,
    input_after: String,
    restore_at: u64,
}

type AnyError = Box<dyn std::error::Error>;

fn options() -> Result<Options, AnyError> {
    let (mut kernel, mut initrd, mut bios) = (file("/dev/null")?, None, None);
    let (mut append, mut entry) = (String::from("console=ttyS0"), Entry::Auto);
    let unix_seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i64;
    let mut modules = Vec::new();
    let mut options = Options {
        boot: Boot::Firmware { rom: Rc::new([]) },
        config: Config { unix_seconds, no_reboot: true, ..Config::default() },
        trace: String::new(),
        trace_from: 0,
        max_instructions: u64::MAX,
        input: String::new(),
        input_after: String::new(),
        restore_at: u64::MAX,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--kernel" => kernel = file(&value()?)?,
            "--initrd" => initrd = Some(file(&value()?)?),
            "--module" => {
                let module = value()?;
                let path = module.split(' ').next().unwrap_or_default();
                modules.push(Module { file: file(path)?, command_line: module.clone() });
            }
            "--bios" => bios = Some(file(&value()?)?),
            "--append" => append = value()?,
            "--entry" => entry = value()?.parse()?,
            "--cpu" => options.config.cpu = machine::cpu_model(&value()?)?,
            "--memory" => options.config.memory_bytes = value()?.parse::<u64>()? << 20,
            "--trace" => options.trace = value()?,
            "--trace-from" => options.trace_from = value()?.parse()?,
            "--max-instructions" => options.max_instructions = value()?.parse()?,
            "--instruction-clock" => {
                options.config.clock = Clock::Instructions { ns_per_kilo_instruction: value()?.parse()? };
            }
            "--restore-at" => options.restore_at = value()?.parse()?,
            "--unpack" => options.config.decompress_on_host = true,
            "--input" => options.input = value()?.replace("\\n", "\n"),
            "--input-after" => options.input_after = value()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    options.boot = match bios {
        Some(rom) => Boot::Firmware { rom },
        None => Boot::Kernel { kernel, initrd, modules, command_line: append, entry },
    };
    Ok(options)
}

fn file(path: &str) -> Result<Rc<dyn File>, AnyError> {
    Ok(Rc::new(std::fs::read(path)?))
}

fn main() -> Result<(), AnyError> {
    let mut options = options()?;
    let mut machine = Machine::new(options.config.clone(), &options.boot)?;
    let start = Instant::now();
    let mut console = Vec::new();
    let outcome = loop {
        let retired = machine.stats().processor.instructions;
        if retired >= options.max_instructions {
            break RunOutcome::Running;
        }
        if retired >= options.restore_at {
            options.restore_at = u64::MAX;
            machine = Machine::restore(&machine.snapshot())?;
        }
        if retired >= options.trace_from && !options.trace.is_empty() {
            machine.set_trace(&std::mem::take(&mut options.trace))?;
        }
        let limit = if retired < options.trace_from { options.trace_from } else { options.max_instructions };
        let outcome = machine.run(start.elapsed().as_nanos() as u64, SLICE.min(limit - retired));
        show(&mut machine, &mut console)?;
        feed(&mut machine, &mut options, &console);
        match outcome {
            RunOutcome::Running => {}
            RunOutcome::Idle { until_ns: Some(until_ns) } => {
                std::thread::sleep(Duration::from_nanos(until_ns).saturating_sub(start.elapsed()));
            }
            _ => break outcome,
        }
    };
    report(&mut machine, &outcome, start.elapsed());
    Ok(())
}

fn show(machine: &mut Machine, console: &mut Vec<u8>) -> Result<(), AnyError> {
    let output = machine.serial_output(0);
    std::io::stdout().write_all(&output)?;
    std::io::stdout().flush()?;
    console.extend(output);
    let (_, debug) = machine.debug_output();
    std::io::stderr().write_all(&debug)?;
    std::io::stderr().write_all(machine.take_trace().as_bytes())?;
    Ok(())
}

/// Types the input once the console has shown the text it waits for.
fn feed(machine: &mut Machine, options: &mut Options, console: &[u8]) {
    let awaited = options.input_after.as_bytes();
    let ready = awaited.is_empty() || console.windows(awaited.len()).any(|window| window == awaited);
    if ready && !options.input.is_empty() {
        let accepted = machine.serial_input(0, options.input.as_bytes());
        options.input.drain(..accepted);
    }
}

fn report(machine: &mut Machine, outcome: &RunOutcome, elapsed: Duration) {
    let mut stderr = std::io::stderr();
    let stats = machine.stats();
    let mips = stats.processor.instructions as f64 / elapsed.as_secs_f64() / 1e6;
    let (post_codes, _) = machine.debug_output();
    let outcome = match outcome {
        RunOutcome::Fault(reason) => format!("fault: {reason}"),
        other => format!("{other:?}"),
    };
    let text = format!(
        "\n--- {outcome}\n{}post codes {post_codes:x?}\n{stats:#?}\n{elapsed:?}, {mips:.1} million instructions a second\n",
        machine.dump()
    );
    // Nobody is left to tell when stderr is closed.
    let _ = stderr.write_all(text.as_bytes());
}
