//! What `stats()` tells of compiled code, for guests of which one can count what they do.

mod support;

use cpu::compiled::FORCED;
use cpu::{CpuStats, Exits};
use hosted::HostedJit;
use iced_x86::code_asm::*;
use machine::{Clock, Config, Machine, RunOutcome};
use support::{START, kernel};

const TIMES: u32 = 1000;
/// A register of the local APIC, its identity (Intel SDM vol. 3, 12.4.6).
const APIC_ID: u32 = 0xfee0_0020;
const TABLE: u32 = 0x20_0000;
const STACK: u32 = 0x30_0000;
const DEBUG_EXIT: u32 = 0xf4;

/// What a guest does that does `body` [`TIMES`] times; ECX counts.
fn repeated(body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> CpuStats {
    let assemble = || {
        let mut a = CodeAssembler::new(32)?;
        a.mov(esp, STACK)?;
        a.mov(ecx, TIMES)?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        body(&mut a)?;
        a.dec(ecx)?;
        a.jne(again)?;
        a.out(DEBUG_EXIT as i32, al)?;
        a.assemble(u64::from(START))
    };
    let code = assemble().expect("the manual has these instructions");
    let [compiled, interpreted] = [true, false].map(|compiles| run(&code, compiles));
    assert_eq!(compiled.instructions, interpreted.instructions, "as many as an interpreter counts");
    assert_eq!(compiled.exceptions, interpreted.exceptions);
    let CpuStats { interpreted_instructions, compiled_instructions, helped_instructions, .. } = compiled;
    assert_eq!(interpreted_instructions + compiled_instructions + helped_instructions, compiled.instructions);
    assert_eq!(compiled.compiled_entries, compiled.compiled_exits.sum());
    assert!(compiled.regions > 0 && compiled.held_module_bytes > 0, "{compiled:?}");
    let nothing = CpuStats { instructions: interpreted.instructions, ..CpuStats::default() };
    let CpuStats { compiled_instructions, compiled_exits, modules, .. } = interpreted;
    assert_eq!((compiled_instructions, compiled_exits, modules), (0, nothing.compiled_exits, 0));
    compiled
}

fn run(code: &[u8], compiles: bool) -> CpuStats {
    let clock = Clock::Instructions { ns_per_kilo_instruction: 10_000 };
    let config = Config { memory_bytes: 16 << 20, clock, no_reboot: true, ..Config::default() };
    let mut machine = Machine::new(config, &kernel(code)).expect("a kernel that boots");
    if compiles {
        machine.set_translator(Box::new(HostedJit::new()), FORCED);
    }
    assert!(matches!(machine.run(0, 10_000_000), RunOutcome::DebugExit(_)), "{}", machine.dump());
    machine.stats().processor
}

/// `count` is that of something done [`TIMES`] times, the first times perhaps before it was compiled, and once or twice by the BIOS.
fn is_every_time(count: u64) -> bool {
    u64::from(TIMES).abs_diff(count) <= 3
}

#[test]
fn every_access_of_a_device_is_an_exit() {
    let Exits { device, exception, .. } = repeated(|a| a.mov(eax, dword_ptr(APIC_ID))).compiled_exits;
    assert!(is_every_time(device) && exception == 0, "{device} {exception}");
}

#[test]
fn behind_every_access_of_a_port_the_board_has_its_turn() {
    let stats = repeated(|a| a.in_(al, 0x61));
    assert!(is_every_time(stats.compiled_exits.event), "{stats:?}");
    assert!(is_every_time(stats.helped_instructions), "{stats:?}");
}

#[test]
fn every_page_that_is_new_is_an_exit() {
    let stats = repeated(|a| {
        a.mov(eax, ecx)?;
        a.shl(eax, 12)?;
        a.mov(dword_ptr(eax + TABLE), ecx)
    });
    assert!(is_every_time(stats.compiled_exits.access), "{stats:?}");
    assert!(stats.tlb_misses >= u64::from(TIMES), "{stats:?}");
}

#[test]
fn every_exception_is_an_exit() {
    let stats = repeated(|a| {
        // The gate of #DE (Intel SDM vol. 3, 6.11): a handler that goes on behind the two bytes of the division.
        let mut on = a.create_label();
        a.call(on)?;
        a.add(dword_ptr(esp), 2)?;
        a.iretd()?;
        a.set_label(&mut on)?;
        a.pop(eax)?;
        a.mov(word_ptr(TABLE), ax)?;
        a.shr(eax, 16)?;
        a.mov(word_ptr(TABLE + 6), ax)?;
        a.mov(word_ptr(TABLE + 2), cs)?;
        a.mov(word_ptr(TABLE + 4), 0x8e00)?;
        a.mov(word_ptr(TABLE + 8), 7)?;
        a.mov(dword_ptr(TABLE + 10), TABLE)?;
        a.lidt(ptr(TABLE + 8))?;
        a.xor(ebx, ebx)?;
        a.div(ebx)
    });
    assert_eq!(stats.exceptions, u64::from(TIMES), "{stats:?}");
    assert!(is_every_time(stats.compiled_exits.exception), "{stats:?}");
}

#[test]
fn every_change_of_mode_is_an_exit() {
    // The instruction behind a load of SS runs by itself (Intel SDM vol. 3, 6.8.3).
    let stats = repeated(|a| {
        a.mov(eax, ss)?;
        a.mov(ss, eax)
    });
    assert!(is_every_time(stats.compiled_exits.changed), "{stats:?}");
    assert!(is_every_time(stats.helped_instructions - u64::from(TIMES)), "MOV of SS, both ways: {stats:?}");
}

#[test]
fn written_code_is_a_region_less() {
    let stats = repeated(|a| {
        // The immediate of the last instruction is written before it runs: 3 + 1 + 1 bytes behind the call's own end.
        let mut here = a.create_label();
        a.call(here)?;
        a.set_label(&mut here)?;
        a.pop(eax)?;
        a.mov(dword_ptr(eax + 5), ecx)?;
        a.mov(eax, 0)
    });
    assert!(stats.regions_invalidated >= u64::from(TIMES) - 3, "{stats:?}");
    assert!(stats.modules > stats.regions, "{stats:?}");
}

#[test]
fn what_ran_before_a_snapshot_is_nobodys_now() {
    let mut machine = Machine::new(Config::default(), &kernel(&[0xeb, 0xfe])).expect("a kernel that boots");
    machine.run(0, 5000);
    let before = machine.stats().processor.instructions;
    let mut twin = Machine::restore(&machine.snapshot()).expect("its own snapshot");
    assert_eq!(twin.stats().processor.restored_instructions, before);
    twin.run(0, 5000);
    let CpuStats { instructions, interpreted_instructions, .. } = twin.stats().processor;
    assert_eq!((interpreted_instructions + before, interpreted_instructions > 4000), (instructions, true));
}
