//! What some instructions need in registers to stay near: sequences put it there just before them.

use x86::instructions::integer::Int;
use x86::instructions::system::Sys;
use x86::{Inst, Operand, Rep, Sem, Width};

use crate::random::Random;
use crate::{DATA, STACK};

const RCX: u8 = 1;
const RBX: u8 = 3;
const RSP: u8 = 4;
const RBP: u8 = 5;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// `MOV`s that keep `inst` near, mostly; `None` where one would take the bases away.
pub(super) fn preparations(inst: &Inst, random: &mut Random) -> Option<Vec<Vec<u8>>> {
    if random.one_in(16) {
        return Some(Vec::new());
    }
    let mut values = Vec::new();
    match inst.row().sem {
        Sem::Int(Int::Bt | Int::Bts | Int::Btr | Int::Btc) => {
            if let (Operand::Mem(_), Operand::Gpr { reg, .. }) = (inst.operands[0], inst.operands[1]) {
                values.push((reg, random.below(800) as i32 - 400));
            }
        }
        Sem::Int(Int::Leave) => values.push((RBP, (STACK.start + 0x800 + 8 * random.below(0x20)) as i32)),
        Sem::Sys(Sys::Movs | Sys::Cmps | Sys::Stos | Sys::Lods | Sys::Scas) => {
            let mut near = || ((DATA.start + DATA.end) / 2 - 0x100 + random.below(0x200)) as i32;
            values.extend([(RSI, near()), (RDI, near())]);
            if inst.rep != Rep::None {
                values.push((RCX, random.pick(&[0, 1, 2, 3, 7, 16, 20])));
            }
        }
        _ => {}
    }
    let keeps_bases = values.iter().all(|&(register, _)| !matches!(register, RBX | RSP));
    keeps_bases.then(|| values.into_iter().map(|(register, value)| mov(register, value, inst.code)).collect())
}

/// `MOV register, value` of the whole register.
fn mov(register: u8, value: i32, mode: Width) -> Vec<u8> {
    let low = register & 7;
    let opcode = match mode {
        Width::W64 => vec![0x48 | register >> 3, 0xc7, 0xc0 | low],
        Width::W32 => vec![0xb8 | low],
        _ => vec![0x66, 0xb8 | low],
    };
    [&opcode[..], &value.to_le_bytes()].concat()
}
