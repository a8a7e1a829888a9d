//! Our processor, where Linux has the host's: in user mode, with the same segments and pages at the same addresses.
//!
//! The code page is filled with INT3, and every exception leads to a HLT of its own at privilege level 0, on an interrupt
//! stack, so a run always ends halted.

use cpu::compiled::{FORCED, Translator};
use cpu::{Cpu, CpuModel, DescriptorTable, Segment, control};
use platform::{Backing, Bus, GuestMemory, PhysAddr, Vcpu, VcpuExit};

use x86::{Width, seg};

use crate::case::{Case, ENDLESS, FLAT_DATA, Fault, MEMORY_BYTES, Outcome, Registers, XSAVE_COMPONENTS, code_selector};
use crate::{CODE, DATA, ENTRY, FS_BASE, GS_BASE, PAGE, Processor, STACK};

const INT3: u8 = 0xcc;
const HLT: u8 = 0xf4;
/// The kernel's memory lies at its physical address from here on.
const KERNEL: u64 = 0xffff_8000_0000_0000;
const MEMORY_SIZE: u64 = 0x2_0000;
const PML4: u64 = 0x1_0000;
const USER_PDPT: u64 = 0x1_1000;
const USER_DIRECTORY: u64 = 0x1_2000;
const USER_TABLE: u64 = 0x1_3000;
const KERNEL_PDPT: u64 = 0x1_4000;
const KERNEL_DIRECTORY: u64 = 0x1_5000;
const KERNEL_TABLE: u64 = 0x1_6000;
const DESCRIPTORS: u64 = 0x1_7000;
const GDT: u64 = DESCRIPTORS;
const LDT: u64 = DESCRIPTORS + 0x100;
const TSS: u64 = DESCRIPTORS + 0x200;
const IDT: u64 = DESCRIPTORS + 0x400;
const HANDLERS: u64 = 0x1_8000;
const INTERRUPT_STACK: u64 = 0x1_9000;
const KERNEL_CODE: u16 = 0x10;
const VECTORS: u64 = 32;
const PAGE_FAULT: u8 = 14;
const BREAKPOINT: u8 = 3;
/// Vectors that push an error code (Intel SDM vol. 3, table 6-1).
const WITH_ERROR_CODE: [u64; 7] = [8, 10, 11, 12, 13, 14, 17];
/// Instructions after which a case that has not ended is taken for endless.
const BUDGET: u64 = 1 << 14;

/// What Linux has in the descriptor tables, as far as programs may use it: 32-bit code, data and 64-bit code of privilege level 3.
const USER_SEGMENTS: [(u64, u64); 4] = [
    (GDT + 0x10, 0x00af_9b00_0000_ffff),
    (GDT + 0x20, 0x00cf_fb00_0000_ffff),
    (GDT + 0x28, 0x00cf_f300_0000_ffff),
    (GDT + 0x30, 0x00af_fb00_0000_ffff),
];
/// The 16-bit code segment a process asks for.
const CODE_16: u64 = 0x008f_fb00_0000_ffff;

/// A board with memory and nothing else.
struct Board {
    memory: GuestMemory,
}

impl Bus for Board {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        if addr.0 < MEMORY_SIZE { Backing::Ram(addr.0 as usize) } else { Backing::Mmio }
    }
}

/// Our processor on its board.
pub struct Guest {
    cpu: Cpu,
    board: Board,
    scratch: Vec<u8>,
    /// Every case runs twice: code is compiled, and translations known, before the second time.
    twice: bool,
}

impl Guest {
    /// Sets up memory and mode.
    ///
    /// # Panics
    /// The host has no memory left.
    #[must_use]
    pub fn new() -> Guest {
        Guest::of(Cpu::of_model(CpuModel::X86_64V3))
    }

    /// One that runs everything by the generic descriptions, see [`Cpu::generic`].
    ///
    /// # Panics
    /// As [`Guest::new`].
    #[must_use]
    pub fn generic() -> Guest {
        Guest::of(Cpu::of_model(CpuModel::X86_64V3).generic())
    }

    /// One that compiles everything, with `translator`.
    ///
    /// # Panics
    /// As [`Guest::new`].
    #[must_use]
    pub fn compiled(translator: Box<dyn Translator>) -> Guest {
        let mut cpu = Cpu::of_model(CpuModel::X86_64V3);
        cpu.set_translator(translator, FORCED);
        Guest { twice: true, ..Guest::of(cpu) }
    }

    /// Instructions that compiled code has run.
    #[must_use]
    pub fn compiled_instructions(&self) -> u64 {
        let stats = self.cpu.stats();
        stats.compiled_instructions + stats.helped_instructions
    }

    fn of(cpu: Cpu) -> Guest {
        let memory = GuestMemory::new(MEMORY_SIZE).expect("a little memory");
        let board = Board { memory };
        let mut guest = Guest { cpu, board, scratch: vec![0; MEMORY_BYTES], twice: false };
        guest.build_page_tables();
        guest.build_descriptor_tables();
        guest.enter_long_mode();
        guest
    }

    /// Runs `case`.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.prepare(case);
        self.cpu.forget_derived();
        self.cpu.state_changed();
        let mut exit = self.cpu.run(&mut self.board, 0, 0, BUDGET);
        if self.twice {
            self.prepare(case);
            self.cpu.state_changed();
            exit = self.cpu.run(&mut self.board, 0, 0, BUDGET);
        }
        let mut registers = self.store();
        let fault = if exit == VcpuExit::Halt {
            self.undo_delivery(&mut registers)
        } else {
            Some(Fault { vector: ENDLESS, error: 0, address: 0 })
        };
        let parts = [self.part(DATA).to_vec(), self.part(STACK).to_vec()];
        Outcome { fault, registers, memory: parts.concat() }
    }

    fn prepare(&mut self, case: &Case) {
        self.fill(case);
        self.enter_user_mode(case.mode);
        self.load(&case.registers);
    }

    fn fill(&mut self, case: &Case) {
        let length = case.code.len().min((CODE.end - ENTRY) as usize);
        self.part(CODE).fill(INT3);
        self.write(ENTRY, &case.code[..length]);
        let mut scratch = core::mem::take(&mut self.scratch);
        case.fill(&mut scratch);
        let (data, stack) = scratch.split_at((DATA.end - DATA.start) as usize);
        self.part(DATA).copy_from_slice(data);
        self.part(STACK).copy_from_slice(stack);
        self.scratch = scratch;
    }

    /// Takes what delivery of an exception changed from the frame it pushed; gives the exception, where it is not the
    /// breakpoint that ends a case.
    fn undo_delivery(&mut self, registers: &mut Registers) -> Option<Fault> {
        let vector = registers.rip - 1 - (KERNEL + HANDLERS);
        let mut frame = registers.gpr[4] - KERNEL;
        let mut fault = Fault { vector: vector as u8, error: 0, address: 0 };
        if WITH_ERROR_CODE.contains(&vector) {
            fault.error = self.read(frame) as u32;
            frame += 8;
        }
        if fault.vector == PAGE_FAULT {
            fault.address = self.cpu.state.cr2;
        }
        registers.rip = self.read(frame);
        registers.selectors[usize::from(seg::CS)] = self.read(frame + 8) as u16;
        registers.rflags = self.read(frame + 16);
        registers.gpr[4] = self.read(frame + 24);
        registers.selectors[usize::from(seg::SS)] = self.read(frame + 32) as u16;
        if fault.vector == BREAKPOINT {
            registers.rip -= 1;
            return None;
        }
        Some(fault)
    }

    fn bytes(&mut self, at: u64, bytes: u64) -> &mut [u8] {
        self.board.memory.get_mut(PhysAddr(at), bytes as usize).expect("an address of this module's")
    }

    fn part(&mut self, range: core::ops::Range<u64>) -> &mut [u8] {
        self.bytes(range.start, range.end - range.start)
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
        const PRESENT: u64 = 1;
        const WRITABLE: u64 = 2;
        const USER: u64 = 4;
        const NO_EXECUTE: u64 = 1 << 63;
        const ALL: u64 = PRESENT | WRITABLE | USER;
        self.write_qword(PML4, USER_PDPT | ALL);
        self.write_qword(USER_PDPT, USER_DIRECTORY | ALL);
        self.write_qword(USER_DIRECTORY, USER_TABLE | ALL);
        self.write_qword(USER_TABLE + CODE.start / PAGE * 8, CODE.start | PRESENT | USER);
        for page in [DATA.start, DATA.start + PAGE, STACK.start] {
            self.write_qword(USER_TABLE + page / PAGE * 8, page | ALL | NO_EXECUTE);
        }
        let entry = |linear: u64, shift: u32| (linear >> shift & 0x1ff) * 8;
        self.write_qword(PML4 + entry(KERNEL, 39), KERNEL_PDPT | PRESENT | WRITABLE);
        self.write_qword(KERNEL_PDPT + entry(KERNEL, 30), KERNEL_DIRECTORY | PRESENT | WRITABLE);
        self.write_qword(KERNEL_DIRECTORY + entry(KERNEL, 21), KERNEL_TABLE | PRESENT | WRITABLE);
        for page in [DESCRIPTORS, HANDLERS, INTERRUPT_STACK] {
            self.write_qword(KERNEL_TABLE + page / PAGE * 8, page | PRESENT | WRITABLE);
        }
    }

    fn build_descriptor_tables(&mut self) {
        for (place, descriptor) in USER_SEGMENTS {
            self.write_qword(place, descriptor);
        }
        self.write_qword(LDT, CODE_16);
        const IST1: u64 = 36;
        self.write_qword(TSS + IST1, KERNEL + INTERRUPT_STACK + PAGE);
        // No I/O permission bitmap: it begins behind the limit.
        const IO_MAP_BASE: u64 = 0x66;
        self.write(TSS + IO_MAP_BASE, &[0xff; 2]);
        for vector in 0..VECTORS {
            const PRESENT_INTERRUPT_GATE_IST1: u64 = 0x8e01 << 32;
            const FOR_USERS: u64 = 3 << 45;
            // Linux lets programs use INT3 and INTO.
            let rights = PRESENT_INTERRUPT_GATE_IST1 | if matches!(vector, 3 | 4) { FOR_USERS } else { 0 };
            let handler = KERNEL + HANDLERS + vector;
            let offset = handler & 0xffff | (handler >> 16 & 0xffff) << 48;
            self.write_qword(IDT + 16 * vector, offset | u64::from(KERNEL_CODE) << 16 | rights);
            self.write_qword(IDT + 16 * vector + 8, handler >> 32);
        }
        self.bytes(HANDLERS, PAGE).fill(HLT);
    }

    fn enter_long_mode(&mut self) {
        let state = &mut self.cpu.state;
        const LDT_RIGHTS: u32 = 0x82;
        const TSS_BUSY: u32 = 0x8b;
        state.ldtr = Segment { selector: 0x50, base: KERNEL + LDT, limit: 7, access: cpu::Access(LDT_RIGHTS) };
        state.tr = Segment { selector: 0x40, base: KERNEL + TSS, limit: 0x67, access: cpu::Access(TSS_BUSY) };
        state.gdtr = DescriptorTable { base: KERNEL + GDT, limit: 0x7f };
        state.idtr = DescriptorTable { base: KERNEL + IDT, limit: (16 * VECTORS - 1) as u16 };
        state.cr0 = control::CR0_PE
            | control::CR0_PG
            | control::CR0_ET
            | control::CR0_NE
            | control::CR0_MP
            | control::CR0_WP
            | control::CR0_AM;
        state.cr3 = PML4;
        state.cr4 = control::CR4_PAE | control::CR4_OSFXSR | control::CR4_OSXMMEXCPT | control::CR4_UMIP;
        state.cr4 |= control::CR4_OSXSAVE | control::CR4_FSGSBASE;
        state.xcr0 = XSAVE_COMPONENTS;
        state.msrs.efer = control::EFER_LME | control::EFER_LMA | control::EFER_SCE | control::EFER_NXE;
    }

    /// Privilege level 3, with the segments Linux gives a 64-bit process and a code segment of the width.
    fn enter_user_mode(&mut self, mode: Width) {
        const CODE: u32 = 0x80fb;
        const BIG: u32 = 1 << 14;
        const LONG: u32 = 1 << 13;
        const DATA_FLAT: u32 = 0xc0f3;
        let width = match mode {
            Width::W64 => LONG,
            Width::W32 => BIG,
            _ => 0,
        };
        let state = &mut self.cpu.state;
        let flat = |selector, rights| Segment { selector, base: 0, limit: u32::MAX, access: cpu::Access(rights) };
        let null = |base| Segment { selector: 0, base, limit: 0, access: cpu::Access(cpu::Access::UNUSABLE) };
        for place in [seg::ES, seg::SS, seg::DS] {
            state.segs[usize::from(place)] = flat(FLAT_DATA, DATA_FLAT);
        }
        state.segs[usize::from(seg::CS)] = flat(code_selector(mode), CODE | width);
        state.segs[usize::from(seg::FS)] = null(FS_BASE);
        state.segs[usize::from(seg::GS)] = null(GS_BASE);
        state.cpl = 3;
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
        (state.x87.opcode, state.x87.ip, state.x87.cs, state.x87.dp, state.x87.ds) = (0, 0, 0, 0, 0);
    }

    fn store(&self) -> Registers {
        let state = &self.cpu.state;
        let mut registers = Registers::new();
        for (number, value) in registers.gpr.iter_mut().enumerate() {
            *value = state.regs.get(number);
        }
        for (selector, segment) in registers.selectors.iter_mut().zip(&state.segs) {
            *selector = segment.selector;
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
        registers.set_x87_ip(x87.ip);
        registers.set_x87_operation((x87.opcode, x87.dp));
        registers
    }
}

impl Processor for Guest {
    fn run(&mut self, case: &Case) -> Outcome {
        Guest::run(self, case)
    }
}

impl Default for Guest {
    fn default() -> Guest {
        Guest::new()
    }
}
