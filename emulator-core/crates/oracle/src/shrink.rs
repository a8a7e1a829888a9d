//! The smallest case that still fails: fewer instructions and prefixes, fewer registers that are set, smaller values.

use crate::case::{Case, Registers};
use crate::generate::sequence::Program;
use crate::judge::instructions;

/// Makes `case` smaller as long as `fails` says that it still shows the difference.
pub fn shrink(mut case: Case, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    loop {
        let before = (case.code.len(), weight(&case));
        drop_instructions(&mut case, fails);
        drop_prefixes(&mut case, fails);
        drop_memory(&mut case, fails);
        reset_registers(&mut case, fails);
        shrink_registers(&mut case, fails);
        if (case.code.len(), weight(&case)) == before {
            return case;
        }
    }
}

/// Takes `smaller` for `case` where it fails as well.
fn adopt(case: &mut Case, smaller: Case, fails: &mut dyn FnMut(&Case) -> bool) -> bool {
    let adopted = fails(&smaller);
    if adopted {
        *case = smaller;
    }
    adopted
}

/// What a reader has to read.
fn weight(case: &Case) -> usize {
    crate::text::write(case).len()
}

fn drop_instructions(case: &mut Case, fails: &mut dyn FnMut(&Case) -> bool) {
    let Some(mut program) = Program::of(case) else { return };
    let mut n = program.0.len();
    while n > 0 && program.0.len() > 1 {
        n -= 1;
        let smaller = program.without(n);
        let Some(code) = smaller.link(case.mode) else { continue };
        if adopt(case, Case { code, ..case.clone() }, fails) {
            program = smaller;
        }
    }
}

/// Of a single instruction.
fn drop_prefixes(case: &mut Case, fails: &mut dyn FnMut(&Case) -> bool) {
    if instructions(case).len() > 1 {
        return;
    }
    let mut at = 0;
    while at + 1 < case.code.len() && at < 15 {
        let mut smaller = case.clone();
        let dropped = smaller.code.remove(at);
        let is_prefix = matches!(dropped, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
        if !is_prefix || !adopt(case, smaller, fails) {
            at += 1;
        }
    }
}

fn drop_memory(case: &mut Case, fails: &mut dyn FnMut(&Case) -> bool) {
    adopt(case, Case { background: 0, ..case.clone() }, fails);
    let mut n = case.patches.len();
    while n > 0 {
        n -= 1;
        let mut smaller = case.clone();
        smaller.patches.remove(n);
        if adopt(case, smaller, fails) {
            continue;
        }
        for at in 0..case.patches[n].1.len() {
            let mut smaller = case.clone();
            smaller.patches[n].1[at] = 0;
            adopt(case, smaller, fails);
        }
    }
}

/// Each register to what it is in a new case.
fn reset_registers(case: &mut Case, fails: &mut dyn FnMut(&Case) -> bool) {
    let new = Registers::new();
    let mut attempt = |change: &dyn Fn(&mut Registers)| {
        let mut smaller = case.clone();
        change(&mut smaller.registers);
        if smaller.registers != case.registers {
            adopt(case, smaller, fails);
        }
    };
    attempt(&|registers| (0..16).for_each(|n| registers.set_xmm(n, 0)));
    attempt(&|registers| registers.ymm_high = [0; 16]);
    attempt(&|registers| registers.fx[..24].copy_from_slice(&new.fx[..24]));
    for n in 0..16 {
        attempt(&|registers| registers.set_xmm(n, 0));
        attempt(&|registers| registers.ymm_high[n] = 0);
        attempt(&|registers| registers.gpr[n] = 0);
    }
    for n in 0..8 {
        attempt(&|registers| registers.set_st(n, (0, 0)));
    }
    attempt(&|registers| registers.set_mxcsr(new.mxcsr()));
    attempt(&|registers| {
        registers.set_x87_words((new.x87_words().0, registers.x87_words().1, registers.x87_words().2))
    });
    attempt(&|registers| registers.set_x87_words((registers.x87_words().0, 0, registers.x87_words().2)));
    for bit in 0..22 {
        attempt(&|registers| registers.rflags &= !(1 << bit) | new.rflags);
    }
}

/// What has to be set, to less.
fn shrink_registers(case: &mut Case, fails: &mut dyn FnMut(&Case) -> bool) {
    for n in 0..16 {
        for mask in [0xffff_ffff, 0xffff, 0xff, 0xf] {
            let mut smaller = case.clone();
            smaller.registers.gpr[n] &= mask;
            if smaller.registers.gpr[n] != case.registers.gpr[n] {
                adopt(case, smaller, fails);
            }
        }
        for lane in 0..4 {
            let mut smaller = case.clone();
            smaller.registers.set_xmm(n, case.registers.xmm(n) & !(0xffff_ffff << (32 * lane)));
            if smaller.registers != case.registers {
                adopt(case, smaller, fails);
            }
        }
    }
}
