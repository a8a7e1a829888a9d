//! The interpreter: finds blocks, runs them, and delivers what interrupts them.

use platform::VcpuExit;
use x86::decode::{DecodeError, MAX_LENGTH, decode_on};
use x86::{Exception, Inst, Op, RIP_SLOT, Rep, Sem, Vex, Width, seg};

use crate::blocks::{Key, MAX_OPS};
use crate::exceptions::DR6_STEP;
use crate::exec::{Exec, cut};
use crate::hot::{Next, code_of, condition_of};
use crate::state::{InterruptShadow, Mode, eflags};
use crate::tlb::PAGE_BYTES;

/// Bytes fetched at a time to be decoded: more than most blocks have.
const FETCHED: usize = 128;

impl Exec<'_> {
    /// Runs until exactly `limit` instructions have retired in all, or something outside must be looked at.
    ///
    /// What the board sees of a run must not depend on how blocks were cut or whether they were compiled. So time is told and devices
    /// are accessed only by instructions that run by themselves: those that end a block (but near branches) are decoded that way, and any other
    /// that meets a device stops before it ([`Exec::device`]) and begins again, alone. Right behind it the board has its turn.
    pub(crate) fn run_blocks(&mut self, limit: u64) -> VcpuExit {
        self.cpu.attention = true;
        self.cpu.leave = false;
        self.cpu.meets_device = false;
        let mut until = limit;
        while self.cpu.retired < limit {
            if self.cpu.attention
                && let Some(exit) = self.attend()
            {
                return exit;
            }
            if let Err(exception) = self.run_some(until) {
                if core::mem::take(&mut self.cpu.meets_device) {
                    self.cpu.counters.device_met(self.cpu.retired);
                    self.cpu.alone = true;
                    self.cpu.leave = true;
                    until = self.cpu.retired + 1;
                    continue;
                }
                self.fault(exception);
                if self.cpu.shut_down {
                    return VcpuExit::Shutdown;
                }
            }
            if self.cpu.leave {
                return VcpuExit::Yield;
            }
        }
        VcpuExit::Yield
    }

    /// Looks at interrupts, the interrupt shadow and HLT between two blocks.
    #[cold]
    #[inline(never)]
    fn attend(&mut self) -> Option<VcpuExit> {
        self.cpu.attention = false;
        if self.cpu.shut_down {
            return Some(VcpuExit::Shutdown);
        }
        let shadow = self.cpu.state.interrupt_shadow;
        // Traps that follow the last instruction come before interrupts (Intel SDM vol. 3, table 6-2).
        if shadow != InterruptShadow::MovSs
            && let Some(trap) = self.pending_trap()
        {
            self.cpu.state.interrupt_shadow = InterruptShadow::None;
            self.cpu.state.halted = false;
            self.fault(trap);
        } else if shadow != InterruptShadow::None {
            // One more instruction runs first; `single` ends its block and brings us back here.
            self.cpu.state_changed();
            return None;
        }
        if self.bus.take_nmi() {
            self.cpu.nmi_pending = true;
        }
        if self.cpu.nmi_pending && !self.cpu.state.nmi_blocked {
            self.cpu.nmi_pending = false;
            self.cpu.state.halted = false;
            self.deliver_nmi();
        } else if self.cpu.state.system_flags & eflags::IF != 0 && self.bus.interrupt_asserted() {
            let now = self.now();
            if let Some(vector) = self.bus.acknowledge_interrupt(now) {
                self.cpu.interrupts += 1;
                self.cpu.state.halted = false;
                self.deliver_interrupt(vector);
            }
            // Another may wait behind it.
            self.cpu.attention = true;
        }
        if self.cpu.shut_down {
            return Some(VcpuExit::Shutdown);
        }
        self.cpu.state.halted.then_some(VcpuExit::Halt)
    }

    fn fault(&mut self, exception: Exception) {
        self.cpu.faults += 1;
        // It counts as an instruction: a handler that itself faults must not keep the caller here for ever.
        self.cpu.retired += 1;
        self.deliver_exception(exception);
        self.cpu.attention = true;
        self.cpu.alone = false;
    }

    /// Runs compiled code from `state.rip` on, or the block there. On a fault `state.rip` is the faulting instruction.
    #[inline(always)]
    fn run_some(&mut self, limit: u64) -> Result<(), Exception> {
        let mut rip = self.cpu.state.rip;
        let mut linear = self.code_linear(rip);
        let mut found = self.cpu.blocks.follow(linear, self.cpu.mode_bits);
        let follows = found.is_some();
        let mut has_left_code = false;
        if !follows {
            found = self.cpu.blocks.jump(linear, self.cpu.mode_bits);
            if found.is_some()
                && let Some(entry) = self.cpu.blocks.entry(linear)
            {
                if !self.try_code(entry, limit)? {
                    return Ok(());
                }
                has_left_code = true;
                // Code may have gone on to another mode.
                rip = self.cpu.state.rip;
                linear = self.code_linear(rip);
                found = self.cpu.blocks.jump(linear, self.cpu.mode_bits);
            }
        }
        let shadow = if self.cpu.mode.single { Some(self.before_single(rip)?) } else { None };
        let index = match found {
            Some(index) => index,
            None => {
                let index = self.find_block(rip, linear)?;
                if !has_left_code && shadow.is_none() && self.cpu.blocks.entry(linear).is_some() {
                    // It is found now, and so is its code.
                    return Ok(());
                }
                index
            }
        };
        if !follows {
            self.cpu.blocks.begin(index, linear, self.cpu.mode_bits);
        }
        // What code has left is interpreted now, whatever waits: its flags may only be right further on.
        if !has_left_code && self.cpu.blocks.warm_up(index) && self.block_is_hot(index) && shadow.is_none() {
            return Ok(());
        }
        // The one place where the dispatch is inlined: a second copy would double the code and the time to compile it.
        let done = self.run_ops(index, rip, limit);
        match shadow {
            None => done,
            Some(shadow) => self.after_single(shadow, done),
        }
    }

    #[inline(always)]
    fn run_ops(&mut self, index: u32, rip: u64, limit: u64) -> Result<(), Exception> {
        let mut block = self.cpu.blocks.run(index);
        if u64::from(block.count) > limit - self.cpu.retired {
            block = self.cpu.blocks.beginning(block, limit - self.cpu.retired);
        }
        self.cpu.state.regs.set(usize::from(RIP_SLOT), rip);
        self.cpu.state.rip = cut(self.cpu.mode.code, rip.wrapping_add(u64::from(block.bytes)));
        let first = self.cpu.blocks.ops(block);
        let mut at = first;
        let end = first.wrapping_add(usize::from(block.count));
        let mut exec = self.apart();
        while at != end {
            // SAFETY: `at` is within the block's operations, which stay allocated until a block is inserted, and none is
            // while one runs. An invalidation writes `code` alone, which is a cell, through a shared reference.
            let op = unsafe { &*at };
            match exec.dispatch(op) {
                Ok(Next::Continue) => at = at.wrapping_add(1),
                Ok(Next::Compared) => {
                    at = at.wrapping_add(1);
                    if at == end {
                        break;
                    }
                    // SAFETY: as above.
                    let op = unsafe { &*at };
                    let Some(condition) = condition_of(op.code.get()) else { continue };
                    // No second dispatch, whose jump the host hardly ever foresees in code that runs seldom.
                    if let Err(exception) = exec.jump_if(op, condition) {
                        exec.cpu.state.rip = exec.address_of(op);
                        exec.cpu.retired += distance(first, at);
                        return Err(exception);
                    }
                    break;
                }
                Ok(Next::Leave) => {
                    exec.cpu.state.rip = exec.address_of(op);
                    exec.cpu.retired += distance(first, at);
                    return Ok(());
                }
                Err(exception) => {
                    exec.cpu.state.rip = exec.address_of(op);
                    exec.cpu.retired += distance(first, at);
                    return Err(exception);
                }
            }
        }
        exec.cpu.retired += u64::from(block.count);
        Ok(())
    }

    /// Before an instruction in [`crate::Mode::single`]: what a block leaves out.
    #[cold]
    #[inline(never)]
    fn before_single(&mut self, rip: u64) -> Result<InterruptShadow, Exception> {
        let shadow = core::mem::take(&mut self.cpu.state.interrupt_shadow);
        self.cpu.attention = true;
        if shadow != InterruptShadow::MovSs {
            self.instruction_breakpoint(rip)?;
        }
        // RF holds for this instruction; `IRET` may set it for the next.
        self.cpu.state.system_flags &= !eflags::RF;
        self.cpu.stepping = self.cpu.state.system_flags & eflags::TF != 0;
        self.cpu.alone = true;
        self.trace_instruction(rip);
        Ok(shadow)
    }

    /// After it: the `shadow` it ran in is over (unless it set a new one), and a single-step trap may be due. Traps of an
    /// instruction that faults are forgotten: it will run again.
    #[cold]
    #[inline(never)]
    fn after_single(&mut self, shadow: InterruptShadow, done: Result<(), Exception>) -> Result<(), Exception> {
        self.cpu.alone = false;
        if shadow != self.cpu.state.interrupt_shadow {
            self.cpu.state_changed();
        }
        if done.is_err() {
            self.cpu.state.pending_debug = 0;
        } else if self.cpu.stepping {
            self.trap_after(DR6_STEP);
        }
        done
    }

    /// Linear address of an instruction.
    #[inline(always)]
    pub(crate) fn code_linear(&self, rip: u64) -> u64 {
        if self.cpu.mode.code == Width::W64 {
            return rip;
        }
        Width::W32.truncate(self.cpu.state.segs[usize::from(seg::CS)].base.wrapping_add(rip))
    }

    /// No instruction begins at `rip`: it lies beyond the code segment's limit.
    pub(crate) fn is_beyond_code_segment(&self, rip: u64) -> bool {
        self.cpu.mode.code != Width::W64 && rip > u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit)
    }

    #[cold]
    #[inline(never)]
    fn find_block(&mut self, rip: u64, linear: u64) -> Result<u32, Exception> {
        if self.is_beyond_code_segment(rip) {
            return Err(Exception::GeneralProtection(0));
        }
        let page = self.fetch_page(linear)?;
        let phys = page.phys.0 | linear & (PAGE_BYTES - 1);
        let key = Key { phys, mode: self.cpu.mode };
        let found = self.cpu.blocks.find_again(&key);
        let index = match found {
            Some(index) if self.second_page_unchanged(index, linear)? => index,
            _ => self.decode_block(rip, linear, key)?,
        };
        self.remember_jump(linear, index);
        Ok(index)
    }

    fn second_page_unchanged(&mut self, index: u32, linear: u64) -> Result<bool, Exception> {
        let Some(second) = self.cpu.blocks.origin(index).second_page else { return Ok(true) };
        let next_page = (linear | (PAGE_BYTES - 1)).wrapping_add(1);
        Ok(self.fetch_page(next_page)?.phys.0 == second)
    }

    /// Decodes from `linear` to the end of the block or page.
    fn decode_block(&mut self, rip: u64, linear: u64, key: Key) -> Result<u32, Exception> {
        let mut ops = core::mem::take(&mut self.cpu.decoded);
        let inserted = self.decode_ops(rip, linear, &mut ops).map(|second_page| {
            let (index, is_new_page) = self.cpu.blocks.insert(key, &ops, second_page);
            (index, is_new_page, second_page.is_some())
        });
        ops.clear();
        self.cpu.decoded = ops;
        let (index, is_new_page, crosses) = inserted?;
        if is_new_page {
            self.protect_code(linear, crosses)?;
        }
        Ok(index)
    }

    /// Decodes a block's operations; gives the physical address of the page that the last one crosses into.
    fn decode_ops(&mut self, rip: u64, linear: u64, ops: &mut Vec<Op>) -> Result<Option<u64>, Exception> {
        let in_page = ((PAGE_BYTES - (linear & (PAGE_BYTES - 1))) as usize).min(MAX_OPS * MAX_LENGTH);
        let within_limit = self.code_bytes_within_limit(rip, in_page);
        let most = if self.cpu.mode.single { 1 } else { MAX_OPS };
        // What of the block's bytes is at hand, from the first on to the second.
        let mut bytes = [0u8; FETCHED];
        let (mut from, mut to) = (0, 0);
        let mut at = 0;
        while ops.len() < most {
            if at + MAX_LENGTH > to && to < in_page {
                (from, to) = (at, in_page.min(at + FETCHED));
                self.fetch_bytes(linear.wrapping_add(at as u64), &mut bytes[..to - from])?;
            }
            let limit = within_limit.min(to);
            let decoded = self.decode(&bytes[at - from..limit - from]);
            let inst = match &decoded {
                Ok(inst) => inst,
                // What comes before runs first; the next block starts with the bad or crossing instruction.
                Err(_) if !ops.is_empty() => break,
                Err(DecodeError::Invalid) => return Err(Exception::InvalidOpcode),
                Err(DecodeError::TooLong) => return Err(Exception::GeneralProtection(0)),
                Err(DecodeError::Truncated) => {
                    let (inst, second) = self.decode_crossing(rip, linear, &bytes[..to], limit)?;
                    ops.push(self.lower(&inst, 0));
                    return Ok(Some(second));
                }
            };
            let ends = ends_block(inst);
            let alone = ends && !matches!(inst.row().sem, Sem::Int(_));
            if alone && !ops.is_empty() {
                break;
            }
            ops.push(self.lower(inst, at as u16));
            at += usize::from(inst.len);
            if ends {
                break;
            }
        }
        Ok(None)
    }

    /// Bytes of `in_page` that the code segment's limit lets be fetched.
    fn code_bytes_within_limit(&self, rip: u64, in_page: usize) -> usize {
        if self.cpu.mode.code == Width::W64 {
            return in_page;
        }
        let limit = u64::from(self.cpu.state.segs[usize::from(seg::CS)].limit);
        in_page.min((limit - rip + 1) as usize)
    }

    /// Decodes an instruction that goes on in the next page; also gives that page's physical address.
    fn decode_crossing(&mut self, rip: u64, linear: u64, head: &[u8], limit: usize) -> Result<(Inst, u64), Exception> {
        if limit < head.len() {
            // It crosses the segment's limit, not the page.
            return Err(Exception::GeneralProtection(0));
        }
        let mut bytes = [0u8; MAX_LENGTH];
        bytes[..head.len()].copy_from_slice(head);
        let next_page = linear.wrapping_add(head.len() as u64);
        let next_page = if self.cpu.mode.code == Width::W64 { next_page } else { Width::W32.truncate(next_page) };
        let second = self.fetch_page(next_page)?.phys.page().0;
        self.fetch_bytes(next_page, &mut bytes[head.len()..])?;
        let limit = self.code_bytes_within_limit(rip, MAX_LENGTH);
        match self.decode(&bytes[..limit]) {
            Ok(inst) => Ok((inst, second)),
            Err(DecodeError::Invalid) => Err(Exception::InvalidOpcode),
            Err(_) => Err(Exception::GeneralProtection(0)),
        }
    }

    /// Decodes in the mode at hand what this model has.
    fn decode(&self, bytes: &[u8]) -> Result<Inst, DecodeError> {
        let Mode { code, vex, .. } = self.cpu.mode;
        let decoded = decode_on(self.cpu.features, bytes, code);
        if decoded.as_ref().is_ok_and(|inst| inst.vex != Vex::None && !vex) {
            return Err(DecodeError::Invalid);
        }
        decoded
    }

    fn lower(&self, inst: &Inst, offset: u16) -> Op {
        let mut op = Op::lower(inst, offset);
        let mode = self.cpu.mode;
        let by_segment = mode.code != Width::W64 && (!mode.flat || matches!(op.seg, seg::CS | seg::FS | seg::GS));
        op.checked = mode.aligned || by_segment;
        if self.cpu.specialises {
            op.code.set(code_of(&op));
        }
        op
    }

    /// Stores to the pages a block was just decoded from must be noticed.
    fn protect_code(&mut self, linear: u64, crosses: bool) -> Result<(), Exception> {
        let first = self.fetch_page(linear)?;
        self.cpu.tlb.protect_host_page(first.host as usize & !(PAGE_BYTES as usize - 1));
        if crosses {
            let second = self.fetch_page((linear | (PAGE_BYTES - 1)).wrapping_add(1))?;
            self.cpu.tlb.protect_host_page(second.host as usize & !(PAGE_BYTES as usize - 1));
        }
        Ok(())
    }
}

/// Number of operations from `first` to `at`.
fn distance(first: *const Op, at: *const Op) -> u64 {
    ((at as usize - first as usize) / size_of::<Op>()) as u64
}

/// Whether nothing may follow `inst` in its block.
fn ends_block(inst: &Inst) -> bool {
    let row = inst.row();
    row.ends_block || (inst.rep != Rep::None && row.repeats)
}
