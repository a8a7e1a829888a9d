//! Compiled code without a WebAssembly host: [`jit`]'s modules in an interpreter for WebAssembly, beside a processor that is compiled natively. For tests.
//!
//! Compiled code shares linear memory with the processor, which here has none. So linear memory gets a copy of what the code may look at
//! whenever it is entered, and gives it back when it leaves or calls a helper: the registers, the context, and the pages that the TLB leads to. The
//! jump cache is empty there: code never goes on to other code by itself.

mod aside;
mod image;
mod run;

use core::cell::Cell;
use std::rc::Rc;

use cpu::compiled::{Code, Enter, Region, Shared, Translation, Translator, TranslatorStats};
use jit::Jit;

use aside::Aside;
use image::Layout;
use run::HostLinker;

/// A translator for processors of this thread.
pub struct HostedJit {
    jit: Jit<HostLinker>,
    /// What the linker knows of the processor.
    serves: Rc<Cell<Option<Shared>>>,
}

impl HostedJit {
    /// One that has compiled nothing.
    #[must_use]
    pub fn new() -> HostedJit {
        let linker = HostLinker::default();
        HostedJit { serves: Rc::clone(&linker.serves), jit: Jit::new(linker, false) }
    }

    /// One that compiles aside: each batch is there when it has been asked for `patience` times. After so many `jobs` nobody is aside any more.
    #[must_use]
    pub fn aside(patience: u32, jobs: u32) -> HostedJit {
        let linker = HostLinker { aside: Some(Aside::new(patience, jobs)), ..HostLinker::default() };
        HostedJit { serves: Rc::clone(&linker.serves), jit: Jit::new(linker, false) }
    }
}

impl Default for HostedJit {
    fn default() -> Self {
        HostedJit::new()
    }
}

impl Translator for HostedJit {
    fn prepare(&mut self, shared: &Shared) -> Enter {
        self.serves.set(Some(*shared));
        // Code is made for where the copies are.
        let copies = Shared {
            state: Layout::STATE,
            context: Layout::CONTEXT,
            jumps: Layout::JUMPS,
            user_tlb: Layout::TLB,
            ..*shared
        };
        self.jit.prepare(&copies)
    }

    fn begin(&mut self, regions: Vec<Region>) {
        for op in regions.iter().flat_map(|region| &region.blocks).flat_map(|block| &block.ops) {
            run::remember(op);
        }
        self.jit.begin(regions);
    }

    fn finished(&mut self) -> Option<Vec<Option<Translation>>> {
        self.jit.finished()
    }

    fn works_aside(&self) -> bool {
        self.jit.works_aside()
    }

    fn release(&mut self, code: Code) {
        self.jit.release(code);
    }

    fn stats(&self) -> TranslatorStats {
        self.jit.stats()
    }
}
