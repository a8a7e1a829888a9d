//! Lock-step finds what a translator gets wrong, and says where.

mod support;

use cpu::compiled::{Code, Enter, FORCED, Region, Shared, Translation, Translator, TranslatorStats};
use hosted::HostedJit;
use machine::{Config, Lockstep, Progress, RunOutcome};
use x86::instructions::integer::Int;
use x86::{Form, Op, Sem, Width};

/// MOV ECX, 60000; then, that often: ADD EAX, 3; ADD EBX, EAX; MOV DWORD [ECX*4 + 0x200000], 5; JMP to the next; MOV EDX, [0xfee00020] (the
/// APIC's identity: compiled code leaves there, and begins its block again); DEC ECX; JNZ; at last the debug exit.
const PROGRAM: &[u8] = &[
    0xb9, 0x60, 0xea, 0x00, 0x00, 0x83, 0xc0, 0x03, 0x01, 0xc3, 0xc7, 0x04, 0x8d, 0x00, 0x00, 0x20, 0x00, 0x05, 0x00,
    0x00, 0x00, 0xeb, 0x00, 0x8b, 0x15, 0x20, 0x00, 0xe0, 0xfe, 0x49, 0x75, 0xe5, 0xb0, 0x10, 0xe6, 0xf4,
];

/// Compiles another immediate for the instructions that `lies_about` picks.
struct Liar {
    jit: HostedJit,
    lies_about: fn(&Op) -> bool,
}

impl Translator for Liar {
    fn prepare(&mut self, shared: &Shared) -> Enter {
        self.jit.prepare(shared)
    }

    fn begin(&mut self, mut regions: Vec<Region>) {
        // The BIOS before the kernel, which starts in real mode, is told the truth.
        let kernel = regions.iter_mut().filter(|region| region.mode.code == Width::W32 && region.mode.flat);
        let blocks = kernel.flat_map(|region| &mut region.blocks);
        for op in blocks.flat_map(|block| &mut block.ops).filter(|op| (self.lies_about)(op)) {
            op.imm += 1;
        }
        self.jit.begin(regions);
    }

    fn finished(&mut self) -> Option<Vec<Option<Translation>>> {
        self.jit.finished()
    }

    fn release(&mut self, code: Code) {
        self.jit.release(code);
    }

    fn stats(&self) -> TranslatorStats {
        self.jit.stats()
    }
}

/// MOV ECX, 60000; then, that often, over three blocks of one region: ADD EBX, EAX; JMP to the next; RDTSC; XOR ESI, EAX; DEC ECX; JNZ; at last the debug exit.
const TELLS_TIME: &[u8] = &[
    0xb9, 0x60, 0xea, 0x00, 0x00, 0x01, 0xc3, 0xeb, 0x00, 0x0f, 0x31, 0x31, 0xc6, 0x49, 0x75, 0xf5, 0xb0, 0x10, 0xe6,
    0xf4,
];

fn run(lies_about: fn(&Op) -> bool) -> Progress {
    run_program(PROGRAM, lies_about)
}

fn run_program(program: &[u8], lies_about: fn(&Op) -> bool) -> Progress {
    let config = Config { memory_bytes: 8 << 20, no_reboot: true, ..Config::default() };
    let translator = Box::new(move || Box::new(Liar { jit: HostedJit::new(), lies_about }) as _);
    let mut pair = Lockstep::new(config, support::kernel(program), translator, FORCED).unwrap();
    let progress = pair.run(1_000_000).unwrap();
    assert!(pair.compiled_instructions() > 1000, "{}", pair.compiled_instructions());
    progress
}

#[test]
fn engines_that_agree_come_to_the_same_end() {
    assert_eq!(run(|_| false), Progress::Ended(RunOutcome::DebugExit(0x21)));
}

#[test]
fn the_time_is_the_same_wherever_in_a_region_it_is_told() {
    assert_eq!(run_program(TELLS_TIME, |_| false), Progress::Ended(RunOutcome::DebugExit(0x21)));
}

#[test]
fn an_instruction_that_leaves_a_wrong_register_is_named() {
    let Progress::Disagree(report) = run(|op| matches!((op.sem, op.imm), (Sem::Int(Int::Add), 3))) else {
        panic!("they do not agree")
    };
    assert!(report.contains("The first to leave a difference: exec 0010:100025 add eax, 0x3"), "{report}");
    assert!(report.contains("rbx"), "{report}");
}

#[test]
fn an_instruction_that_stores_a_wrong_value_is_named() {
    let Progress::Disagree(report) = run(|op| matches!((op.sem, op.form), (Sem::Int(Int::Mov), Form::Mi))) else {
        panic!("they do not agree")
    };
    assert!(report.contains("memory 0x2"), "{report}");
    assert!(report.contains("The first to leave a difference: exec 0010:10002a mov dword ds:"), "{report}");
}
