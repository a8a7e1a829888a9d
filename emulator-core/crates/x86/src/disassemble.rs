//! Disassembly in Intel syntax, from the same rows.

use core::fmt::{self, Display, Formatter};

use crate::{Inst, Mem, Operand, Rep, Width};

/// An instruction at an address, ready to print.
pub struct Disassembly<'a> {
    /// The instruction.
    pub inst: &'a Inst,
    /// Its offset in the code segment (RIP), for branch targets.
    pub rip: u64,
}

const GENERAL: [[&str; 16]; 4] = [
    ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"],
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"],
    [
        "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
        "r15d",
    ],
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
];
const HIGH: [&str; 4] = ["ah", "ch", "dh", "bh"];
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// Mnemonics that tell the size: of 16, 32 and 64 bits. A row has the first.
const SIZED: [[&str; 3]; 10] = [
    ["cbw", "cwde", "cdqe"],
    ["cwd", "cdq", "cqo"],
    ["iret", "iretd", "iretq"],
    ["jcxz", "jecxz", "jrcxz"],
    ["movd", "movd", "movq"],
    ["popa", "popad", ""],
    ["popf", "popfd", "popfq"],
    ["pusha", "pushad", ""],
    ["pushf", "pushfd", "pushfq"],
    ["vmovd", "vmovd", "vmovq"],
];

/// The size such a mnemonic tells: that of the counter or of the operands.
fn size(inst: &Inst) -> Width {
    if inst.row().mnemonic == "JCXZ" { inst.address_size } else { inst.opsize }
}

impl Display for Disassembly<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let inst = self.inst;
        if inst.lock {
            f.write_str("lock ")?;
        }
        let row = inst.row();
        let repeats = row.repeats;
        match inst.rep {
            Rep::Rep if repeats && !row.flags.is_empty() => f.write_str("repe ")?,
            Rep::Rep if repeats => f.write_str("rep ")?,
            Rep::Repne if repeats => f.write_str("repne ")?,
            _ => {}
        }
        match SIZED.iter().find(|names| names[0].eq_ignore_ascii_case(row.mnemonic)) {
            Some(names) => f.write_str(names[size(inst) as usize - 1])?,
            None => f.write_str(&row.mnemonic.to_ascii_lowercase())?,
        }
        let shown = inst.operands.iter().filter(|o| **o != Operand::None);
        for (place, operand) in shown.enumerate() {
            f.write_str(if place == 0 { " " } else { ", " })?;
            self.operand(f, operand)?;
        }
        Ok(())
    }
}

impl Disassembly<'_> {
    fn operand(&self, f: &mut Formatter<'_>, operand: &Operand) -> fmt::Result {
        match *operand {
            Operand::None => Ok(()),
            Operand::Gpr { reg, high: true, .. } => f.write_str(HIGH[usize::from(reg & 3)]),
            Operand::Gpr { reg, width, .. } => f.write_str(GENERAL[width as usize][usize::from(reg & 15)]),
            Operand::Sreg(r) => f.write_str(SEGMENTS[usize::from(r)]),
            Operand::Cr(r) => write!(f, "cr{r}"),
            Operand::Dr(r) => write!(f, "dr{r}"),
            Operand::Mm(r) => write!(f, "mm{r}"),
            Operand::Xmm(r) => write!(f, "xmm{r}"),
            Operand::Ymm(r) => write!(f, "ymm{r}"),
            Operand::St(r) => write!(f, "st({r})"),
            Operand::Mem(ref mem) => self.memory(f, mem),
            Operand::Imm { value, width } => write!(f, "{:#x}", width.truncate(value as u64)),
            Operand::Rel(displacement) => {
                let target = self.next().wrapping_add(displacement as u64);
                write!(f, "{:#x}", self.inst.opsize.truncate(target))
            }
            Operand::Far { selector, offset } => write!(f, "{selector:#x}:{offset:#x}"),
        }
    }

    fn next(&self) -> u64 {
        self.rip.wrapping_add(u64::from(self.inst.len))
    }

    fn memory(&self, f: &mut Formatter<'_>, mem: &Mem) -> fmt::Result {
        match mem.bytes {
            1 => f.write_str("byte ")?,
            2 => f.write_str("word ")?,
            4 => f.write_str("dword ")?,
            8 => f.write_str("qword ")?,
            10 => f.write_str("tbyte ")?,
            16 => f.write_str("oword ")?,
            32 => f.write_str("yword ")?,
            _ => {}
        }
        write!(f, "{}:[", SEGMENTS[usize::from(mem.seg)])?;
        let names = &GENERAL[self.inst.address_size as usize];
        let mut joined = false;
        if let Some(base) = mem.base {
            f.write_str(names[usize::from(base)])?;
            joined = true;
        }
        if let Some(index) = mem.index {
            let plus = if joined { "+" } else { "" };
            match mem.vsib {
                0 => write!(f, "{plus}{}*{}", names[usize::from(index)], 1 << mem.scale)?,
                16 => write!(f, "{plus}xmm{index}*{}", 1 << mem.scale)?,
                _ => write!(f, "{plus}ymm{index}*{}", 1 << mem.scale)?,
            }
            joined = true;
        }
        if mem.rip_relative {
            write!(f, "{:#x}", self.next().wrapping_add(mem.disp as u64))?;
        } else if !joined {
            write!(f, "{:#x}", self.inst.address_size.truncate(mem.disp as u64))?;
        } else if mem.disp != 0 {
            let sign = if mem.disp < 0 { '-' } else { '+' };
            write!(f, "{sign}{:#x}", mem.disp.unsigned_abs())?;
        }
        f.write_str("]")
    }
}

/// Name of a general register, for dumps.
#[must_use]
pub fn register_name(width: Width, reg: u8) -> &'static str {
    GENERAL[width as usize][usize::from(reg & 15)]
}
