//! Our processor, in 64-bit mode at privilege level 0, with the same pages at the same addresses.
//!
//! The code page is filled with HLT, and every exception leads to a HLT of its own on an interrupt stack, so a run
//! always ends halted.

use cpu::{Cpu, CpuModel, DescriptorTable, Segment, control};
use platform::{AccessSize, Backing, Bus, GuestMemory, MsrAnswer, Nanos, PhysAddr, Vcpu, VcpuExit};

use x86::Width;

use crate::case::{Case, Outcome, Registers};
use crate::{CODE, DATA, DATA_WINDOW, ENTRY, PAGE, STACK, STACK_WINDOW};

const HLT: u8 = 0xf4;
const MEMORY_BYTES: u64 = 0x2_0000;
const PML4: u64 = 0x1_0000;
const PDPT: u64 = 0x1_1000;
const DIRECTORY: u64 = 0x1_2000;
const TABLE: u64 = 0x1_3000;
const GDT: u64 = 0x1_4000;
const TSS: u64 = 0x1_4100;
const IDT: u64 = 0x1_5000;
const HANDLERS: u64 = 0x1_6000;
const INTERRUPT_STACK: u64 = 0x1_7000;
const CODE_SELECTOR: u16 = 8;
const DATA_SELECTOR: u16 = 16;
const VECTORS: u64 = 32;
/// Vectors that push an error code (Intel SDM vol. 3, table 6-1).
const WITH_ERROR_CODE: [u64; 7] = [8, 10, 11, 12, 13, 14, 17];
/// Instructions after which a case that has not halted is taken for hung.
const BUDGET: u64 = 16;

/// A board with memory and nothing else.
struct Board {
    memory: GuestMemory,
}

impl Bus for Board {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }
    fn backing(&self, addr: PhysAddr) -> Backing {
        if addr.0 < MEMORY_BYTES { Backing::Ram(addr.0 as usize) } else { Backing::Mmio }
    }
    fn take_map_changed(&mut self) -> bool {
        false
    }
    fn mmio_read(&mut self, _addr: PhysAddr, size: AccessSize, _now: Nanos) -> u64 {
        size.ones()
    }
    fn mmio_write(&mut self, _addr: PhysAddr, _size: AccessSize, _value: u64, _now: Nanos) {}
    fn pio_read(&mut self, _port: u16, size: AccessSize, _now: Nanos) -> u32 {
        size.ones() as u32
    }
    fn pio_write(&mut self, _port: u16, _size: AccessSize, _value: u32, _now: Nanos) {}
    fn interrupt_asserted(&self) -> bool {
        false
    }
    fn take_nmi(&mut self) -> bool {
        false
    }
    fn acknowledge_interrupt(&mut self, _now: Nanos) -> Option<u8> {
        None
    }
    fn apic_msr_read(&mut self, _msr: u32, _tsc: u64, _now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }
    fn apic_msr_write(&mut self, _msr: u32, _value: u64, _tsc: u64, _now: Nanos) -> MsrAnswer {
        MsrAnswer::Fault
    }
    fn task_priority(&self) -> u8 {
        0
    }
    fn set_task_priority(&mut self, _cr8: u8, _now: Nanos) {}
}

/// Our processor on its board.
pub struct Guest {
    cpu: Cpu,
    board: Board,
}

impl Guest {
    /// Sets up memory and mode.
    ///
    /// # Panics
    /// The host has no memory left.
    #[must_use]
    pub fn new() -> Guest {
        let memory = GuestMemory::new(MEMORY_BYTES).expect("a little memory");
        let mut guest = Guest { cpu: Cpu::of_model(CpuModel::X86_64V3), board: Board { memory } };
        guest.build_page_tables();
        guest.build_descriptor_tables();
        guest.enter_long_mode();
        guest
    }

    /// Runs the one instruction of `case`.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.bytes(CODE, PAGE).fill(HLT);
        self.write(ENTRY, &case.code);
        self.write(DATA_WINDOW.start, &case.data);
        self.write(STACK_WINDOW.start, &case.stack);
        self.load(&case.registers);
        self.enter_mode(case.mode);
        self.cpu.forget_derived();
        self.cpu.state_changed();
        let exit = self.cpu.run(&mut self.board, 0, 0, BUDGET);
        let mut registers = self.store();
        let mut exception = None;
        if exit != VcpuExit::Halt {
            // Not one of the architecture's: makes the comparison fail and tells why.
            exception = Some(0xff);
        } else if (HANDLERS..HANDLERS + VECTORS).contains(&(registers.rip - 1)) {
            exception = Some((registers.rip - 1 - HANDLERS) as u8);
            self.undo_delivery(&mut registers);
        } else {
            registers.rip -= 1;
        }
        let window = |guest: &mut Guest, range: core::ops::Range<u64>| {
            guest.bytes(range.start, range.end - range.start).to_vec()
        };
        Outcome { exception, registers, data: window(self, DATA_WINDOW), stack: window(self, STACK_WINDOW) }
    }

    /// Takes RIP, RFLAGS and RSP from the frame that delivery pushed.
    fn undo_delivery(&mut self, registers: &mut Registers) {
        let vector = registers.rip - 1 - HANDLERS;
        let frame = registers.gpr[4] + if WITH_ERROR_CODE.contains(&vector) { 8 } else { 0 };
        registers.rip = self.read(frame);
        registers.rflags = self.read(frame + 16);
        registers.gpr[4] = self.read(frame + 24);
    }

    fn bytes(&mut self, at: u64, bytes: u64) -> &mut [u8] {
        self.board.memory.get_mut(PhysAddr(at), bytes as usize).expect("an address of this module's")
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        self.bytes(at, bytes.len() as u64).copy_from_slice(bytes);
    }

    fn write_qword(&mut self, at: u64, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    fn read(&mut self, at: u64) -> u64 {
        self.bytes(at, 8).iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    fn build_page_tables(&mut self) {
        const PRESENT_WRITABLE: u64 = 3;
        self.write_qword(PML4, PDPT | PRESENT_WRITABLE);
        self.write_qword(PDPT, DIRECTORY | PRESENT_WRITABLE);
        self.write_qword(DIRECTORY, TABLE | PRESENT_WRITABLE);
        let pages = [GDT, IDT, HANDLERS, INTERRUPT_STACK, CODE, DATA, DATA + PAGE, STACK];
        for page in pages {
            self.write_qword(TABLE + page / PAGE * 8, page | PRESENT_WRITABLE);
        }
    }

    fn build_descriptor_tables(&mut self) {
        const CODE_64: u64 = 0x00af_9b00_0000_ffff;
        const DATA_FLAT: u64 = 0x00cf_9300_0000_ffff;
        self.write_qword(GDT + u64::from(CODE_SELECTOR), CODE_64);
        self.write_qword(GDT + u64::from(DATA_SELECTOR), DATA_FLAT);
        const IST1: u64 = 36;
        self.write_qword(TSS + IST1, INTERRUPT_STACK + PAGE);
        const PRESENT_INTERRUPT_GATE_IST1: u64 = 0x8e01 << 32;
        for vector in 0..VECTORS {
            let handler = HANDLERS + vector;
            let offset = handler & 0xffff | handler >> 16 << 48;
            let gate = offset | u64::from(CODE_SELECTOR) << 16 | PRESENT_INTERRUPT_GATE_IST1;
            self.write_qword(IDT + 16 * vector, gate);
        }
        self.bytes(HANDLERS, PAGE).fill(HLT);
    }

    fn enter_long_mode(&mut self) {
        let state = &mut self.cpu.state;
        let segment = |selector, rights| Segment { selector, base: 0, limit: u32::MAX, access: cpu::Access(rights) };
        const DATA_FLAT: u32 = 0xc093;
        const TSS_BUSY: u32 = 0x8b;
        for place in [0, 2, 3, 4, 5] {
            state.segs[place] = segment(DATA_SELECTOR, DATA_FLAT);
        }
        state.tr = Segment { selector: 0x18, base: TSS, limit: 0x67, access: cpu::Access(TSS_BUSY) };
        state.gdtr = DescriptorTable { base: GDT, limit: 0x27 };
        state.idtr = DescriptorTable { base: IDT, limit: (16 * VECTORS - 1) as u16 };
        state.cpl = 0;
        state.cr0 = control::CR0_PE | control::CR0_PG | control::CR0_ET | control::CR0_NE | control::CR0_MP;
        state.cr3 = PML4;
        state.cr4 = control::CR4_PAE | control::CR4_OSFXSR | control::CR4_OSXMMEXCPT | control::CR4_OSXSAVE;
        const X87_SSE_AVX: u64 = 7;
        state.xcr0 = X87_SSE_AVX;
        state.msrs.efer = control::EFER_LME | control::EFER_LMA | control::EFER_SCE | control::EFER_NXE;
    }

    /// Loads a flat code segment of the width; handlers run in the one of the descriptor table.
    fn enter_mode(&mut self, mode: Width) {
        const CODE: u32 = 0x809b;
        const BIG: u32 = 1 << 14;
        const LONG: u32 = 1 << 13;
        let width = match mode {
            Width::W64 => LONG,
            Width::W32 => BIG,
            _ => 0,
        };
        let access = cpu::Access(CODE | width);
        self.cpu.state.segs[1] = Segment { selector: CODE_SELECTOR, base: 0, limit: u32::MAX, access };
    }

    fn load(&mut self, registers: &Registers) {
        let state = &mut self.cpu.state;
        for (number, &value) in registers.gpr.iter().enumerate() {
            state.regs.set(number, value);
        }
        state.rip = registers.rip;
        state.set_rflags(registers.rflags);
        state.halted = false;
        for n in 0..16 {
            state.xmm[n] = registers.xmm(n);
        }
        state.ymm_high = registers.ymm_high;
        state.mxcsr = registers.mxcsr();
        let (control, status, tags) = registers.x87_words();
        (state.x87.control, state.x87.status) = (control, status);
        state.x87.tags = 0;
        let top = usize::from(status >> 11 & 7);
        for n in 0..8 {
            state.x87.registers[(top + n) & 7] = registers.st(n);
            const EMPTY: u16 = 3;
            if tags >> n & 1 == 0 {
                state.x87.tags |= EMPTY << (2 * n);
            }
        }
    }

    fn store(&self) -> Registers {
        let state = &self.cpu.state;
        let mut registers = Registers::new();
        for (number, value) in registers.gpr.iter_mut().enumerate() {
            *value = state.regs.get(number);
        }
        registers.rip = state.rip;
        registers.rflags = state.rflags();
        for n in 0..16 {
            registers.set_xmm(n, state.xmm[n]);
        }
        registers.ymm_high = state.ymm_high;
        registers.set_mxcsr(state.mxcsr);
        let x87 = &state.x87;
        let top = usize::from(x87.status >> 11 & 7);
        let mut tags = 0;
        for n in 0..8 {
            registers.set_st(n, x87.registers[(top + n) & 7]);
            if x87.tags >> (2 * n) & 3 != 3 {
                tags |= 1 << n;
            }
        }
        registers.set_x87_words((x87.control, x87.status, tags));
        registers
    }
}

impl Default for Guest {
    fn default() -> Guest {
        Guest::new()
    }
}
