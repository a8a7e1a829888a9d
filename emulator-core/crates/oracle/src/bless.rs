//! What the host's processor makes of an example, written as examples are.

use filetest::case::{Case, Outcome};
use filetest::{Example, Instruction, Note, Place, Processor, Setting};
use x86::{Inst, Rep, Width, flags};

use crate::assemble::memory_operand;
use crate::campaign::{self, Pair};
use crate::host::Host;
use crate::judge::{Defined, Verdict, instructions, judge};

/// `example` with what the host does; our processor must do the same.
///
/// # Errors
/// Why the host cannot be asked, or what ours does otherwise.
pub fn bless(pair: &mut Pair, instruction: &Instruction, example: &Example) -> Result<Example, String> {
    let case = example.case(instruction);
    let list = instructions(&case);
    let defined = match judge(&case, &list) {
        Verdict::Compare(defined) => defined,
        Verdict::NotJudged(reason) => return Err(format!("the host is no judge: {reason}")),
    };
    match pair.compare(&case) {
        campaign::Outcome::Same => {}
        campaign::Outcome::Different(report) => return Err(report),
        campaign::Outcome::Deviates(deviation) => return Err(deviation.reason.into()),
        campaign::Outcome::NotJudged(reason) => return Err(format!("the host is no judge: {reason}")),
    }
    let outcome = pair.host().run(&case);
    let open = example.after.iter().filter(|setting| matches!(setting, Setting::Any(_))).cloned().collect();
    let mut describer = Describer { state: Example::unchanged(&case, outcome.fault.is_some()), settings: open };
    for setting in describer.settings.clone() {
        if let Setting::Any(place) = setting {
            place.set(&mut describer.state, place.get(&outcome));
        }
    }
    describer.state.fault = outcome.fault.map(|fault| filetest::case::Fault { address: 0, ..fault });
    describer.all(&case, instruction, example, list.first(), &outcome, &defined);
    Ok(Example { fault: outcome.fault, after: describer.settings, note: Note::Judged, ..example.clone() })
}

/// The host runs what it can judge.
impl Processor for Host {
    fn declines(&self, example: &Example, case: &Case) -> Option<String> {
        if let Note::Manual(_) = example.note {
            return Some("the manual is the judge".into());
        }
        match judge(case, &instructions(case)) {
            Verdict::Compare(_) => None,
            Verdict::NotJudged(reason) => Some(reason),
        }
    }

    fn run(&mut self, case: &Case) -> Outcome {
        Host::run(self, case)
    }
}

/// Finds the words that lead from a state to another.
struct Describer {
    state: Outcome,
    settings: Vec<Setting>,
}

impl Describer {
    fn all(
        &mut self,
        case: &Case,
        instruction: &Instruction,
        example: &Example,
        inst: Option<&Inst>,
        outcome: &Outcome,
        defined: &Defined,
    ) {
        const PAGE_FAULT: u8 = 14;
        if outcome.fault.is_some_and(|fault| fault.vector == PAGE_FAULT) {
            self.settings.push(Setting::Is(Place::Cr2, Place::Cr2.get(outcome)));
        }
        self.place(Place::Ip, outcome);
        self.general(instruction, example, outcome);
        self.status(inst, outcome, defined);
        for name in ["tf", "if", "df", "iopl", "nt", "ac", "id"] {
            self.place(Place::named(name, "0").expect("a flag"), outcome);
        }
        self.vectors(instruction, example, outcome);
        self.x87(instruction, outcome, defined);
        (0..6).for_each(|n| self.place(Place::Selector(n), outcome));
        self.memory(case, example, inst, outcome);
    }

    /// Says what `place` is, where that is new.
    fn place(&mut self, place: Place, outcome: &Outcome) {
        let mut value = place.get(outcome);
        if let Place::Selector(_) = place
            && value.low < 4
        {
            // On the way through the host's kernel null selectors lose their privilege level.
            value = filetest::Value::default();
        }
        if place.get(&self.state) != value {
            place.set(&mut self.state, value);
            self.settings.push(Setting::Is(place, value));
        }
    }

    /// By the names the test uses, where they say it all.
    fn general(&mut self, instruction: &Instruction, example: &Example, outcome: &Outcome) {
        let full = if instruction.mode == Width::W64 { Width::W64 } else { Width::W32 };
        for register in 0..16 {
            let whole = Place::General { register, shift: 0, width: full };
            let difference = whole.get(&self.state).word() ^ whole.get(outcome).word();
            let mut names = named_in(&instruction.text);
            names.extend(
                example.before.iter().filter_map(|s| if let Setting::Is(place, _) = s { Some(*place) } else { None }),
            );
            let covers = |place: &Place| {
                matches!(*place, Place::General { register: r, shift, width }
                    if r == register && difference & !(width.mask() << shift) == 0)
            };
            self.place(names.into_iter().find(covers).unwrap_or(whole), outcome);
        }
    }

    fn status(&mut self, inst: Option<&Inst>, outcome: &Outcome, defined: &Defined) {
        let told = defined.flags & flags::STATUS;
        let set = outcome.registers.rflags & told;
        let changed = (self.state.registers.rflags ^ outcome.registers.rflags) & flags::STATUS != 0;
        let writes = inst.is_some_and(|inst| !inst.row().flags.is_empty()) || told != flags::STATUS;
        if changed || writes && outcome.fault.is_none() {
            self.settings.push(Setting::Status { told, set });
        }
    }

    fn vectors(&mut self, instruction: &Instruction, example: &Example, outcome: &Outcome) {
        let wide = instruction.text.contains("ymm")
            || example.before.iter().any(|setting| matches!(setting, Setting::Is(Place::Ymm(_), _)));
        for n in 0..16 {
            let high_changed =
                self.state.registers.ymm_high[usize::from(n)] != outcome.registers.ymm_high[usize::from(n)];
            self.place(if wide || high_changed { Place::Ymm(n) } else { Place::Xmm(n) }, outcome);
        }
        self.place(Place::Mxcsr, outcome);
    }

    fn x87(&mut self, instruction: &Instruction, outcome: &Outcome, defined: &Defined) {
        const TOP: u64 = 7 << 11;
        let status = |state: &Outcome| Place::Status.get(state).word();
        let undefined = !u64::from(defined.x87_status);
        let (before, after) = (status(&self.state), status(outcome) & !undefined);
        let only_top = (before ^ after) & !TOP & !undefined == 0;
        if only_top {
            self.place(Place::Top, outcome);
        } else {
            Place::Status.set(&mut self.state, after.into());
            self.settings.push(Setting::Is(Place::Status, after.into()));
        }
        let in_use = |state: &Outcome, n| Place::X87InUse(n).get(state).word() != 0;
        let taken_up = (0..8).filter(|&n| in_use(outcome, n) && !in_use(&self.state, n)).count();
        for n in 0..8 {
            let changed = Place::X87(n).get(&self.state) != Place::X87(n).get(outcome);
            const MMX_EXPONENT: u16 = 0xffff;
            if instruction.text.contains("mm") && changed && outcome.registers.st(n.into()).1 == MMX_EXPONENT {
                let value = Place::Mmx(n).get(outcome);
                Place::Mmx(n).set(&mut self.state, value);
                self.settings.push(Setting::Is(Place::Mmx(n), value));
            } else if changed || taken_up <= 2 && in_use(outcome, n) && !in_use(&self.state, n) {
                let value = Place::X87(n).get(outcome);
                Place::X87(n).set(&mut self.state, value);
                let near = defined.ulps > 0;
                self.settings.push(if near { Setting::Near(n, value) } else { Setting::Is(Place::X87(n), value) });
            }
        }
        let near = |setting: &Setting| matches!(setting, Setting::Near(..));
        if defined.ulps > 0 && before != after && !self.settings.iter().any(near) {
            // It says that C1 is open.
            self.settings.push(Setting::Near(0, Place::X87(0).get(outcome)));
        }
        let emptied: Vec<u8> = (0..8).filter(|&n| in_use(&self.state, n) && !in_use(outcome, n)).collect();
        if emptied.len() <= 2 {
            emptied.into_iter().for_each(|n| self.place(Place::X87InUse(n), outcome));
        }
        self.place(Place::Tags, outcome);
        self.place(Place::Control, outcome);
    }

    /// By the pieces the test names, then the operand, what was pushed, and at last whatever differs.
    fn memory(&mut self, case: &Case, example: &Example, inst: Option<&Inst>, outcome: &Outcome) {
        for setting in &example.before {
            if let Setting::Is(place @ Place::Memory { .. }, _) = setting {
                self.place(*place, outcome);
            }
        }
        if let Some(inst) = inst.filter(|inst| inst.rep == Rep::None)
            && let Some(place) = operand(case, inst)
        {
            self.place(place, outcome);
        }
        const RSP: usize = 4;
        let (old, new) = (case.registers.gpr[RSP], outcome.registers.gpr[RSP]);
        if let Ok(bytes @ 1..=32) = u8::try_from(old.wrapping_sub(new)) {
            self.place(Place::Memory { address: new, bytes }, outcome);
        }
        let pages = [filetest::DATA, filetest::STACK];
        for address in pages.into_iter().flatten().step_by(8) {
            self.place(Place::Memory { address, bytes: 8 }, outcome);
        }
    }
}

/// The general registers named in assembly.
fn named_in(text: &str) -> Vec<Place> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| Place::named(word, "0")).filter(|place| matches!(place, Place::General { .. })).collect()
}

/// Where the memory operand lies.
fn operand(case: &Case, inst: &Inst) -> Option<Place> {
    let mem = memory_operand(inst).filter(|mem| mem.vsib == 0 && (1..=32).contains(&mem.bytes))?;
    let value = |register: Option<u8>| register.map_or(0, |r| case.registers.gpr[usize::from(r)]);
    let next = if mem.rip_relative { filetest::ENTRY + u64::from(inst.len) } else { 0 };
    let offset = value(mem.base).wrapping_add(value(mem.index) << mem.scale).wrapping_add(mem.disp as u64);
    Some(Place::Memory { address: inst.address_size.truncate(offset.wrapping_add(next)), bytes: mem.bytes })
}
