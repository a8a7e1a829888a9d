//! A processor in one mode, with a few pages, that interprets or compiles.

use cpu::compiled::FORCED;
use cpu::{Access, Cpu, CpuModel, DescriptorTable, Segment, State, control};
use hosted::HostedJit;
use platform::{Backing, Bus, GuestMemory, PhysAddr, Vcpu, VcpuExit};
use x86::{Width, seg};

use super::{CODE, Case, DATA, DATA_BYTES, FS_BASE, GS_BASE, READ_ONLY};

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

/// What a run left behind.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub exit: VcpuExit,
    /// Instructions since the case began.
    pub retired: u64,
    /// Without what no software sees.
    pub state: State,
    pub data: Vec<u8>,
}

impl Outcome {
    /// All of it, as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let state = &self.state;
        let mut lines = vec![format!("{:?} after {}", self.exit, self.retired)];
        lines.extend(cpu::dump(state).lines().map(str::to_owned));
        lines.extend((0..16).map(|n| format!("xmm{n} {:032x} {:032x}", state.ymm_high[n], state.xmm[n])));
        lines.push(format!("mxcsr {:x} cr2 {:x}", state.mxcsr, state.cr2));
        lines.push(format!("{:x?}", state.x87));
        lines.push(format!("{:x?}", state.segs));
        let words = self.data.chunks(8).zip((DATA..).step_by(8));
        lines.extend(words.map(|(word, address)| format!("{address:x}: {word:02x?}")));
        lines
    }
}

/// See the module.
pub struct Processor {
    cpu: Cpu,
    board: Board,
    /// What every case begins with, but for what it says itself.
    initial: State,
    began: u64,
}

impl Processor {
    /// One that interprets.
    pub fn new(mode: Width) -> Processor {
        let mut board = Board { memory: GuestMemory::new(RAM_BYTES).unwrap() };
        let long = mode == Width::W64;
        write_page_tables(&mut board);
        write_descriptors(&mut board, long);
        let mut cpu = Cpu::of_model(CpuModel::X86_64V3);
        let state = &mut cpu.state;
        state.cr0 = control::CR0_PE | control::CR0_PG | control::CR0_WP | control::CR0_ET | control::CR0_NE;
        state.cr4 = control::CR4_PAE | control::CR4_OSFXSR | control::CR4_OSXMMEXCPT | control::CR4_OSXSAVE;
        state.xcr0 = 7;
        state.msrs.efer = control::EFER_NXE;
        // The first level exists in long mode alone.
        state.cr3 = if long { TABLES } else { TABLES + 0x1000 };
        state.pdptes[0] = (TABLES + 0x2000) | 1;
        if long {
            state.msrs.efer |= control::EFER_LME | control::EFER_LMA;
        }
        let data = Segment { selector: 0x10, base: 0, limit: u32::MAX, access: Access(0xc093) };
        for number in [seg::ES, seg::SS, seg::DS, seg::FS, seg::GS] {
            state.segs[usize::from(number)] = data;
        }
        let access = Access(if long { 0xa09b } else { 0xc09b });
        state.segs[usize::from(seg::CS)] = Segment { selector: CODE_SELECTOR, base: 0, limit: u32::MAX, access };
        state.segs[usize::from(seg::FS)].base = FS_BASE;
        state.segs[usize::from(seg::GS)].base = if long { GS_BASE } else { GS_BASE & 0xffff_ffff };
        state.idtr = DescriptorTable { base: IDT, limit: 0xfff };
        state.gdtr = DescriptorTable { base: GDT, limit: 0xff };
        state.tr = Segment { selector: 0x20, base: TSS, limit: 0x67, access: Access(0x8b) };
        let initial = cpu.state.clone();
        Processor { cpu, board, initial, began: 0 }
    }

    /// One that compiles whatever can be, before it runs for the first time.
    pub fn compiling(mode: Width) -> Processor {
        Processor::compiling_at(mode, FORCED)
    }

    /// One that compiles blocks that have been interpreted `hot` times.
    pub fn compiling_at(mode: Width, hot: u32) -> Processor {
        let mut processor = Processor::new(mode);
        processor.cpu.set_translator(Box::new(HostedJit::new()), hot);
        processor
    }

    /// Makes everything as `case` says. The TLB, decoded and compiled code stay: the case is the same as before.
    pub fn set(&mut self, case: &Case) {
        self.board.put(CODE, &case.code);
        self.board.put(DATA, &case.data);
        self.cpu.state = self.initial.clone();
        for (number, &value) in case.registers.iter().enumerate() {
            self.cpu.state.regs.set(number, value);
        }
        self.cpu.state.xmm = case.vectors;
        self.cpu.state.ymm_high = std::array::from_fn(|register| case.vectors[15 - register]);
        self.cpu.state.mxcsr = case.mxcsr;
        self.cpu.state.x87 = case.x87;
        self.cpu.state.set_rflags(case.rflags);
        self.cpu.state.rip = CODE;
        self.cpu.state_changed();
        self.began = self.cpu.instructions();
    }

    /// The same for another case.
    pub fn begin(&mut self, case: &Case) {
        self.cpu.forget_derived();
        self.set(case);
    }

    /// Goes on for `budget` instructions, unless the case ends.
    pub fn run(&mut self, budget: u64) -> Outcome {
        let exit = self.cpu.run(&mut self.board, 0, 1000, budget);
        let mut state = self.cpu.state.clone();
        state.set_rflags(state.rflags());
        state.regs.set(usize::from(x86::RIP_SLOT), 0);
        let retired = self.cpu.instructions() - self.began;
        let data = self.board.memory.get(PhysAddr(DATA), DATA_BYTES as usize).unwrap().to_vec();
        if exit == VcpuExit::Shutdown {
            // Nothing else leads out of it.
            self.cpu.reset();
        }
        Outcome { exit, retired, state, data }
    }

    /// Of all instructions, those that compiled code retired.
    pub fn compiled(&self) -> u64 {
        let stats = self.cpu.stats();
        stats.compiled_instructions + stats.helped_instructions
    }

    /// Has the page at that address there, to be executed, or missing.
    pub fn map_code(&mut self, page: u64, is_there: bool) {
        self.board.map(page, if is_there { PRESENT } else { 0 });
    }

    /// A store to the code's page from outside the case's data.
    pub fn map_writable(&mut self, page: u64) {
        self.board.map(page, PRESENT | WRITABLE);
    }
}

const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const NO_EXECUTE: u64 = 1 << 63;

/// The levels of long mode; without the first, those of PAE paging. The last maps the first 2 MiB.
fn write_page_tables(board: &mut Board) {
    board.put_word(TABLES, (TABLES + 0x1000) | PRESENT | WRITABLE);
    board.put_word(TABLES + 0x1000, (TABLES + 0x2000) | PRESENT | WRITABLE);
    board.put_word(TABLES + 0x2000, (TABLES + 0x3000) | PRESENT | WRITABLE);
    for page in (DATA..DATA + DATA_BYTES).step_by(0x1000) {
        board.map(page, NO_EXECUTE | PRESENT | if page < READ_ONLY { WRITABLE } else { 0 });
    }
    board.map(CODE, PRESENT);
    for page in (TABLES..STACK_TOP).step_by(0x1000) {
        board.map(page, PRESENT | WRITABLE);
    }
}

/// Descriptors, and a handler for every exception.
fn write_descriptors(board: &mut Board, long: bool) {
    let code = if long { 0x00af_9b00_0000_ffff } else { 0x00cf_9b00_0000_ffff };
    board.put_word(GDT + u64::from(CODE_SELECTOR), code);
    board.put_word(GDT + 0x10, 0x00cf_9300_0000_ffff);
    board.put_word(TSS + 36, STACK_TOP);
    for vector in 0..32 {
        let handler = HANDLERS + vector * 16;
        board.put(handler, &[0xf4]);
        // A present interrupt gate; in long mode with IST 1.
        let kind = if long { 0x8e01 } else { 0x8e00 };
        let low = handler & 0xffff | u64::from(CODE_SELECTOR) << 16 | kind << 32 | (handler >> 16 & 0xffff) << 48;
        if long {
            board.put_word(IDT + vector * 16, low);
            board.put_word(IDT + vector * 16 + 8, handler >> 32);
        } else {
            board.put_word(IDT + vector * 8, low);
        }
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

    fn map(&mut self, page: u64, flags: u64) {
        self.put_word(TABLES + 0x3000 + (page >> 12) * 8, page | flags);
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
