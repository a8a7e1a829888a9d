//! What instructions that are not compiled have to do with the cells that compiled code keeps in locals.

use cpu::Mode;
use cpu::compiled::Region;
use x86::decode::operands::Spec;
use x86::instructions::fpu::Fpu;
use x86::instructions::integer;
use x86::instructions::system::Sys;
use x86::{Op, Row, Sem, Vex, Width, ZERO_SLOT, seg};

use crate::depth::Depths;
use crate::ir::{Cell, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, RIP, XMM};
use crate::scalars::Scalars;

/// A set of cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CellSet(u64);

impl CellSet {
    const FLAGS: CellSet = CellSet(1 << FLAG_RESULT | 1 << FLAG_CARRIES);

    /// RIP, if `wanted`.
    pub(crate) const fn instruction_pointer(wanted: bool) -> CellSet {
        CellSet((wanted as u64) << RIP)
    }

    /// General registers.
    pub(crate) const fn registers() -> CellSet {
        CellSet(0xffff)
    }

    /// General registers and flags.
    pub(crate) const fn numbers() -> CellSet {
        CellSet::registers().with(CellSet::FLAGS)
    }

    /// The XMM registers of which the bit is set.
    pub(crate) const fn vectors(registers: u16) -> CellSet {
        CellSet((registers as u64) << XMM)
    }

    /// What the status flags are made of while compiled code runs.
    pub(crate) const fn kept_flags() -> CellSet {
        CellSet(CellSet::FLAGS.0 | 1 << FLAG_KIND)
    }

    /// Of `cell`, which is not of the x87.
    pub(crate) const fn one(cell: Cell) -> CellSet {
        CellSet(1 << cell)
    }

    /// Those of lower number.
    pub(crate) const fn below(self, cell: Cell) -> CellSet {
        CellSet(self.0 & ((1 << cell) - 1))
    }

    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(crate) const fn with(self, other: CellSet) -> CellSet {
        CellSet(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: CellSet) -> CellSet {
        CellSet(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: CellSet) -> CellSet {
        CellSet(self.0 & !other.0)
    }

    pub(crate) const fn has(self, cell: Cell) -> bool {
        self.0 >> cell & 1 != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Cell> {
        (0..u64::BITS as usize).filter(move |&cell| self.0 >> cell & 1 != 0)
    }
}

impl FromIterator<CellSet> for CellSet {
    /// All that are in one of them.
    fn from_iter<I: IntoIterator<Item = CellSet>>(sets: I) -> CellSet {
        sets.into_iter().fold(CellSet::default(), CellSet::with)
    }
}

/// The cells an instruction may read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Effects {
    pub(crate) reads: CellSet,
    pub(crate) writes: CellSet,
}

impl Effects {
    const fn both(cells: CellSet) -> Effects {
        Effects { reads: cells, writes: cells }
    }
}

const EVERYTHING: Effects = Effects::both(CellSet::numbers().with(CellSet::vectors(u16::MAX)));

/// Whether `op` is described as values and steps, or can be, in `mode`: only general instructions go through a segment that is checked.
pub(crate) fn is_plain(op: &Op, mode: Mode) -> bool {
    match op.sem {
        Sem::Int(_) => true,
        _ => !op.checked && (mode.code == Width::W64 || mode.flat && !matches!(op.seg, seg::FS | seg::GS)),
    }
}

/// The effects of `op` where it is left to a helper.
pub(crate) fn effects(op: &Op) -> Effects {
    match op.sem {
        Sem::Int(_) => Effects::both(CellSet::numbers()),
        Sem::Sys(sys) => of_system(op, sys),
        Sem::Fpu(Fpu::Fxsave | Fpu::Fxrstor) => EVERYTHING,
        Sem::Fpu(_) | Sem::Simd(_) => of_vector(op),
    }
}

const RAX: u8 = 0;
const RCX: u8 = 8;
const RDX: u8 = 2 * 8;
const RBX: u8 = 3 * 8;
const RSP: u8 = 4 * 8;
const RSI: u8 = 6 * 8;
const RDI: u8 = 7 * 8;
const R11: u8 = 11 * 8;

/// Of the system instructions that kernels run often; any other may have to do with every register.
fn of_system(op: &Op, sys: Sys) -> Effects {
    use Sys::{Clac, Cli, Clts, Cmps, Cmpxchg8b, Cmpxchg16b, Invlpg, LoadControl, LoadSegment, Lods, Movs, PopSegment};
    use Sys::{Popf, Pushf, Rdmsr, Rdtsc, Rdtscp, Scas, Stac, Sti, StoreControl, Stos};
    use Sys::{Swapgs, Syscall, Sysenter, Sysexit, Sysret, Wrmsr};
    let set = |registers: &[u8]| registers.iter().fold(CellSet::default(), |all, &slot| all.with(register(slot)));
    let address = register(op.base).with(register(op.index));
    let (reads, writes) = match sys {
        Cli | Sti | Clac | Stac | Swapgs | Clts => (set(&[]), set(&[])),
        Pushf => (set(&[RSP]).with(CellSet::FLAGS), set(&[RSP])),
        Popf => (set(&[RSP]).with(CellSet::FLAGS), set(&[RSP]).with(CellSet::FLAGS)),
        PopSegment => (set(&[RSP]), set(&[RSP])),
        StoreControl => (address.with(register(op.dst)), register(op.dst)),
        LoadSegment | LoadControl => (address.with(register(op.src)), set(&[])),
        Invlpg => (address, set(&[])),
        Syscall => (CellSet::FLAGS, set(&[RCX, R11]).with(CellSet::FLAGS)),
        Sysret => (set(&[RCX, R11]), CellSet::FLAGS),
        Sysenter => (set(&[]), set(&[RSP])),
        Sysexit => (set(&[RCX, RDX]), set(&[RSP])),
        Rdtsc => (set(&[]), set(&[RAX, RDX])),
        Rdtscp => (set(&[]), set(&[RAX, RCX, RDX])),
        Rdmsr => (set(&[RCX]), set(&[RAX, RDX])),
        Wrmsr => (set(&[RAX, RCX, RDX]), set(&[])),
        Cmpxchg8b | Cmpxchg16b => {
            let named = set(&[RAX, RBX, RCX, RDX]).with(CellSet::FLAGS);
            (address.with(named), set(&[RAX, RDX]).with(CellSet::FLAGS))
        }
        Movs => (set(&[RCX, RSI, RDI]), set(&[RCX, RSI, RDI])),
        Stos => (set(&[RAX, RCX, RDI]), set(&[RCX, RDI])),
        Lods => (set(&[RAX, RCX, RSI]), set(&[RAX, RCX, RSI])),
        Cmps | Scas => {
            let moved = set(&[RCX, RSI, RDI]).with(CellSet::FLAGS);
            (moved.with(set(&[RAX])), moved)
        }
        _ if row(op).mnemonic.starts_with('X') => return EVERYTHING,
        _ => return Effects::both(CellSet::numbers()),
    };
    Effects { reads, writes }
}

/// How an instruction stands in its region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It goes on with the next, or is a near branch.
    Plain,
    /// The next instruction may be another one's: an interrupt may come first, or the mode has changed.
    Pauses,
    /// The same, and it may have to go on with itself.
    Repeats,
    /// It goes on where the state says, in a mode that may be another.
    Transfers,
    /// It is none of the region's.
    Stops,
}

/// See [`Role`].
pub(crate) fn role(op: &Op) -> Role {
    use Sys::{CallFar, Hlt, Int, Int1, Int3, Into, Iret, JmpFar, RetFar, Syscall, Sysenter, Sysexit, Sysret};
    match op.sem {
        Sem::Int(integer::Int::Ud) | Sem::Sys(Hlt) => Role::Stops,
        Sem::Int(_) => Role::Plain,
        Sem::Sys(
            CallFar | Int | Int1 | Int3 | Into | Iret | JmpFar | RetFar | Syscall | Sysenter | Sysexit | Sysret,
        ) => Role::Transfers,
        Sem::Sys(_) if op.rep != x86::Rep::None && row(op).repeats => Role::Repeats,
        Sem::Sys(_) if row(op).ends_block => Role::Pauses,
        _ => Role::Plain,
    }
}

fn row(op: &Op) -> &'static Row {
    x86::instructions::rows()[usize::from(op.row)]
}

/// What a region keeps in locals beside the general registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Units {
    /// XMM registers, a bit each.
    pub(crate) vectors: u16,
    /// Which of them are zero above their lowest lanes.
    pub(crate) scalars: Scalars,
    /// Registers of the x87 that instructions name, a bit each: where there are some, the unit.
    pub(crate) x87: u8,
    /// Sums and products of the x87 stand where they are computed; otherwise a helper computes them.
    pub(crate) inline_x87: bool,
}

impl Units {
    /// More x87 instructions than this are left to helpers, for their code is an eighth as long.
    const MOST_INLINE: usize = 120;

    pub(crate) fn of(region: &Region, depths: &Depths) -> Units {
        let ops = || region.blocks.iter().flat_map(|block| &block.ops);
        let x87 = ops().filter(|op| matches!(op.sem, Sem::Fpu(_))).count();
        let vectors = ops().fold(0, |all, op| all | vectors_of(op));
        Units {
            vectors,
            scalars: if vectors == 0 { Scalars::default() } else { Scalars::of(region) },
            x87: depths.named,
            inline_x87: region.usual_x87 && x87 <= Units::MOST_INLINE,
        }
    }
}

/// The XMM registers that are operands of `op`, of those whose token in the row `counts`.
fn named_vectors(op: &Op, counts: impl Fn(&str) -> bool) -> u16 {
    // `Op::lower` puts a register that VEX.vvvv names second behind the third operand.
    let vvvv_second = tokens(op).nth(1).is_some_and(|token| token.starts_with('H'));
    let (second, third) = if vvvv_second { (op.aux, op.src) } else { (op.src, op.aux) };
    let slots = [op.dst, second, third, op.imm as u8];
    let mut registers = 0;
    for (token, slot) in tokens(op).zip(slots) {
        if token.starts_with(['V', 'U', 'W', 'H', 'L']) && !token.starts_with("VM") && counts(token) {
            registers |= 1 << (slot & 15);
        }
        if token == "XMM0" {
            registers |= 1;
        }
    }
    registers
}

/// The XMM registers that `op` names, and perhaps another where its operand is in memory.
pub(crate) fn vectors_of(op: &Op) -> u16 {
    if matches!(op.sem, Sem::Simd(_)) { named_vectors(op, |_| true) } else { 0 }
}

fn tokens(op: &Op) -> impl Iterator<Item = &'static str> {
    row(op).operands.split(' ').filter(|token| !token.is_empty())
}

/// Whether `op`, where a helper runs it, may have to do with the x87, whose registers are those of MMX as well.
pub(crate) fn touches_x87(op: &Op) -> bool {
    match op.sem {
        Sem::Int(_) => false,
        Sem::Sys(_) => role(op) != Role::Repeats,
        Sem::Fpu(_) | Sem::Simd(_) => true,
    }
}

/// x87 and vector instructions read the registers of their address, and name the others.
fn of_vector(op: &Op) -> Effects {
    let row = row(op);
    let implicit = row.mnemonic.contains("PCMP") && row.mnemonic.contains("STR");
    if implicit || op.vex != Vex::None {
        return EVERYTHING;
    }
    let flags = if row.flags.is_empty() { CellSet::default() } else { CellSet::FLAGS };
    let address = register(op.base).with(register(op.index));
    let vectors = CellSet::vectors(named_vectors(op, |_| true));
    let written = CellSet::vectors(named_vectors(op, |token| Spec::parse(token).written));
    let mut effects = Effects { reads: address.with(flags).with(vectors), writes: flags.with(written) };
    // The flags are an operand of FCMOVcc that rows do not name.
    if row.mnemonic.starts_with("FCMOV") {
        effects.reads = effects.reads.with(CellSet::FLAGS);
    }
    let general = |token: &str| token.starts_with(['E', 'G', 'R', 'B', 'Z', 'A', 'e', 'r']);
    for (token, slot) in tokens(op).zip([op.dst, op.src, op.aux]).filter(|(token, _)| general(token)) {
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
