//! A translator aside: whenever its code comes, the guest does what an interpreted one does.

mod support;

use cpu::compiled::Translator;
use hosted::HostedJit;
use iced_x86::code_asm::*;
use machine::{Config, Lockstep, Progress, RunOutcome};
use support::{START, kernel};

const DEBUG_EXIT: u32 = 0xf4;
const STACK: u32 = 0x30_0000;
/// As often a block is interpreted before it is hot.
const HOT: u32 = 20;
/// Turns of the guests' loops.
const TIMES: u32 = 80_000;

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

/// Twice two loops, one behind the other: where the first is hot there is nothing else to compile until the second is.
fn two_loops() -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    let (mut both, mut first, mut second) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(edx, 2)?;
    a.set_label(&mut both)?;
    a.mov(ecx, TIMES)?;
    a.set_label(&mut first)?;
    a.xor(eax, ecx)?;
    a.rol(eax, 3)?;
    a.dec(ecx)?;
    a.jne(first)?;
    a.mov(ecx, TIMES)?;
    a.set_label(&mut second)?;
    a.add(eax, ecx)?;
    a.dec(ecx)?;
    a.jne(second)?;
    a.dec(edx)?;
    a.jne(both)?;
    a.out(DEBUG_EXIT as i32, al)?;
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
    // Asked once every 20,000 instructions, after 150,000 in which it waited for company.
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
    assert!(compiled > 300_000, "{compiled} of 1,920,000");
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
fn what_is_lost_with_a_translator_that_dies_is_compiled_by_the_guests_own_thread() {
    let code = two_loops().expect("the manual has these instructions");
    let compiled = in_step(&code, || HostedJit::aside(u32::MAX, 1));
    let second_loop = 2 * 3 * u64::from(TIMES);
    assert!(compiled > second_loop + 100_000, "the first, too, when it runs again: {compiled}");
}
