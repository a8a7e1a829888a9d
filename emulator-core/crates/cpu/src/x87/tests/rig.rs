//! A processor with a little RAM and nothing else.

use platform::{Backing, Bus, GuestMemory, Nanos, PhysAddr};
use x86::decode::decode;
use x86::{Exception, Op, Sem, Width, seg};

use crate::exec::Exec;
use crate::state::control::{CR0_NE, CR0_PE};
use crate::{Access, Cpu, Segment};

pub(super) const RAM_BYTES: u64 = 0x10000;
const RDX: usize = 2;

pub(super) struct Board {
    memory: GuestMemory,
    /// Times the processor reported an x87 error.
    pub(super) x87_errors: u32,
}

impl Bus for Board {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        if addr.0 < RAM_BYTES { Backing::Ram(addr.0 as usize & !0xfff) } else { Backing::Mmio }
    }

    fn x87_error(&mut self, _: Nanos) {
        self.x87_errors += 1;
    }
}

/// A processor in protected mode with flat segments and no paging, an initialised x87, and RDX pointing at [`Rig::OPERAND`].
pub(super) struct Rig {
    pub(super) cpu: Cpu,
    pub(super) board: Board,
}

impl Rig {
    /// Where the tests put memory operands.
    pub(super) const OPERAND: usize = 0x2000;

    pub(super) fn new() -> Rig {
        let mut cpu = Cpu::new();
        cpu.state.cr0 |= CR0_PE | CR0_NE;
        for (number, segment) in cpu.state.segs.iter_mut().enumerate() {
            let access = Access(if number == usize::from(seg::CS) { 0xc09b } else { 0xc093 });
            *segment = Segment { selector: 0, base: 0, limit: u32::MAX, access };
        }
        cpu.state.regs.set(RDX, Self::OPERAND as u64);
        cpu.state_changed();
        let mut rig = Rig { cpu, board: Board { memory: GuestMemory::new(RAM_BYTES).expect("64 KiB"), x87_errors: 0 } };
        rig.run(&[0xdb, 0xe3]).expect("FNINIT");
        rig
    }

    /// Decodes `bytes` as 32-bit code and runs them as one x87 instruction.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Result<(), Exception> {
        self.run_as(bytes, Width::W32)
    }

    pub(super) fn run_as(&mut self, bytes: &[u8], code: Width) -> Result<(), Exception> {
        let inst = decode(bytes, code).unwrap_or_else(|error| panic!("{bytes:02x?}: {error:?}"));
        let op = Op::lower(&inst, 0);
        let Sem::Fpu(fpu) = op.sem else { panic!("{bytes:02x?} is no x87 instruction") };
        Exec { cpu: &mut self.cpu, bus: &mut self.board }.fpu_instruction(&op, fpu)
    }

    /// Runs instructions that must complete.
    pub(super) fn run_all(&mut self, instructions: &[&[u8]]) {
        for bytes in instructions {
            self.run(bytes).unwrap_or_else(|exception| panic!("{bytes:02x?}: {exception:?}"));
        }
    }

    /// The memory operand.
    pub(super) fn operand(&mut self) -> &mut [u8] {
        &mut self.board.memory.as_mut_slice()[Self::OPERAND..]
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.operand()[..bytes.len()].copy_from_slice(bytes);
    }
}
