//! [`machine::Lockstep`] as JavaScript sees it.

use jit::Jit;
use machine::{Lockstep as Pair, Progress};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::linker::WasmLinker;
use crate::source::BootSource;
use crate::words::{Config, Outcome};
use crate::{boot, object, thrown};

/// Two machines in step.
#[wasm_bindgen]
pub struct Lockstep {
    pair: Pair,
}

/// `LockstepProgress` of packages/core/src/core.ts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    instructions: u64,
    compiled_instructions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disagreement: Option<String>,
}

#[wasm_bindgen]
impl Lockstep {
    /// Powers two machines on; parameters as for [`crate::Machine::create`]. One compiles what has run `hot` times.
    ///
    /// # Errors
    /// Throws a `CoreError`.
    pub fn create(config: JsValue, source: &BootSource, hot: u32) -> Result<Lockstep, JsValue> {
        let config: Config = serde_wasm_bindgen::from_value(config)?;
        let config = config.try_into().map_err(|error| thrown(&error))?;
        let translator = Box::new(|| Box::new(Jit::new(WasmLinker::new(None), false)) as _);
        let pair = Pair::new(config, boot(source)?, translator, hot).map_err(|error| thrown(&error))?;
        Ok(Lockstep { pair })
    }

    /// Runs both for about `instructions`.
    ///
    /// # Errors
    /// Throws a `CoreError`.
    pub fn run(&mut self, instructions: f64) -> Result<JsValue, JsValue> {
        let (ended, disagreement) = match self.pair.run(instructions as u64).map_err(|error| thrown(&error))? {
            Progress::Agree => (None, None),
            Progress::Ended(outcome) => (Some(outcome.into()), None),
            Progress::Disagree(report) => (None, Some(report)),
        };
        let (instructions, compiled_instructions) = (self.pair.instructions(), self.pair.compiled_instructions());
        Ok(object(&Answer { instructions, compiled_instructions, ended, disagreement }))
    }

    /// Offers bytes to a serial port of both; tells how many they took.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        self.pair.serial_input(port, bytes)
    }

    /// Takes what the guest sent on a serial port.
    pub fn serial_output(&mut self, port: usize) -> Vec<u8> {
        self.pair.serial_output(port)
    }
}
