//! A guest program under construction: its code, what it finds in memory, and what its run is expected to report.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use iced_x86::code_asm::*;
use iced_x86::{BlockEncoderOptions, Code, IcedError, Instruction};

use super::descriptor::{self as d, gate};
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
    mode: Mode,
    user: bool,
    flags: u32,
    cr0: u32,
    cr4: u32,
    sections: Vec<Section>,
    image: Vec<u8>,
    /// Values of the landing table that are not places in the code.
    landings: usize,
    details: Option<fn(&Event) -> String>,
    not_tcg: Option<&'static str>,
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
            user: false,
            flags: 2,
            cr0: 0,
            cr4: 0,
            sections: Vec::new(),
            image: vec![0; IMAGE],
            landings: 0,
            details: None,
            not_tcg: None,
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

    /// Puts bytes into memory before the start.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    pub fn write16(&mut self, at: u64, value: u16) {
        self.write(at, &value.to_le_bytes());
    }

    pub fn write32(&mut self, at: u64, value: u32) {
        self.write(at, &value.to_le_bytes());
    }

    pub fn write64(&mut self, at: u64, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    /// Puts a descriptor into the GDT, or the LDT where the selector says so.
    pub fn descriptor(&mut self, selector: u16, descriptor: u64) {
        let table = if selector & 4 == 0 { GDT } else { LDT };
        self.write64(table + u64::from(selector & !7), descriptor);
    }

    /// Replaces an entry of the interrupt-descriptor table.
    pub fn gate(&mut self, vector: u8, gate: u64) {
        let bytes = if self.mode == Mode::Long { 16 } else { 8 };
        self.write64(IDT + u64::from(vector) * bytes, gate);
    }

    /// The handler's address for `vector`.
    pub fn handler(&self, vector: u8) -> u64 {
        if self.mode == Mode::Long { STUBS64 + u64::from(vector) * 16 } else { STUBS32 + u64::from(vector) * 16 }
    }

    /// Sets the entry of [`PAGE`] plus `page` pages, in the table of 64-bit and PAE paging.
    pub fn page(&mut self, page: u64, entry: u64) {
        self.write64(PAGES + page * 8, entry);
    }

    fn fill_tables(&mut self) {
        self.write16(REAL_IDTR, 0x3ff);
        self.write16(GDTR, GDT_LIMIT);
        self.write32(GDTR + 2, GDT as u32);
        self.write16(IDTR, 0xfff);
        self.write32(IDTR + 2, IDT as u32);
        for (selector, descriptor) in [
            (CODE32, d::flat(d::CODE)),
            (DATA, d::flat(d::READ_WRITE)),
            (USER_CODE32, d::flat(d::level(d::CODE, 3))),
            (USER_DATA, d::flat(d::level(d::READ_WRITE, 3))),
            (CODE64, d::flat64(d::CODE)),
            (USER_CODE64, d::flat64(d::level(d::CODE, 3))),
            (TSS_SELECTOR, d::segment16(TSS, TSS_LIMIT, d::TSS32)),
            (LDT_SELECTOR, d::segment16(LDT, 0xff, d::LDT_TYPE)),
            (CODE16, d::segment16(0, 0xffff, d::CODE)),
            (DATA16, d::segment16(0, 0xffff, d::READ_WRITE)),
        ] {
            self.descriptor(selector, descriptor);
        }
        let long = self.mode == Mode::Long;
        for vector in 0..=255u8 {
            self.write32(u64::from(vector) * 4, (STUBS16 + u64::from(vector) * 8) as u32);
            let code = if long { CODE64 } else { CODE32 };
            let entry = gate(code, self.handler(vector), d::INTERRUPT_GATE32, 0);
            self.gate(vector, entry);
        }
        self.write64(TSS + 4, KERNEL_STACK);
        if !long {
            self.write16(TSS + 8, DATA);
        }
        self.write16(TSS + 0x66, (REDIRECTION + 32) as u16);
        self.write(TSS + TSS_LIMIT, &[0xff]);
        self.fill_page_tables();
    }

    fn fill_page_tables(&mut self) {
        const USER_WRITABLE: u64 = 7;
        self.write64(PML4, PDPT | USER_WRITABLE);
        self.write64(PDPT, DIRECTORY | USER_WRITABLE);
        self.write64(PAE_POINTERS, DIRECTORY | 1);
        self.write64(DIRECTORY, IDENTITY | USER_WRITABLE);
        self.write64(DIRECTORY + 8, PAGES | USER_WRITABLE);
        self.write32(LEGACY_DIRECTORY, (LEGACY_IDENTITY | USER_WRITABLE) as u32);
        self.write32(LEGACY_DIRECTORY + 4, (PAGES | USER_WRITABLE) as u32);
        for page in 0..512 {
            self.write64(IDENTITY + page * 8, page << 12 | USER_WRITABLE);
            self.write32(LEGACY_IDENTITY + page * 4, (page << 12 | USER_WRITABLE) as u32);
        }
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
        assert_eq!(describe(judges::terrarium(&self.image)), expected, "on our own processor");
        for (judge, excuse) in [(judges::TCG, self.not_tcg), (judges::KVM, None)] {
            match excuse.map_or_else(|| judge.run(&self.image), |reason| Err(reason.to_owned())) {
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
