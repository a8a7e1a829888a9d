//! What the host's processor makes of an example, written as examples are.

use filetest::case::{Case, Outcome};
use filetest::{Example, Instruction, Note, Place, Processor, Setting};
use x86::{Inst, Rep, Width, flags};

use crate::assemble::memory_operand;
use crate::campaign::{self, Comparison as _, Pair};
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
    let describer = Describer {
        state: Example::unchanged(&case, outcome.fault.is_some()),
        settings: Vec::new(),
        case: &case,
        text: &instruction.text,
        before: &example.before,
        inst: list.first(),
        outcome: &outcome,
        defined: &defined,
    };
    let after = describer.describe(&example.after);
    Ok(Example { fault: outcome.fault, after, note: Note::Judged, ..example.clone() })
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

/// Finds the words that lead from a state to an outcome.
struct Describer<'a> {
    /// The state that the words so far lead to.
    state: Outcome,
    settings: Vec<Setting>,
    case: &'a Case,
    /// The instruction in assembly.
    text: &'a str,
    /// What the example says of the state before.
    before: &'a [Setting],
    inst: Option<&'a Inst>,
    outcome: &'a Outcome,
    defined: &'a Defined,
}

impl Describer<'_> {
    /// All of them. Places that were left open in `earlier` words are left open.
    fn describe(mut self, earlier: &[Setting]) -> Vec<Setting> {
        for setting in earlier {
            if let Setting::Any(place) = *setting {
                place.set(&mut self.state, place.get(self.outcome));
                self.settings.push(setting.clone());
            }
        }
        const PAGE_FAULT: u8 = 14;
        if self.outcome.fault.is_some_and(|fault| fault.vector == PAGE_FAULT) {
            self.say(Place::Cr2);
        }
        self.place(Place::Ip);
        (0..16).for_each(|register| self.general(register));
        self.status();
        for name in ["tf", "if", "df", "iopl", "nt", "ac", "id"] {
            self.place(Place::named(name, "0").expect("a flag"));
        }
        self.vectors();
        self.x87_status();
        self.x87_registers();
        (0..6).for_each(|n| self.place(Place::Selector(n)));
        self.memory();
        self.settings
    }

    /// Says what `place` is.
    fn say(&mut self, place: Place) {
        let mut value = place.get(self.outcome);
        if let Place::Selector(_) = place
            && value.low < 4
        {
            // On the way through the host's kernel null selectors lose their privilege level.
            value = filetest::Value::default();
        }
        place.set(&mut self.state, value);
        self.settings.push(Setting::Is(place, value));
    }

    /// Says it where that is new.
    fn place(&mut self, place: Place) {
        if place.get(&self.state) != place.get(self.outcome) {
            self.say(place);
        }
    }

    /// A general register, by a name the test uses where that says it all.
    fn general(&mut self, register: u8) {
        let full = if self.case.mode == Width::W64 { Width::W64 } else { Width::W32 };
        let whole = Place::General { register, shift: 0, width: full };
        let difference = whole.get(&self.state).word() ^ whole.get(self.outcome).word();
        let covers = |place: &Place| {
            matches!(*place, Place::General { register: r, shift, width }
                if r == register && difference & !(width.mask() << shift) == 0)
        };
        let in_text = self.text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| Place::named(word, "0"));
        let before = self.before.iter().filter_map(|s| if let Setting::Is(place, _) = s { Some(*place) } else { None });
        let place = in_text.chain(before).find(covers).unwrap_or(whole);
        self.place(place);
    }

    fn status(&mut self) {
        let told = self.defined.flags & flags::STATUS;
        let set = self.outcome.registers.rflags & told;
        let changed = (self.state.registers.rflags ^ self.outcome.registers.rflags) & flags::STATUS != 0;
        let writes = self.inst.is_some_and(|inst| !inst.row().flags.is_empty()) || told != flags::STATUS;
        if changed || writes && self.outcome.fault.is_none() {
            self.settings.push(Setting::Status { told, set });
        }
    }

    fn vectors(&mut self) {
        let wide = self.text.contains("ymm")
            || self.before.iter().any(|setting| matches!(setting, Setting::Is(Place::Ymm(_), _)));
        for n in 0..16 {
            let high = |state: &Outcome| state.registers.ymm_high[usize::from(n)];
            let high_changed = high(&self.state) != high(self.outcome);
            self.place(if wide || high_changed { Place::Ymm(n) } else { Place::Xmm(n) });
        }
        self.place(Place::Mxcsr);
    }

    /// By TOP alone where nothing else has changed.
    fn x87_status(&mut self) {
        const TOP: u64 = 7 << 11;
        let undefined = !u64::from(self.defined.x87_status);
        let before = Place::Status.get(&self.state).word();
        let after = Place::Status.get(self.outcome).word() & !undefined;
        if (before ^ after) & !TOP & !undefined == 0 {
            self.place(Place::Top);
        } else {
            Place::Status.set(&mut self.state, after.into());
            self.settings.push(Setting::Is(Place::Status, after.into()));
        }
        if self.defined.ulps > 0 && before != after {
            // It also says that C1 is open.
            self.near(0);
        }
    }

    fn near(&mut self, register: u8) {
        let value = Place::X87(register).get(self.outcome);
        Place::X87(register).set(&mut self.state, value);
        self.settings.push(Setting::Near(register, value));
    }

    fn x87_registers(&mut self) {
        const MMX_EXPONENT: u16 = 0xffff;
        // More than an instruction pushes or pops are told by the tag word.
        const MOST: usize = 2;
        let in_use = |state: &Outcome, n| Place::X87InUse(n).get(state).word() != 0;
        let taken_up = (0..8).filter(|&n| in_use(self.outcome, n) && !in_use(&self.state, n)).count();
        for n in 0..8 {
            let changed = Place::X87(n).get(&self.state) != Place::X87(n).get(self.outcome);
            let newly_used = in_use(self.outcome, n) && !in_use(&self.state, n);
            let of_mmx = self.text.contains("mm") && self.outcome.registers.st(n.into()).1 == MMX_EXPONENT;
            match changed {
                true if of_mmx => self.say(Place::Mmx(n)),
                true if self.defined.ulps > 0 => self.near(n),
                true => self.say(Place::X87(n)),
                false if newly_used && taken_up <= MOST => self.say(Place::X87(n)),
                false => {}
            }
        }
        let emptied: Vec<u8> = (0..8).filter(|&n| in_use(&self.state, n) && !in_use(self.outcome, n)).collect();
        if emptied.len() <= MOST {
            emptied.into_iter().for_each(|n| self.say(Place::X87InUse(n)));
        }
        self.place(Place::Tags);
        self.place(Place::Control);
    }

    /// By the pieces the test names, then the operand, what was pushed, and at last whatever differs.
    fn memory(&mut self) {
        for setting in self.before {
            if let Setting::Is(place @ Place::Memory { .. }, _) = *setting {
                self.place(place);
            }
        }
        if let Some(inst) = self.inst.filter(|inst| inst.rep == Rep::None)
            && let Some(place) = operand(self.case, inst)
        {
            self.place(place);
        }
        const RSP: usize = 4;
        let (old, new) = (self.case.registers.gpr[RSP], self.outcome.registers.gpr[RSP]);
        if let Some(place) = u8::try_from(old.wrapping_sub(new)).ok().and_then(|bytes| Place::memory(new, bytes)) {
            self.place(place);
        }
        let pages = [filetest::DATA, filetest::STACK];
        for address in pages.into_iter().flatten().step_by(8) {
            self.place(Place::Memory { address, bytes: 8 });
        }
    }
}

/// Where the memory operand lies.
fn operand(case: &Case, inst: &Inst) -> Option<Place> {
    let mem = memory_operand(inst).filter(|mem| mem.vsib == 0)?;
    let value = |register: Option<u8>| register.map_or(0, |r| case.registers.gpr[usize::from(r)]);
    let next = if mem.rip_relative { filetest::ENTRY + u64::from(inst.len) } else { 0 };
    let offset = value(mem.base).wrapping_add(value(mem.index) << mem.scale).wrapping_add(mem.disp as u64);
    Place::memory(inst.address_size.truncate(offset.wrapping_add(next)), mem.bytes)
}
