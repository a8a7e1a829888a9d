//! What instructions that are not compiled have to do with the cells that compiled code keeps in locals.

use cpu::Mode;
use x86::decode::operands::Spec;
use x86::instructions::integer::Int;
use x86::instructions::system::Sys;
use x86::{Op, Row, Sem, Vex, Width, ZERO_SLOT, seg};

use crate::ir::{Cell, FLAG_CARRIES, FLAG_RESULT};

/// A set of cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CellSet(u32);

impl CellSet {
    const FLAGS: CellSet = CellSet(1 << FLAG_RESULT | 1 << FLAG_CARRIES);
    const ALL: CellSet = CellSet(0xffff | CellSet::FLAGS.0);

    fn with(self, other: CellSet) -> CellSet {
        CellSet(self.0 | other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Cell> {
        (0..u32::BITS as usize).filter(move |&cell| self.0 >> cell & 1 != 0)
    }
}

/// The cells an instruction may read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Effects {
    pub(crate) reads: CellSet,
    pub(crate) writes: CellSet,
}

impl Effects {
    pub(crate) const ALL: Effects = Effects { reads: CellSet::ALL, writes: CellSet::ALL };
}

/// The effects of `op` where it is left to a helper; none where it is compiled.
pub(crate) fn effects(op: &Op, mode: Mode) -> Option<Effects> {
    let flat = mode.code == Width::W64 || (mode.flat && !matches!(op.seg, seg::FS | seg::GS));
    match op.sem {
        Sem::Int(Int::Cld | Int::Std) => Some(Effects::default()),
        Sem::Int(_) => (op.checked || !flat).then_some(Effects::ALL),
        Sem::Sys(_) => Some(Effects::ALL),
        Sem::Fpu(_) | Sem::Simd(_) => Some(of_vector(op)),
    }
}

impl Default for Effects {
    fn default() -> Effects {
        Effects { reads: CellSet::default(), writes: CellSet::default() }
    }
}

/// Whether `op` may stand in a region: it does not end its block but as a near branch, and changes nothing that compiled code takes for constant.
pub(crate) fn stays(op: &Op) -> bool {
    let row = row(op);
    let repeats = op.rep != x86::Rep::None && row.has_note("rep");
    match op.sem {
        Sem::Int(int) => int != Int::Ud,
        Sem::Sys(Sys::Wrfsbase | Sys::Wrgsbase) => false,
        _ => !repeats && !row.has_note("end"),
    }
}

fn row(op: &Op) -> &'static Row {
    x86::instructions::rows()[usize::from(op.row)]
}

/// x87 and vector instructions read the registers of their address, and name the others.
fn of_vector(op: &Op) -> Effects {
    let row = row(op);
    let address = register(op.base).with(register(op.index));
    let general = |token: &str| token.starts_with(['E', 'G', 'R', 'B', 'Z', 'A', 'e', 'r']);
    let tokens = || row.operands.split(' ').filter(|token| !token.is_empty());
    let implicit = row.mnemonic.contains("PCMP") && row.mnemonic.contains("STR");
    let flags = if row.flags.is_empty() { CellSet::default() } else { CellSet::FLAGS };
    if implicit || (op.vex != Vex::None && tokens().any(general)) {
        return Effects::ALL;
    }
    // The flags are an operand of FCMOVcc that rows do not name.
    let mut effects = Effects { reads: address.with(flags), writes: flags };
    if matches!(op.sem, Sem::Fpu(_)) {
        effects.reads = effects.reads.with(CellSet::FLAGS);
    }
    for (token, slot) in tokens().zip([op.dst, op.src, op.aux]).filter(|(token, _)| general(token)) {
        effects.reads = effects.reads.with(register(slot));
        if Spec::parse(token).written {
            effects.writes = effects.writes.with(register(slot));
        }
    }
    effects
}

fn register(slot: u8) -> CellSet {
    let number = slot / 8;
    if number < ZERO_SLOT { CellSet(1 << number) } else { CellSet::default() }
}
