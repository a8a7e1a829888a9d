//! The machine as JavaScript sees it, through wasm-bindgen. Translates words, decides nothing.
//!
//! One instance of this module serves one machine in one worker: a panic (a bug of ours) poisons that instance alone.

mod aside;
mod linker;
mod lockstep;
mod source;
mod words;

use aside::Aside;
use cpu::compiled::HOT;
use linker::WasmLinker;
use machine::{Boot, Machine as Board, MachineError};
use serde::Serialize;
use source::BootSource;
use wasm_bindgen::prelude::*;
use words::{Config, Debug, Outcome, Thrown};

/// Makes a panic a JavaScript exception that carries its message; without this it is a bare "unreachable".
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| wasm_bindgen::throw_str(&info.to_string())));
}

/// One machine.
#[wasm_bindgen]
pub struct Machine {
    board: Board,
}

#[wasm_bindgen]
impl Machine {
    /// Powers a machine on. `config` is a `CoreConfig`, `source` a `BootSource` of packages/core/src/core.ts.
    ///
    /// # Errors
    /// Throws a `CoreError`.
    pub fn create(config: JsValue, source: &BootSource) -> Result<Machine, JsValue> {
        let config: Config = serde_wasm_bindgen::from_value(config)?;
        let config = config.try_into().map_err(|error| thrown(&error))?;
        let board = Board::new(config, &boot(source)?).map_err(|error| thrown(&error))?;
        Ok(Machine { board })
    }

    /// Starts the machine again after the guest reset it; `source` as for [`Machine::create`].
    ///
    /// # Errors
    /// Throws a `CoreError`.
    pub fn reboot(&mut self, source: &BootSource) -> Result<(), JsValue> {
        self.board.reboot(&boot(source)?).map_err(|error| thrown(&error))
    }

    /// Brings a machine back from what [`Machine::snapshot`] gave.
    ///
    /// # Errors
    /// Throws a `CoreError`.
    pub fn restore(snapshot: &[u8]) -> Result<Machine, JsValue> {
        let board = Board::restore(snapshot).map_err(|error| thrown(&error))?;
        Ok(Machine { board })
    }

    /// Compiles what runs often, from now on; with `profile` to code that counts what it does. `aside` is who does it, without a profile.
    pub fn compile(&mut self, profile: bool, aside: Option<Aside>) {
        self.board.set_translator(Box::new(jit::Jit::new(WasmLinker::new(aside), profile)), HOT);
    }

    /// The regions that count, `HotRegion[]` of packages/core/src/profile.ts.
    pub fn profile(&self) -> JsValue {
        object(&self.board.profile())
    }

    /// What is in one of them, a `RegionListing`, or nothing.
    pub fn region(&mut self, slot: u32) -> JsValue {
        self.board.region(slot).map_or(JsValue::UNDEFINED, |listing| object(&listing))
    }

    /// Runs about `budget` instructions; `now_ns` is the host's monotonic clock. Both are whole numbers: a JavaScript
    /// number counts nanoseconds exactly for a hundred days.
    pub fn run(&mut self, now_ns: f64, budget: f64) -> JsValue {
        object(&Outcome::from(self.board.run(now_ns as u64, budget as u64)))
    }

    /// Offers bytes to a serial port; tells how many it took.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        self.board.serial_input(port, bytes)
    }

    /// Takes what the guest sent on a serial port.
    pub fn serial_output(&mut self, port: usize) -> Vec<u8> {
        self.board.serial_output(port)
    }

    /// Counters.
    pub fn stats(&self) -> JsValue {
        object(&self.board.stats())
    }

    /// The whole machine as bytes.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.board.snapshot()
    }

    /// Trace lines since the last call.
    pub fn take_trace(&mut self) -> String {
        self.board.take_trace()
    }

    /// What the guest wrote to ports 0x80 and 0xE9 since the last call.
    pub fn debug(&mut self) -> JsValue {
        object(&Debug::from(self.board.debug_output()))
    }
}

fn boot(source: &BootSource) -> Result<Boot, JsValue> {
    source.try_into().map_err(|error| thrown(&error))
}

/// Every error code with the fields of its details.
#[wasm_bindgen]
pub fn error_table() -> JsValue {
    object(machine::all_codes())
}

/// Throws the given error, a `CoreError` without its message, as a failing call would.
///
/// # Errors
/// Always.
#[wasm_bindgen]
pub fn raise(error: JsValue) -> Result<(), JsValue> {
    let error: MachineError = serde_wasm_bindgen::from_value(error)?;
    Err(thrown(&error))
}

/// The error as data: faces carry no `Error` objects, because the caller's thread is another one.
fn thrown(error: &MachineError) -> JsValue {
    object(&Thrown::from(error))
}

/// A plain object or array: the words hold nothing that JavaScript cannot.
fn object<T: Serialize + ?Sized>(value: &T) -> JsValue {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_throw()
}
