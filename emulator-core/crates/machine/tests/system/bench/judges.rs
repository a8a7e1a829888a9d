//! Who runs a guest: our own machine, QEMU's interpreter, and the host's processor by way of QEMU and KVM.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cpu::compiled::FORCED;
use hosted::HostedJit;
use machine::{Boot, Clock, Config, CpuModel, Machine, RunOutcome};

/// What a guest did.
pub struct Judgement {
    /// The bytes of port 0xE9.
    pub output: Vec<u8>,
    /// How it ended, where it was not by the debug exit.
    pub end: Option<String>,
}

/// A triple fault (Intel SDM vol. 3, 6.15, #DF).
const SHUTDOWN: &str = "shutdown";
/// Environment variable that asks for [`KVM`] in every test. It is for hosts with VT-x or AMD-V, where KVM asks the processor;
/// where KVM interprets, it lacks more than QEMU does.
const KVM_WANTED: &str = "TERRARIUM_JUDGE_KVM";
/// What QEMU says where a KVM without VT-x or AMD-V, which interprets, meets what it cannot: `IRET` of protected mode, say.
const KVM_GAVE_UP: &[u8] = b"KVM internal error";
/// Any guest ends in this time.
const PATIENCE: Duration = Duration::from_secs(30);
const BUDGET: u64 = 4_000_000;
/// Instructions after which a block is compiled, with those that it has gone on to by then.
const WARM: u32 = 100;

/// On our own machine, interpreted, compiled at once, and compiled when it is warm: it must not matter.
pub fn terrarium(image: &[u8], cpu: CpuModel) -> Judgement {
    let interpreted = ours(image, cpu, |_| {});
    for hot in [FORCED, WARM] {
        let compiled = ours(image, cpu, |machine| machine.set_translator(Box::new(HostedJit::new()), hot));
        assert_eq!(compiled.end, interpreted.end, "how it ends where it is compiled, at {hot}");
        assert_eq!(compiled.output, interpreted.output, "what it reports where it is compiled, at {hot}");
    }
    interpreted
}

fn ours(image: &[u8], cpu: CpuModel, prepare: impl FnOnce(&mut Machine)) -> Judgement {
    let config = Config {
        cpu,
        memory_bytes: 16 << 20,
        clock: Clock::Instructions { ns_per_kilo_instruction: 10_000 },
        no_reboot: true,
        ..Config::default()
    };
    let boot = Boot::Firmware { rom: Rc::new(image.to_vec()) };
    let mut machine = Machine::new(config, &boot).expect("the bench's own image boots");
    prepare(&mut machine);
    let outcome = machine.run(0, BUDGET);
    let end = match outcome {
        RunOutcome::DebugExit(_) => None,
        RunOutcome::Fault(_) => Some(SHUTDOWN.to_owned()),
        other => Some(format!("{other:?}\n{}", machine.dump())),
    };
    Judgement { output: machine.debug_output().1, end }
}

/// QEMU with one of its accelerators.
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
        if self.accelerator == "kvm" {
            let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
            device.map_err(|error| format!("/dev/kvm: {error}"))?;
            let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            if !processor.contains("GenuineIntel") {
                return Err("the host's processor is not Intel's, whose manual the tests follow".to_owned());
            }
        }
        let files = Files::new();
        std::fs::write(&files.image, image).map_err(|error| error.to_string())?;
        let complaints = std::fs::File::create(&files.complaints).map_err(|error| error.to_string())?;
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(["-accel", self.accelerator, "-cpu", self.processor, "-M", "pc", "-nodefaults", "-display", "none"])
            .args(["-m", "16", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
            .arg("-bios")
            .arg(&files.image)
            .arg("-debugcon")
            .arg(format!("file:{}", files.output.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()
            .map_err(|error| format!("qemu-system-x86_64 (Debian: qemu-system-x86): {error}"))?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = qemu.try_wait().map_err(|error| error.to_string())? {
                break status.code();
            }
            let gave_up = files.complaints().windows(KVM_GAVE_UP.len()).any(|window| window == KVM_GAVE_UP);
            if gave_up || begin.elapsed() > PATIENCE {
                qemu.kill().and_then(|()| qemu.wait()).map_err(|error| error.to_string())?;
                if gave_up {
                    return Err("this KVM interprets, and not everything".to_owned());
                }
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let end = match status {
            // isa-debug-exit makes an odd status of what the guest wrote.
            Some(1) if files.output.exists() => None,
            Some(0) => Some(SHUTDOWN.to_owned()),
            None => Some("runs for ever".to_owned()),
            Some(status) => Some(format!("status {status}: {}", String::from_utf8_lossy(&files.complaints()))),
        };
        Ok(Judgement { output: std::fs::read(&files.output).unwrap_or_default(), end })
    }
}

/// What passes between a test and QEMU; removed with it.
struct Files {
    image: PathBuf,
    output: PathBuf,
    complaints: PathBuf,
}

impl Files {
    fn new() -> Files {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = |what| std::env::temp_dir().join(format!("terrarium-bench-{}-{number}-{what}", std::process::id()));
        Files { image: file("image"), output: file("output"), complaints: file("complaints") }
    }

    fn complaints(&self) -> Vec<u8> {
        std::fs::read(&self.complaints).unwrap_or_default()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in [&self.image, &self.output, &self.complaints] {
            // One that was never made is not there.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Whether KVM is asked where QEMU's interpreter knows enough.
pub fn kvm_wanted() -> bool {
    std::env::var_os(KVM_WANTED).is_some()
}

/// Why it is not.
pub fn kvm_unwanted() -> String {
    format!("{KVM_WANTED} is not set")
}

/// Says why a judge is not heard.
#[allow(clippy::print_stderr, reason = "a test's own report")]
pub fn skipped(judge: &str, cause: &str) {
    eprintln!("not judged by {judge}: {cause}");
}
