//! What `stats()` tells of compiled code, for guests of which one can count what they do.

mod support;

use cpu::CpuStats;
use cpu::compiled::FORCED;
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

/// What a guest has done that did `body` [`TIMES`] times, and one that did it once: the rest is the BIOS's.
struct Counted {
    often: CpuStats,
    once: CpuStats,
}

impl Counted {
    /// `count` is of something that was done every time, but perhaps the first times, before the body was compiled.
    fn is_every_time(&self, count: impl Fn(&CpuStats) -> u64) -> bool {
        u64::from(TIMES).abs_diff(count(&self.often) - count(&self.once)) <= 4
    }
}

/// Runs it; ECX counts.
fn repeated(body: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Counted {
    let [often, once] = [TIMES, 1].map(|times| {
        let code = assembled(times, &body).expect("the manual has these instructions");
        let [compiled, interpreted] = [true, false].map(|compiles| run(&code, compiles));
        check(&compiled, &interpreted);
        compiled
    });
    Counted { often, once }
}

fn assembled(times: u32, body: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    a.mov(esp, STACK)?;
    a.mov(ecx, times)?;
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    body(&mut a)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.out(DEBUG_EXIT as i32, al)?;
    a.assemble(u64::from(START))
}

/// What holds for any guest.
fn check(compiled: &CpuStats, interpreted: &CpuStats) {
    assert_eq!(compiled.instructions, interpreted.instructions, "as many as an interpreter counts");
    assert_eq!(compiled.exceptions, interpreted.exceptions);
    let CpuStats { interpreted_instructions, compiled_instructions, helped_instructions, .. } = compiled;
    assert_eq!(interpreted_instructions + compiled_instructions + helped_instructions, compiled.instructions);
    assert_eq!(compiled.compiled_entries, compiled.compiled_exits.sum());
    assert!(compiled.regions > 0 && compiled.held_module_bytes > 0, "{compiled:?}");
    let CpuStats { compiled_instructions, compiled_exits, modules, .. } = interpreted;
    assert_eq!((*compiled_instructions, compiled_exits.sum(), *modules), (0, 0, 0));
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

#[test]
fn every_access_of_a_device_is_an_exit() {
    let counted = repeated(|a| a.mov(eax, dword_ptr(APIC_ID)));
    assert!(counted.is_every_time(|stats| stats.compiled_exits.device), "{:?}", counted.often);
    assert_eq!(counted.often.compiled_exits.exception, counted.once.compiled_exits.exception);
}

#[test]
fn behind_every_access_of_a_port_the_board_has_its_turn() {
    let counted = repeated(|a| a.in_(al, 0x61));
    assert!(counted.is_every_time(|stats| stats.compiled_exits.event), "{:?}", counted.often);
    assert!(counted.is_every_time(|stats| stats.helped_instructions), "{:?}", counted.often);
}

#[test]
fn every_page_that_is_new_is_an_exit() {
    let counted = repeated(|a| {
        a.mov(eax, ecx)?;
        a.shl(eax, 12)?;
        a.mov(dword_ptr(eax + TABLE), ecx)
    });
    assert!(counted.is_every_time(|stats| stats.compiled_exits.access), "{:?}", counted.often);
    assert!(counted.is_every_time(|stats| stats.tlb_misses), "{:?}", counted.often);
}

#[test]
fn accesses_close_together_are_no_exits_for_long_where_they_lie_in_two_pages() {
    // EBX is the same every time, which the compiler cannot know.
    let stats = repeated(|a| {
        a.mov(ebx, ecx)?;
        a.shr(ebx, 16)?;
        a.mov(dword_ptr(ebx + (TABLE + 0xffc)), ecx)?;
        a.mov(dword_ptr(ebx + (TABLE + 0x1000)), ecx)
    });
    assert!((10..100).contains(&stats.often.compiled_exits.access), "{:?}", stats.often);
}

#[test]
fn every_exception_is_an_exit() {
    let counted = repeated(|a| {
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
    assert_eq!(counted.often.exceptions, u64::from(TIMES));
    // Compiled code may find it, or leave operands like these to the interpreter.
    let exits = |stats: &CpuStats| stats.compiled_exits.exception + stats.compiled_exits.operands;
    assert!(counted.is_every_time(exits), "{:?}", counted.often);
}

#[test]
fn every_change_of_mode_is_an_exit() {
    // The instruction behind a load of SS runs by itself (Intel SDM vol. 3, 6.8.3).
    let counted = repeated(|a| {
        a.mov(eax, ss)?;
        a.mov(ss, eax)
    });
    assert!(counted.is_every_time(|stats| stats.compiled_exits.changed), "{:?}", counted.often);
    assert!(counted.is_every_time(|stats| stats.helped_instructions), "the load: {:?}", counted.often);
}

#[test]
fn compiled_code_of_which_the_jump_cache_has_to_be_told_again_is_found_without_an_exit() {
    let counted = repeated(|a| {
        // A function in another page, RET, is written once.
        let mut there = a.create_label();
        a.mov(eax, TABLE)?;
        a.cmp(byte_ptr(eax), 0xc3)?;
        a.je(there)?;
        a.mov(byte_ptr(eax), 0xc3u32 as i32)?;
        a.set_label(&mut there)?;
        // It changes what addresses lead to.
        a.invlpg(ptr(START))?;
        a.call(eax)
    });
    assert!(counted.is_every_time(|stats| stats.compiled_exits.changed), "{:?}", counted.often);
    assert!(counted.often.compiled_exits.no_code < u64::from(TIMES) / 10, "{:?}", counted.often);
}

#[test]
fn written_code_is_a_region_less() {
    let counted = repeated(|a| {
        // The immediate of the last instruction is written before it runs: 3 + 1 + 1 bytes behind the call's own end.
        let mut here = a.create_label();
        a.call(here)?;
        a.set_label(&mut here)?;
        a.pop(eax)?;
        a.mov(dword_ptr(eax + 5), ecx)?;
        a.mov(eax, 0)
    });
    let CpuStats { regions, regions_invalidated, modules, .. } = counted.often;
    assert!(regions_invalidated >= u64::from(TIMES) - 3, "{:?}", counted.often);
    assert!(modules > regions, "{:?}", counted.often);
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
