//! Irregular instructions, one file a family.

mod atomic;
mod control;
mod descriptor;
mod far;
mod flags;
mod interrupts;
mod io;
mod legacy;
mod scatter;
mod segment;
mod strings;
mod syscall;
pub(crate) mod task;

pub(crate) use control::cr4_bits;
pub use strings::FEW_ELEMENTS;
pub(crate) use strings::WORK_BYTES;

use x86::instructions::system::Sys;
use x86::{Engine, Exception, Op, Width, seg};

use crate::exec::Exec;

impl Exec<'_> {
    /// Runs an irregular instruction.
    ///
    /// # Errors
    /// The instruction faults.
    pub(crate) fn system_instruction(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        match sys {
            Sys::JmpFar => self.jump_far(op),
            Sys::CallFar => self.call_far(op),
            Sys::RetFar => self.return_far(op),
            Sys::Iret => self.iret(op),
            Sys::Int => self.software_interrupt(op, op.imm as u8),
            Sys::Int1 => self.int1(op),
            Sys::Int3 => self.trap_interrupt(op, 3),
            Sys::Into => self.interrupt_on_overflow(op),
            Sys::Bound => self.bound(op),
            Sys::Syscall => self.syscall(op),
            Sys::Sysret => self.sysret(op),
            Sys::Sysenter => self.sysenter(),
            Sys::Sysexit => self.sysexit(op),
            Sys::Movs | Sys::Cmps | Sys::Stos | Sys::Lods | Sys::Scas | Sys::Ins | Sys::Outs => self.string(op, sys),
            Sys::Pushf => self.pushf(op),
            Sys::Popf => self.popf(op),
            Sys::Lahf => self.lahf(),
            Sys::Sahf => self.sahf(),
            Sys::Cli => self.cli(),
            Sys::Sti => self.sti(),
            Sys::Clac => self.set_alignment_check(false),
            Sys::Stac => self.set_alignment_check(true),
            Sys::Pusha => self.pusha(op),
            Sys::Popa => self.popa(op),
            Sys::Enter => self.enter(op),
            Sys::PopMemory => self.pop_memory(op),
            Sys::PushSegment => self.push_segment(op),
            Sys::PopSegment => self.pop_segment(op),
            Sys::StoreSegment => self.store_segment(op),
            Sys::LoadSegment => self.load_segment_from(op),
            Sys::Les => self.load_far_pointer(op, seg::ES),
            Sys::Lds => self.load_far_pointer(op, seg::DS),
            Sys::Lss => self.load_far_pointer(op, seg::SS),
            Sys::Lfs => self.load_far_pointer(op, seg::FS),
            Sys::Lgs => self.load_far_pointer(op, seg::GS),
            Sys::Swapgs => self.swapgs(),
            Sys::Rdfsbase => self.read_segment_base(op, seg::FS),
            Sys::Rdgsbase => self.read_segment_base(op, seg::GS),
            Sys::Wrfsbase => self.write_segment_base(op, seg::FS),
            Sys::Wrgsbase => self.write_segment_base(op, seg::GS),
            Sys::Sgdt | Sys::Sidt | Sys::Lgdt | Sys::Lidt | Sys::Sldt | Sys::Str | Sys::Lldt | Sys::Ltr => {
                self.table_register(op, sys)
            }
            Sys::Verr | Sys::Verw | Sys::Lar | Sys::Lsl | Sys::Arpl => self.examine_selector(op, sys),
            Sys::LoadControl => self.load_control(op),
            Sys::StoreControl => self.store_control(op),
            Sys::LoadDebug => self.load_debug(op),
            Sys::StoreDebug => self.store_debug(op),
            Sys::Smsw => self.smsw(op),
            Sys::Lmsw => self.lmsw(op),
            Sys::Clts => self.clts(),
            Sys::Invlpg => self.invlpg(op),
            Sys::Invpcid => self.invpcid(op),
            Sys::FlushCaches => self.require_privilege(0),
            Sys::Clflush => self.load(Width::W8, op).map(drop),
            Sys::Hlt => self.hlt(),
            Sys::InByte | Sys::In => self.port_in(op, sys),
            Sys::OutByte | Sys::Out => self.port_out(op, sys),
            Sys::Rdmsr => self.rdmsr(),
            Sys::Wrmsr => self.wrmsr(),
            Sys::Rdtsc => self.rdtsc(),
            Sys::Rdtscp => self.rdtscp(),
            // There are no performance counters, so no counter number is valid.
            Sys::Rdpmc => Err(Exception::GeneralProtection(0)),
            Sys::Cpuid => self.cpuid(),
            Sys::Rdrand => self.rdrand(op),
            Sys::Rdpid => {
                let aux = self.cpu.state.msrs.tsc_aux;
                self.set_register(op.width, op.dst, aux);
                Ok(())
            }
            Sys::Cmpxchg8b => self.cmpxchg8b(op),
            Sys::Cmpxchg16b => self.cmpxchg16b(op),
            Sys::Crc32Byte | Sys::Crc32 => self.crc32(op, sys),
            Sys::Pdep | Sys::Pext => self.scatter(op, sys),
            Sys::Xgetbv => self.xgetbv(),
            Sys::Xsetbv => self.xsetbv(),
            Sys::Xsave | Sys::Xsaveopt | Sys::Xsavec | Sys::Xsaves => self.xsave(op, sys),
            Sys::Xrstor | Sys::Xrstors => self.xrstor(op, sys),
            Sys::Daa | Sys::Das | Sys::Aaa | Sys::Aas | Sys::Aam | Sys::Aad | Sys::Salc => self.decimal(op, sys),
        }
    }

    /// #GP(0) where the processor runs at a weaker privilege level than `level`.
    pub(crate) fn require_privilege(&self, level: u8) -> Result<(), Exception> {
        if self.cpu.state.cpl <= level { Ok(()) } else { Err(Exception::GeneralProtection(0)) }
    }

    /// Reads general register `number` in full.
    fn general(&self, number: usize) -> u64 {
        self.cpu.state.regs.get(number)
    }

    /// Writes EAX, say: the upper half is cleared.
    fn set_general32(&mut self, number: usize, value: u64) {
        self.cpu.state.regs.set(number, value & 0xffff_ffff);
    }

    /// Replaces one status flag.
    fn set_status_flag(&mut self, flag: u64, set: bool) {
        let flags = self.cpu.state.rflags();
        self.cpu.state.set_rflags(if set { flags | flag } else { flags & !flag });
    }
}

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;
const R11: usize = 11;

#[cfg(test)]
mod tests;
