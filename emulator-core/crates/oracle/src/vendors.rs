//! Where processors of other vendors do otherwise than Intel's, whom ours follows: what they do there says nothing of ours.
//!
//! A rule says which outcomes it concerns, and makes ours the host's in that respect only: what else differs still counts.

mod rules;

use x86::Inst;

use crate::ENTRY;
use crate::case::{Case, Outcome};
use crate::judge::host_is_intel;
use crate::other::runs_on_amd;
use rules::RULES;

/// An instruction and what became of the case it is in.
struct Seen<'a> {
    inst: &'a Inst,
    bytes: &'a [u8],
    host: &'a Outcome,
    ours: &'a Outcome,
    /// Vectors of the exceptions by which it ended the case.
    host_fault: Option<u8>,
    our_fault: Option<u8>,
}

/// A difference between vendors.
struct Rule {
    differ: &'static str,
    /// Whether there is one here.
    concerns: fn(&Seen) -> bool,
    /// Makes our outcome the host's in that respect.
    forgive: fn(&Seen, ours: &mut Outcome),
}

/// Why a difference after `instructions` of `case` says nothing on this host, if it does not. `same` compares another outcome
/// of ours with the host's.
#[must_use]
pub fn differ(
    case: &Case,
    instructions: &[Inst],
    (host, ours): (&Outcome, &Outcome),
    same: &dyn Fn(&Outcome) -> bool,
) -> Option<String> {
    if host_is_intel() {
        return None;
    }
    if instructions.is_empty() {
        return runs_on_amd(case).map(|what| format!("vendors differ: {what}"));
    }
    let mut forgiven = ours.clone();
    let mut reason = None;
    // What differs after an instruction in the middle may lead to anything.
    let mut spreads = false;
    let mut at = 0;
    for inst in instructions {
        let bytes = &case.code[at..case.code.len().min(at + usize::from(inst.len))];
        let address = ENTRY + at as u64;
        let fault = |outcome: &Outcome| outcome.fault.filter(|_| outcome.registers.rip == address);
        let (host_fault, our_fault) = (fault(host).map(|fault| fault.vector), fault(ours).map(|fault| fault.vector));
        let seen = Seen { inst, bytes, host, ours, host_fault, our_fault };
        for rule in RULES.iter().filter(|rule| (rule.concerns)(&seen)) {
            (rule.forgive)(&seen, &mut forgiven);
            reason = reason.or(Some(rule.differ));
            spreads |= instructions.len() > 1 && host_fault.is_none();
        }
        at += bytes.len();
    }
    reason.filter(|_| spreads || same(&forgiven)).map(|differ| format!("vendors differ: {differ}"))
}
