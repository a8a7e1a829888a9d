//! A bare processor on a bus with nothing but memory and a recorder, for tests: small programs as bytes in a known environment.
//!
//! | address | what |
//! |---|---|
//! | 0x1000 | GDT, see [`selector`] |
//! | 0x2000 | IDT: every vector leads to a `HLT` at `HANDLERS + 16 * vector` |
//! | 0x4000 | task-state segment, with the stack of level 0 at [`KERNEL_STACK`] and no I/O bitmap |
//! | 0x8000 | page tables of 64-bit mode: the first GiB one to one, in 2-MiB pages for everybody |
//! | 0x10000 | the program |

use platform::{AccessSize, Backing, Bus, GuestMemory, MsrAnswer, Nanos, PhysAddr, Vcpu, VcpuExit};
use x86::seg;

use crate::state::control::{CR0_ET, CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME};
use crate::state::{Access, DescriptorTable, Segment};
use crate::{Cpu, CpuModel, State};

/// RAM of the test board.
pub(crate) const RAM_BYTES: u64 = 4 << 20;
/// Where programs start.
pub(crate) const PROGRAM: u64 = 0x10000;
/// Where handlers are.
pub(crate) const HANDLERS: u64 = 0x1_8000;
/// rSP of a program.
pub(crate) const STACK: u64 = 0x2_0000;
/// rSP of level 0 in the task-state segment.
pub(crate) const KERNEL_STACK: u64 = 0x3_0000;
pub(crate) const GDT: u64 = 0x1000;
pub(crate) const IDT: u64 = 0x2000;
pub(crate) const TSS: u64 = 0x4000;
pub(crate) const PAGE_TABLES: u64 = 0x8000;

/// Selectors of the test GDT.
pub(crate) mod selector {
    pub(crate) const CODE: u16 = 0x08;
    pub(crate) const DATA: u16 = 0x10;
    pub(crate) const USER_CODE: u16 = 0x1b;
    pub(crate) const USER_DATA: u16 = 0x23;
    pub(crate) const TSS: u16 = 0x28;
    /// The first that is free; TSS descriptors of 64-bit mode take two.
    pub(crate) const FREE: u16 = 0x38;
}

/// Flat memory; ports and everything above RAM are recorded.
pub(crate) struct TestBus {
    memory: GuestMemory,
    /// Port and memory-mapped writes: address and value.
    pub(crate) writes: Vec<(u64, u64)>,
    /// What port and memory-mapped reads answer.
    pub(crate) answer: u64,
    /// The vector of a waiting interrupt.
    pub(crate) interrupt: Option<u8>,
    pub(crate) task_priority: u8,
    /// A page that is ROM.
    pub(crate) rom_page: Option<u64>,
}

impl Bus for TestBus {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        let page = addr.page().0;
        match page {
            _ if self.rom_page == Some(page) => Backing::Rom(page as usize),
            0..RAM_BYTES => Backing::Ram(page as usize),
            _ => Backing::Mmio,
        }
    }

    fn take_map_changed(&mut self) -> bool {
        false
    }

    fn mmio_read(&mut self, _addr: PhysAddr, size: AccessSize, _now: Nanos) -> u64 {
        self.answer & size.ones()
    }

    fn mmio_write(&mut self, addr: PhysAddr, _size: AccessSize, value: u64, _now: Nanos) {
        self.writes.push((addr.0, value));
    }

    fn pio_read(&mut self, _port: u16, size: AccessSize, _now: Nanos) -> u32 {
        (self.answer & size.ones()) as u32
    }

    fn pio_write(&mut self, port: u16, _size: AccessSize, value: u32, _now: Nanos) {
        self.writes.push((u64::from(port), u64::from(value)));
    }

    fn interrupt_asserted(&self) -> bool {
        self.interrupt.is_some()
    }

    fn take_nmi(&mut self) -> bool {
        false
    }

    fn acknowledge_interrupt(&mut self, _now: Nanos) -> Option<u8> {
        self.interrupt.take()
    }

    fn apic_msr_read(&mut self, _msr: u32, _tsc: u64, _now: Nanos) -> MsrAnswer {
        MsrAnswer::Value(self.answer)
    }

    fn apic_msr_write(&mut self, msr: u32, value: u64, _tsc: u64, _now: Nanos) -> MsrAnswer {
        self.writes.push((u64::from(msr), value));
        MsrAnswer::Value(0)
    }

    fn task_priority(&self) -> u8 {
        self.task_priority
    }

    fn set_task_priority(&mut self, cr8: u8, _now: Nanos) {
        self.task_priority = cr8;
    }
}

/// A processor and its board.
pub(crate) struct Machine {
    pub(crate) cpu: Cpu,
    pub(crate) bus: TestBus,
}

/// A code or data descriptor with base 0 and limit 4 GiB.
pub(crate) fn flat_descriptor(access: u8, flags: u8) -> u64 {
    0x000f_0000_0000_ffff | u64::from(access) << 40 | u64::from(flags) << 52
}

/// A system descriptor.
pub(crate) fn system_descriptor(base: u64, limit: u64, access: u8) -> u64 {
    limit & 0xffff | (base & 0xff_ffff) << 16 | u64::from(access) << 40 | (base >> 24 & 0xff) << 56
}

/// A gate of legacy protected mode.
pub(crate) fn gate(selector: u16, offset: u64, access: u8) -> u64 {
    offset & 0xffff | u64::from(selector) << 16 | u64::from(access) << 40 | (offset >> 16) << 48
}

impl Machine {
    fn with_state(program: &[u8], set_up: impl FnOnce(&mut State)) -> Machine {
        let memory = GuestMemory::new(RAM_BYTES).expect("test memory");
        let bus = TestBus { memory, writes: Vec::new(), answer: 0, interrupt: None, task_priority: 0, rom_page: None };
        let mut machine = Machine { cpu: Cpu::of_model(CpuModel::X86_64V3), bus };
        set_up(&mut machine.cpu.state);
        machine.write(PROGRAM, program);
        for vector in 0..256 {
            machine.write(HANDLERS + vector * 16, &[0xf4]);
        }
        machine.cpu.state.regs.set(4, STACK);
        machine.cpu.state_changed();
        machine
    }

    /// Real mode: CS base [`PROGRAM`], IP 0; other segments 0; vectors at 0 lead to the handlers.
    pub(crate) fn real(program: &[u8]) -> Machine {
        let mut machine = Machine::with_state(program, |state| {
            state.load_real_segment(seg::CS, (PROGRAM >> 4) as u16);
            state.rip = 0;
            state.idtr = DescriptorTable { base: 0, limit: 0x3ff };
        });
        machine.cpu.state.regs.set(4, 0xf000);
        for vector in 0..256u64 {
            let far = ((HANDLERS >> 4) << 16) | (vector * 16);
            machine.write(vector * 4, &(far as u32).to_le_bytes());
        }
        machine
    }

    /// 32-bit protected mode without paging, at privilege level 0 with interrupts off.
    pub(crate) fn protected(program: &[u8]) -> Machine {
        let mut machine = Machine::with_state(program, |state| {
            state.cr0 = CR0_PE | CR0_ET;
            set_flat_segments(state, 0xc09b);
            state.rip = PROGRAM;
        });
        machine.write_gdt(0xc, 0x8b);
        for vector in 0..256u64 {
            machine.write(IDT + vector * 8, &gate(selector::CODE, HANDLERS + vector * 16, 0x8e).to_le_bytes());
        }
        machine.write(TSS + 4, &(KERNEL_STACK as u32).to_le_bytes());
        machine.write(TSS + 8, &selector::DATA.to_le_bytes());
        machine
    }

    /// 64-bit mode at privilege level 0 with interrupts off.
    pub(crate) fn long(program: &[u8]) -> Machine {
        let mut machine = Machine::with_state(program, |state| {
            state.cr0 = CR0_PE | CR0_ET | CR0_PG;
            state.cr3 = PAGE_TABLES;
            state.cr4 = CR4_PAE;
            state.msrs.efer = EFER_LME | EFER_LMA;
            set_flat_segments(state, 0xa09b);
            state.rip = PROGRAM;
        });
        machine.write_gdt(0xa, 0x8b);
        for vector in 0..256u64 {
            machine.write(IDT + vector * 16, &gate(selector::CODE, HANDLERS + vector * 16, 0x8e).to_le_bytes());
        }
        machine.write(TSS + 4, &KERNEL_STACK.to_le_bytes());
        machine.write(PAGE_TABLES, &(PAGE_TABLES + 0x1007).to_le_bytes());
        machine.write(PAGE_TABLES + 0x1000, &(PAGE_TABLES + 0x2007).to_le_bytes());
        for page in 0..512u64 {
            machine.write(PAGE_TABLES + 0x2000 + page * 8, &(page << 21 | 0x87).to_le_bytes());
        }
        machine
    }

    /// The same machine at privilege level 3.
    pub(crate) fn user(mut self) -> Machine {
        let state = &mut self.cpu.state;
        let weaken = |segment: &mut Segment, selector| {
            *segment = Segment { selector, access: Access(segment.access.0 | 3 << 5), ..*segment };
        };
        for (register, segment) in state.segs[..6].iter_mut().enumerate() {
            let code = register == usize::from(seg::CS);
            weaken(segment, if code { selector::USER_CODE } else { selector::USER_DATA });
        }
        state.cpl = 3;
        self.cpu.state_changed();
        self
    }

    fn write_gdt(&mut self, code_flags: u8, tss_access: u8) {
        let descriptors = [
            0,
            flat_descriptor(0x9b, code_flags),
            flat_descriptor(0x93, 0xc),
            flat_descriptor(0xfb, code_flags),
            flat_descriptor(0xf3, 0xc),
            system_descriptor(TSS, 0x67, tss_access),
            0,
        ];
        for (place, descriptor) in descriptors.into_iter().enumerate() {
            self.write(GDT + place as u64 * 8, &u64::to_le_bytes(descriptor));
        }
        self.write(TSS + 0x66, &0x68u16.to_le_bytes());
    }

    /// Adds a descriptor to the GDT.
    pub(crate) fn set_descriptor(&mut self, selector: u16, descriptor: u64) {
        self.write(GDT + u64::from(selector & !7), &descriptor.to_le_bytes());
    }

    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.bus.memory.get_mut(PhysAddr(at), bytes.len()).expect("inside RAM").copy_from_slice(bytes);
    }

    pub(crate) fn read(&mut self, at: u64, count: usize) -> Vec<u8> {
        self.bus.memory.get(PhysAddr(at), count).expect("inside RAM").to_vec()
    }

    pub(crate) fn read16(&mut self, at: u64) -> u16 {
        u16::from_le_bytes(self.read(at, 2).try_into().expect("two bytes"))
    }

    pub(crate) fn read32(&mut self, at: u64) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().expect("four bytes"))
    }

    pub(crate) fn read64(&mut self, at: u64) -> u64 {
        u64::from_le_bytes(self.read(at, 8).try_into().expect("eight bytes"))
    }

    /// Runs `instructions`, or until HLT or shutdown.
    pub(crate) fn run(&mut self, instructions: u64) -> VcpuExit {
        let end = self.cpu.instructions() + instructions;
        loop {
            let left = end.saturating_sub(self.cpu.instructions());
            let exit = self.cpu.run(&mut self.bus, 0, 1000, left);
            if exit != VcpuExit::Yield || self.cpu.instructions() >= end {
                return exit;
            }
        }
    }

    /// Runs until HLT.
    ///
    /// # Panics
    /// The program goes on, or the processor shuts down.
    pub(crate) fn run_to_halt(&mut self) {
        let exit = self.run(10_000);
        assert_eq!(exit, VcpuExit::Halt, "{}", crate::dump(&self.cpu.state));
    }

    /// Runs until HLT, which must be that of a handler: its vector.
    pub(crate) fn run_to_vector(&mut self) -> u8 {
        self.run_to_halt();
        let state = &self.cpu.state;
        let base = state.segs[usize::from(seg::CS)].base;
        let at = base + state.rip - 1 - HANDLERS;
        assert_eq!(at % 16, 0, "stopped outside the handlers:\n{}", crate::dump(state));
        (at / 16) as u8
    }

    pub(crate) fn reg(&self, number: usize) -> u64 {
        self.cpu.state.regs.get(number)
    }

    pub(crate) fn set_reg(&mut self, number: usize, value: u64) {
        self.cpu.state.regs.set(number, value);
    }
}

fn set_flat_segments(state: &mut State, code: u32) {
    for register in 0..6 {
        let (selector, access) =
            if register == usize::from(seg::CS) { (selector::CODE, code) } else { (selector::DATA, 0xc093) };
        state.segs[register] = Segment { selector, base: 0, limit: u32::MAX, access: Access(access) };
    }
    state.gdtr = DescriptorTable { base: GDT, limit: 0xff };
    state.idtr = DescriptorTable { base: IDT, limit: 0xfff };
    state.tr = Segment { selector: selector::TSS, base: TSS, limit: 0x67, access: Access(0x8b) };
}
