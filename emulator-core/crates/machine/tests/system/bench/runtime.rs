//! The code around a program: from the reset vector into its mode, and the handlers that report and go on.

use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Instruction};

use super::map::*;
use super::program::Mode;

const REPORT: i32 = 0xe9;
const EXIT: i32 = 0xf4;
/// CR0 with caches on and only ET set, before a mode adds its bits.
const CR0_ET: u32 = 0x10;
const CR0_PE: u32 = 1;
const CR0_PG: u32 = 1 << 31;
const CR4_PAE: u32 = 1 << 5;
const EFER: i32 = 0xc000_0080_u32 as i32;
const RF: i32 = 1 << 16;
const EFER_LME_NXE: i32 = 1 << 8 | 1 << 11;

/// What vectors push an error code (Intel SDM vol. 3, table 6-1).
const fn pushes_error(vector: u32) -> bool {
    matches!(vector, 8 | 10..=14 | 17)
}

fn bytes(asm: &mut CodeAssembler, at: u64) -> Vec<u8> {
    asm.assemble(at).expect("the code fits its mode")
}

/// Ends the guest.
pub fn exit(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.mov(al, 0)?;
    asm.out(EXIT, al)?;
    asm.hlt()
}

/// The code at the reset vector and at [`COPY`].
pub fn reset() -> Result<Vec<(u64, Vec<u8>)>, IcedError> {
    let vector = IMAGE as u64 - 16;
    let mut jump = CodeAssembler::new(16)?;
    jump.jmp(COPY & 0xffff)?;
    let mut copy = CodeAssembler::new(16)?;
    copy.cli()?;
    copy.cld()?;
    for half in 0..2 {
        copy.mov(ax, 0xe000 + half * 0x1000)?;
        copy.mov(ds, ax)?;
        copy.mov(ax, half * 0x1000)?;
        copy.mov(es, ax)?;
        copy.xor(si, si)?;
        copy.xor(di, di)?;
        copy.mov(cx, 0x4000)?;
        copy.rep().movsd()?;
    }
    copy.add_instruction(Instruction::with_far_branch(Code::Jmp_ptr1616, 0, ENTRY as u32)?)?;
    Ok(vec![(vector, bytes(&mut jump, vector & 0xffff)), (COPY, bytes(&mut copy, COPY & 0xffff))])
}

/// From [`ENTRY`] to [`PROGRAM`] in `mode`; levels and virtual-8086 mode are entered by `IRET` with `flags`.
pub fn entry(
    mode: Mode,
    user: bool,
    flags: u32,
    [cr0_bits, cr4_bits]: [u32; 2],
) -> Result<Vec<(u64, Vec<u8>)>, IcedError> {
    const PROTECTED: u64 = ENTRY + 0x80;
    let mut first = CodeAssembler::new(16)?;
    first.xor(ax, ax)?;
    first.mov(ds, ax)?;
    first.mov(es, ax)?;
    first.mov(ss, ax)?;
    first.mov(sp, STACK as i32)?;
    first.lidt(ptr(REAL_IDTR))?;
    if mode == Mode::Real {
        first.mov(eax, CR0_ET)?;
        first.mov(cr0, eax)?;
        first.jmp(PROGRAM)?;
        return Ok(vec![(ENTRY, bytes(&mut first, ENTRY))]);
    }
    first.lgdt(ptr(GDTR))?;
    first.mov(eax, cr4_bits | if mode == Mode::Long { CR4_PAE } else { 0 })?;
    first.mov(cr4, eax)?;
    first.lidt(ptr(IDTR))?;
    let (mut cr0_bits, mut code) = (cr0_bits | CR0_ET | CR0_PE, CODE32);
    if mode == Mode::Long {
        first.mov(eax, PML4 as i32)?;
        first.mov(cr3, eax)?;
        first.mov(ecx, EFER)?;
        first.mov(eax, EFER_LME_NXE)?;
        first.xor(edx, edx)?;
        first.wrmsr()?;
        (cr0_bits, code) = (cr0_bits | CR0_PG, CODE64);
    }
    first.mov(eax, cr0_bits)?;
    first.mov(cr0, eax)?;
    first.add_instruction(Instruction::with_far_branch(Code::Jmp_ptr1616, code, PROTECTED as u32)?)?;
    let mut second = CodeAssembler::new(if mode == Mode::Long { 64 } else { 32 })?;
    second.mov(eax, u32::from(DATA))?;
    second.mov(ss, eax)?;
    second.mov(eax, u32::from(if user { USER_DATA } else { DATA }))?;
    for register in [ds, es, fs, gs] {
        second.mov(register, eax)?;
    }
    second.mov(esp, STACK as u32)?;
    second.mov(eax, u32::from(TSS_SELECTOR))?;
    second.ltr(ax)?;
    enter(&mut second, mode, user, flags)?;
    Ok(vec![(ENTRY, bytes(&mut first, ENTRY)), (PROTECTED, bytes(&mut second, PROTECTED))])
}

/// To the program, by a jump or by `IRET`.
fn enter(asm: &mut CodeAssembler, mode: Mode, user: bool, flags: u32) -> Result<(), IcedError> {
    if mode == Mode::Virtual8086 {
        // GS, FS, DS, ES and SS are zero, as is CS.
        for value in [0, 0, 0, 0, 0, USER_STACK as i32, (flags | 1 << 17) as i32, 0, PROGRAM as i32] {
            asm.push(value)?;
        }
        return asm.iretd();
    }
    if !user {
        asm.push(flags as i32)?;
        if mode == Mode::Long {
            asm.popfq()?
        } else {
            asm.popfd()?
        }
        return asm.jmp(PROGRAM);
    }
    let long = mode == Mode::Long;
    let code = if long { USER_CODE64 } else { USER_CODE32 };
    for value in [i32::from(USER_DATA), USER_STACK as i32, flags as i32, i32::from(code), PROGRAM as i32] {
        asm.push(value)?;
    }
    if long { asm.iretq() } else { asm.iretd() }
}

/// The handlers of all three frame formats with a stub for every vector.
pub fn handlers() -> Result<Vec<(u64, Vec<u8>)>, IcedError> {
    let mut code = Vec::new();
    for vector in 0..256u32 {
        let mut stub = CodeAssembler::new(16)?;
        stub.push(vector as i32)?;
        stub.jmp(HANDLER16)?;
        let at = STUBS16 + u64::from(vector) * 8;
        code.push((at, bytes(&mut stub, at)));
        for (bits, stubs, handler) in [(32, STUBS32, HANDLER32), (64, STUBS64, HANDLER64)] {
            let mut stub = CodeAssembler::new(bits)?;
            if !pushes_error(vector) {
                stub.push(0)?;
            }
            stub.push(vector as i32)?;
            stub.jmp(handler)?;
            let at = stubs + u64::from(vector) * 16;
            code.push((at, bytes(&mut stub, at)));
        }
    }
    for (at, bits, handler) in [
        (HANDLER16, 16, handler16 as fn(&mut CodeAssembler) -> Result<(), IcedError>),
        (HANDLER32, 32, handler32),
        (HANDLER64, 64, handler64),
    ] {
        let mut asm = CodeAssembler::new(bits)?;
        handler(&mut asm)?;
        code.push((at, bytes(&mut asm, at)));
    }
    Ok(code)
}

fn handler16(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut end, mut back) = (asm.create_label(), asm.create_label());
    asm.pushad()?;
    asm.mov(eax, cr2)?;
    asm.push(eax)?;
    asm.mov(eax, dr6)?;
    asm.push(eax)?;
    asm.movzx(eax, sp)?;
    asm.push(eax)?;
    asm.mov(al, i32::from(b'R'))?;
    asm.out(REPORT, al)?;
    asm.mov(si, sp)?;
    asm.mov(cx, 52)?;
    asm.mov(dx, REPORT)?;
    asm.cld()?;
    // REP OUTSB with SS.
    asm.db(&[0x36, 0xf3, 0x6e])?;
    asm.push(ds)?;
    asm.xor(ax, ax)?;
    asm.mov(ds, ax)?;
    asm.mov(si, word_ptr(LANDING))?;
    asm.add(word_ptr(LANDING), 4)?;
    asm.mov(eax, dword_ptr(si))?;
    asm.pop(ds)?;
    asm.test(eax, eax)?;
    asm.jz(end)?;
    asm.cmp(eax, RETURN)?;
    asm.je(back)?;
    asm.mov(bp, sp)?;
    asm.mov(word_ptr(bp + 12 + 32 + 2), ax)?;
    asm.and(word_ptr(bp + 12 + 32 + 6), !0x100)?;
    asm.set_label(&mut back)?;
    asm.add(sp, 12)?;
    asm.popad()?;
    asm.add(sp, 2)?;
    asm.iret()?;
    asm.set_label(&mut end)?;
    exit(asm)
}

fn handler32(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let [mut end, mut back, mut resume] = [(); 3].map(|()| asm.create_label());
    asm.pushad()?;
    asm.mov(eax, cr2)?;
    asm.push(eax)?;
    asm.mov(eax, dr6)?;
    asm.push(eax)?;
    asm.mov(eax, 0xffff_0ff0u32)?;
    asm.mov(dr6, eax)?;
    asm.push(esp)?;
    asm.mov(al, i32::from(b'P'))?;
    asm.out(REPORT, al)?;
    asm.mov(esi, esp)?;
    asm.mov(ecx, 88)?;
    asm.mov(edx, REPORT)?;
    asm.cld()?;
    asm.db(&[0x36, 0xf3, 0x6e])?;
    asm.mov(esi, dword_ptr(LANDING).ss())?;
    asm.add(dword_ptr(LANDING).ss(), 4)?;
    asm.mov(eax, dword_ptr(esi).ss())?;
    asm.test(eax, eax)?;
    asm.jz(end)?;
    asm.cmp(eax, RETURN)?;
    asm.je(back)?;
    asm.cmp(eax, RESUME)?;
    asm.je(resume)?;
    asm.mov(dword_ptr(esp + 12 + 32 + 8), eax)?;
    asm.and(dword_ptr(esp + 12 + 32 + 16), !0x100)?;
    asm.test(dword_ptr(esp + 12 + 32 + 16), 0x2_0000)?;
    asm.jnz(back)?;
    asm.test(dword_ptr(esp + 12 + 32 + 12), 3)?;
    asm.jnz(back)?;
    asm.add(esp, 12)?;
    asm.popad()?;
    asm.add(esp, 8)?;
    asm.push(dword_ptr(esp + 8))?;
    asm.popfd()?;
    asm.retf_1(4)?;
    asm.set_label(&mut back)?;
    asm.add(esp, 12)?;
    asm.popad()?;
    asm.add(esp, 8)?;
    asm.iretd()?;
    asm.set_label(&mut resume)?;
    asm.or(dword_ptr(esp + 12 + 32 + 16), RF)?;
    asm.jmp(back)?;
    asm.set_label(&mut end)?;
    exit(asm)
}

fn handler64(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    const GENERAL: [AsmRegister64; 15] = [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
    let [mut end, mut back, mut resume] = [(); 3].map(|()| asm.create_label());
    for register in GENERAL {
        asm.push(register)?;
    }
    asm.mov(rax, cr2)?;
    asm.push(rax)?;
    asm.mov(rax, dr6)?;
    asm.push(rax)?;
    asm.mov(eax, 0xffff_0ff0u32)?;
    asm.mov(dr6, rax)?;
    asm.push(rsp)?;
    asm.mov(al, i32::from(b'L'))?;
    asm.out(REPORT, al)?;
    asm.mov(rsi, rsp)?;
    asm.mov(ecx, 200)?;
    asm.mov(edx, REPORT)?;
    asm.cld()?;
    asm.rep().outsb()?;
    asm.mov(esi, dword_ptr(LANDING))?;
    asm.add(dword_ptr(LANDING), 4)?;
    asm.mov(eax, dword_ptr(rsi))?;
    asm.test(eax, eax)?;
    asm.jz(end)?;
    asm.cmp(eax, RETURN)?;
    asm.je(back)?;
    asm.cmp(eax, RESUME)?;
    asm.je(resume)?;
    asm.mov(qword_ptr(rsp + 24 + 120 + 16), rax)?;
    asm.and(dword_ptr(rsp + 24 + 120 + 32), !0x100)?;
    asm.set_label(&mut back)?;
    asm.add(rsp, 24)?;
    for register in GENERAL.into_iter().rev() {
        asm.pop(register)?;
    }
    asm.add(rsp, 16)?;
    asm.iretq()?;
    asm.set_label(&mut resume)?;
    asm.or(dword_ptr(rsp + 24 + 120 + 32), RF)?;
    asm.jmp(back)?;
    asm.set_label(&mut end)?;
    exit(asm)
}
