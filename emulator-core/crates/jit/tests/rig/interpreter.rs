//! The interpreter, through the processor's public face.

use cpu::{Access, Cpu, CpuModel, DescriptorTable, Segment, control};
use platform::{Backing, Bus, GuestMemory, PhysAddr, Vcpu, VcpuExit};
use x86::{Width, seg};

use super::{CODE, Case, DATA, DATA_BYTES, End, FLAGS, FS_BASE, GS_BASE, Outcome, READ_ONLY};

const RAM_BYTES: u64 = 2 << 20;
/// Supervisor's own pages, where no case reaches: page tables, descriptors, handlers, the exception stack.
const TABLES: u64 = 0x1f_0000;
const GDT: u64 = 0x1f_4000;
const IDT: u64 = 0x1f_5000;
const TSS: u64 = 0x1f_6000;
/// A `HLT` every 16 bytes, for each vector.
const HANDLERS: u64 = 0x1f_7000;
const STACK_TOP: u64 = 0x1f_9000;
const CODE_SELECTOR: u16 = 8;

/// A processor that stays in one mode.
pub struct Interpreter {
    cpu: Cpu,
    board: Board,
}

impl Interpreter {
    pub fn new(mode: Width) -> Interpreter {
        let mut board = Board { memory: GuestMemory::new(RAM_BYTES).unwrap() };
        let long = mode == Width::W64;
        write_page_tables(&mut board, long);
        write_descriptors(&mut board);
        let mut cpu = Cpu::of_model(CpuModel::X86_64V3);
        let state = &mut cpu.state;
        state.cr0 = control::CR0_PE | control::CR0_PG | control::CR0_WP | control::CR0_ET;
        state.cr3 = TABLES;
        if long {
            state.cr4 = control::CR4_PAE;
            state.msrs.efer = control::EFER_LME | control::EFER_LMA;
        }
        let data = Segment { selector: 0x10, base: 0, limit: u32::MAX, access: Access(0xc093) };
        for number in [seg::ES, seg::SS, seg::DS, seg::FS, seg::GS] {
            state.segs[usize::from(number)] = data;
        }
        state.segs[usize::from(seg::CS)] = Segment {
            selector: CODE_SELECTOR,
            base: 0,
            limit: u32::MAX,
            access: Access(if long { 0xa09b } else { 0xc09b }),
        };
        state.segs[usize::from(seg::FS)].base = FS_BASE;
        state.segs[usize::from(seg::GS)].base = GS_BASE;
        state.idtr = DescriptorTable { base: IDT, limit: if long { 0xfff } else { 0 } };
        state.gdtr = DescriptorTable { base: GDT, limit: 0xff };
        state.tr = Segment { selector: 0x20, base: TSS, limit: 0x67, access: Access(0x8b) };
        Interpreter { cpu, board }
    }

    /// Runs the block of `case`, and says how it ended.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.board.put(CODE, &case.code);
        self.board.put(DATA, &case.data);
        for (number, &value) in case.registers.iter().enumerate() {
            self.cpu.state.regs.set(number, value);
        }
        self.cpu.state.set_rflags(case.rflags);
        self.cpu.state.rip = CODE;
        self.cpu.state.halted = false;
        self.cpu.forget_derived();
        self.cpu.state_changed();
        let exit = self.cpu.run(&mut self.board, 0, 1000, 1);
        let mut registers = core::array::from_fn(|number| self.cpu.state.regs.get(number));
        let mut rflags = self.cpu.state.rflags();
        let rip = self.cpu.state.rip;
        let mut end = if exit == VcpuExit::Shutdown { End::Shutdown } else { End::At(rip) };
        if (HANDLERS..HANDLERS + 0x200).contains(&rip) {
            let vector = ((rip - HANDLERS) / 16) as u8;
            // The frame is RIP, CS, RFLAGS, RSP, SS, below it an error code where the vector has one.
            let frame = STACK_TOP - 40;
            end = End::Exception(vector, self.board.word(frame));
            rflags = self.board.word(frame + 16);
            registers[4] = self.board.word(frame + 24);
        }
        if end == End::Shutdown {
            // Only a reset leads out of it.
            *self = Interpreter::new(case.mode);
        }
        let data = self.board.memory.get(PhysAddr(DATA), DATA_BYTES as usize).unwrap().to_vec();
        Outcome { registers, rflags: rflags & FLAGS, data, end }
    }
}

/// 4-level page tables, or those of 32-bit paging; the last level maps the first 2 MiB either way.
fn write_page_tables(board: &mut Board, long: bool) {
    const PRESENT_WRITABLE: u64 = 3;
    let (upper_levels, entry_bytes) = if long { (3, 8) } else { (1, 4) };
    for level in 0..upper_levels {
        board.put_word(TABLES + level * 0x1000, (TABLES + (level + 1) * 0x1000) | PRESENT_WRITABLE);
    }
    let mut map = |page: u64, flags: u64| {
        let entry = (page | flags).to_le_bytes();
        let at = TABLES + upper_levels * 0x1000 + (page >> 12) * entry_bytes;
        board.put(at, &entry[..entry_bytes as usize]);
    };
    for page in (DATA..DATA + DATA_BYTES).step_by(0x1000) {
        map(page, if page < READ_ONLY { PRESENT_WRITABLE } else { 1 });
    }
    map(CODE, 1);
    for page in (TABLES..STACK_TOP).step_by(0x1000) {
        map(page, PRESENT_WRITABLE);
    }
}

/// Descriptors and, for 64-bit mode, a handler for every exception.
fn write_descriptors(board: &mut Board) {
    board.put_word(GDT + u64::from(CODE_SELECTOR), 0x00af_9b00_0000_ffff);
    board.put_word(TSS + 36, STACK_TOP);
    for vector in 0..32 {
        let handler = HANDLERS + vector * 16;
        board.put(handler, &[0xf4]);
        // A present interrupt gate with IST 1.
        let low = handler & 0xffff | u64::from(CODE_SELECTOR) << 16 | 0x8e01 << 32 | (handler >> 16 & 0xffff) << 48;
        board.put_word(IDT + vector * 16, low);
        board.put_word(IDT + vector * 16 + 8, handler >> 32);
    }
}

/// Memory and nothing else.
struct Board {
    memory: GuestMemory,
}

impl Board {
    fn put(&mut self, address: u64, bytes: &[u8]) {
        self.memory.get_mut(PhysAddr(address), bytes.len()).unwrap().copy_from_slice(bytes);
    }

    fn put_word(&mut self, address: u64, value: u64) {
        self.put(address, &value.to_le_bytes());
    }

    fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.memory.get(PhysAddr(address), 8).unwrap().try_into().unwrap())
    }
}

impl Bus for Board {
    fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    fn backing(&self, addr: PhysAddr) -> Backing {
        if addr.0 < RAM_BYTES { Backing::Ram(addr.page().0 as usize) } else { Backing::Mmio }
    }
}
