//! Random cases of a row on both processors.

use x86::{Inst, Row, Width};

use crate::assemble::{instruction, memory_operand, place_memory_operand, randomise};
use crate::case::Case;
use crate::compare::{Tolerance, describe, differences};
use crate::guest::Guest;
use crate::host::Host;
use crate::random::Random;

/// What is particular to a family of instructions.
pub trait Family {
    /// Bends a random case towards what the instruction is for. `address` is where its memory operand lies.
    fn shape(&self, case: &mut Case, inst: &Inst, address: Option<u64>, random: &mut Random);

    /// What to compare afterwards; `None` where the outcome is undefined or would not end.
    fn tolerance(&self, case: &Case, inst: &Inst) -> Option<Tolerance>;
}

/// Both processors.
pub struct Runner {
    host: Host,
    guest: Guest,
}

/// How often a row is tried in vain for every case wanted, before giving up.
const PATIENCE: usize = 8;

impl Runner {
    /// Both processors, ready.
    #[must_use]
    pub fn new() -> Runner {
        Runner { host: Host::new(), guest: Guest::new() }
    }

    /// Compares `cases` random cases of the row with number `index` in a code segment of width `mode`.
    ///
    /// # Errors
    /// What differs, in the first case that does; or that no case could be made of the row.
    pub fn try_row(
        &mut self,
        mode: Width,
        index: u16,
        row: &'static Row,
        family: &dyn Family,
        cases: usize,
    ) -> Result<(), String> {
        if row.has_note(if mode == Width::W64 { "i64" } else { "o64" }) {
            return Ok(());
        }
        let mut random = Random(u64::from(index) << 32 | mode as u64);
        let mut compared = 0;
        for _ in 0..cases * PATIENCE {
            if compared == cases {
                break;
            }
            let Some((case, inst)) = make(mode, row, index, family, &mut random) else { continue };
            let Some(tolerance) = family.tolerance(&case, &inst) else { continue };
            let (on_host, ours) = (self.host.run(&case), self.guest.run(&case));
            let lines = differences(mode, &on_host, &ours, tolerance);
            if !lines.is_empty() {
                let lines = lines.join("\n    ");
                let bits = mode.bits();
                return Err(format!(
                    "{} {}, {bits}-bit\n  {}\n    {lines}",
                    row.mnemonic,
                    row.encoding,
                    describe(&case)
                ));
            }
            compared += 1;
        }
        // REX.W exists in 64-bit mode only.
        let needs_rex = mode != Width::W64 && row.encoding.contains("W1");
        if compared == 0 && !needs_rex {
            return Err(format!("{} {}, {}-bit: no case could be made", row.mnemonic, row.encoding, mode.bits()));
        }
        Ok(())
    }
}

impl Default for Runner {
    fn default() -> Runner {
        Runner::new()
    }
}

fn make(mode: Width, row: &'static Row, index: u16, family: &dyn Family, random: &mut Random) -> Option<(Case, Inst)> {
    let (code, mut inst) = instruction(row, index, mode, random)?;
    let mut case = Case::new(code, mode);
    randomise(&mut case, random);
    let mut address = None;
    if let Some(mem) = memory_operand(&inst) {
        address = Some(place_memory_operand(&mut case, &mut inst, mem, random)?);
    }
    family.shape(&mut case, &inst, address, random);
    Some((case, inst))
}
