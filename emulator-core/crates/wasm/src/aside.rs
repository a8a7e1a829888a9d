//! The translator aside: as the machine's thread has it, and what it does in its own.

use jit::Job;
use js_sys::{Uint8Array, WebAssembly};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `Aside` of packages/core/src/aside.ts.
    pub type Aside;

    #[wasm_bindgen(method)]
    fn send(this: &Aside, job: Uint8Array) -> bool;
    #[wasm_bindgen(method)]
    pub(crate) fn receive(this: &Aside) -> Option<AsideAnswer>;

    /// `AsideAnswer`.
    pub(crate) type AsideAnswer;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn module(this: &AsideAnswer) -> Option<WebAssembly::Module>;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn places(this: &AsideAnswer) -> Vec<u32>;
    #[wasm_bindgen(method, getter, js_name = moduleBytes)]
    pub(crate) fn module_bytes(this: &AsideAnswer) -> f64;
    #[wasm_bindgen(method, getter, js_name = tookNs)]
    pub(crate) fn took_ns(this: &AsideAnswer) -> f64;
}

impl Aside {
    /// Sends a copy of a job; false where nobody is there any more.
    pub(crate) fn send_job(&self, job: &Job) -> bool {
        // SAFETY: the view is copied before anything else runs, and nothing is written through it.
        let view = unsafe { Uint8Array::view_mut_raw(job.as_ptr().cast_mut().cast(), job.len()) };
        self.send(Uint8Array::new(&view))
    }
}

/// What has become of a job: [`jit::Work`].
#[wasm_bindgen(getter_with_clone)]
pub struct Work {
    /// A module, or nothing.
    pub module: Vec<u8>,
    /// The slots of the function table that it fills.
    pub slots: Vec<u32>,
    /// Places of blocks in the regions.
    pub places: Vec<u32>,
}

/// Does a job that another instance of this module has sent.
#[wasm_bindgen]
pub fn work(job: &[u8]) -> Work {
    // SAFETY: the same bytes, of which less is known.
    let job = unsafe { core::slice::from_raw_parts(job.as_ptr().cast(), job.len()) };
    // SAFETY: `packages/core/src/aside-work.ts`, which calls this, is handed what `Aside::send_job` of another instance of this module sent.
    let jit::Work { module, slots, places } = unsafe { jit::work(job) };
    Work { module, slots, places }
}
