//! Everything that loads a segment register, with descriptors, gates and stack frames of the input: whatever they are, the
//! registers afterwards are ones that the manual's checks let through (Intel SDM vol. 3, chapter 5).

use cpu::{Segment, State, control as c, eflags};
use platform::VcpuExit;

use super::Target;
use crate::board::{Board, flat, table};
use crate::input::Input;

pub(super) const TARGET: Target = Target { name: "descriptors", run, seeds, longest: 400, bounded: 6_000 };

const CODE: u64 = 0x1000;
const GDT: u64 = 0x3000;
const LDT: u64 = 0x3800;
const IDT: u64 = 0x4000;
const TSS: u64 = 0x6000;
const TASK: u64 = 0x6800;
const STACK: u64 = 0x7f00;
const DATA: u64 = 0x9000;
const HANDLER: u64 = 0xa000;
/// Descriptors in each table.
const ENTRIES: u64 = 16;
const CODE_SELECTOR: u16 = 0x08;
const STACK_SELECTOR: u16 = 0x10;
const TSS_SELECTOR: u16 = 0x18;
/// The first descriptor of the input.
const FIRST: u64 = 5;

/// The instructions; their operands lie at [`DATA`] or on the stack, or are AX.
const INSTRUCTIONS: [&[u8]; 24] = [
    &[0x8e, 0xd8],       // MOV DS, AX
    &[0x8e, 0xc0],       // MOV ES, AX
    &[0x8e, 0xd0],       // MOV SS, AX
    &[0x8e, 0xe0],       // MOV FS, AX
    &[0xff, 0x2b],       // JMP m16:32
    &[0xff, 0x1b],       // CALL m16:32
    &[0xcb],             // RETF
    &[0xca, 8, 0],       // RETF 8
    &[0xcf],             // IRET
    &[0x66, 0xcf],       // IRET, 16 bits
    &[0x48, 0xcf],       // IRETQ
    &[0xcd, 0x20],       // INT
    &[0xcd, 0x21],       // INT
    &[0xcc],             // INT3
    &[0x0f, 0x0b],       // UD2
    &[0x0f, 0x00, 0xd0], // LLDT AX
    &[0x0f, 0x00, 0xd8], // LTR AX
    &[0x0f, 0x02, 0xc8], // LAR ECX, AX
    &[0x0f, 0x03, 0xc8], // LSL ECX, AX
    &[0x0f, 0x00, 0xe0], // VERR AX
    &[0x0f, 0x00, 0xe8], // VERW AX
    &[0x0f, 0xb2, 0x0b], // LSS ECX, m16:32
    &[0x1f],             // POP DS
    &[0x17],             // POP SS
];

fn seeds() -> Vec<Vec<u8>> {
    // Every instruction in every mode and level, with descriptors of all types.
    let mut seeds = Vec::new();
    for instruction in 0..INSTRUCTIONS.len() as u8 {
        for setting in 0..6 {
            let mut seed = vec![setting % 3, setting / 3, instruction];
            seed.extend((0..200u8).map(|n| n.wrapping_mul(37).wrapping_add(instruction)));
            seeds.push(seed);
        }
    }
    seeds
}

/// Where an instruction runs.
#[derive(Clone, Copy)]
struct Setting {
    /// IA-32e mode.
    long: bool,
    /// Its compatibility mode.
    compatible: bool,
    level: u8,
}

fn run(input: &[u8]) {
    let mut input = Input(input);
    let mut board = Board::new();
    let mode = input.byte() % 3;
    let setting = Setting { long: mode != 0, compatible: mode == 2, level: if input.flag() { 3 } else { 0 } };
    let instruction = INSTRUCTIONS[input.below(INSTRUCTIONS.len())];
    board.write(CODE, instruction);
    board.write(CODE + instruction.len() as u64, &[0xeb, 0xfe]);
    tables(&mut board, setting, &mut input);
    let mut state = cpu::Cpu::new().state;
    let (flags, ax) = (u64::from(input.word()), selector(&mut board, &mut input));
    enter(&mut state, setting, flags, ax);
    let mut exit = board.step(|target| *target = state.clone());
    let (after, same_task) = (&board.cpu.state, board.cpu.state.tr == state.tr);
    let inward = matches!(instruction, [0xff, 0x1b] | [0xcd, _] | [0xcc]);
    if exit != VcpuExit::Shutdown && same_task && after.rip != HANDLER && !inward {
        assert!(after.cpl >= setting.level, "{instruction:02x?} leads inward\n{}", cpu::dump(after));
    }
    for _ in 0..6 {
        if exit == VcpuExit::Shutdown {
            return;
        }
        check(&board.cpu.state, instruction);
        exit = board.step(|_| {});
    }
}

/// What no sequence of checked loads can produce.
fn check(state: &State, instruction: &[u8]) {
    let complain = |what: &str| panic!("{what} after {instruction:02x?}\n{}", cpu::dump(state));
    if state.virtual_8086() {
        if state.cpl != 3 {
            complain("virtual-8086 mode at a level below 3");
        }
        return;
    }
    let [es, cs, ss, ds, fs, gs, _] = state.segs;
    if u16::from(state.cpl) != cs.selector & 3 {
        complain("the current level is not that of CS");
    }
    if !cs.access.unusable() {
        let level = cs.access.dpl();
        let fits = if cs.access.conforming() { level <= state.cpl } else { level == state.cpl };
        if !fits || !cs.access.is_code() || !cs.access.present() {
            complain("CS is not present code for the current level");
        }
        if state.long_mode() && cs.access.long() && cs.access.big() {
            complain("CS has both L and D");
        }
    }
    if !ss.access.unusable() {
        let level = u16::from(state.cpl);
        if ss.access.dpl() != state.cpl || ss.selector & 3 != level || !ss.access.writable() || !ss.access.present() {
            complain("SS is not writable data of the current level");
        }
    }
    for segment in [es, ds, fs, gs] {
        data_segment(&segment, state.cpl, &complain);
    }
    if state.tr.access.code_or_data() || state.tr.access.kind() & 2 == 0 {
        complain("TR is not a busy task");
    }
    if state.system_flags & !eflags::ALL != 0 {
        complain("EFLAGS has bits that do not exist");
    }
}

fn data_segment(segment: &Segment, cpl: u8, complain: &dyn Fn(&str)) {
    let access = segment.access;
    if access.unusable() {
        return;
    }
    if !access.readable() || !access.present() {
        complain("a data segment register holds what cannot be read");
    }
    if !access.conforming() && access.dpl() < cpl {
        complain("a data segment register holds a segment of a stronger level");
    }
    if access.granular() && segment.limit & 0xfff != 0xfff {
        complain("a limit in pages does not end with a page");
    }
}

fn tables(board: &mut Board, setting: Setting, input: &mut Input<'_>) {
    let Setting { long, compatible, level } = setting;
    let code_flags: u64 = if long && !compatible { 0xa } else { 0xc };
    let rights = |access: u64| access | u64::from(level) << 5;
    let segment = |access: u64, flags: u64| 0x000f_0000_0000_ffff | access << 40 | flags << 52;
    board.write64(GDT + u64::from(CODE_SELECTOR), segment(rights(0x9b), code_flags));
    board.write64(GDT + u64::from(STACK_SELECTOR), segment(rights(0x93), 0xc));
    board.write64(GDT + u64::from(TSS_SELECTOR), TSS << 16 | 0x67 | 0x8b << 40);
    // Level 0's own code and stack: what handlers need, the one in the descriptor that 64-bit tasks would take.
    board.write64(GDT + 0x20, segment(0x93, 0xc));
    for table in [GDT, LDT] {
        let first = if table == GDT { FIRST } else { 1 };
        for entry in first..ENTRIES {
            let descriptor = descriptor(input);
            board.write64(table + entry * 8, descriptor);
        }
    }
    if !long {
        // A task that can be switched to from every level.
        board.write64(GDT + (ENTRIES - 2) * 8, TASK << 16 | 0x67 | 0xe9 << 40);
    }
    board.write64(GDT + (ENTRIES - 1) * 8, segment(0x9b, if long { 0xa } else { 0xc }));
    let size = if long { 16 } else { 8 };
    for vector in 0..0x24 {
        let selector = (ENTRIES - 1) * 8;
        let gate = if vector < 0x20 { HANDLER | selector << 16 | 0x8e00 << 32 } else { descriptor(input) };
        board.write64(IDT + vector * size, gate);
    }
    board.write64(TSS + 4, STACK - 0x400);
    if !long {
        board.write32(TSS + 8, 0x20);
    }
    task(board, input);
    board.write(HANDLER, &[0xeb, 0xfe]);
    let selector = selector(board, input);
    board.write64(DATA, choice(input) & 0xffff_ffff | u64::from(selector) << 32);
    frame(board, if long && !compatible { 8 } else { 4 }, input);
    // One to one in 2-MiB pages for everybody.
    board.write64(0x1_0000, 0x1_1007);
    board.write64(0x1_1000, 0x1_2007);
    board.write64(0x1_2000, 0x87);
}

/// A task's image (Intel SDM vol. 3, figure 7-2): instruction pointer and flags, registers, selectors.
fn task(board: &mut Board, input: &mut Input<'_>) {
    board.write32(TASK + 4, (STACK - 0x800) as u32);
    board.write32(TASK + 8, 0x20);
    for field in 8..18 {
        let value = choice(input);
        board.write32(TASK + field * 4, value as u32);
    }
    for field in 18..24 {
        let value = selector(board, input);
        board.write32(TASK + field * 4, u32::from(value));
    }
    let ldt = if input.flag() { selector(board, input) } else { 0 };
    board.write32(TASK + 0x60, u32::from(ldt));
}

/// A frame for `RETF` and `IRET`: pointer, code, flags or stack pointer, stack or its pointer, stack.
fn frame(board: &mut Board, width: u64, input: &mut Input<'_>) {
    for slot in 0..9 {
        let value = if matches!(slot, 1 | 3 | 4) { u64::from(selector(board, input)) } else { choice(input) };
        board.write(STACK - 0x100 + slot * width, &value.to_le_bytes()[..width as usize]);
    }
}

/// An address in use, flags, or an edge.
fn choice(input: &mut Input<'_>) -> u64 {
    input.pick(&[CODE, HANDLER, STACK, DATA, TASK, 0, 2, 0x2_0002, 0x7202, u64::from(u32::MAX), 1 << 47])
}

/// A selector of either table, mostly with the privilege level of its descriptor.
fn selector(board: &mut Board, input: &mut Input<'_>) -> u16 {
    let selector = input.word() & 0x7f;
    let table = if selector & 4 == 0 { GDT } else { LDT };
    let level = board.read64(table + u64::from(selector & !7)) >> 45 & 3;
    if input.byte() & 3 == 0 { selector } else { selector & !3 | level as u16 }
}

/// A descriptor or gate: mostly a type that exists, with a base and a limit in use.
fn descriptor(input: &mut Input<'_>) -> u64 {
    const KINDS: [u64; 16] =
        [0x9b, 0x93, 0x9b, 0x93, 0x9f, 0x99, 0x91, 0x97, 0x89, 0x8b, 0x82, 0x81, 0x84, 0x8c, 0x8e, 0x85];
    const LEVELS: [u64; 4] = [0, 3, 1, 3];
    let choices = input.byte();
    let kind = KINDS[usize::from(choices & 15)] | LEVELS[usize::from(choices >> 4 & 3)] << 5;
    let access = if choices >> 6 == 3 { u64::from(input.byte()) } else { kind };
    let flags: u64 = input.pick(&[0xc, 0xa, 4, 0, 0xe, 8]);
    if access & 0x10 == 0 && access & 7 > 3 {
        let selector = u64::from(input.word() & 0x7c);
        return input.pick(&[CODE, HANDLER]) | selector << 16 | u64::from(input.byte() & 3) << 32 | access << 40;
    }
    let base = if access & 0x10 == 0 { TASK } else { input.pick(&[0, 0, 0, DATA]) };
    let limit = if access & 0x10 == 0 { 0x67u64 } else { input.pick(&[0xf_ffff, 0xf_ffff, 0xffff, 0]) };
    limit & 0xffff | base << 16 | access << 40 | (limit >> 16) << 48 | flags << 52
}

fn enter(state: &mut State, setting: Setting, flags: u64, ax: u16) {
    let Setting { long, compatible, level } = setting;
    state.cr0 = c::CR0_PE | c::CR0_ET;
    if long {
        (state.cr0, state.cr4, state.cr3) = (state.cr0 | c::CR0_PG, c::CR4_PAE, 0x1_0000);
        state.msrs.efer = c::EFER_LME | c::EFER_LMA;
    }
    let rights = u32::from(level) << 5;
    let code = if long && !compatible { 0xa09b } else { 0xc09b };
    for register in 0..6 {
        let (selector, access) = if register == 1 { (CODE_SELECTOR, code) } else { (STACK_SELECTOR, 0xc093) };
        state.segs[register] = flat(selector | u16::from(level), access | rights);
    }
    state.gdtr = table(GDT, (ENTRIES * 8 - 1) as u16);
    state.idtr = table(IDT, 0x24 * if long { 16 } else { 8 } - 1);
    state.ldtr = Segment { base: LDT, limit: (ENTRIES * 8 - 1) as u32, ..flat(0x28, 0x82) };
    state.tr = Segment { base: TSS, limit: 0x67, ..flat(TSS_SELECTOR, 0x8b) };
    state.cpl = level;
    state.set_rflags(flags & (eflags::IOPL | eflags::NT));
    state.rip = CODE;
    state.regs.set(0, u64::from(ax));
    state.regs.set(3, DATA);
    state.regs.set(4, STACK - 0x100);
}
