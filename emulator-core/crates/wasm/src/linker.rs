//! Puts modules that the core has written beside it: into its memory and its function table.

use cpu::compiled::{Enter, Shared};
use jit::{Answer, Job, Linker};
use js_sys::{Function, Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::prelude::*;
use wasm_bindgen::throw_val;

use crate::aside::Aside;

/// What every module imports from.
const HOST: &str = "terrarium";
/// Slots the table grows by.
const MORE_SLOTS: u32 = 256;

/// See the module.
pub struct WasmLinker {
    table: WebAssembly::Table,
    /// What modules import, by name.
    host: Object,
    free: Vec<u32>,
    aside: Option<Aside>,
}

impl WasmLinker {
    /// A linker that has linked nothing; `aside` compiles for it.
    pub fn new(aside: Option<Aside>) -> WasmLinker {
        let host = Object::new();
        let table: WebAssembly::Table = wasm_bindgen::function_table().unchecked_into();
        set(&host, "memory", &wasm_bindgen::memory());
        set(&host, "table", &table);
        WasmLinker { table, host, free: Vec::new(), aside }
    }

    fn function(&self, slot: usize) -> Function {
        self.table.get(slot as u32).unwrap_throw()
    }

    fn compile_and_instantiate(&self, module: &[u8]) -> Object {
        // The engine copies the bytes before anything else runs.
        let module = WebAssembly::Module::new(&Uint8Array::from(module)).unwrap_or_else(|error| throw_val(error));
        self.instantiate(&module)
    }

    fn instantiate(&self, module: &WebAssembly::Module) -> Object {
        let imports = Object::new();
        set(&imports, HOST, &self.host);
        let instance = WebAssembly::Instance::new(module, &imports).unwrap_or_else(|error| throw_val(error));
        instance.exports()
    }
}

fn set(object: &Object, name: &str, value: &JsValue) {
    Reflect::set(object, &name.into(), value).unwrap_throw();
}

impl Linker for WasmLinker {
    fn link_stubs(&mut self, module: &[u8], shared: &Shared) -> Enter {
        let helpers = shared.helpers;
        for (name, slot) in [
            ("divide_wide", helpers.divide_wide),
            ("interpret", helpers.interpret),
            ("transfer", helpers.transfer),
            ("x87", helpers.x87),
            ("x87_sum", helpers.x87_sum),
            ("x87_product", helpers.x87_product),
            ("x87_double", helpers.x87_double),
            ("find_code", helpers.find_code),
            ("select_view", helpers.select_view),
        ] {
            set(&self.host, name, &self.function(slot));
        }
        let exports = self.compile_and_instantiate(module);
        let export = |name: &str| Reflect::get(&exports, &name.into()).unwrap_throw();
        for name in jit::STUBS {
            set(&self.host, name, &export(name));
        }
        let slot = self.allocate();
        self.table.set(slot, export("enter").unchecked_ref()).unwrap_throw();
        // SAFETY: in WebAssembly a function pointer is the function's slot of this table, and the one there now has this type.
        unsafe { core::mem::transmute::<usize, Enter>(slot as usize) }
    }

    fn allocate(&mut self) -> u32 {
        if self.free.is_empty() {
            let first = self.table.grow(MORE_SLOTS).unwrap_throw();
            self.free.extend((first..first + MORE_SLOTS).rev());
        }
        self.free.pop().unwrap_throw()
    }

    fn link(&mut self, module: &[u8]) {
        self.compile_and_instantiate(module);
    }

    fn has_aside(&self) -> bool {
        self.aside.as_ref().is_some_and(Aside::ready)
    }

    fn send(&mut self, job: &Job) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.send_job(job))
    }

    fn receive(&mut self) -> Option<Answer> {
        let answer = self.aside.as_ref()?.receive()?;
        if let Some(module) = answer.module() {
            self.instantiate(&module);
        }
        let (module_bytes, took_ns) = (answer.module_bytes() as u64, answer.took_ns() as u64);
        Some(Answer { places: answer.places(), module_bytes, took_ns })
    }

    fn free(&mut self, slot: u32) {
        self.table.set_raw(slot, &JsValue::NULL).unwrap_throw();
        self.free.push(slot);
    }

    fn now(&self) -> u64 {
        const NS_PER_MS: f64 = 1e6;
        (performance_now() * NS_PER_MS) as u64
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}
