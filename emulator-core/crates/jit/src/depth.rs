//! How far the x87's stack has moved where each block of a region begins.
//!
//! Registers are counted from the one that ST(0) is where the region begins. Blocks that can be reached with the stack at different places are left to the
//! way out of the region that gets there with another than the first.

use cpu::compiled::Region;
use x86::instructions::fpu::Fpu;
use x86::{Op, Sem};

use crate::effects::{Role, role};

/// Depths are counted modulo 8.
pub(crate) const MASK: u8 = 7;
/// What a push, and a pop, add.
pub(crate) const DOWN: u8 = 7;
pub(crate) const UP: u8 = 1;

/// See the module. All are 0 where the unit is not used.
pub(crate) struct Depths {
    /// Where each block of the region begins, and where it ends.
    pub(crate) at: Vec<u8>,
    pub(crate) behind: Vec<u8>,
    /// A bit for each register that instructions name.
    pub(crate) named: u8,
}

impl Depths {
    pub(crate) fn of(region: &Region) -> Depths {
        let count = region.blocks.len();
        let mut depths = Depths { at: vec![0; count], behind: vec![0; count], named: 0 };
        let mut reached = vec![false; count];
        // Those that nothing leads to are entered, and may count as they like.
        for first in 0..count {
            let mut pending = vec![(first, 0)];
            while let Some((place, depth)) = pending.pop() {
                if core::mem::replace(&mut reached[place], true) {
                    continue;
                }
                let block = &region.blocks[place];
                depths.at[place] = depth;
                let mut now = depth;
                for op in block.ops.iter().take_while(|op| role(op) != Role::Stops) {
                    depths.named |= named(op, now);
                    now = now.wrapping_add(moves(op)) & MASK;
                }
                depths.behind[place] = now;
                pending.extend(block.targets.iter().copied().chain(block.next).map(|next| (next, now)));
            }
        }
        depths
    }
}

/// What `op` adds to the depth where all goes well.
pub(crate) fn moves(op: &Op) -> u8 {
    let Sem::Fpu(fpu) = op.sem else { return 0 };
    match fpu {
        Fpu::Fld | Fpu::Fild | Fpu::Fld1 | Fpu::Fldz => DOWN,
        Fpu::Faddp | Fpu::Fmulp | Fpu::Fsubp | Fpu::Fsubrp | Fpu::Fdivp | Fpu::Fdivrp => UP,
        Fpu::Fstp | Fpu::Fistp | Fpu::Fisttp => UP,
        Fpu::Fcomp | Fpu::Fucomp | Fpu::Ficomp | Fpu::Fcomip | Fpu::Fucomip => UP,
        Fpu::Fcompp | Fpu::Fucompp => 2 * UP,
        _ => 0,
    }
}

/// A bit for each register that `op` may name where the stack stands at `depth`.
fn named(op: &Op, depth: u8) -> u8 {
    if !matches!(op.sem, Sem::Fpu(_)) {
        return 0;
    }
    let numbers = [0, 1, DOWN, op.dst & MASK, op.src & MASK];
    numbers.into_iter().fold(0, |all, number| all | 1 << (depth.wrapping_add(number) & MASK))
}
