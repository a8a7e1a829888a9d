//! Firmware that enters a mode, sets registers, and runs the input's code. Exceptions and interrupts lead to the code's next
//! unit, with segments and stack as at first, so that no fault ends a run; AL and EBP are lost.

use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction};

use super::code;
use crate::input::Input;

/// The mode the code starts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Real,
    Protected16,
    Protected32,
    Long,
}

impl Mode {
    pub(super) fn bits(self) -> u32 {
        match self {
            Mode::Real | Mode::Protected16 => 16,
            Mode::Protected32 => 32,
            Mode::Long => 64,
        }
    }
}

/// Where the ROM lies below 1 MiB, and its length.
const ROM: u64 = 0xe_0000;
const BYTES: usize = 0x2_0000;
const PML4: u64 = ROM;
const PDPT: u64 = ROM + 0x1000;
/// Four directories of 2-MiB pages: all of 4 GiB, one to one.
const DIRECTORIES: u64 = ROM + 0x2000;
const INTERRUPTS_REAL: u64 = ROM + 0x6000;
const INTERRUPTS_32: u64 = ROM + 0x7000;
const INTERRUPTS_64: u64 = ROM + 0x8000;
const DESCRIPTORS: u64 = ROM + 0x9000;
/// Operands of `LGDT` and `LIDT`.
const TABLES: u64 = ROM + 0x9800;
const HANDLER_REAL: u64 = ROM + 0x1_a000;
const HANDLER: u64 = ROM + 0x1_b000;
const PROLOGUE: u64 = ROM + 0x1_c000;
const ENTRY: u64 = ROM + 0x1_d000;
const RESET: u64 = ROM + 0x1_fff0;
/// The code's units, where the reset vector's segment begins.
const UNITS: u64 = ROM + 0x1_0000;

/// In RAM: the number of the unit that runs.
const UNIT: u64 = 0x500;
const STACK: u64 = 0x8000;
const CODE_32: u16 = 0x08;
const DATA: u16 = 0x10;
const CODE_64: u16 = 0x18;
/// Begins at [`UNITS`].
const CODE_16: u16 = 0x20;
const GDT: [u64; 5] = [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff, 0x0000_9b0f_0000_ffff];

const CR0_PE: u32 = 1;
const CR0_PG: u32 = 1 << 31;
const CR4_PAE: u32 = 1 << 5;
const EFER: u32 = 0xc000_0080;
const EFER_LME: u32 = 1 << 8;

/// What makes the timer interrupt: the 8259s at vectors 0x20 and 0x28 with nothing masked, the 8254 with a short period.
const CHIPS: [(u8, u8); 13] = [
    (0x20, 0x11),
    (0x21, 0x20),
    (0x21, 0x04),
    (0x21, 0x01),
    (0xa0, 0x11),
    (0xa1, 0x28),
    (0xa1, 0x02),
    (0xa1, 0x01),
    (0x21, 0),
    (0xa1, 0),
    (0x43, 0x34),
    (0x40, 0x40),
    (0x40, 0),
];
/// `INT3`, where there is no code.
const TRAP: u8 = 0xcc;

/// The image for `mode`, with the rest of the input as code.
pub(super) fn build(mode: Mode, input: &mut Input) -> Vec<u8> {
    let mut rom = vec![0; BYTES];
    fill_tables(&mut rom, mode);
    let registers = [(); 7].map(|()| code::value(input));
    let control = input.qword();
    let interrupts = input.flag();
    let units = code::units(mode.bits(), input);
    for (number, unit) in (0..).zip(&units) {
        put(&mut rom, UNITS + number * code::UNIT_BYTES, unit);
    }
    let count = units.len() as u32;
    let end = UNITS + u64::from(count) * code::UNIT_BYTES;
    put(&mut rom, end, &vec![TRAP; (HANDLER_REAL - end) as usize]);
    let parts = [
        (
            RESET,
            assemble(16, RESET & 0xffff, |a| {
                a.add_instruction(far_jump(Code::Jmp_ptr1616, 0xf000, PROLOGUE & 0xffff)?)
            }),
        ),
        (PROLOGUE, assemble(16, PROLOGUE & 0xffff, |a| prologue(a, mode))),
        (ENTRY, entry(mode, registers, control, interrupts)),
        (HANDLER_REAL, assemble(16, HANDLER_REAL & 0xffff, |a| real_handler(a, count))),
        (
            HANDLER,
            if mode == Mode::Long {
                assemble(64, HANDLER, |a| handler(a, mode, count))
            } else {
                assemble(32, HANDLER, |a| handler(a, mode, count))
            },
        ),
    ];
    for (at, bytes) in parts {
        put(&mut rom, at, &bytes);
    }
    rom
}

fn put(rom: &mut [u8], at: u64, bytes: &[u8]) {
    let at = (at - ROM) as usize;
    rom[at..at + bytes.len()].copy_from_slice(bytes);
}

fn assemble(bits: u32, at: u64, write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(bits).expect("16, 32 or 64 bits");
    write(&mut assembler).and_then(|()| assembler.assemble(at)).expect("the manual has these instructions")
}

fn far_jump(code: Code, selector: u16, offset: u64) -> Result<Instruction, IcedError> {
    Instruction::with_far_branch(code, selector, offset as u32)
}

/// Descriptors, gates and page tables, with the bits set that the processor could not set in a ROM.
fn fill_tables(rom: &mut [u8], mode: Mode) {
    const PRESENT_WRITABLE_ACCESSED_DIRTY: u64 = 0x63;
    const LARGE: u64 = 0x80;
    put(rom, PML4, &(PDPT | PRESENT_WRITABLE_ACCESSED_DIRTY).to_le_bytes());
    for gibibyte in 0..4 {
        let directory = DIRECTORIES + gibibyte * 0x1000;
        put(rom, PDPT + gibibyte * 8, &(directory | PRESENT_WRITABLE_ACCESSED_DIRTY).to_le_bytes());
    }
    for page in 0..4 * 512u64 {
        put(rom, DIRECTORIES + page * 8, &(page << 21 | LARGE | PRESENT_WRITABLE_ACCESSED_DIRTY).to_le_bytes());
    }
    let real = 0xf000_0000u32 | (HANDLER_REAL & 0xffff) as u32;
    let gate = |selector: u16| {
        const INTERRUPT_GATE: u64 = 0x8e00;
        HANDLER & 0xffff | u64::from(selector) << 16 | INTERRUPT_GATE << 32 | HANDLER >> 16 << 48
    };
    for vector in 0..256 {
        put(rom, INTERRUPTS_REAL + vector * 4, &real.to_le_bytes());
        put(rom, INTERRUPTS_32 + vector * 8, &gate(CODE_32).to_le_bytes());
        put(rom, INTERRUPTS_64 + vector * 16, &gate(CODE_64).to_le_bytes());
    }
    for (number, descriptor) in (0..).zip(GDT) {
        put(rom, DESCRIPTORS + number * 8, &descriptor.to_le_bytes());
    }
    let (interrupts, limit) = match mode {
        Mode::Real => (INTERRUPTS_REAL, 256 * 4 - 1),
        Mode::Protected16 | Mode::Protected32 => (INTERRUPTS_32, 256 * 8 - 1),
        Mode::Long => (INTERRUPTS_64, 256 * 16 - 1),
    };
    let operand = |base: u64, limit: u16| [&limit.to_le_bytes()[..], &base.to_le_bytes()].concat();
    put(rom, TABLES, &operand(DESCRIPTORS, GDT.len() as u16 * 8 - 1));
    put(rom, TABLES + 16, &operand(interrupts, limit));
}

/// From the reset vector to [`ENTRY`].
fn prologue(a: &mut CodeAssembler, mode: Mode) -> Result<(), IcedError> {
    a.mov(ax, (ROM >> 4) as i32)?;
    a.mov(ds, ax)?;
    a.mov(eax, 0x8001)?;
    // LGDT and LIDT with 32-bit bases.
    for (group, at) in [(2u8, TABLES), (3, TABLES + 16)] {
        let displacement = ((at - ROM) as u16).to_le_bytes();
        a.db(&[0x66, 0x0f, 0x01, group << 3 | 6, displacement[0], displacement[1]])?;
    }
    if mode == Mode::Real {
        return a.add_instruction(far_jump(Code::Jmp_ptr1616, 0xf000, ENTRY & 0xffff)?);
    }
    a.mov(eax, cr0)?;
    a.or(eax, CR0_PE as i32)?;
    a.mov(cr0, eax)?;
    a.add_instruction(far_jump(Code::Jmp_ptr1632, CODE_32, ENTRY)?)
}

/// Into the mode itself; control and general registers; the first unit.
fn entry(mode: Mode, registers: [u64; 7], control: u64, interrupts: bool) -> Vec<u8> {
    if mode == Mode::Real {
        return assemble(16, ENTRY & 0xffff, |a| {
            a.xor(ax, ax)?;
            a.mov(ds, ax)?;
            a.mov(ss, ax)?;
            if interrupts {
                set_up_chips(a)?;
            }
            load(a, registers)?;
            a.mov(esp, STACK as u32)?;
            a.add_instruction(far_jump(Code::Jmp_ptr1616, 0xf000, 0)?)
        });
    }
    assemble(32, ENTRY, |a| {
        set_segments(a)?;
        if mode == Mode::Long {
            a.mov(eax, CR4_PAE)?;
            a.mov(cr4, eax)?;
            a.mov(eax, PML4 as u32)?;
            a.mov(cr3, eax)?;
            a.mov(ecx, EFER)?;
            a.mov(eax, EFER_LME)?;
            a.xor(edx, edx)?;
            a.wrmsr()?;
            a.mov(eax, cr0)?;
            a.or(eax, CR0_PG as i32)?;
            a.mov(cr0, eax)?;
        }
        const HARMLESS_CR0: u32 = 0x0005_0032;
        const HARMLESS_CR4: u32 = 0x0005_07df;
        if interrupts {
            set_up_chips(a)?;
        }
        // A processor without CR4, or without some bit of it, goes on with the first unit.
        a.mov(eax, cr0)?;
        a.xor(eax, (control as u32 & HARMLESS_CR0) as i32)?;
        a.mov(cr0, eax)?;
        load(a, registers)?;
        if control >> 63 != 0 {
            a.mov(eax, cr4)?;
            a.or(eax, ((control >> 32) as u32 & HARMLESS_CR4) as i32)?;
            a.mov(cr4, eax)?;
        }
        match mode {
            Mode::Protected16 => a.add_instruction(far_jump(Code::Jmp_ptr1632, CODE_16, 0)?),
            Mode::Long => a.add_instruction(far_jump(Code::Jmp_ptr1632, CODE_64, UNITS)?),
            _ => a.add_instruction(far_jump(Code::Jmp_ptr1632, CODE_32, UNITS)?),
        }
    })
}

fn set_segments(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(ebp, u32::from(DATA))?;
    a.mov(ds, bp)?;
    a.mov(es, bp)?;
    a.mov(ss, bp)?;
    a.mov(esp, STACK as u32)
}

/// Interrupts come from now on.
fn set_up_chips(a: &mut CodeAssembler) -> Result<(), IcedError> {
    for (port, value) in CHIPS {
        a.mov(al, i32::from(value))?;
        a.out(i32::from(port), al)?;
    }
    a.sti()
}

/// Whatever came, the 8259s may send the next interrupt.
fn end_interrupt(a: &mut CodeAssembler) -> Result<(), IcedError> {
    const END_OF_INTERRUPT: i32 = 0x20;
    a.mov(al, END_OF_INTERRUPT)?;
    a.out(0x20, al)?;
    a.out(0xa0, al)
}

/// Behind the last unit.
fn wait(a: &mut CodeAssembler, end: &mut CodeLabel) -> Result<(), IcedError> {
    a.set_label(end)?;
    a.sti()?;
    a.hlt()?;
    a.jmp(*end)
}

fn load(a: &mut CodeAssembler, registers: [u64; 7]) -> Result<(), IcedError> {
    for (register, value) in [eax, ecx, edx, ebx, ebp, esi, edi].into_iter().zip(registers) {
        a.mov(register, value as u32)?;
    }
    Ok(())
}

/// Interrupts and exceptions in real mode.
fn real_handler(a: &mut CodeAssembler, count: u32) -> Result<(), IcedError> {
    let mut end = a.create_label();
    a.xor(bp, bp)?;
    a.mov(ds, bp)?;
    a.mov(ss, bp)?;
    a.mov(sp, STACK as i32)?;
    end_interrupt(a)?;
    a.inc(word_ptr(UNIT))?;
    a.mov(bp, word_ptr(UNIT))?;
    a.cmp(bp, count as i32)?;
    a.jae(end)?;
    a.shl(bp, code::UNIT_BYTES.trailing_zeros())?;
    a.push(0xf000)?;
    a.push(bp)?;
    a.retf()?;
    wait(a, &mut end)
}

/// The same in the other modes.
fn handler(a: &mut CodeAssembler, mode: Mode, count: u32) -> Result<(), IcedError> {
    let mut end = a.create_label();
    set_segments(a)?;
    end_interrupt(a)?;
    a.inc(dword_ptr(UNIT))?;
    a.mov(ebp, dword_ptr(UNIT))?;
    a.cmp(ebp, count as i32)?;
    a.jae(end)?;
    a.shl(ebp, code::UNIT_BYTES.trailing_zeros())?;
    match mode {
        Mode::Protected16 => {
            a.push(u32::from(CODE_16))?;
            a.push(ebp)?;
            a.retf()?;
        }
        Mode::Long => {
            a.add(ebp, UNITS as i32)?;
            a.jmp(rbp)?;
        }
        _ => {
            a.add(ebp, UNITS as i32)?;
            a.jmp(ebp)?;
        }
    }
    wait(a, &mut end)
}
