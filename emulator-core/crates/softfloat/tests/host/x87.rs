//! Every x87 operation against the host's own x87: bit for bit, with exception flags, C1 and condition codes.

use crate::support::{CASES, Rng, host_is_intel};
use softfloat::x87::{self, Constant, Quotient};
use softfloat::{Class, Context, F32, F64, F80, Relation, Rounding};
use std::arch::asm;

/// Ten bytes in memory with room to spare.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Slot([u8; 16]);

impl Slot {
    fn new(bytes: &[u8]) -> Self {
        let mut slot = [0; 16];
        slot[..bytes.len()].copy_from_slice(bytes);
        Slot(slot)
    }

    fn f80(self) -> F80 {
        F80::from_le_bytes(self.0[..10].try_into().unwrap())
    }
}

const FLAGS: u16 = 0x3F;
const C0: u16 = 1 << 8;
const C1: u16 = 1 << 9;
const C2: u16 = 1 << 10;
const C3: u16 = 1 << 14;

/// Runs one instruction on the host with ST(0) = `a`, ST(1) = `b` and DX -> `m`; gives ST(0), ST(1) and the status word.
macro_rules! on_host {
    ($name:ident, $instruction:literal) => {
        fn $name(a: F80, b: F80, m: &mut Slot, control_word: u16) -> (F80, F80, u16) {
            let (a, b) = (Slot::new(&a.to_le_bytes()), Slot::new(&b.to_le_bytes()));
            let (mut st0, mut st1) = (Slot([0; 16]), Slot([0; 16]));
            let mut status = 0u16;
            // SAFETY: all pointers are to live 16-byte slots; the x87 is left initialised and empty, and fnclex removes
            // pending unmasked exceptions before the next waiting instruction.
            unsafe {
                asm!(
                    "fninit",
                    "fld tbyte ptr [{b}]",
                    "fld tbyte ptr [{a}]",
                    "fnclex",
                    "fldcw word ptr [{cw}]",
                    $instruction,
                    "fnstsw word ptr [{sw}]",
                    "fnclex",
                    "fstp tbyte ptr [{st0}]",
                    "fstp tbyte ptr [{st1}]",
                    "fninit",
                    a = in(reg) &raw const a,
                    b = in(reg) &raw const b,
                    cw = in(reg) &raw const control_word,
                    sw = in(reg) &raw mut status,
                    st0 = in(reg) &raw mut st0,
                    st1 = in(reg) &raw mut st1,
                    in("rdx") m,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                );
            }
            (st0.f80(), st1.f80(), status)
        }
    };
}

on_host!(host_add, "fadd st(0), st(1)");
on_host!(host_sub, "fsub st(0), st(1)");
on_host!(host_mul, "fmul st(0), st(1)");
on_host!(host_div, "fdiv st(0), st(1)");
on_host!(host_sqrt, "fsqrt");
on_host!(host_add_m32, "fadd dword ptr [rdx]");
on_host!(host_div_m64, "fdiv qword ptr [rdx]");
on_host!(host_mul_i32, "fimul dword ptr [rdx]");
on_host!(host_sub_i16, "fisub word ptr [rdx]");
on_host!(host_compare, "fcom st(1)");
on_host!(host_unordered_compare, "fucom st(1)");
on_host!(host_round, "frndint");
on_host!(host_scale, "fscale");
on_host!(host_extract, "fxtract");
on_host!(host_prem, "fprem");
on_host!(host_prem1, "fprem1");
on_host!(host_store_f32, "fst dword ptr [rdx]");
on_host!(host_store_f64, "fst qword ptr [rdx]");
on_host!(host_load_f32, "fld dword ptr [rdx]");
on_host!(host_load_f64, "fld qword ptr [rdx]");
on_host!(host_load_i64, "fild qword ptr [rdx]");
// The popping forms push again, so that the stack stays as the wrapper expects.
on_host!(host_store_i16, "fist word ptr [rdx]");
on_host!(host_store_i32, "fist dword ptr [rdx]");
on_host!(host_store_i64, "fistp qword ptr [rdx]");
on_host!(host_store_bcd, "fbstp tbyte ptr [rdx]");
on_host!(host_load_bcd, "fbld tbyte ptr [rdx]");

/// All combinations of rounding and precision, exceptions masked; one in four with random masks.
fn random_control(rng: &mut Rng) -> u16 {
    let precision = [0, 2, 3][rng.below(3) as usize] << 8;
    let masks = if rng.below(4) == 0 { rng.below(64) as u16 } else { 0x3F };
    precision | (rng.below(4) as u16) << 10 | masks
}

/// The part of the status word a [`Context`] accounts for.
fn status_of(ctx: &Context) -> u16 {
    u16::from(ctx.raised().bits()) | if ctx.rounded_up() { C1 } else { 0 }
}

/// Whether a register result is delivered: pre-computation exceptions keep it back.
fn delivers_to_register(ctx: &Context) -> bool {
    !ctx.stopped_early()
}

fn delivers_to_memory(ctx: &Context) -> bool {
    (ctx.unmasked() - softfloat::Flags::PRECISION).is_empty()
}

type Host = fn(F80, F80, &mut Slot, u16) -> (F80, F80, u16);

fn agree_on_two_operands(seed: u64, host: Host, ours: impl Fn(F80, F80, &mut Context) -> F80) {
    agree_where(|_, _, _| true, seed, host, ours);
}

/// Where the host is a judge for the operands and the control word.
fn agree_where(judged: fn(F80, F80, u16) -> bool, seed: u64, host: Host, ours: impl Fn(F80, F80, &mut Context) -> F80) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let (a, b, control) = (rng.f80(), rng.f80(), random_control(&mut rng));
        if !judged(a, b, control) {
            continue;
        }
        let (expected, _, status) = host(a, b, &mut Slot([0; 16]), control);
        let mut ctx = Context::x87(control);
        let result = ours(a, b, &mut ctx);
        let result = if delivers_to_register(&ctx) { result } else { a };
        assert_eq!(
            (result, status_of(&ctx)),
            (expected, status & (FLAGS | C1)),
            "seed {seed} case {case}: {a:x?} {b:x?} control {control:#x}"
        );
    }
}

#[test]
fn addition_agrees_with_the_host() {
    agree_on_two_operands(1, host_add, x87::add);
}

#[test]
fn subtraction_agrees_with_the_host() {
    agree_on_two_operands(2, host_sub, x87::sub);
}

#[test]
fn multiplication_agrees_with_the_host() {
    agree_on_two_operands(3, host_mul, x87::mul);
}

#[test]
fn division_agrees_with_the_host() {
    agree_on_two_operands(4, host_div, x87::div);
}

#[test]
fn square_root_agrees_with_the_host() {
    agree_on_two_operands(5, host_sqrt, |a, _, ctx| x87::sqrt(a, ctx));
}

#[test]
fn rounding_to_integral_agrees_with_the_host() {
    agree_on_two_operands(6, host_round, |a, _, ctx| x87::round_to_integral(a, ctx));
}

#[test]
fn scaling_agrees_with_the_host() {
    let judged = |a: F80, b: F80, control| {
        const UNDERFLOW_MASKED: u16 = 1 << 4;
        // To AMD's processors, a denormal number that is scaled by zero is an underflow, which shows where that is not masked.
        let differs = a.class() == Class::Denormal && b.class() == Class::Zero && control & UNDERFLOW_MASKED == 0;
        host_is_intel() || !differs
    };
    agree_where(judged, 7, host_scale, x87::scale);
}

#[test]
fn scaling_by_moderate_amounts_agrees_with_the_host() {
    let mut rng = Rng(8);
    for case in 0..CASES {
        let (a, b, control) = (rng.f80(), rng.finite_f80(-2, 15), random_control(&mut rng));
        let (expected, _, status) = host_scale(a, b, &mut Slot([0; 16]), control);
        let mut ctx = Context::x87(control);
        let result = x87::scale(a, b, &mut ctx);
        let result = if delivers_to_register(&ctx) { result } else { a };
        assert_eq!(
            (result, status_of(&ctx)),
            (expected, status & (FLAGS | C1)),
            "case {case}: {a:x?} {b:x?} {control:#x}"
        );
    }
}

/// Arithmetic with a memory operand; `operand` makes its bytes.
fn agree_on_memory_operand(
    seed: u64,
    host: Host,
    operand: impl Fn(&mut Rng) -> u64,
    ours: impl Fn(F80, u64, &mut Context) -> F80,
) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let (a, m, control) = (rng.f80(), operand(&mut rng), random_control(&mut rng));
        let (expected, _, status) = host(a, F80::ZERO, &mut Slot::new(&m.to_le_bytes()), control);
        let mut ctx = Context::x87(control);
        let result = ours(a, m, &mut ctx);
        let result = if delivers_to_register(&ctx) { result } else { a };
        assert_eq!(
            (result, status_of(&ctx)),
            (expected, status & (FLAGS | C1)),
            "seed {seed} case {case}: {a:x?} {m:#x} control {control:#x}"
        );
    }
}

#[test]
fn arithmetic_with_memory_operands_agrees_with_the_host() {
    agree_on_memory_operand(10, host_add_m32, |r| r.f32_bits().into(), |a, m, c| x87::add(a, F32(m as u32), c));
    agree_on_memory_operand(11, host_div_m64, |r| r.f64_bits(), |a, m, c| x87::div(a, F64(m), c));
    agree_on_memory_operand(12, host_mul_i32, |r| r.pattern(), |a, m, c| x87::mul(a, m as i32, c));
    agree_on_memory_operand(13, host_sub_i16, |r| r.pattern(), |a, m, c| x87::sub(a, m as i16, c));
}

#[test]
fn loads_agree_with_the_host() {
    let mut rng = Rng(20);
    for case in 0..CASES {
        let bits = rng.f64_bits();
        let (single, double, integer) = (rng.f32_bits(), bits, rng.pattern());
        let mut ctx = Context::x87(0x37F);
        let (expected, _, status) = host_load_f32(F80::ZERO, F80::ZERO, &mut Slot::new(&single.to_le_bytes()), 0x37F);
        assert_eq!((x87::load(F32(single), &mut ctx), status_of(&ctx)), (expected, status & (FLAGS | C1)), "{case}");
        let mut ctx = Context::x87(0x37F);
        let (expected, _, status) = host_load_f64(F80::ZERO, F80::ZERO, &mut Slot::new(&double.to_le_bytes()), 0x37F);
        assert_eq!((x87::load(F64(double), &mut ctx), status_of(&ctx)), (expected, status & (FLAGS | C1)), "{case}");
        let (expected, _, _) = host_load_i64(F80::ZERO, F80::ZERO, &mut Slot::new(&integer.to_le_bytes()), 0x37F);
        assert_eq!(F80::from(integer as i64), expected, "case {case}: {integer:#x}");
    }
}

/// Stores through memory: `ours` gives the bytes; undelivered stores leave the 0xAA the slot was filled with.
fn agree_on_store(
    seed: u64,
    host: Host,
    operand: impl Fn(&mut Rng) -> F80,
    ours: impl Fn(F80, &mut Context) -> Vec<u8>,
) {
    let mut rng = Rng(seed);
    for case in 0..CASES {
        let (a, control) = (operand(&mut rng), random_control(&mut rng));
        let mut slot = Slot([0xAA; 16]);
        let (_, _, status) = host(a, F80::ZERO, &mut slot, control);
        let mut ctx = Context::x87(control);
        let bytes = ours(a, &mut ctx);
        let bytes = if delivers_to_memory(&ctx) { bytes } else { vec![0xAA; bytes.len()] };
        assert_eq!(
            (&bytes[..], status_of(&ctx)),
            (&slot.0[..bytes.len()], status & (FLAGS | C1)),
            "seed {seed} case {case}: {a:x?} control {control:#x}"
        );
    }
}

/// Numbers around the range of singles and doubles.
fn near_binary(rng: &mut Rng) -> F80 {
    match rng.below(4) {
        0 => rng.f80(),
        1 => rng.finite_f80(-1080, -1015),
        2 => rng.finite_f80(-160, -120),
        _ => rng.finite_f80(-1080, 1030),
    }
}

fn near_integers(rng: &mut Rng) -> F80 {
    if rng.below(4) == 0 { rng.f80() } else { rng.finite_f80(-3, 66) }
}

#[test]
fn stores_agree_with_the_host() {
    agree_on_store(30, host_store_f32, near_binary, |a, c| x87::store::<F32>(a, c).0.to_le_bytes().to_vec());
    agree_on_store(31, host_store_f64, near_binary, |a, c| x87::store::<F64>(a, c).0.to_le_bytes().to_vec());
    agree_on_store(32, host_store_i16, near_integers, |a, c| x87::store_i16(a, c).to_le_bytes().to_vec());
    agree_on_store(33, host_store_i32, near_integers, |a, c| x87::store_i32(a, c).to_le_bytes().to_vec());
    agree_on_store(34, host_store_i64, near_integers, |a, c| x87::store_i64(a, c).to_le_bytes().to_vec());
    agree_on_store(35, host_store_bcd, near_integers, |a, c| x87::store_bcd(a, c).to_vec());
}

#[test]
fn packed_decimal_loads_agree_with_the_host() {
    let mut rng = Rng(40);
    for case in 0..CASES {
        let mut bytes = [0u8; 10];
        for byte in &mut bytes[..9] {
            *byte = (rng.below(10) << 4 | rng.below(10)) as u8;
        }
        bytes[9] = (rng.below(2) << 7) as u8;
        let (expected, _, _) = host_load_bcd(F80::ZERO, F80::ZERO, &mut Slot::new(&bytes), 0x37F);
        assert_eq!(x87::load_bcd(bytes), expected, "case {case}: {bytes:x?}");
    }
}

#[test]
fn comparisons_agree_with_the_host() {
    let mut rng = Rng(50);
    for case in 0..CASES {
        let a = rng.f80();
        let b = match rng.below(8) {
            0 => a,
            1 => a.negated(),
            _ => rng.f80(),
        };
        for (host, quiet) in [(host_compare as Host, false), (host_unordered_compare, true)] {
            let (_, _, status) = host(a, b, &mut Slot([0; 16]), 0x37F);
            let mut ctx = Context::x87(0x37F);
            let codes = match x87::compare(a, b, quiet, &mut ctx) {
                Relation::Greater => 0,
                Relation::Less => C0,
                Relation::Equal => C3,
                Relation::Unordered => C3 | C2 | C0,
            };
            let ours = codes | status_of(&ctx);
            assert_eq!(ours, status & (FLAGS | C0 | C1 | C2 | C3), "case {case}: {a:x?} {b:x?} quiet {quiet}");
        }
    }
}

#[test]
fn extraction_agrees_with_the_host() {
    let mut rng = Rng(60);
    for case in 0..CASES {
        let a = rng.f80();
        let (significand, exponent, status) = host_extract(a, F80::ZERO, &mut Slot([0; 16]), 0x37F);
        let mut ctx = Context::x87(0x37F);
        let ours = x87::extract(a, &mut ctx);
        assert_eq!((ours, status_of(&ctx)), ((exponent, significand), status & (FLAGS | C1)), "case {case}: {a:x?}");
    }
}

#[test]
fn remainders_agree_with_the_host() {
    let mut rng = Rng(70);
    for case in 0..CASES {
        let a = rng.f80();
        let b = if rng.below(2) == 0 {
            rng.f80()
        } else {
            // Exponents close enough to finish in one step.
            let low = (i32::from(a.sign_exponent & 0x7FFF) - 16383 - 66).clamp(-16382, 16000);
            rng.finite_f80(low, (low + 70).min(16383))
        };
        let control = random_control(&mut rng);
        for (host, rounding) in [(host_prem as Host, Quotient::Truncated), (host_prem1, Quotient::Nearest)] {
            let (expected, _, status) = host(a, b, &mut Slot([0; 16]), control);
            let mut ctx = Context::x87(control);
            let ours = x87::remainder(a, b, rounding, &mut ctx);
            let delivered = delivers_to_register(&ctx);
            let value = if delivered { ours.value } else { a };
            let flags = u16::from(ctx.raised().bits());
            assert_eq!(
                (value, flags),
                (expected, status & FLAGS),
                "case {case}: {a:x?} {b:x?} {rounding:?} control {control:#x}"
            );
            if delivered {
                assert_eq!(ours.complete, status & C2 == 0, "case {case}: {a:x?} {b:x?} {rounding:?}");
            }
            if let Some(quotient) = ours.quotient.filter(|_| delivered && ours.complete) {
                let codes = (quotient & 1) << 1 | quotient >> 1 & 1 | quotient & 4;
                let host_codes = [(C1, 2), (C3, 1), (C0, 4)].map(|(c, bit)| if status & c != 0 { bit } else { 0 });
                assert_eq!(codes, host_codes.iter().sum::<u8>(), "case {case}: {a:x?} {b:x?} {rounding:?}");
            }
        }
    }
}

/// Loads a constant on the host.
macro_rules! host_constant {
    ($instruction:literal, $control_word:expr) => {{
        on_host!(load, $instruction);
        load(F80::ZERO, F80::ZERO, &mut Slot([0; 16]), $control_word).0
    }};
}

#[test]
fn constants_agree_with_the_host_in_every_rounding_mode() {
    for rc in 0..4u16 {
        let control = 0x37F | rc << 10;
        let rounding = Rounding::from_bits(rc.into());
        let ours = |constant| x87::constant(constant, rounding);
        assert_eq!(ours(Constant::One), host_constant!("fld1", control));
        assert_eq!(ours(Constant::Zero), host_constant!("fldz", control));
        assert_eq!(ours(Constant::Pi), host_constant!("fldpi", control));
        assert_eq!(ours(Constant::Log2Of10), host_constant!("fldl2t", control));
        assert_eq!(ours(Constant::Log2OfE), host_constant!("fldl2e", control));
        assert_eq!(ours(Constant::Log10Of2), host_constant!("fldlg2", control));
        assert_eq!(ours(Constant::LnOf2), host_constant!("fldln2", control));
    }
}
