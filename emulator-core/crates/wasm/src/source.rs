//! `BootSource` of packages/core/src/core.ts. Its files stay where JavaScript has them, and go from there into guest memory.

use std::rc::Rc;

use js_sys::Uint8Array;
use machine::{Boot, File, MachineError, Module};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `BootSource`.
    pub type BootSource;

    #[wasm_bindgen(method, getter)]
    fn kernel(this: &BootSource) -> Option<Uint8Array>;
    #[wasm_bindgen(method, getter)]
    fn initrd(this: &BootSource) -> Option<Uint8Array>;
    #[wasm_bindgen(method, getter)]
    fn modules(this: &BootSource) -> Vec<BootModule>;
    #[wasm_bindgen(method, getter)]
    fn firmware(this: &BootSource) -> Option<Uint8Array>;
    #[wasm_bindgen(method, getter, js_name = commandLine)]
    fn command_line(this: &BootSource) -> String;
    #[wasm_bindgen(method, getter)]
    fn entry(this: &BootSource) -> String;

    /// `BootModule`.
    type BootModule;

    #[wasm_bindgen(method, getter)]
    fn bytes(this: &BootModule) -> Uint8Array;
    #[wasm_bindgen(method, getter, js_name = commandLine)]
    fn command_line(this: &BootModule) -> String;
}

/// Bytes in JavaScript's hands.
#[derive(Debug)]
struct Bytes(Uint8Array);

impl File for Bytes {
    fn length(&self) -> usize {
        self.0.length() as usize
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let end = offset + into.len();
        self.0.subarray(offset as u32, end as u32).copy_to(into);
    }
}

fn file(bytes: Uint8Array) -> Rc<dyn File> {
    Rc::new(Bytes(bytes))
}

impl TryFrom<&BootSource> for Boot {
    type Error = MachineError;

    /// Without a kernel there is a firmware ROM; an empty one where the caller gave neither, which the machine refuses.
    fn try_from(source: &BootSource) -> Result<Boot, MachineError> {
        let Some(kernel) = source.kernel() else {
            return Ok(Boot::Firmware { rom: file(source.firmware().unwrap_or_default()) });
        };
        let module = |m: &BootModule| Module { file: file(m.bytes()), command_line: m.command_line() };
        Ok(Boot::Kernel {
            kernel: file(kernel),
            initrd: source.initrd().map(file),
            modules: source.modules().iter().map(module).collect(),
            command_line: source.command_line(),
            entry: source.entry().parse()?,
        })
    }
}
