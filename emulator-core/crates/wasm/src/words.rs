//! The words of packages/core/src/core.ts, and how they turn into the machine's.

use machine::{Clock, MachineError, RunOutcome};
use serde::{Deserialize, Serialize};

/// `CoreConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    memory_bytes: u64,
    cpu: String,
    decompress_on_host: bool,
    trace: String,
    no_reboot: bool,
    unix_seconds: i64,
    random_seed: u64,
}

impl TryFrom<Config> for machine::Config {
    type Error = MachineError;

    fn try_from(config: Config) -> Result<machine::Config, MachineError> {
        Ok(machine::Config {
            memory_bytes: config.memory_bytes,
            cpu: machine::cpu_model(&config.cpu)?,
            unix_seconds: config.unix_seconds,
            random_seed: config.random_seed,
            no_reboot: config.no_reboot,
            trace: config.trace,
            clock: Clock::Realtime,
            decompress_on_host: config.decompress_on_host,
        })
    }
}

/// `RunOutcome`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Outcome {
    Running,
    Idle {
        #[serde(skip_serializing_if = "Option::is_none")]
        until_ns: Option<u64>,
    },
    PoweredOff,
    Reset,
    DebugExit {
        code: u32,
    },
    Fault {
        dump: String,
    },
}

impl From<RunOutcome> for Outcome {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Running => Outcome::Running,
            RunOutcome::Idle { until_ns } => Outcome::Idle { until_ns },
            RunOutcome::PoweredOff => Outcome::PoweredOff,
            RunOutcome::Reset => Outcome::Reset,
            RunOutcome::DebugExit(code) => Outcome::DebugExit { code },
            RunOutcome::Fault(dump) => Outcome::Fault { dump },
        }
    }
}

/// `CoreError`.
#[derive(Serialize)]
pub struct Thrown<'a> {
    message: String,
    #[serde(flatten)]
    error: &'a MachineError,
}

impl<'a> From<&'a MachineError> for Thrown<'a> {
    fn from(error: &'a MachineError) -> Self {
        Thrown { message: error.to_string(), error }
    }
}

/// What the guest wrote to the ports for debugging.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Debug {
    post_codes: Vec<u8>,
    console: Vec<u8>,
}

impl From<(Vec<u8>, Vec<u8>)> for Debug {
    fn from((post_codes, console): (Vec<u8>, Vec<u8>)) -> Self {
        Debug { post_codes, console }
    }
}
