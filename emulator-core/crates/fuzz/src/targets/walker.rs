//! The page walker against a second one, written straight from the manual's tables: the same translation, the same
//! accessed and dirty bits, the same fault with the same error code, and not a byte changed beside.

mod model;

use cpu::{State, control as c, eflags};
use platform::VcpuExit;

use super::Target;
use crate::board::{Board, MEMORY, flat, table};
use crate::input::Input;
use model::{Case, Kind, PRESENT, Paging, USER, WRITABLE, tells_fetch, walk};

pub(super) const TARGET: Target = Target { name: "walker", run, seeds, longest: 96, bounded: 15_000 };

/// What the walk itself does not touch: code, IDT and stack, identity-mapped for the level that needs them.
const CODE: u64 = 0x1000;
const IDT: u64 = 0x2000;
const GDT: u64 = 0x3000;
const STACK: u64 = 0x4ff0;
const TSS: u64 = 0x5000;
const HANDLER: u64 = 0x6000;
/// The fixed part of the page tables.
const FIXED: [u64; 4] = [0x8000, 0x9000, 0xa000, 0xb000];
/// Tables and pages that entries of the input point to, and one that is not there.
const FRAMES: [u64; 6] = [0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000, 0x1_4000, 0x4000_0000];
const PAGE_FAULT: u64 = 14;
const CODE_SELECTOR: u16 = 8;
const DATA_SELECTOR: u16 = 16;
/// In AL.
const VALUE: u8 = 0x5a;
/// Accessed and dirty.
const MARKS: u64 = 0x60;

fn seeds() -> Vec<Vec<u8>> {
    // Mode, kind, level, switches and address; then four entries of four bytes: all rights, in every mode.
    let mut seeds = Vec::new();
    for paging in 0..3 {
        for kind in 0..3 {
            for user in 0..2 {
                let entries = [[0u8, 0x67, 0, 0], [1, 0x67, 0, 0], [2, 0x67, 0, 0], [3, 0x67, 0, 0]].concat();
                seeds.push([&[paging, kind, user, 0, 0, 0, 0][..], &[0x40; 6], &entries].concat());
            }
        }
    }
    seeds
}

fn run(input: &[u8]) {
    let mut input = Input(input);
    let mut board = Board::new();
    let case = set_up(&mut board, &mut input);
    // MOV AL, [rBX] or MOV [rBX], AL; then a jump to itself, which ends the block.
    let (code, rip) = match case.kind {
        Kind::Read => ([0x8a, 0x03, 0xeb, 0xfe], CODE),
        Kind::Write => ([0x88, 0x03, 0xeb, 0xfe], CODE),
        Kind::Fetch => ([0; 4], case.linear),
    };
    board.write(CODE, &code);
    let before = board.bytes().to_vec();
    let exit = board.step(|state| enter(state, &case, rip));
    check(&mut board, &case, before, exit);
}

fn check(board: &mut Board, case: &Case, mut expected: Vec<u8>, exit: VcpuExit) {
    assert_ne!(exit, VcpuExit::Shutdown, "{case:x?}");
    let walked = walk(&mut expected, case);
    let state = &board.cpu.state;
    let faulted = state.rip == HANDLER && state.cr2 == case.linear;
    let (rsp, al) = (state.regs.get(4), state.regs.get(0) as u8);
    match walked {
        Err(error) => {
            assert!(faulted, "a page fault ({error:#x}) is missing: {case:x?}\n{}", cpu::dump(state));
            let word = board.read64(rsp);
            let pushed = if case.paging == Paging::Long { word } else { word & 0xffff_ffff };
            assert_eq!(pushed, error, "error code of {case:x?}");
        }
        // What is fetched there is anything: that it was is all there is to see.
        Ok(_) if case.kind == Kind::Fetch => {
            let word = board.read64(rsp) & 0x1f;
            assert!(!faulted || word & 0x10 == 0 || !tells_fetch(case), "a fetch faults: {case:x?}");
            return;
        }
        Ok(phys) => {
            assert!(!faulted, "a page fault that should not be: {case:x?}, physical {phys:#x}");
            match expected.get_mut(phys as usize) {
                Some(byte) if case.kind == Kind::Write => *byte = VALUE,
                there if case.kind == Kind::Read => {
                    assert_eq!(al, there.map_or(0, |byte| *byte), "read from {phys:#x}: {case:x?}");
                }
                _ => {}
            }
        }
    }
    same_but_for_the_stack(board.bytes(), &expected);
}

fn same_but_for_the_stack(after: &[u8], expected: &[u8]) {
    const PAGE: usize = 4096;
    let pages = after.chunks(PAGE).zip(expected.chunks(PAGE)).enumerate();
    for (page, (now, then)) in pages.filter(|(_, (now, then))| now != then) {
        for (place, (now, then)) in now.iter().zip(then).enumerate() {
            let at = (page * PAGE + place) as u64;
            let stack = (STACK - 0x100..STACK).contains(&at);
            assert!(stack || now == then, "byte {at:#x} is {now:#x}, not {then:#x}");
        }
    }
}

fn set_up(board: &mut Board, input: &mut Input<'_>) -> Case {
    let paging = input.pick(&[Paging::Legacy, Paging::Pae, Paging::Long]);
    let kind = input.pick(&[Kind::Read, Kind::Write, Kind::Fetch]);
    let user = input.flag();
    let switches = input.word();
    let bit = |number: u16, mask: u64| if switches >> number & 1 != 0 { mask } else { 0 };
    let cr0 = c::CR0_PE | c::CR0_ET | c::CR0_PG | bit(0, c::CR0_WP);
    let mut cr4 = bit(1, c::CR4_SMEP) | bit(2, c::CR4_SMAP) | bit(3, c::CR4_PGE) | bit(4, c::CR4_PSE);
    if paging != Paging::Legacy {
        cr4 |= c::CR4_PAE;
    }
    let _spare = input.word();
    let linear = linear_address(paging, input);
    let mut case = Case {
        paging,
        kind,
        user,
        linear,
        cr0,
        cr4,
        no_execute: switches >> 5 & 1 != 0,
        access_flag: switches >> 6 & 1 != 0,
        root: FIXED[0],
        pointers: [FIXED[2] | PRESENT, 0, 0, 0],
    };
    fixed_tables(board, &case);
    input_tables(board, &mut case, input);
    let (gate, entry) = if paging == Paging::Long { (16, 0x8e00) } else { (8, 0x8e00) };
    for vector in 0..32 {
        // Every vector but #PF leads behind the page fault's handler.
        let handler = if vector == PAGE_FAULT { HANDLER } else { HANDLER + 16 };
        board.write64(IDT + vector * gate, handler | u64::from(CODE_SELECTOR) << 16 | entry << 32);
    }
    board.write64(
        GDT + u64::from(CODE_SELECTOR),
        if paging == Paging::Long { 0x00af_9b00_0000_ffff } else { 0x00cf_9b00_0000_ffff },
    );
    board.write64(GDT + u64::from(DATA_SELECTOR), 0x00cf_9300_0000_ffff);
    board.write64(TSS + 4, STACK);
    if paging != Paging::Long {
        board.write32(TSS + 8, u32::from(DATA_SELECTOR));
    }
    case
}

/// An address whose topmost index is not that of the fixed part.
fn linear_address(paging: Paging, input: &mut Input<'_>) -> u64 {
    let raw = input.qword() & 0xffff_ffff_ffff;
    match paging {
        Paging::Legacy => raw & 0xffff_ffff | 1 << 22,
        Paging::Pae => raw & 0xffff_ffff | 1 << 30,
        Paging::Long => ((raw | 1 << 39) << 16) as i64 as u64 >> 16 & 0x7fff_ffff_ffff,
    }
}

/// Maps the first 64 KiB to themselves: the page of user code for user code, the rest for the supervisor.
fn fixed_tables(board: &mut Board, case: &Case) {
    let all = PRESENT | WRITABLE | USER | MARKS;
    let rights = |page: u64| {
        let code = page << 12 == CODE && case.user;
        PRESENT | WRITABLE | MARKS | if code { USER } else { 0 }
    };
    if case.paging == Paging::Legacy {
        board.write32(FIXED[0], (FIXED[1] | all) as u32);
        for page in 0..16 {
            board.write32(FIXED[1] + page * 4, (page << 12 | rights(page)) as u32);
        }
        return;
    }
    for level in 0..3 {
        board.write64(FIXED[level], FIXED[level + 1] | all & !(if level == 2 { 0x40 } else { 0 }));
    }
    for page in 0..16 {
        board.write64(FIXED[3] + page * 8, page << 12 | rights(page));
    }
}

/// Puts the input's entries where the walk of `case.linear` looks: the first in the fixed root, the others wherever the one
/// before leads.
fn input_tables(board: &mut Board, case: &mut Case, input: &mut Input<'_>) {
    let (linear, paging) = (case.linear, case.paging);
    let mut place = match paging {
        Paging::Legacy => Some(FIXED[0] + (linear >> 22) * 4),
        Paging::Pae => None,
        Paging::Long => Some(FIXED[0] + (linear >> 39 & 511) * 8),
    };
    let shifts: &[u32] = match paging {
        Paging::Legacy => &[12],
        Paging::Pae => &[21, 12],
        Paging::Long => &[30, 21, 12],
    };
    for step in 0..=shifts.len() {
        let entry = entry(input, paging);
        match place {
            Some(at) if paging == Paging::Legacy => board.write32(at, entry as u32),
            Some(at) => board.write64(at, entry),
            // A pointer with reserved bits is never loaded.
            None => case.pointers[(linear >> 30) as usize & 3] = entry & (PRESENT | 0x7f_ffff_f000),
        }
        let Some(shift) = shifts.get(step) else { break };
        let frame = entry & 0x7f_ffff_f000;
        let (bits, size) = if paging == Paging::Legacy { (10, 4) } else { (9, 8) };
        let below = frame + (linear >> shift & ((1 << bits) - 1)) * size;
        if below + 8 > MEMORY {
            break;
        }
        place = Some(below);
    }
}

/// An entry of four bytes of input: frame, two of flags, high bits.
fn entry(input: &mut Input<'_>, paging: Paging) -> u64 {
    let frame = input.pick(&FRAMES);
    let flags = u64::from(input.word());
    // Mostly present, sometimes with a bit that large pages reserve.
    let present = if flags >> 12 & 3 != 0 { PRESENT } else { 0 };
    let low = flags & 0xfff | present | [0, 1 << 13, 1 << 20, 1 << 21][(flags >> 14) as usize];
    let high = u64::from(input.byte());
    let high = if paging == Paging::Legacy || high < 0xc0 { 0 } else { (high & 0x3f) << 58 | (high & 1) << 51 };
    frame | low | high
}

fn enter(state: &mut State, case: &Case, rip: u64) {
    let long = case.paging == Paging::Long;
    let level = if case.user { 3 } else { 0 };
    let rights = u32::from(level) << 5;
    state.cr0 = case.cr0;
    state.cr4 = case.cr4;
    state.cr3 = FIXED[0];
    state.pdptes = case.pointers;
    state.msrs.efer = if case.no_execute { c::EFER_NXE } else { 0 };
    if long {
        state.msrs.efer |= c::EFER_LME | c::EFER_LMA;
    }
    for (register, segment) in state.segs[..6].iter_mut().enumerate() {
        let code = register == 1;
        let access = if !code {
            0xc093
        } else if long {
            0xa09b
        } else {
            0xc09b
        };
        let selector = if code { CODE_SELECTOR } else { DATA_SELECTOR };
        *segment = flat(selector | u16::from(level), access | rights);
    }
    state.gdtr = table(GDT, 0x7f);
    state.idtr = table(IDT, 0x1ff);
    state.tr = cpu::Segment { limit: 0x67, base: TSS, ..flat(0x28, 0x8b) };
    state.cpl = level;
    state.set_rflags(if case.access_flag { eflags::AC } else { 0 });
    state.rip = rip;
    state.regs.set(0, u64::from(VALUE));
    state.regs.set(3, case.linear);
    state.regs.set(4, STACK);
}
