//! XMM registers that a region calculates with one number at a time: nothing in it reads or writes above their lowest lanes, but for who clears all of them.
//!
//! What is above there when the region is entered waits in a local of its own, and the register is zero above meanwhile, so that a packed operation does for a
//! scalar one: no lane is taken out of an accumulator and put back in every turn of a loop. Where the region is left both are put together. Who clears the
//! whole register clears what waits ([`crate::ir::Stop::cleared`]).

use cpu::compiled::{Region, RegionBlock};
use x86::instructions::simd::{ConvertOp, FpOp, Lanes, PackedOp, Simd};
use x86::{Form, Op, Sem, Vex};

use crate::effects::vectors_of;

/// See the module; a bit for each register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scalars {
    single: u16,
    double: u16,
}

/// What an instruction has to do with the XMM registers it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Their lowest lanes.
    Lowest(Lanes),
    /// It clears the first of them above these, into which it may load a number.
    Clears(Lanes),
    Whole,
}

impl Scalars {
    /// Those of `region`, as far as a loop may gain by it.
    pub(crate) fn of(region: &Region) -> Scalars {
        let (mut found, mut others) = (Scalars::default(), Scalars::default());
        if !region.blocks.iter().enumerate().any(|(place, block)| goes_back(place, block)) {
            return found;
        }
        for block in &region.blocks {
            let mut cleared = 0;
            for op in &block.ops {
                match part(op) {
                    Part::Lowest(lanes) if lanes.is_single() => found.single |= operands(op) & !cleared,
                    Part::Lowest(_) => {
                        found.double |= operands(op) & !cleared;
                        others.single |= vectors_of(op);
                    }
                    Part::Clears(lanes) => {
                        cleared |= first(op);
                        others.single |= if lanes.is_single() { 0 } else { first(op) };
                    }
                    Part::Whole => {
                        others.single |= vectors_of(op);
                        others.double |= vectors_of(op);
                    }
                }
            }
        }
        let double = found.double & !others.double;
        Scalars { single: found.single & !others.single & !double, double }
    }

    /// What a register holds, if it is one of them.
    pub(crate) fn lanes(self, register: usize) -> Option<Lanes> {
        if self.single >> register & 1 != 0 {
            return Some(Lanes::Ss);
        }
        (self.double >> register & 1 != 0).then_some(Lanes::Sd)
    }

    pub(crate) fn registers(self) -> u16 {
        self.single | self.double
    }

    /// Those that `op` clears as a whole.
    pub(crate) fn cleared_by(self, op: &Op) -> u16 {
        if matches!(part(op), Part::Clears(_)) { self.registers() & first(op) } else { 0 }
    }
}

fn goes_back(place: usize, block: &RegionBlock) -> bool {
    block.targets.iter().chain(&block.next).any(|&next| next <= place)
}

fn first(op: &Op) -> u16 {
    1 << (op.dst & 15)
}

fn part(op: &Op) -> Part {
    let Sem::Simd(simd) = op.sem else { return Part::Whole };
    match simd {
        _ if op.vex != Vex::None => Part::Whole,
        Simd::MoveScalar(lanes) if op.form == Form::Rm => Part::Clears(lanes),
        Simd::Packed(PackedOp::Pxor) if op.form == Form::Rr && op.dst == op.src => Part::Clears(Lanes::Ss),
        Simd::MoveScalar(lanes) | Simd::IntegerToScalar(lanes) => Part::Lowest(lanes),
        Simd::CompareOrdered(lanes) | Simd::CompareUnordered(lanes) => Part::Lowest(lanes),
        Simd::ScalarToInteger(lanes) | Simd::ScalarToIntegerTruncating(lanes) => Part::Lowest(lanes),
        Simd::Float(op) if op.lanes().is_scalar() => Part::Lowest(op.lanes()),
        Simd::Convert(ConvertOp::Cvtss2sd | ConvertOp::Cvtsd2ss) => Part::Lowest(Lanes::Sd),
        _ => Part::Whole,
    }
}

/// The registers that `op` calculates with, if it is of those that have a packed form.
fn operands(op: &Op) -> u16 {
    let Sem::Simd(Simd::Float(float)) = op.sem else { return 0 };
    if !matches!(float.op(), FpOp::Add | FpOp::Sub | FpOp::Mul) {
        return 0;
    }
    let source = if op.form == Form::Rr { 1 << (op.src & 15) } else { 0 };
    first(op) | source
}
