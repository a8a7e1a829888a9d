//! One description, two engines: whatever the interpreter does, the compiled code does.

mod rig;

use rig::generate::{self, Random};
use rig::processor::{Outcome, Processor};
use rig::{CODE, Case, DATA, READ_ONLY};
use x86::{Sem, Width};

/// Ends a case that has not left.
const HLT: u8 = 0xf4;
/// Enough for a straight line, and for compiled code to be entered.
const BUDGET: u64 = 1000;

struct Pair {
    interpreting: Processor,
    compiling: Processor,
    exceptions: u32,
}

impl Pair {
    fn new(mode: Width) -> Pair {
        Pair { interpreting: Processor::new(mode), compiling: Processor::compiling(mode), exceptions: 0 }
    }

    /// As [`Processor::begin`], both.
    fn begin(&mut self, case: &Case) {
        self.interpreting.begin(case);
        self.compiling.begin(case);
    }

    /// As [`Processor::set`], both.
    fn set(&mut self, case: &Case) {
        self.interpreting.set(case);
        self.compiling.set(case);
    }

    /// Runs `case` twice: at first no access is in the TLB, then all are that can be. Says in what the two differ.
    fn compare(&mut self, case: &Case) -> Result<(), String> {
        self.begin(case);
        self.go_on(BUDGET, case)?;
        self.set(case);
        let outcome = self.go_on(BUDGET, case)?;
        self.exceptions += u32::from(outcome.state.rip & !0xfff != CODE);
        Ok(())
    }

    /// Runs both for `budget` instructions.
    fn go_on(&mut self, budget: u64, case: &Case) -> Result<Outcome, String> {
        let wanted = self.interpreting.run(budget);
        let got = self.compiling.run(budget);
        if got == wanted { Ok(got) } else { Err(report(case, &wanted, &got)) }
    }

    /// Runs both four times over, in slices of every length.
    fn run_in_slices(&mut self, case: &Case, random: &mut Random) {
        self.begin(case);
        for _ in 0..4 {
            let mut left: u64 = 4000;
            while left > 0 {
                let budget = random.pick(&[1, 7, 399, 400, 401, 450, 600, 900]) + random.below(64);
                let outcome = self.go_on(budget.min(left), case).unwrap_or_else(|report| panic!("{report}"));
                left -= budget.min(left);
                if outcome.exit != platform::VcpuExit::Yield {
                    break;
                }
            }
            self.set(case);
        }
    }

    fn assert_same(&mut self, case: &Case) {
        if let Err(report) = self.compare(case) {
            panic!("{report}");
        }
    }
}

/// What differs, and where from.
fn report(case: &Case, wanted: &Outcome, got: &Outcome) -> String {
    let mut text = generate::listing(&case.code, case.mode);
    for (wanted, got) in wanted.lines().iter().zip(got.lines()).filter(|(wanted, got)| *wanted != got) {
        text.push_str(&format!("interpreted {wanted}\ncompiled    {got}\n"));
    }
    let Case { registers, rflags, vectors, mxcsr, x87, .. } = case;
    text + &format!("from {registers:x?} rflags {rflags:x} {vectors:x?} mxcsr {mxcsr:x} {x87:x?}\n")
}

fn every_encoding(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x7e11_a917);
    let mut failures = Vec::new();
    'rows: for row in generate::rows(mode) {
        for _ in 0..10 {
            let Some(code) = generate::instruction(&mut random, row, mode) else { break };
            let case = generate::case(&mut random, [code, vec![HLT]].concat(), mode);
            let changed = generate::behind_changes(&mut random, &case);
            if let Err(report) = pair.compare(&case).and_then(|()| pair.compare(&changed)) {
                failures.push(format!("{} {}\n{report}", row.mnemonic, row.encoding));
                continue 'rows;
            }
        }
    }
    assert!(failures.is_empty(), "{} rows differ\n{}", failures.len(), failures.join("\n"));
    assert!(pair.exceptions > 100, "faults are exercised: {}", pair.exceptions);
    assert!(pair.compiling.compiled() > 5000, "compiled code runs: {}", pair.compiling.compiled());
}

#[test]
fn every_encoding_does_the_same_compiled_and_interpreted_in_64_bit_mode() {
    every_encoding(Width::W64);
}

#[test]
fn every_encoding_does_the_same_compiled_and_interpreted_in_flat_32_bit_mode() {
    every_encoding(Width::W32);
}

fn straight_lines(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x51de_ca5e);
    let rows: Vec<_> = generate::rows(mode).into_iter().filter(|row| !generate::ends_block(row)).collect();
    for _ in 0..2000 {
        let mut code = Vec::new();
        for _ in 0..2 + random.below(11) {
            let row = rows[random.below(rows.len() as u64) as usize];
            code.extend(generate::instruction(&mut random, row, mode).unwrap_or_default());
        }
        code.push(HLT);
        let case = generate::case(&mut random, code, mode);
        pair.assert_same(&case);
    }
}

#[test]
fn straight_lines_of_instructions_do_the_same_compiled_and_interpreted() {
    straight_lines(Width::W64);
    straight_lines(Width::W32);
}

/// Mostly the x87: what one instruction leaves, the next one of the block finds. Other instructions, left to helpers or not, come between.
fn x87_lines(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x0087_50f7);
    let rows: Vec<_> = generate::rows(mode).into_iter().filter(|row| !generate::ends_block(row)).collect();
    let (x87, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| matches!(row.sem, Sem::Fpu(_)));
    let (saving, computing): (Vec<_>, Vec<_>) = x87
        .into_iter()
        .partition(|row: &&x86::Row| ["ENV", "SAVE", "RSTOR", "INIT"].iter().any(|part| row.mnemonic.contains(part)));
    for _ in 0..4000 {
        let mut code = Vec::new();
        for _ in 0..1 + random.below(8) {
            let row = match random.below(24) {
                0 => random.pick(&saving),
                1 => random.pick(&others),
                _ => random.pick(&computing),
            };
            code.extend(generate::instruction(&mut random, row, mode).unwrap_or_default());
        }
        code.push(HLT);
        let mut case = generate::case(&mut random, code, mode);
        // Mostly room for two more numbers, and nothing to raise.
        if random.below(4) != 0 {
            let top = u32::from(case.x87.status >> 11 & 7);
            case.x87.tags = 0xf000_u16.rotate_left(2 * top);
            case.x87.control |= 0x3f;
            case.x87.status &= !0x8080;
        }
        pair.assert_same(&case);
    }
    assert!(pair.compiling.compiled() > 3000, "compiled code runs: {}", pair.compiling.compiled());
}

#[test]
fn lines_of_x87_instructions_do_the_same_compiled_and_interpreted() {
    x87_lines(Width::W64);
    x87_lines(Width::W32);
}

/// Sums, products, comparisons and stores of numbers in registers, in the usual environment, one waiting for the other.
#[test]
fn chains_of_x87_arithmetic_round_the_same_compiled_and_interpreted() {
    let operations = ["FADD", "FADDP", "FSUB", "FSUBP", "FSUBR", "FSUBRP", "FMUL", "FMULP", "FCOM", "FCOMI", "FST"];
    let others = ["FLD", "FXCH", "FCHS", "FABS", "FDIV", "FCMOVE", "FNSTSW", "FSTP", "FLDCW", "FLD1"];
    for mode in [Width::W64, Width::W32] {
        let mut pair = Pair::new(mode);
        let mut random = Random::new(0x0087_a5ed);
        let rows = generate::rows(mode);
        let of =
            |names: &[&str]| -> Vec<_> { rows.iter().copied().filter(|row| names.contains(&row.mnemonic)).collect() };
        let (operations, others) = (of(&operations), of(&others));
        for _ in 0..4500 {
            let line = (0..1 + random.below(6)).map(|_| {
                let rows = if random.below(4) == 0 { &others } else { &operations };
                let row = random.pick(rows);
                generate::instruction(&mut random, row, mode).unwrap_or_default()
            });
            let code = line.chain([vec![HLT]]).collect::<Vec<_>>().concat();
            let mut case = generate::case(&mut random, code, mode);
            case.x87 = generate::x87_numbers(&mut random);
            pair.assert_same(&case);
        }
        assert!(pair.compiling.compiled() > 5_000, "compiled code runs: {}", pair.compiling.compiled());
    }
}

/// Zero has the exponent 0, from which that of a product of products may be less far than a significand is long.
#[test]
fn nothing_subtracted_from_the_smallest_products_leaves_them() {
    // FMUL ST0, ST0, four times; FSUB ST0, ST1; HLT
    let code = vec![0xd8, 0xc8, 0xd8, 0xc8, 0xd8, 0xc8, 0xd8, 0xc8, 0xd8, 0xe1, HLT];
    for mode in [Width::W64, Width::W32] {
        let mut pair = Pair::new(mode);
        for below in 900..1023 {
            let mut case = generate::case(&mut Random::new(1), code.clone(), mode);
            (case.x87.control, case.x87.status, case.x87.tags) = (0x37f, 0, 0);
            (case.x87.registers[0], case.x87.registers[1]) = ((1 << 63 | 1 << 55, 0x3fff - below), (0, 0));
            pair.assert_same(&case);
        }
    }
}

#[test]
fn code_compiled_for_the_usual_rounding_of_the_x87_is_compiled_anew_where_that_has_changed() {
    const RSI: usize = 6;
    const TIMES: u64 = 2000;
    // FLD1; FADD ST0, ST0; FSTP ST0; DEC ESI; JNZ -10; HLT
    let code = vec![0xd9, 0xe8, 0xd8, 0xc0, 0xdd, 0xd8, 0xff, 0xce, 0x75, 0xf6, HLT];
    for mode in [Width::W64, Width::W32] {
        let mut pair = Pair::new(mode);
        let mut case = generate::case(&mut Random::new(1), code.clone(), mode);
        (case.x87.status, case.x87.tags) = (0, 0xffff);
        case.registers[RSI] = TIMES;
        pair.begin(&case);
        let mut compiled = 0;
        // Extended precision, then that of doubles.
        for control in [0x37f, 0x27f] {
            case.x87.control = control;
            pair.set(&case);
            pair.go_on(10 * TIMES, &case).unwrap_or_else(|report| panic!("{report}"));
            let before = core::mem::replace(&mut compiled, pair.compiling.compiled());
            assert!(compiled - before > 4 * TIMES, "with {control:x}: {}", compiled - before);
        }
    }
}

/// Products, sums and fused ones of numbers whose bits are all in use, of which some nearly cancel and others lie half-way between two results.
#[test]
fn packed_and_fused_arithmetic_rounds_the_same_compiled_and_interpreted() {
    let mut pair = Pair::new(Width::W64);
    let mut random = Random::new(0xf0a5_5eed);
    let computes = |row: &&x86::Row| ["ADD", "SUB", "MUL", "DIV"].iter().any(|part| row.mnemonic.contains(part));
    let is_float = |row: &&x86::Row| ["PS", "PD", "SS", "SD"].iter().any(|lanes| row.mnemonic.ends_with(lanes));
    let rows = generate::rows(Width::W64);
    let rows: Vec<_> =
        rows.into_iter().filter(|row| matches!(row.sem, Sem::Simd(_)) && computes(row) && is_float(row)).collect();
    for row in rows {
        for _ in 0..40 {
            let code = generate::instruction(&mut random, row, Width::W64).unwrap();
            let mut case = generate::case(&mut random, [code, vec![HLT]].concat(), Width::W64);
            case.mxcsr = 0x1fa0;
            case.vectors = generate::numbers(&mut random, row.mnemonic.ends_with('S'));
            pair.assert_same(&case);
        }
    }
    assert!(pair.compiling.compiled() > 2000, "compiled code runs: {}", pair.compiling.compiled());
}

/// Chains of operations on numbers from all of the range of their format: somewhere one overflows, underflows, or is denormal.
#[test]
fn chains_of_arithmetic_leave_the_range_the_same_compiled_and_interpreted() {
    let mut pair = Pair::new(Width::W64);
    let mut random = Random::new(0x0a1e_5eed);
    let operations = ["ADD", "SUB", "MUL", "DIV", "SQRT", "MIN", "MAX"];
    for lanes in ["PS", "PD", "SS", "SD"] {
        let is_one = |row: &&x86::Row| operations.iter().any(|operation| row.mnemonic == format!("{operation}{lanes}"));
        let rows: Vec<_> = generate::rows(Width::W64).into_iter().filter(is_one).collect();
        assert_eq!(rows.len(), operations.len());
        for _ in 0..1000 {
            let line = (0..2 + random.below(8)).map(|_| {
                let row = random.pick(&rows);
                let mut instruction = || generate::instruction(&mut random, row, Width::W64).unwrap();
                // Mostly of registers.
                Some(instruction()).filter(|code| code[code.len() - 1] >= 0xc0).unwrap_or_else(instruction)
            });
            let code = line.chain([vec![HLT]]).collect::<Vec<_>>().concat();
            let mut case = generate::case(&mut random, code, Width::W64);
            case.mxcsr = 0x1fa0;
            case.vectors = generate::far_numbers(&mut random, lanes.ends_with('S'));
            pair.assert_same(&case);
        }
    }
    assert!(pair.compiling.compiled() > 2000, "compiled code runs: {}", pair.compiling.compiled());
}

#[test]
fn every_condition_holds_after_every_kind_of_flags_exactly_where_interpreted() {
    let mut pair = Pair::new(Width::W64);
    let mut random = Random::new(0xf1a6_5e77);
    for setter in generate::flag_setters() {
        for cc in 0..16 {
            let reader = generate::readers_of(cc)[random.below(4) as usize];
            let mut code = generate::instruction(&mut random, setter, Width::W64).unwrap();
            code.extend(generate::instruction(&mut random, reader, Width::W64).unwrap());
            code.push(HLT);
            let mut case = generate::case(&mut random, code, Width::W64);
            pair.assert_same(&case);
            // Equal operands are what tells `<` from `<=`.
            case.registers = [case.registers[0]; 16];
            pair.assert_same(&case);
        }
    }
}

/// Blocks with branches between them, forward and back and into the middle of loops, in slices of every length: whatever is left when
/// compiled code is entered, it must have retired what it says.
fn regions(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x0b10_c5ed);
    for _ in 0..400 {
        let code = generate::program(&mut random, mode);
        let case = generate::case(&mut random, code, mode);
        pair.run_in_slices(&case, &mut random);
    }
    assert!(pair.compiling.compiled() > 200_000, "compiled code runs: {}", pair.compiling.compiled());
}

/// The same of x87 instructions, with registers in use and others empty: the stack stands elsewhere where a loop is gone round, or where ways meet.
fn x87_regions(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x0087_b10c);
    let x87: Vec<_> = generate::rows(mode).into_iter().filter(|row| matches!(row.sem, Sem::Fpu(_))).collect();
    let seldom = |row: &&x86::Row| ["ENV", "SAVE", "RSTOR", "INIT"].iter().any(|part| row.mnemonic.contains(part));
    let often: Vec<_> = x87.iter().copied().filter(|row| !seldom(row)).collect();
    let rows = [&often[..], &often, &often, &x87].concat();
    for _ in 0..300 {
        let code = generate::program_of(&mut random, &rows, mode);
        let mut case = generate::case(&mut random, code, mode);
        case.x87 = generate::x87_numbers(&mut random);
        let top = u32::from(case.x87.status >> 11 & 7);
        case.x87.tags = 0xff00_u16.rotate_left(2 * top);
        pair.run_in_slices(&case, &mut random);
    }
    assert!(pair.compiling.compiled() > 25_000, "compiled code runs: {}", pair.compiling.compiled());
}

/// The same of arithmetic with one number at a time, of registers that hold something else above it, which nothing but a load may change.
fn scalar_regions(mode: Width) {
    let mut pair = Pair::new(mode);
    let mut random = Random::new(0x05ca_1a25);
    let rows = generate::rows(mode);
    for lanes in ["SS", "SD"] {
        let names = ["ADD", "SUB", "MUL", "ADD", "MIN", "SQRT", "MOV", "COMI"].map(|name| format!("{name}{lanes}"));
        let others = ["CVTSI2SD", "CVTSS2SD", "CVTSD2SS", "MOVSS", "MOVSD", "XORPS", "MOVAPS"];
        let is_named = |row: &&x86::Row| names.iter().any(|name| name == row.mnemonic);
        let vectors = || rows.iter().copied().filter(|row| matches!(row.sem, Sem::Simd(_)));
        let scalars: Vec<_> = vectors().filter(is_named).collect();
        let others: Vec<_> = vectors().filter(|row| others.contains(&row.mnemonic)).collect();
        for _ in 0..400 {
            let mut rows = scalars.repeat(4);
            rows.extend(others.iter().filter(|_| random.below(4) == 0));
            let code = generate::program_of(&mut random, &rows, mode);
            let mut case = generate::case(&mut random, code, mode);
            case.mxcsr = 0x1fa0;
            case.vectors = generate::numbers(&mut random, lanes == "SS");
            pair.run_in_slices(&case, &mut random);
        }
    }
    assert!(pair.compiling.compiled() > 100_000, "compiled code runs: {}", pair.compiling.compiled());
}

#[test]
fn programs_of_scalar_arithmetic_do_the_same_compiled_and_interpreted_however_they_are_sliced() {
    scalar_regions(Width::W64);
    scalar_regions(Width::W32);
}

#[test]
fn programs_of_x87_instructions_do_the_same_compiled_and_interpreted_however_they_are_sliced() {
    x87_regions(Width::W64);
    x87_regions(Width::W32);
}

#[test]
fn programs_with_loops_do_the_same_compiled_and_interpreted_however_they_are_sliced() {
    regions(Width::W64);
    regions(Width::W32);
}

#[test]
fn a_function_that_calls_itself_does_the_same_compiled_and_interpreted_however_it_is_sliced() {
    const RSP: usize = 4;
    let mut random = Random::new(0xf1b0_0acc);
    // MOV EDI, 12; CALL f; HLT, where f gives 1 below 2, else the sum of what it gives for EDI - 1 and EDI - 2:
    // CMP EDI, 2; JB; PUSH RBX; PUSH RDI; LEA EDI, [RDI-1]; CALL f; MOV EBX, EAX; POP RDI; LEA EDI, [RDI-2]; CALL f; ADD EAX, EBX; POP RBX; RET; MOV EAX, 1; RET
    let code: &[&[u8]] = &[
        &[0xbf, 12, 0, 0, 0, 0xe8, 1, 0, 0, 0, HLT, 0x83, 0xff, 2, 0x72, 0x19, 0x53, 0x57, 0x8d, 0x7f, 0xff],
        &[0xe8, 0xf1, 0xff, 0xff, 0xff, 0x89, 0xc3, 0x5f, 0x8d, 0x7f, 0xfe, 0xe8, 0xe6, 0xff, 0xff, 0xff],
        &[0x01, 0xd8, 0x5b, 0xc3, 0xb8, 1, 0, 0, 0, 0xc3],
    ];
    for mode in [Width::W64, Width::W32] {
        let mut pair = Pair::new(mode);
        for _ in 0..20 {
            let mut case = generate::case(&mut random, code.concat(), mode);
            case.registers[RSP] = DATA + 0x1000 + 8 * random.below(64);
            pair.begin(&case);
            let mut result = 0;
            for _ in 0..200 {
                let budget = random.pick(&[1, 50, 399, 400, 500, 900]) + random.below(64);
                let outcome = pair.go_on(budget, &case).unwrap_or_else(|report| panic!("{report}"));
                result = outcome.state.regs.get(0);
                if outcome.exit != platform::VcpuExit::Yield {
                    break;
                }
            }
            assert_eq!(result, 233, "the thirteenth of Fibonacci's numbers");
        }
        assert!(pair.compiling.compiled() > 20_000, "compiled code runs: {}", pair.compiling.compiled());
    }
}

#[test]
fn a_store_that_hits_the_code_at_work_is_seen_by_the_next_instruction() {
    const RDI: usize = 7;
    let mut pair = Pair::new(Width::W64);
    pair.interpreting.map_writable(CODE);
    pair.compiling.map_writable(CODE);
    // INC ECX; MOV BYTE [RDI], 0xc2 (which makes the next INC EAX an INC EDX); INC EAX; DEC ESI; JNZ -12; HLT
    let code = vec![0xff, 0xc1, 0xc6, 0x07, 0xc2, 0xff, 0xc0, 0xff, 0xce, 0x75, 0xf5, HLT];
    let mut case = generate::case(&mut Random::new(1), code, Width::W64);
    (case.registers[0], case.registers[2], case.registers[6]) = (0, 0, 600);
    for target in [DATA + 8, CODE + 6] {
        case.registers[RDI] = target;
        pair.begin(&case);
        let outcome = pair.go_on(5000, &case).unwrap_or_else(|report| panic!("{report}"));
        let counted = (outcome.state.regs.get(0), outcome.state.regs.get(2));
        assert_eq!(counted, if target == DATA + 8 { (600, 0) } else { (0, 600) });
    }
}

#[test]
fn accesses_of_several_blocks_are_compiled_code_s_also_where_they_lie_in_two_pages() {
    const RSI: usize = 6;
    const RDI: usize = 7;
    const TIMES: u64 = 2000;
    // MOV EAX, [RDI]; TEST CL, CL; JNZ +8; ADD EDX, [RDI+24]; DEC ESI; JNZ -13; HLT; MOV [RDI+16], EAX; DEC ESI; JNZ -21; HLT
    let code = [
        &[0x8b, 0x07, 0x84, 0xc9, 0x75, 8, 0x03, 0x57, 24, 0xff, 0xce, 0x75, 0xf3, HLT][..],
        &[0x89, 0x47, 16, 0xff, 0xce, 0x75, 0xeb, HLT],
    ];
    for mode in [Width::W64, Width::W32] {
        for (place, writes) in [
            (DATA + 0x100, false),
            (DATA + 0x100, true),
            (DATA + 0xff0, false),
            (DATA + 0xff0, true),
            (READ_ONLY + 0x100, false),
            (READ_ONLY + 0x100, true),
        ] {
            let mut pair = Pair::new(mode);
            let mut case = generate::case(&mut Random::new(1), code.concat(), mode);
            (case.registers[1], case.registers[RSI], case.registers[RDI]) = (u64::from(writes), TIMES, place);
            pair.begin(&case);
            pair.go_on(10 * TIMES, &case).unwrap_or_else(|report| panic!("{report}"));
            // What may not be written faults at once. All else is compiled code's: but for the first access to the page, or until it looks twice where
            // there are two pages.
            let least = match () {
                () if writes && place >= READ_ONLY => 0,
                () if place & 0xfff == 0xff0 => 4 * TIMES,
                () => 6 * TIMES - 50,
            };
            let compiled = pair.compiling.compiled();
            assert!(compiled >= least, "at {place:x}, which it writes to: {writes}; compiled: {compiled}");
        }
    }
}

#[test]
fn a_walk_through_an_array_is_compiled_code_s_also_where_it_goes_from_page_to_page() {
    const RDX: usize = 2;
    const RSI: usize = 6;
    const RDI: usize = 7;
    const TIMES: u64 = 250;
    const ROUNDS: u64 = 60;
    // MOV EAX, [RDI+RDX*4]; TEST CL, CL; JNZ +11; ADD EBX, [RDI+RDX*4+24]; INC EDX; DEC ESI; JNZ -17; HLT;
    // MOV [RDI+RDX*4-16], EAX; INC EDX; DEC ESI; JNZ -28; HLT
    let code = [
        &[0x8b, 0x04, 0x97, 0x84, 0xc9, 0x75, 11, 0x03, 0x5c, 0x97, 24, 0xff, 0xc2, 0xff, 0xce, 0x75, 0xef, HLT][..],
        &[0x89, 0x44, 0x97, 0xf0, 0xff, 0xc2, 0xff, 0xce, 0x75, 0xe4, HLT],
    ];
    for mode in [Width::W64, Width::W32] {
        // Within a page, to a page that may not be written to, and to the end of what is there.
        for start in [DATA + 0x100, DATA + 0xe00, DATA + 0xe02, READ_ONLY - 0x200, READ_ONLY + 0x1000 - 4 * TIMES] {
            for writes in [false, true] {
                let mut pair = Pair::new(mode);
                let mut case = generate::case(&mut Random::new(1), code.concat(), mode);
                (case.registers[1], case.registers[RSI]) = (u64::from(writes), TIMES);
                (case.registers[RDX], case.registers[RDI]) = (5, start - 20);
                pair.begin(&case);
                for _ in 0..ROUNDS {
                    pair.set(&case);
                    pair.go_on(10 * TIMES, &case).unwrap_or_else(|report| panic!("{report}"));
                }
                let reaches_end = start + 4 * TIMES + 24 > READ_ONLY;
                let least = if reaches_end { 0 } else { 7 * TIMES * ROUNDS * 99 / 100 };
                let compiled = pair.compiling.compiled();
                assert!(compiled >= least, "from {start:x}, which it writes to: {writes}; compiled: {compiled}");
            }
        }
    }
}

#[test]
fn a_region_of_which_a_page_is_missing_waits_for_that_but_not_for_ever() {
    const RBX: usize = 3;
    const RSI: usize = 6;
    const HOT: u32 = 1000;
    // MOV EAX, CR3; MOV CR3, EAX; TEST ESI, EBX; JNZ to the next page; DEC ESI; JNZ -12; HLT
    let mut code = vec![0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
    code.extend([0x85, 0xde, 0x0f, 0x85, 0xf2, 0x0f, 0, 0, 0xff, 0xce, 0x75, 0xf4, HLT]);
    code.resize(0x1000, HLT);
    // DEC ESI; JNZ back; HLT
    code.extend([0xff, 0xce, 0x0f, 0x85, 0xfe, 0xef, 0xff, 0xff, HLT]);
    let mut pair = Pair::new(Width::W64);
    pair.compiling = Processor::compiling_at(Width::W64, HOT);
    let mut case = generate::case(&mut Random::new(1), code, Width::W64);
    let mut part = |turns: u64, is_there: bool| {
        // Every other turn goes to the next page, where that is there.
        (case.registers[RBX], case.registers[RSI]) = (u64::from(is_there), turns);
        for processor in [&mut pair.interpreting, &mut pair.compiling] {
            processor.map_code(CODE + 0x1000, is_there);
            processor.set(&case);
        }
        let before = pair.compiling.compiled();
        let outcome = pair.go_on(10 * turns, &case).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(outcome.state.regs.get(RSI), 0);
        (pair.compiling.compiled() - before) as f64 / outcome.retired as f64
    };
    let first = part(200_000, true);
    assert!(first > 0.5, "{first}: it becomes hot");
    let missing = part(100, false);
    assert!(missing < 0.05, "{missing}: a page of the region is missing");
    let again = part(1_000, true);
    assert!(again > 0.95, "{again}: and has come back");
    let missing_for_long = part(200_000, false);
    assert!(missing_for_long > 0.5, "{missing_for_long}: it is compiled without the page");
}
