//! Whole machines running small guests, written out in machine code as Intel's manual encodes it.

mod support;

use std::rc::Rc;

use machine::{Boot, Clock, Config, CpuModel, Entry, Machine, MachineError, RunOutcome};
use support::kernel;

const BUDGET: u64 = 100_000_000;

fn config() -> Config {
    Config {
        memory_bytes: 8 << 20,
        clock: Clock::Instructions { ns_per_kilo_instruction: 10_000 },
        no_reboot: true,
        ..Config::default()
    }
}

fn machine(code: &[u8]) -> Machine {
    Machine::new(config(), &kernel(code)).unwrap()
}

/// MOV DX, imm16.
fn mov_dx(port: u16) -> [u8; 4] {
    let [low, high] = port.to_le_bytes();
    [0x66, 0xba, low, high]
}

/// MOV AL, imm8; OUT DX, AL.
fn out_dx(value: u8) -> [u8; 3] {
    [0xb0, value, 0xee]
}

/// MOV AL, imm8; OUT 0xf4, AL: the debug exit.
fn exit(value: u8) -> [u8; 4] {
    [0xb0, value, 0xe6, 0xf4]
}

const HLT: u8 = 0xf4;

#[test]
fn a_guest_prints_on_the_serial_port_and_reports_its_verdict() {
    let mut machine = machine(&[&mov_dx(0x3f8)[..], &out_dx(b'H'), &out_dx(b'i'), &exit(0x10)].concat());
    assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(0x21));
    assert_eq!(machine.serial_output(0), b"Hi");
    assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(0x21), "an ended machine stays ended");
}

#[test]
fn a_guest_that_halts_with_interrupts_off_waits_for_nothing() {
    // Straight from the reset vector: our BIOS would have started a timer.
    let rom = vec![HLT; 64 << 10];
    let mut machine = Machine::new(config(), &Boot::Firmware { rom: Rc::new(rom) }).unwrap();
    assert_eq!(machine.run(0, BUDGET), RunOutcome::Idle { until_ns: None });
    assert_eq!(machine.stats().processor.instructions, 1);
}

#[test]
fn soft_off_ends_the_machine() {
    // MOV AX, 0x2000; OUT DX, AX.
    let mut machine = machine(&[&mov_dx(0x604)[..], &[0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, HLT]].concat());
    assert_eq!(machine.run(0, BUDGET), RunOutcome::PoweredOff);
}

#[test]
fn a_triple_fault_is_a_readable_fault_or_a_reset() {
    // INT3 without an interrupt descriptor table.
    let code = [0xb8, 0x78, 0x56, 0x34, 0x12, 0xcc];
    let RunOutcome::Fault(dump) = machine(&code).run(0, BUDGET) else { panic!("expected a fault") };
    assert!(dump.contains("rax=0000000012345678") && dump.contains("100025"), "{dump}");
    let mut machine = Machine::new(Config { no_reboot: false, ..config() }, &kernel(&code)).unwrap();
    assert_eq!(machine.run(0, 10_000), RunOutcome::Reset);
}

#[test]
fn a_machine_that_was_reset_starts_again_with_what_it_is_given() {
    let code = [&mov_dx(0xcf9)[..], &out_dx(0x02), &out_dx(0x06), &[HLT]].concat();
    let mut machine = machine(&code);
    for resets in 1..3 {
        assert_eq!(machine.run(0, BUDGET), RunOutcome::Reset);
        assert_eq!(machine.run(0, BUDGET), RunOutcome::Reset, "until somebody starts it again");
        assert_eq!(machine.stats().resets, resets);
        machine.reboot(&kernel(&code)).unwrap();
    }
    machine.reboot(&kernel(&exit(0x10))).unwrap();
    assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(0x21));
    let rom = Boot::Firmware { rom: Rc::new(vec![HLT; 128 << 10]) };
    assert_eq!(machine.reboot(&rom), Err(MachineError::FirmwareSizeInvalid { bytes: 128 << 10 }), "no room for it");
}

#[test]
fn a_reset_leaves_memory_as_the_guest_left_it() {
    // INC DWORD [0x200000]; CMP DWORD [0x200000], 2; JE over the reset; reset; exit with the count.
    let reset = [&mov_dx(0xcf9)[..], &out_dx(0x02), &out_dx(0x06), &[HLT]].concat();
    let code = [
        &[0xff, 0x05, 0x00, 0x00, 0x20, 0x00, 0x83, 0x3d, 0x00, 0x00, 0x20, 0x00, 0x02, 0x74, reset.len() as u8][..],
        &reset,
        // MOV AL, [0x200000]; OUT 0xf4, AL.
        &[0xa0, 0x00, 0x00, 0x20, 0x00, 0xe6, 0xf4],
    ]
    .concat();
    let mut machine = machine(&code);
    assert_eq!(machine.run(0, BUDGET), RunOutcome::Reset);
    let mut twin = Machine::restore(&machine.snapshot()).unwrap();
    for machine in [&mut machine, &mut twin] {
        machine.reboot(&kernel(&code)).unwrap();
        assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(2 * 2 + 1));
    }
}

/// Polls COM1's line status and sends every byte back.
fn echo() -> Vec<u8> {
    [
        &mov_dx(0x3fd)[..],
        // IN AL, DX; TEST AL, 1; JZ to the IN.
        &[0xec, 0xa8, 0x01, 0x74, 0xfb],
        &mov_dx(0x3f8),
        // IN AL, DX; OUT DX, AL; JMP to the start.
        &[0xec, 0xee, 0xeb, 0xed],
    ]
    .concat()
}

#[test]
fn serial_input_reaches_the_guest_and_comes_back() {
    let mut machine = machine(&echo());
    machine.run(0, 10_000);
    assert_eq!(machine.serial_input(0, b"ping"), 4);
    machine.run(0, 10_000);
    assert_eq!(machine.serial_output(0), b"ping");
}

/// Counts in memory for ever: INC DWORD [0x200000]; JMP back.
const COUNT: [u8; 8] = [0xff, 0x05, 0x00, 0x00, 0x20, 0x00, 0xeb, 0xf8];

#[test]
fn a_budget_is_kept() {
    let mut machine = machine(&COUNT);
    assert_eq!(machine.run(0, 50_000), RunOutcome::Running);
    let retired = machine.stats().processor.instructions;
    assert!((40_000..60_000).contains(&retired), "{retired}");
}

#[test]
fn a_restored_machine_does_what_the_original_does() {
    let mut original = machine(&[&COUNT[..6], &echo()].concat());
    original.run(0, 1000);
    let mut twin = Machine::restore(&original.snapshot()).unwrap();
    for machine in [&mut original, &mut twin] {
        machine.serial_input(0, b"same");
        machine.run(0, 5000);
    }
    assert_eq!(original.stats().guest_ns, twin.stats().guest_ns);
    assert_eq!(original.stats().processor.instructions, twin.stats().processor.instructions);
    assert_eq!((original.serial_output(0), twin.serial_output(0)), (b"same".to_vec(), b"same".to_vec()));
    assert!(original.snapshot() == twin.snapshot(), "and they can be saved again, byte for byte");
}

#[test]
fn damaged_snapshots_are_refused_with_a_code() {
    let snapshot = machine(&COUNT).snapshot();
    for length in (0..snapshot.len()).step_by(7) {
        let error = Machine::restore(&snapshot[..length]).err().expect("a truncated snapshot is refused");
        assert_eq!(error.code(), "SNAPSHOT_DAMAGED", "{length} bytes: {error}");
    }
    for offset in (12..snapshot.len()).step_by(5) {
        let mut damaged = snapshot.clone();
        damaged[offset] ^= 0x55;
        match Machine::restore(&damaged) {
            Err(error) => assert_eq!(error.code(), "SNAPSHOT_DAMAGED", "byte {offset}: {error}"),
            // Within a run of zeros, LZ4 can say the same thing in two ways.
            Ok(mut machine) => assert!(machine.snapshot() == snapshot, "byte {offset}"),
        }
    }
    let mut newer = snapshot;
    newer[8] = 99;
    assert_eq!(Machine::restore(&newer).err(), Some(MachineError::SnapshotVersion { found: 99, wanted: 3 }));
}

#[test]
fn firmware_starts_at_the_reset_vector_in_real_mode() {
    let mut rom = vec![HLT; 64 << 10];
    // At F000:0000, seen from the top: MOV AL, 'B'; OUT 0xe9, AL; MOV AL, 1; OUT 0xf4, AL.
    rom[..8].copy_from_slice(&[0xb0, b'B', 0xe6, 0xe9, 0xb0, 1, 0xe6, 0xf4]);
    // JMP F000:0000 at the reset vector.
    rom[0xfff0..0xfff5].copy_from_slice(&[0xea, 0x00, 0x00, 0x00, 0xf0]);
    let mut machine = Machine::new(config(), &Boot::Firmware { rom: Rc::new(rom) }).unwrap();
    assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(3));
    assert_eq!(machine.debug_output().1, b"B");
}

/// A bzImage whose 16-bit setup code is `code`, at the place the jump over the header leads to.
fn real_mode_kernel(code: &[u8]) -> Boot {
    let mut kernel = vec![0; 1024 + 512];
    kernel[0x1f1] = 1;
    kernel[0x1fe..0x202].copy_from_slice(&[0x55, 0xaa, 0xeb, 0x62]);
    kernel[0x202..0x208].copy_from_slice(b"HdrS\x0d\x02");
    kernel[0x211] = 1;
    kernel[0x22c..0x230].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    kernel[0x238] = 255;
    kernel[0x264..0x264 + code.len()].copy_from_slice(code);
    Boot::Kernel {
        kernel: Rc::new(kernel),
        initrd: None,
        modules: Vec::new(),
        command_line: String::new(),
        entry: Entry::Real16,
    }
}

#[test]
fn our_bios_tells_16_bit_setup_code_the_address_map() {
    let code = [
        // XOR EBX, EBX; MOV DI, 0x2000; XOR SI, SI
        &[0x66, 0x31, 0xdb, 0xbf, 0x00, 0x20, 0x31, 0xf6][..],
        // again: MOV EAX, 0xe820; MOV EDX, 'SMAP'; MOV ECX, 20
        &[0x66, 0xb8, 0x20, 0xe8, 0, 0, 0x66, 0xba, 0x50, 0x41, 0x4d, 0x53, 0x66, 0xb9, 20, 0, 0, 0],
        // INT 0x15; JC out; INC SI; TEST EBX, EBX; JNZ again
        &[0xcd, 0x15, 0x72, 0x06, 0x46, 0x66, 0x85, 0xdb, 0x75, 0xe4],
        // out: MOV AX, SI; OUT 0xe9, AL; INT 0x12; OUT 0xe9, AL; MOV AL, AH; OUT 0xe9, AL
        &[0x89, 0xf0, 0xe6, 0xe9, 0xcd, 0x12, 0xe6, 0xe9, 0x88, 0xe0, 0xe6, 0xe9],
        &exit(0),
    ]
    .concat();
    let mut machine = Machine::new(config(), &real_mode_kernel(&code)).unwrap();
    assert_eq!(machine.run(0, BUDGET), RunOutcome::DebugExit(1));
    let (post_codes, debug) = machine.debug_output();
    assert_eq!(debug, [6, 0x7f, 0x02], "six ranges, 639 KiB of conventional memory");
    assert_eq!(post_codes, [1, 2]);
}

#[test]
fn port_accesses_are_traced_when_asked_for() {
    let mut machine = machine(&[&mov_dx(0x3f8)[..], &out_dx(b'H'), &exit(0)].concat());
    assert_eq!(machine.set_trace("pio,dust").unwrap_err().code(), "OPTION_INVALID");
    machine.set_trace("pio").unwrap();
    machine.run(0, BUDGET);
    let trace = machine.take_trace();
    assert!(trace.contains("out1 0x3f8 <- 0x48") && trace.contains("out1 0xf4 <- 0x0"), "{trace}");
    assert_eq!(machine.take_trace(), "");
}

#[test]
fn memory_sizes_a_board_cannot_have_are_refused() {
    let with_memory = |memory_bytes: u64| {
        Machine::new(Config { memory_bytes, ..config() }, &kernel(&[])).err().map(|error| error.code())
    };
    assert_eq!(with_memory(1 << 20), Some("MEMORY_TOO_SMALL"));
    assert_eq!(with_memory(4 << 30), Some("MEMORY_TOO_LARGE"));
    assert_eq!(with_memory(2 << 20), None);
}

/// CPUID leaf 1: the low byte of EAX is model and stepping. The snapshot of a machine is one of the same processor.
#[test]
fn the_guest_runs_on_the_processor_asked_for_and_so_does_its_snapshot() {
    // MOV EAX, 1; CPUID; OUT 0xf4, AL
    let code = [0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0xe6, 0xf4];
    for (cpu, model_and_stepping) in [(CpuModel::Pentium, 0x2c), (CpuModel::Core2, 0xf6)] {
        let mut machine = Machine::new(Config { cpu, ..config() }, &kernel(&code)).unwrap();
        let mut twin = Machine::restore(&machine.snapshot()).unwrap();
        let expected = RunOutcome::DebugExit(model_and_stepping << 1 | 1);
        assert_eq!(machine.run(0, BUDGET), expected, "{}", cpu.name());
        assert_eq!(twin.run(0, BUDGET), expected, "{}", cpu.name());
    }
}

#[test]
fn an_unknown_processor_is_refused_with_the_names_of_those_there_are() {
    let error = machine::cpu_model("8086").unwrap_err();
    assert_eq!(error.code(), "OPTION_INVALID");
    assert!(error.to_string().contains("486, pentium, pentium3, core2, x86-64-v2, x86-64-v3"), "{error}");
}
