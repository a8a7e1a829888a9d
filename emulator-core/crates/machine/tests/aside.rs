//! A translator aside: whenever its code comes, the guest does what an interpreted one does.

mod support;

use cpu::compiled::Translator;
use hosted::HostedJit;
use iced_x86::code_asm::*;
use machine::{Clock, Config, Lockstep, Machine, Progress, RunOutcome};
use support::{START, kernel};

const DEBUG_EXIT: u32 = 0xf4;
const STACK: u32 = 0x30_0000;
/// As often a block is interpreted before it is hot.
const HOT: u32 = 20;
/// Turns of the guests' loops.
const TIMES: u32 = 40_000;

/// Runs `code` interpreted and compiled by `translator`, in step. Gives what compiled code retired.
fn in_step(code: &[u8], translator: fn() -> HostedJit) -> u64 {
    let config = Config { memory_bytes: 8 << 20, no_reboot: true, ..Config::default() };
    let translator = Box::new(move || Box::new(translator()) as Box<dyn Translator>);
    let mut pair = Lockstep::new(config, kernel(code), translator, HOT).expect("a kernel that boots");
    let progress = pair.run(20_000_000).expect("they agree on how to begin");
    assert!(matches!(progress, Progress::Ended(RunOutcome::DebugExit(_))), "{progress:?}");
    pair.compiled_instructions()
}

/// A loop with two branches and a call.
fn plain() -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    let (mut again, mut odd, mut on, mut function) =
        (a.create_label(), a.create_label(), a.create_label(), a.create_label());
    a.mov(esp, STACK)?;
    a.mov(ecx, TIMES)?;
    a.set_label(&mut again)?;
    a.test(ecx, 1)?;
    a.jne(odd)?;
    a.add(eax, ecx)?;
    a.jmp(on)?;
    a.set_label(&mut odd)?;
    a.xor(eax, 0x55)?;
    a.set_label(&mut on)?;
    a.call(function)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.out(DEBUG_EXIT as i32, al)?;
    a.set_label(&mut function)?;
    a.rol(eax, 3)?;
    a.ret()?;
    a.assemble(u64::from(START))
}

/// A loop that calls a function, and writes another number into one of that function's instructions where `writes` leaves ZF set.
fn writes_its_code(writes: fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    let (mut again, mut on, mut function) = (a.create_label(), a.create_label(), a.create_label());
    // Behind the opcode of ADD EBX, imm32 below, which is the first thing.
    let number = START + 5 + 2;
    a.jmp(on)?;
    a.nops_with_size(5 - 2)?;
    a.set_label(&mut function)?;
    a.add(ebx, 0x1234_5678)?;
    a.ret()?;
    a.set_label(&mut on)?;
    a.mov(esp, STACK)?;
    a.mov(ecx, 4 * TIMES)?;
    a.set_label(&mut again)?;
    a.call(function)?;
    writes(&mut a)?;
    let mut same = a.create_label();
    a.jne(same)?;
    a.add(dword_ptr(number), ecx)?;
    a.set_label(&mut same)?;
    a.dec(ecx)?;
    a.jne(again)?;
    a.out(DEBUG_EXIT as i32, al)?;
    a.assemble(u64::from(START))
}

/// Every 16,384 turns, some 100,000 instructions.
fn again_and_again(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.test(ecx, 0x3fff)
}

/// After 15,000 turns, some 90,000 instructions.
fn once(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.cmp(ecx, 4 * TIMES - 15_000)
}

#[test]
fn code_that_comes_late_does_what_the_interpreter_does() {
    let code = plain().expect("the manual has these instructions");
    let all = in_step(&code, || HostedJit::aside(1, u32::MAX));
    let late = in_step(&code, || HostedJit::aside(6, u32::MAX));
    assert!(all > 200_000, "the loop is compiled: {all}");
    assert!((1..all).contains(&late), "and later when it comes later: {late} of {all}");
}

#[test]
fn code_whose_bytes_have_changed_while_it_was_compiled_is_never_entered() {
    let code = writes_its_code(again_and_again).expect("the manual has these instructions");
    // Asked once every 20,000 instructions, after 50,000 in which it waited for company.
    let soon = in_step(&code, || HostedJit::aside(1, u32::MAX));
    let later = in_step(&code, || HostedJit::aside(2, u32::MAX));
    let too_late = in_step(&code, || HostedJit::aside(7, u32::MAX));
    assert!(too_late < later && later < soon, "{too_late} {later} {soon}");
    assert!(soon > 100_000, "{soon}");
}

#[test]
fn code_whose_bytes_have_changed_while_it_was_compiled_is_compiled_again() {
    let code = writes_its_code(once).expect("the manual has these instructions");
    let compiled = in_step(&code, || HostedJit::aside(7, u32::MAX));
    assert!(compiled > 300_000, "{compiled} of 960,000");
}

#[test]
fn a_translator_that_dies_is_replaced_by_the_guests_own_thread() {
    let code = plain().expect("the manual has these instructions");
    let never = in_step(&code, || HostedJit::aside(u32::MAX, 0));
    assert!(never > 200_000, "nobody was there: {never}");
    let code = writes_its_code(again_and_again).expect("the manual has these instructions");
    let then = in_step(&code, || HostedJit::aside(3, 5));
    assert!(then > 1000, "somebody was there five times: {then}");
}

#[test]
fn a_loop_that_is_all_that_runs_is_compiled_before_the_slice_ends() {
    // No chip is due before the guest ends: it runs in one slice.
    let clock = Clock::Instructions { ns_per_kilo_instruction: 1 };
    let config = Config { memory_bytes: 8 << 20, clock, no_reboot: true, ..Config::default() };
    let code = plain().expect("the manual has these instructions");
    let mut machine = Machine::new(config, &kernel(&code)).expect("a kernel that boots");
    machine.set_translator(Box::new(HostedJit::aside(1, u32::MAX)), HOT);
    assert!(matches!(machine.run(0, 100_000_000), RunOutcome::DebugExit(_)), "{}", machine.dump());
    let compiled = machine.stats().processor.compiled_instructions;
    assert!(compiled > 200_000, "{compiled} of 340,000");
}
