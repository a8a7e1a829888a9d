//! Decimal adjustment by the examples and algorithms of volume 2, and the wide compare and exchange.

use super::*;
use crate::testing::*;

const CF: u64 = x86::flags::CF;
const AF: u64 = x86::flags::AF;
const ZF: u64 = x86::flags::ZF;

#[test]
fn daa_and_das_follow_the_manuals_examples() {
    // DAA: ADD AL, BL with 79h + 35h = AEh; DAA gives 14h with CF and AF. DAS: 35h - 47h = EEh; DAS gives 88h with both.
    let mut machine = Machine::protected(&[0x00, 0xd8, 0x27, 0xf4]);
    machine.set_reg(RAX, 0x79);
    machine.set_reg(RBX, 0x35);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x14);
    assert_eq!(machine.cpu.state.rflags() & (CF | AF), CF | AF);
    let mut machine = Machine::protected(&[0x28, 0xd8, 0x2f, 0xf4]);
    machine.set_reg(RAX, 0x35);
    machine.set_reg(RBX, 0x47);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x88);
    assert_eq!(machine.cpu.state.rflags() & (CF | AF), CF | AF);
}

/// Adding and subtracting every pair of two-digit numbers: decimal arithmetic is the reason the instructions exist.
#[test]
fn packed_decimal_sums_and_differences_are_decimal() {
    let packed = |n: u64| ((n / 10) << 4) | (n % 10);
    for (opcode, adjust, subtract) in [(0x00, 0x27, false), (0x28, 0x2f, true)] {
        let mut machine = Machine::protected(&[opcode, 0xd8, adjust, 0xf4]);
        for pair in 0..10_000u64 {
            let (a, b) = (pair / 100, pair % 100);
            machine.set_reg(RAX, packed(a));
            machine.set_reg(RBX, packed(b));
            machine.cpu.state.rip = PROGRAM;
            machine.cpu.state.halted = false;
            machine.run_to_halt();
            let (result, carry) = if subtract { ((100 + a - b) % 100, a < b) } else { ((a + b) % 100, a + b > 99) };
            assert_eq!(machine.reg(RAX), packed(result), "{a} {b}");
            assert_eq!(machine.cpu.state.rflags() & CF != 0, carry, "{a} {b}");
        }
    }
}

#[test]
fn unpacked_digits_carry_into_ah() {
    // add al, bl; aaa; hlt: 8 + 5 with AH 1 is 2, 3. sub al, bl; aas: 3 - 5 with AH 2 is 1, 8.
    let mut machine = Machine::protected(&[0x00, 0xd8, 0x37, 0xf4]);
    machine.set_reg(RAX, 0x0108);
    machine.set_reg(RBX, 5);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x0203);
    let mut machine = Machine::protected(&[0x28, 0xd8, 0x3f, 0xf4]);
    machine.set_reg(RAX, 0x0203);
    machine.set_reg(RBX, 5);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x0108);
}

#[test]
fn aam_divides_by_any_base_but_zero_and_aad_undoes_it() {
    let mut machine = Machine::protected(&[0xd4, 10, 0xf4]);
    machine.set_reg(RAX, 63);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0x0603);
    let mut machine = Machine::protected(&[0xd5, 10, 0xf4]);
    machine.set_reg(RAX, 0x0603);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 63);
    assert_eq!(Machine::protected(&[0xd4, 0]).run_to_vector(), 0);
}

#[test]
fn cmpxchg8b_exchanges_when_equal_and_loads_when_not() {
    // lock cmpxchg8b [0x3000]; hlt
    let program = [0xf0, 0x0f, 0xc7, 0x0d, 0, 0x30, 0, 0, 0xf4];
    for (memory, equal) in [(0x2222_2222_1111_1111u64, true), (0x5555_5555_4444_4444, false)] {
        let mut machine = Machine::protected(&program);
        machine.write(0x3000, &memory.to_le_bytes());
        for (number, value) in [(RAX, 0x1111_1111), (RDX, 0x2222_2222), (RBX, 0xb), (RCX, 0xc)] {
            machine.set_reg(number, value);
        }
        machine.run_to_halt();
        assert_eq!(machine.cpu.state.rflags() & ZF != 0, equal);
        assert_eq!(machine.read64(0x3000), if equal { 0xc_0000_000b } else { memory });
        assert_eq!((machine.reg(RDX) << 32) | machine.reg(RAX), memory);
    }
}

#[test]
fn cmpxchg16b_needs_alignment() {
    // cmpxchg16b [rdi]
    let mut machine = Machine::long(&[0x48, 0x0f, 0xc7, 0x0f, 0xf4]);
    machine.set_reg(RDI, 0x3000);
    machine.set_reg(RDX, 0);
    machine.set_reg(RBX, 7);
    machine.run_to_halt();
    assert_eq!(machine.read64(0x3000), 7);
    let mut machine = Machine::long(&[0x48, 0x0f, 0xc7, 0x0f]);
    machine.set_reg(RDI, 0x3008);
    assert_eq!(machine.run_to_vector(), 13);
}

/// The check value of CRC-32C: 0xE3069283 for "123456789".
#[test]
fn crc32_computes_castagnolis_checksum() {
    // mov eax, -1; nine times crc32 eax, byte [rsi + n]; not eax; hlt
    let mut program = vec![0xb8, 0xff, 0xff, 0xff, 0xff];
    for n in 0..9 {
        program.extend([0xf2, 0x0f, 0x38, 0xf0, 0x46, n]);
    }
    program.extend([0xf7, 0xd0, 0xf4]);
    let mut machine = Machine::long(&program);
    machine.write(0x3000, b"123456789");
    machine.set_reg(RSI, 0x3000);
    machine.run_to_halt();
    assert_eq!(machine.reg(RAX), 0xe306_9283);
}

#[test]
fn bound_faults_outside_its_limits_only() {
    // bound eax, [0x3000]; hlt, limits -2 and 5
    let program = [0x62, 0x05, 0, 0x30, 0, 0, 0xf4];
    for (index, inside) in [(-3i32, false), (-2, true), (5, true), (6, false)] {
        let mut machine = Machine::protected(&program);
        machine.write(0x3000, &(-2i32).to_le_bytes());
        machine.write(0x3004, &5i32.to_le_bytes());
        machine.set_reg(RAX, u64::from(index as u32));
        if inside {
            machine.run_to_halt();
            assert_eq!(machine.cpu.state.rip, PROGRAM + 7);
        } else {
            assert_eq!(machine.run_to_vector(), 5, "{index}");
        }
    }
}
