//! What is compiled, and when: blocks become hot, wait for company, and come back as code.

use std::collections::VecDeque;

use super::region::{Footing, Formed};
use super::x87::is_usual;
use super::{Enter, Shared, Translator, TranslatorStats};
use crate::Cpu;
use crate::exec::Exec;

/// How often a block is best interpreted before it is compiled. It counts how often, not how long, so that of a function the first block becomes hot
/// before those behind it, which then belong to its region.
pub const HOT: u32 = 1_600;
/// The lowest heat: a block is compiled before it runs for the first time.
pub const FORCED: u32 = 1;

/// How regions wait for their compilation.
struct Waiting {
    /// So many are compiled together,
    batch: usize,
    /// or fewer, after so many instructions that were interpreted: what waits costs no more than those.
    patience: u64,
}

/// Where the guest waits for the translator, the sum counts,
const HERE: Waiting = Waiting { batch: 32, patience: 200_000 };
/// and where it does not, how soon there is something. Each module costs the guest's thread half a millisecond, however many it holds.
const ASIDE: Waiting = Waiting { batch: 16, patience: 150_000 };
/// Where blocks are compiled before they run for the first time, none waits.
const NOT: Waiting = Waiting { batch: 1, patience: 0 };
/// Batches under way at most in a translator that works aside: one more than it works at, so that it always has something to do.
const UNDER_WAY: usize = 2;

/// Compiled code of one processor.
pub(crate) struct Compiler {
    pub(super) translator: Box<dyn Translator>,
    /// Known once the processor has run where it is.
    pub(super) ready: Option<(Shared, Enter)>,
    /// Blocks that became hot since regions were compiled last.
    hot: Vec<u32>,
    /// [`Cpu::interpreted`] when the first of them did.
    hot_since: u64,
    /// What regions that are being compiled are made of, batch by batch, the oldest first.
    under_way: VecDeque<Vec<Footing>>,
    /// Every block is compiled before it runs.
    forced: bool,
    /// Compiled code is entered once a run, for the length of one region.
    pub(crate) brief: bool,
}

impl Compiler {
    fn waiting(&self) -> Waiting {
        match self.translator.works_aside() {
            _ if self.forced => NOT,
            true => ASIDE,
            false => HERE,
        }
    }

    /// Enough regions wait, or they have waited long enough by `now`.
    fn has_waited(&self, now: u64) -> bool {
        if self.hot.is_empty() {
            return false;
        }
        let Waiting { batch, patience } = self.waiting();
        self.hot.len() >= batch || now - self.hot_since >= patience
    }

    pub(crate) fn translator_stats(&self) -> TranslatorStats {
        self.translator.stats()
    }
}

impl Cpu {
    /// Compiles code with `translator` from now on, when its block has been interpreted `hot` times (see [`HOT`], [`FORCED`]).
    pub fn set_translator(&mut self, translator: Box<dyn Translator>, hot: u32) {
        self.blocks.compile_at(hot);
        self.compiler = Some(Box::new(Compiler {
            translator,
            ready: None,
            hot: Vec::new(),
            hot_since: 0,
            under_way: VecDeque::new(),
            forced: hot == FORCED,
            brief: false,
        }));
    }

    /// With `brief`, compiled code is entered once a run and leaves after a region: for those who look for a mistake in it.
    pub fn set_brief(&mut self, brief: bool) {
        if let Some(compiler) = &mut self.compiler {
            compiler.brief = brief;
        }
    }

    /// Compiled code holds addresses: it is made for the place where the processor is, and again if that has changed.
    pub(crate) fn settle_compiler(&mut self) {
        if self.compiler.is_none() {
            return;
        }
        let shared = self.shared();
        let interpreted = self.interpreted();
        let Some(compiler) = &mut self.compiler else { return };
        if compiler.ready.is_some_and(|(made_for, _)| made_for == shared) {
            if compiler.has_waited(interpreted) || !compiler.under_way.is_empty() {
                self.compile_hot();
            }
            return;
        }
        if compiler.ready.is_some() {
            self.blocks.forget();
        }
        compiler.hot.clear();
        compiler.ready = Some((shared, compiler.translator.prepare(&shared)));
    }

    /// Instructions that no compiled code has done.
    fn interpreted(&self) -> u64 {
        self.retired - self.counters.instructions
    }

    /// Has what waits compiled, and takes what has been. Only between blocks: no compiled code runs.
    #[cold]
    #[inline(never)]
    pub(crate) fn compile_hot(&mut self) {
        self.take_finished();
        let now = self.interpreted();
        let Some(compiler) = &mut self.compiler else { return };
        for code in self.blocks.code.take_released() {
            compiler.translator.release(code);
        }
        if !compiler.has_waited(now) || compiler.under_way.len() >= UNDER_WAY {
            return;
        }
        let mut hot = core::mem::take(&mut compiler.hot);
        let batch = compiler.waiting().batch;
        if hot.len() > batch {
            // The others wait: what becomes hot meanwhile may be hotter.
            hot.sort_by_key(|&block| core::cmp::Reverse(self.blocks.heat(block)));
            compiler.hot = hot.split_off(batch);
            compiler.hot_since = now;
        }
        let usual_x87 = is_usual(self.state.x87.control);
        let mut formed: Vec<Formed> = Vec::new();
        for block in hot {
            if !self.blocks.postpone(block) && !formed.iter_mut().any(|formed| formed.enter_at(block)) {
                formed.extend(self.blocks.region(block, usual_x87, |at| Some(self.tlb.code_page(at)?.0)));
            }
        }
        if formed.is_empty() {
            return;
        }
        let (regions, footing): (Vec<_>, Vec<_>) =
            formed.into_iter().map(|formed| (formed.region, formed.footing)).unzip();
        footing.iter().for_each(|footing| self.blocks.set_under_way(footing, true));
        compiler.under_way.push_back(footing);
        compiler.translator.begin(regions);
        self.take_finished();
    }

    /// From now on what has been compiled may be entered.
    fn take_finished(&mut self) {
        let Some(compiler) = &mut self.compiler else { return };
        while let Some(translations) = compiler.translator.finished() {
            for (translation, footing) in
                translations.into_iter().zip(compiler.under_way.pop_front().unwrap_or_default())
            {
                self.blocks.set_under_way(&footing, false);
                match translation {
                    Some(translation) if self.blocks.stands(&footing) => self.blocks.add_code(&translation, footing),
                    Some(translation) => {
                        compiler.translator.release(translation.code);
                        self.blocks.cool_members(&footing);
                    }
                    None => (),
                }
            }
        }
        if self.blocks.code.trim() {
            self.blocks.forget_jumps();
        }
    }
}

impl Exec<'_> {
    /// A block has become hot, or still is. True where it has been compiled at once.
    #[cold]
    #[inline(never)]
    pub(crate) fn block_is_hot(&mut self, block: u32) -> bool {
        let now = self.cpu.interpreted();
        let Some(compiler) = &mut self.cpu.compiler else { return false };
        if self.cpu.blocks.has_become_hot(block) {
            if compiler.hot.is_empty() {
                compiler.hot_since = now;
            }
            compiler.hot.push(block);
        }
        let forced = compiler.forced;
        if compiler.has_waited(now) || !compiler.under_way.is_empty() {
            self.cpu.compile_hot();
        }
        forced
    }
}
