//! What differs between two machines, by name.

use core::fmt::{Debug, LowerHex};

use cpu::State;
use x86::{Width, flags, register_name};

/// Places in memory that are listed.
const PLACES: usize = 16;
/// Bytes of a place.
const WORD: usize = size_of::<u64>();

/// Something that has two values.
pub(super) struct Difference {
    pub(super) name: String,
    pub(super) values: [String; 2],
    /// Of a place in memory, the offset.
    pub(super) place: Option<usize>,
}

impl Difference {
    pub(super) fn new<T: Debug>(name: &str, a: &T, b: &T) -> Difference {
        Difference { name: name.to_owned(), values: [format!("{a:x?}"), format!("{b:x?}")], place: None }
    }

    /// Its value in `memory`, where it is a place there.
    pub(super) fn word<'a>(&self, memory: &'a [u8]) -> Option<&'a [u8]> {
        self.place.map(|place| &memory[place..place + WORD])
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
        found.push(Difference { name: name.to_owned(), values: [format!("{a:x}"), format!("{b:x}")], place: None });
    }
}

fn other<T: Debug + PartialEq>(found: &mut Vec<Difference>, name: &str, a: &T, b: &T) {
    if a != b {
        found.push(Difference::new(name, a, b));
    }
}

/// The first places in which two memories of the same size differ.
pub(super) fn of_memory(a: &[u8], b: &[u8]) -> Vec<Difference> {
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let differ = (0..).step_by(WORD).zip(words).filter(|(_, (a, b))| a != b).take(PLACES);
    let difference = |(place, (a, b)): (usize, (&[u8], &[u8]))| Difference {
        place: Some(place),
        ..Difference::new(&format!("memory {place:#x}"), &a, &b)
    };
    differ.map(difference).collect()
}
