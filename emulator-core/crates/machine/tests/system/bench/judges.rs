//! Who runs a guest: our own machine, QEMU's interpreter, and the host's processor by way of QEMU and KVM.

use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use machine::{Boot, Clock, Config, Machine, RunOutcome};

/// What a guest did.
pub struct Judgement {
    /// The bytes of port 0xE9.
    pub output: Vec<u8>,
    /// How it ended, where it was not by the debug exit.
    pub end: Option<String>,
}

/// A triple fault (Intel SDM vol. 3, 6.15, #DF).
const SHUTDOWN: &str = "shutdown";
/// Environment variable that asks for [`KVM`]. Only a KVM on VT-x or AMD-V asks the processor; one without them interprets,
/// and knows no `IRET` of protected mode.
const KVM_WANTED: &str = "TERRARIUM_JUDGE_KVM";
/// Seconds any guest ends in.
const PATIENCE: &str = "30";
const BUDGET: u64 = 4_000_000;

/// On our own machine.
pub fn terrarium(image: &[u8]) -> Judgement {
    let config = Config {
        memory_bytes: 16 << 20,
        clock: Clock::Instructions { ns_per_kilo_instruction: 10_000 },
        no_reboot: true,
        ..Config::default()
    };
    let boot = Boot::Firmware { rom: Rc::new(image.to_vec()) };
    let mut machine = Machine::new(config, &boot).expect("the bench's own image boots");
    let outcome = machine.run(0, BUDGET);
    let end = match outcome {
        RunOutcome::DebugExit(_) => None,
        RunOutcome::Fault(_) => Some(SHUTDOWN.to_owned()),
        other => Some(format!("{other:?}\n{}", machine.dump())),
    };
    Judgement { output: machine.debug_output().1, end }
}

/// A QEMU accelerator.
pub struct Judge {
    pub name: &'static str,
    accelerator: &'static str,
    processor: &'static str,
}

pub const TCG: Judge = Judge { name: "QEMU's interpreter", accelerator: "tcg", processor: "max" };
pub const KVM: Judge = Judge { name: "the host's processor under KVM", accelerator: "kvm", processor: "host" };

impl Judge {
    /// Runs `image`.
    ///
    /// # Errors
    /// Why it cannot be run here.
    pub fn run(&self, image: &[u8]) -> Result<Judgement, String> {
        if self.accelerator == "kvm" && std::env::var_os(KVM_WANTED).is_none() {
            return Err(format!("{KVM_WANTED} is not set"));
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("terrarium-bench-{}-{number}", std::process::id()));
        std::fs::write(&file, image).map_err(|error| error.to_string())?;
        let output = Command::new("timeout")
            .args([PATIENCE, "qemu-system-x86_64", "-accel", self.accelerator, "-cpu", self.processor])
            .args(["-M", "pc", "-nodefaults", "-display", "none", "-m", "16", "-no-reboot"])
            .args(["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        std::fs::remove_file(&file).map_err(|error| error.to_string())?;
        let output = output.map_err(|error| format!("timeout: {error}"))?;
        let end = match output.status.code() {
            // isa-debug-exit makes an odd status of what the guest wrote.
            Some(1) => None,
            Some(0) => Some(SHUTDOWN.to_owned()),
            Some(124) => Some("runs for ever".to_owned()),
            Some(127) => return Err("no qemu-system-x86_64 (Debian: qemu-system-x86)".to_owned()),
            other => Some(format!("{other:?}")),
        };
        Ok(Judgement { output: output.stdout, end })
    }
}

/// Says why a judge is not heard.
#[allow(clippy::print_stderr, reason = "a test's own report")]
pub fn skipped(judge: &str, cause: &str) {
    eprintln!("not judged by {judge}: {cause}");
}
