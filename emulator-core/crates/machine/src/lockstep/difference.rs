//! What differs between two machines, by name.

use core::fmt::{Debug, LowerHex};

use cpu::State;
use x86::{Width, flags, register_name};

/// How the name of a place in memory begins.
pub(super) const MEMORY: &str = "memory ";
/// Places in memory that are listed.
const PLACES: usize = 16;

/// Something that has two values.
pub(super) struct Difference {
    pub(super) name: String,
    pub(super) values: [String; 2],
}

impl Difference {
    pub(super) fn new<T: Debug>(name: &str, a: &T, b: &T) -> Difference {
        Difference { name: name.to_owned(), values: [format!("{a:x?}"), format!("{b:x?}")] }
    }
}

/// Everything in which two states differ.
pub(super) fn between(a: &State, b: &State) -> Vec<Difference> {
    let (a, b) = (comparable(a), comparable(b));
    if a == b {
        return Vec::new();
    }
    let mut found = Vec::new();
    for number in 0..16u8 {
        let name = register_name(Width::W64, number);
        number_pair(&mut found, name, a.regs.get(usize::from(number)), b.regs.get(usize::from(number)));
    }
    number_pair(&mut found, "rip", a.rip, b.rip);
    number_pair(&mut found, "rflags", a.rflags(), b.rflags());
    for (number, (a, b)) in a.xmm.iter().zip(&b.xmm).enumerate() {
        number_pair(&mut found, &format!("xmm{number}"), *a, *b);
    }
    for (number, (a, b)) in a.ymm_high.iter().zip(&b.ymm_high).enumerate() {
        number_pair(&mut found, &format!("ymm{number} high"), *a, *b);
    }
    number_pair(&mut found, "mxcsr", a.mxcsr, b.mxcsr);
    other(&mut found, "x87", &a.x87, &b.x87);
    for (name, (a, b)) in ["es", "cs", "ss", "ds", "fs", "gs"].iter().zip(a.segs.iter().zip(&b.segs)) {
        other(&mut found, name, a, b);
    }
    let control = |state: &State| [state.cr0, state.cr2, state.cr3, state.cr4, state.xcr0, u64::from(state.cpl)];
    other(&mut found, "cr0 2 3 4 xcr0 cpl", &control(&a), &control(&b));
    other(&mut found, "msrs", &a.msrs, &b.msrs);
    if found.is_empty() {
        other(&mut found, "state", &a, &b);
    }
    found
}

/// The state without what no software sees: how flags are kept, and the slots of the register file that are no registers.
fn comparable(state: &State) -> State {
    let mut state = state.clone();
    state.set_rflags(state.rflags());
    state.regs.set(usize::from(x86::RIP_SLOT), 0);
    debug_assert_eq!(state.flag_result, flags::unpack(state.rflags()).0);
    state
}

fn number_pair<T: LowerHex + PartialEq>(found: &mut Vec<Difference>, name: &str, a: T, b: T) {
    if a != b {
        found.push(Difference { name: name.to_owned(), values: [format!("{a:x}"), format!("{b:x}")] });
    }
}

fn other<T: Debug + PartialEq>(found: &mut Vec<Difference>, name: &str, a: &T, b: &T) {
    if a != b {
        found.push(Difference::new(name, a, b));
    }
}

/// The first places in which two memories of the same size differ.
pub(super) fn of_memory(a: &[u8], b: &[u8]) -> Vec<Difference> {
    const BYTES: usize = size_of::<u64>();
    let (a, b) = (a.chunks_exact(BYTES).enumerate(), b.chunks_exact(BYTES));
    let differ = a.zip(b).filter(|((_, a), b)| a != b).take(PLACES);
    differ.map(|((at, a), b)| Difference::new(&format!("{MEMORY}{:#x}", at * BYTES), &a, &b)).collect()
}
