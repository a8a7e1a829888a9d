//! Our own two engines: what is interpreted must do the same where it is compiled, also where no other processor can judge.

use hosted::HostedJit;
use x86::Sem;
use x86::instructions::system::Sys;

use crate::campaign::{Comparison, Outcome};
use crate::case::Case;
use crate::compare::{ALL_FLAGS, difference};
use crate::guest::Guest;
use crate::judge::{Defined, X87_POINTER, instructions};

/// Cases after which the engines should be new ones, in a new thread: what runs compiled code in tests frees no module before its thread ends.
pub const CASES_A_THREAD: u64 = 2000;

/// Whatever software can see.
const EVERYTHING: Defined = Defined {
    flags: ALL_FLAGS,
    x87_status: u16::MAX,
    x87_ip: X87_POINTER,
    x87_operand: true,
    vectors_after_fault: true,
    ulps: 0,
};

/// A processor that interprets and one that compiles everything before it runs.
pub struct Engines {
    interprets: Guest,
    compiles: Guest,
}

impl Engines {
    /// Both, ready.
    #[must_use]
    pub fn new() -> Engines {
        Engines { interprets: Guest::new(), compiles: Guest::compiled(Box::new(HostedJit::new())) }
    }

    /// Instructions that compiled code has run.
    #[must_use]
    pub fn compiled_instructions(&self) -> u64 {
        self.compiles.compiled_instructions()
    }
}

impl Default for Engines {
    fn default() -> Engines {
        Engines::new()
    }
}

impl Comparison for Engines {
    /// The interpreter stands where the host's processor does in a report.
    fn compare(&mut self, case: &Case) -> Outcome {
        if instructions(case).iter().any(|inst| matches!(inst.row().sem, Sem::Sys(Sys::Rdrand))) {
            return Outcome::NotJudged("chance decides".into());
        }
        let (interpreted, compiled) = (self.interprets.run(case), self.compiles.run(case));
        difference(case.mode, &interpreted, &compiled, &EVERYTHING).map_or(Outcome::Same, Outcome::Different)
    }
}
