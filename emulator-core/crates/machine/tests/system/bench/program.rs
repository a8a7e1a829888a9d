//! A guest program under construction: its code, what it finds in memory, and what its run is expected to report.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use iced_x86::code_asm::*;
use iced_x86::{BlockEncoderOptions, Code, IcedError, Instruction};

use machine::CpuModel;

use super::map::*;
use super::report::{Event, Record, records};
use super::{judges, runtime};

/// The mode a program starts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Real,
    Protected,
    Long,
    Virtual8086,
}

/// Code assembled at one address.
struct Section {
    at: u64,
    asm: CodeAssembler,
    /// Names of places, by the number of instructions before them.
    marks: Vec<(&'static str, usize)>,
    /// Entries of the landing table that lead here, likewise.
    landings: Vec<(usize, usize)>,
}

/// See the module.
pub struct Program {
    pub(super) mode: Mode,
    cpu: CpuModel,
    user: bool,
    flags: u32,
    cr0: u32,
    cr4: u32,
    sections: Vec<Section>,
    pub(super) image: Vec<u8>,
    /// Entries of the landing table in use.
    landings: usize,
    details: Option<fn(&Event) -> String>,
    /// Why QEMU's interpreter is not asked.
    not_tcg: Option<&'static str>,
    /// KVM is asked without being wanted.
    needs_kvm: bool,
}

impl Deref for Program {
    type Target = CodeAssembler;

    fn deref(&self) -> &CodeAssembler {
        &self.sections.last().expect("a program has a section").asm
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut CodeAssembler {
        &mut self.section().asm
    }
}

impl Program {
    fn new(mode: Mode, bits: u32) -> Program {
        let mut program = Program {
            mode,
            cpu: CpuModel::default(),
            user: false,
            flags: 2,
            cr0: 0,
            cr4: 0,
            sections: Vec::new(),
            image: vec![0; IMAGE],
            landings: 0,
            details: None,
            not_tcg: None,
            needs_kvm: false,
        };
        program.fill_tables();
        program.code(bits, PROGRAM);
        program
    }

    /// Real mode with every segment register zero.
    pub fn real() -> Program {
        Program::new(Mode::Real, 16)
    }

    /// 32-bit protected mode without paging: flat segments, privilege level 0.
    pub fn protected() -> Program {
        Program::new(Mode::Protected, 32)
    }

    /// 64-bit mode at privilege level 0.
    pub fn long() -> Program {
        Program::new(Mode::Long, 64)
    }

    /// Virtual-8086 mode with every segment register zero, IOPL 0.
    pub fn virtual_8086() -> Program {
        Program { user: true, ..Program::new(Mode::Virtual8086, 16) }
    }

    /// At privilege level 3.
    pub fn user(mut self) -> Program {
        self.user = true;
        self
    }

    /// On a processor of ours of this model; QEMU has all it knows.
    pub fn on(mut self, cpu: CpuModel) -> Program {
        self.cpu = cpu;
        self
    }

    /// EFLAGS at the program's start.
    pub fn flags(mut self, flags: u32) -> Program {
        self.flags = flags | 2;
        self
    }

    /// Bits of CR0 at the program's start, beside what its mode needs.
    pub fn cr0(mut self, bits: u32) -> Program {
        self.cr0 = bits;
        self
    }

    /// Bits of CR4 at the program's start, beside what its mode needs.
    pub fn cr4(mut self, bits: u32) -> Program {
        self.cr4 = bits;
        self
    }

    /// More to say about each exception.
    pub fn showing(mut self, details: fn(&Event) -> String) -> Program {
        self.details = Some(details);
        self
    }

    /// QEMU's own interpreter does not implement what is tested.
    pub fn not_judged_by_tcg(mut self, reason: &'static str) -> Program {
        self.not_tcg = Some(reason);
        self
    }

    /// As [`Program::not_judged_by_tcg`], and KVM is asked wherever it is: it knows what is tested even where it interprets.
    pub fn judged_by_kvm_instead(mut self, reason: &'static str) -> Program {
        self.needs_kvm = true;
        self.not_judged_by_tcg(reason)
    }

    fn section(&mut self) -> &mut Section {
        self.sections.last_mut().expect("a program has a section")
    }

    /// What follows is code of another size, at another address.
    pub fn code(&mut self, bits: u32, at: u64) {
        let asm = CodeAssembler::new(bits).expect("16, 32 or 64 bits");
        self.sections.push(Section { at, asm, marks: Vec::new(), landings: Vec::new() });
    }

    /// Gives this place a name for reports.
    pub fn mark(&mut self, name: &'static str) -> Result<(), IcedError> {
        let section = self.section();
        section.marks.push((name, section.asm.instructions().len()));
        Ok(())
    }

    /// The next exception that has no landing yet goes on here.
    pub fn land(&mut self) -> Result<(), IcedError> {
        let entry = self.landings;
        self.landings += 1;
        let section = self.section();
        section.landings.push((entry, section.asm.instructions().len()));
        Ok(())
    }

    /// The next exceptions, `count` of them, return where they came from.
    pub fn returns(&mut self, count: usize) {
        self.go_back(count, RETURN);
    }

    /// As [`Program::returns`], with RF set.
    pub fn resumes(&mut self, count: usize) {
        self.go_back(count, RESUME);
    }

    fn go_back(&mut self, count: usize, how: u32) {
        for _ in 0..count {
            self.write32(LANDINGS + self.landings as u64 * 4, how);
            self.landings += 1;
        }
    }

    /// Reports EAX; EDX is lost.
    pub fn say_eax(&mut self) -> Result<(), IcedError> {
        self.mov(edx, eax)?;
        self.mov(al, i32::from(b'D'))?;
        self.out(0xe9, al)?;
        self.mov(eax, edx)?;
        for _ in 0..4 {
            self.out(0xe9, al)?;
            self.ror(eax, 8)?;
        }
        Ok(())
    }

    /// Reports RAX; RDX is lost.
    pub fn say_rax(&mut self) -> Result<(), IcedError> {
        self.mov(rdx, rax)?;
        self.mov(al, i32::from(b'Q'))?;
        self.out(0xe9, al)?;
        self.mov(rax, rdx)?;
        for _ in 0..8 {
            self.out(0xe9, al)?;
            self.ror(rax, 8)?;
        }
        Ok(())
    }

    /// Reports a constant.
    pub fn say(&mut self, value: u32) -> Result<(), IcedError> {
        self.mov(eax, value)?;
        self.say_eax()
    }

    /// `JMP ptr16:16` or `ptr16:32`, by the size of the code.
    pub fn jump_far(&mut self, selector: u16, offset: u64) -> Result<(), IcedError> {
        let code = if self.bitness() == 16 { Code::Jmp_ptr1616 } else { Code::Jmp_ptr1632 };
        self.add_instruction(Instruction::with_far_branch(code, selector, offset as u32)?)
    }

    /// `CALL ptr16:16` or `ptr16:32`.
    pub fn call_far(&mut self, selector: u16, offset: u64) -> Result<(), IcedError> {
        let code = if self.bitness() == 16 { Code::Call_ptr1616 } else { Code::Call_ptr1632 };
        self.add_instruction(Instruction::with_far_branch(code, selector, offset as u32)?)
    }

    /// Assembles everything: the image, and the names of its places.
    fn build(&mut self) -> HashMap<u64, &'static str> {
        let parts = [
            runtime::reset().expect("16-bit code"),
            runtime::entry(self.mode, self.user, self.flags, [self.cr0, self.cr4]).expect("code of the mode"),
            runtime::handlers().expect("code of every mode"),
        ];
        for (at, code) in parts.concat() {
            self.write(at, &code);
        }
        self.write32(LANDING, LANDINGS as u32);
        let mut names = HashMap::new();
        for mut section in std::mem::take(&mut self.sections) {
            runtime::exit(&mut section.asm).expect("legal in every mode");
            let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
            let code = section.asm.assemble_options(section.at, options).expect("code of the section's size").inner;
            self.write(section.at, &code.code_buffer);
            let place = |count: usize| section.at + u64::from(code.new_instruction_offsets[count]);
            for &(entry, count) in &section.landings {
                self.write32(LANDINGS + entry as u64 * 4, place(count) as u32);
            }
            names.extend(section.marks.iter().map(|&(name, count)| (place(count), name)));
        }
        names
    }

    /// Runs the guest here and, where they are at hand, on QEMU's interpreter and on the host's processor, and compares
    /// what each reports with `expected`, one line a record.
    pub fn expect(mut self, expected: &[&str]) {
        let names = self.build();
        let describe = |judgement: judges::Judgement| {
            let mut lines: Vec<String> =
                records(&judgement.output).iter().map(|record| self.describe(record, &names)).collect();
            if let Some(end) = judgement.end {
                lines.push(end);
            }
            lines
        };
        assert_eq!(describe(judges::terrarium(&self.image, self.cpu)), expected, "on our own processor");
        let tcg = self.not_tcg.map_or_else(|| judges::TCG.run(&self.image), |reason| Err(reason.to_owned()));
        let kvm = if self.needs_kvm || judges::kvm_wanted() {
            judges::KVM.run(&self.image)
        } else {
            Err(judges::kvm_unwanted())
        };
        for (judge, heard) in [(judges::TCG, tcg), (judges::KVM, kvm)] {
            match heard {
                Ok(judgement) => assert_eq!(describe(judgement), expected, "on {}", judge.name),
                Err(cause) => judges::skipped(judge.name, &cause),
            }
        }
    }

    fn describe(&self, record: &Record, names: &HashMap<u64, &'static str>) -> String {
        let event = match record {
            Record::Value(value) => return format!("{value:#x}"),
            Record::Event(event) => event,
        };
        let place = names.get(&event.ip).map_or_else(|| format!("{:#x}", event.ip), |name| (*name).to_owned());
        let details = self.details.map(|show| format!(": {}", show(event))).unwrap_or_default();
        format!("{} at {place}{details}", event.name())
    }
}
