//! What can be compared after a case: not what the architecture leaves undefined, and nothing where the host's outcome says
//! nothing about ours.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use x86::decode::{MAX_LENGTH, decode};
use x86::flags::{self, undefined_after};
use x86::instructions::fpu::Fpu;
use x86::instructions::integer::{Int, undefined_by_count};
use x86::instructions::rows;
use x86::instructions::simd::{FpOp, Simd};
use x86::instructions::system::Sys;
use x86::{Feature, Inst, Operand, Sem, Width, seg};

use crate::assemble::memory_operand;
use crate::case::{Case, Outcome, XSAVE_COMPONENTS};
use crate::compare::ALL_FLAGS;
use crate::host::may_write_fs_base;

/// What is compared.
#[derive(Clone, Copy)]
pub struct Defined {
    /// Bits of RFLAGS.
    pub flags: u64,
    /// Bits of the x87 status word.
    pub x87_status: u16,
    /// Bits of the x87 instruction pointer while no x87 exception waits.
    pub x87_ip: u64,
    /// Whether the x87 data pointer is while one does: it points at nothing after an instruction without an operand in memory.
    pub x87_operand: bool,
    /// Whether x87 and vector registers are, after an exception: some instructions have done a part by then.
    pub vectors_after_fault: bool,
    /// How far x87 results may be apart, in units in the last place.
    pub ulps: u64,
}

/// How many bits of the x87's pointers there are is up to the model.
pub const X87_POINTER: u64 = (1 << 48) - 1;

/// Everything that is the same on all processors of the host's vendor.
static ALL: LazyLock<Defined> = LazyLock::new(|| {
    // AMD's processors keep it for exceptions only.
    let x87_ip = if host_is_intel() { X87_POINTER } else { 0 };
    Defined { flags: ALL_FLAGS, x87_status: u16::MAX, x87_ip, x87_operand: true, vectors_after_fault: true, ulps: 0 }
});

/// Whether a case can be judged.
#[derive(Clone)]
pub enum Verdict {
    /// By comparing this.
    Compare(Defined),
    /// It cannot, for this reason.
    NotJudged(String),
}

/// UM in the x87 control word.
const UNDERFLOW: u16 = 1 << 4;
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;

/// Whether the outcome of `case`, which consists of `instructions`, can be compared.
#[must_use]
pub fn judge(case: &Case, instructions: &[Inst]) -> Verdict {
    let mut defined = *ALL;
    if instructions.len() > 1 && reads_undefined(instructions) {
        return Verdict::NotJudged("it reads undefined flags".into());
    }
    if instructions.len() > 1 && computes_with_approximations(case, instructions) {
        return Verdict::NotJudged("it computes with results that may differ a little".into());
    }
    let alone = instructions.len() == 1;
    for inst in instructions {
        // Between other instructions, RCX may have been anything.
        let count = alone.then_some(case.registers.gpr[RCX]);
        if alone && is_out_of_range(case, inst) {
            return Verdict::NotJudged("undefined result".into());
        }
        if alone && decides_what_is_tiny(case, inst) {
            return Verdict::NotJudged(
                "an unmasked underflow that hangs on the last place of a transcendental function".into(),
            );
        }
        if let Some(reason) = reason_against(count, inst).or_else(|| of_state(case, inst)) {
            return Verdict::NotJudged(reason);
        }
        let undefined = match count {
            Some(count) => undefined_after(inst, count),
            None => undefined_after_any_count(inst),
        };
        defined.flags &= !undefined;
        defined.x87_operand &= alone && memory_operand(inst).is_some();
        defined.vectors_after_fault &= inst.row().sem != Sem::Sys(Sys::Xrstor);
        if let Sem::Fpu(fpu) = inst.row().sem
            && is_transcendental(fpu)
        {
            defined.ulps = 1;
        }
    }
    Verdict::Compare(defined)
}

/// Status flags `inst` leaves undefined whatever a shift's count is: OF and AF by some, CF by a large one.
#[must_use]
pub fn undefined_after_any_count(inst: &Inst) -> u64 {
    undefined_after(inst, 2) | undefined_after(inst, 31)
}

/// Whether a transcendental function's result of a sequence may lead to another difference than of its last place.
fn computes_with_approximations(case: &Case, instructions: &[Inst]) -> bool {
    let unmasked = case.registers.x87_words().0 & UNDERFLOW == 0;
    let defined_everywhere = |fpu| !matches!(fpu, Fpu::F2xm1 | Fpu::Fyl2xp1);
    instructions.iter().enumerate().any(|(n, inst)| match inst.row().sem {
        Sem::Fpu(fpu) if is_transcendental(fpu) => unmasked || n + 1 < instructions.len() || !defined_everywhere(fpu),
        _ => false,
    })
}

/// Whether some instruction of a sequence may read a flag that an earlier one leaves undefined.
fn reads_undefined(instructions: &[Inst]) -> bool {
    let mut starts = vec![0i64];
    for inst in instructions {
        starts.push(starts.last().map_or(0, |start| start + i64::from(inst.len)));
    }
    let mut before = vec![0; starts.len()];
    // Twice, because of branches back.
    for _ in 0..2 {
        for (n, inst) in instructions.iter().enumerate() {
            if before[n] != 0 && reads_flags(inst) {
                return true;
            }
            let after = before[n] & !surely_written(inst) | undefined_after_any_count(inst);
            before[n + 1] |= after;
            if let Operand::Rel(distance) = inst.operands[0]
                && let Some(target) = starts.iter().position(|&start| start == starts[n + 1] + distance)
            {
                before[target] |= after;
            }
            if inst.row().sem == Sem::Int(Int::Ret) {
                let calls = |(_, inst): &(usize, &Inst)| inst.row().sem == Sem::Int(Int::Call);
                instructions.iter().enumerate().filter(calls).for_each(|(call, _)| before[call + 1] |= after);
            }
        }
    }
    false
}

/// Whether `inst` may read status flags. Of the irregular ones, those that do not are few.
#[must_use]
pub fn reads_flags(inst: &Inst) -> bool {
    use Fpu::{Fcmovb, Fcmovbe, Fcmove, Fcmovnb, Fcmovnbe, Fcmovne, Fcmovnu, Fcmovu};
    use Int::{Adc, Adcx, Adox, Cmc, Cmovcc, Jcc, Loope, Loopne, Rcl, Rcr, Sbb, Setcc};
    match inst.row().sem {
        Sem::Int(int) => {
            matches!(int, Adc | Adcx | Adox | Cmc | Cmovcc | Jcc | Loope | Loopne | Rcl | Rcr | Sbb | Setcc)
        }
        Sem::Sys(_) => true,
        Sem::Fpu(fpu) => matches!(fpu, Fcmovb | Fcmovbe | Fcmove | Fcmovnb | Fcmovnbe | Fcmovne | Fcmovnu | Fcmovu),
        Sem::Simd(_) => false,
    }
}

/// Status flags `inst` writes in any case; a shift by zero writes none.
#[must_use]
pub fn surely_written(inst: &Inst) -> u64 {
    if let Sem::Int(int) = inst.row().sem
        && undefined_by_count(int, Width::W32, 1).is_some()
    {
        return 0;
    }
    let letters =
        [('C', flags::CF), ('P', flags::PF), ('A', flags::AF), ('Z', flags::ZF), ('S', flags::SF), ('O', flags::OF)];
    letters.iter().filter(|(letter, _)| inst.row().flags.contains(*letter)).fold(0, |all, (_, bit)| all | bit)
}

fn reason_against(count: Option<u64>, inst: &Inst) -> Option<String> {
    if !ROWS_OF_HOST[usize::from(inst.row)] {
        return Some(format!("the host has no {:?}", inst.row().feature));
    }
    let reason = match inst.row().sem {
        Sem::Sys(sys) => of_system(sys, inst)?,
        Sem::Int(int) => of_integer(int, count, inst)?,
        Sem::Simd(Simd::Float(float)) if matches!(float.op(), FpOp::Rcp | FpOp::Rsqrt) => {
            "an estimate, which differs from model to model"
        }
        _ => return None,
    };
    Some(reason.into())
}

fn of_system(sys: Sys, inst: &Inst) -> Option<&'static str> {
    let operands = &inst.operands;
    Some(match sys {
        Sys::Syscall | Sys::Sysenter => "it enters the host's kernel",
        Sys::Int if matches!(operands[0], Operand::Imm { value: 0x80, .. }) => "it enters the host's kernel",
        Sys::Sgdt | Sys::Sidt | Sys::Sldt | Sys::Str | Sys::Smsw => "the host's kernel emulates it, for UMIP",
        Sys::Cpuid | Sys::Rdpid | Sys::Xgetbv => "it tells the processor's model",
        Sys::Rdtsc | Sys::Rdtscp | Sys::Rdrand => "time or chance decides",
        Sys::LoadSegment | Sys::PopSegment if operands[0] == Operand::Sreg(seg::GS) => "GS is the harness's own",
        Sys::Lgs | Sys::Rdgsbase | Sys::Wrgsbase => "GS is the harness's own",
        Sys::LoadSegment | Sys::PopSegment if operands[0] == Operand::Sreg(seg::FS) && !may_write_fs_base() => {
            "FS is the host's own where programs cannot write its base"
        }
        Sys::Lfs | Sys::Rdfsbase | Sys::Wrfsbase if !may_write_fs_base() => {
            "FS is the host's own where programs cannot write its base"
        }
        _ => return None,
    })
}

/// The state instructions see every component the processor has, and the host may have more than ours.
fn of_state(case: &Case, inst: &Inst) -> Option<String> {
    // What of the results' exceptions is reported beside an unmasked one of the operands is not written down.
    const INVALID_OR_DENORMAL_MASKED: u32 = 0x180;
    const UNDERFLOW_MASKED: u32 = 0x800;
    let mxcsr = case.registers.mxcsr();
    if inst.row().sem == Sem::Simd(Simd::SingleToHalf)
        && mxcsr & INVALID_OR_DENORMAL_MASKED != INVALID_OR_DENORMAL_MASKED
        && mxcsr & UNDERFLOW_MASKED == 0
    {
        return Some("unmasked exceptions of operands and results at once".into());
    }
    let extended = matches!(inst.row().sem, Sem::Sys(Sys::Xsave | Sys::Xsaveopt | Sys::Xsavec | Sys::Xrstor));
    if !extended && !matches!(inst.row().sem, Sem::Fpu(Fpu::Fxsave | Fpu::Fxrstor)) {
        return None;
    }
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    if case.registers.rflags & ALIGNMENT_CHECK != 0 {
        return Some("#AC or #GP, as the processor likes".into());
    }
    if !extended {
        return None;
    }
    let requested = case.registers.gpr[RAX] & 0xffff_ffff | case.registers.gpr[RDX] << 32;
    (requested & !XSAVE_COMPONENTS != 0).then(|| "the host has other state components".into())
}

fn of_integer(int: Int, count: Option<u64>, inst: &Inst) -> Option<&'static str> {
    let narrow = inst.operands[0].width() == Some(Width::W16);
    match int {
        Int::Shld | Int::Shrd if narrow && shift_count(inst, count.unwrap_or(31)) > 16 => Some("undefined result"),
        Int::Bswap if inst.opsize == Width::W16 => Some("undefined result"),
        _ => None,
    }
}

/// The count of a double shift, cut to five bits.
fn shift_count(inst: &Inst, rcx: u64) -> u64 {
    let immediate =
        |operand: &Operand| if let Operand::Imm { value, .. } = operand { Some(*value as u64) } else { None };
    inst.operands.iter().find_map(immediate).unwrap_or(rcx) & 31
}

/// F2XM1 takes numbers from -1 to 1, FYL2XP1 those up to 1 - sqrt(2) / 2 from zero (Intel SDM vol. 2).
fn is_out_of_range(case: &Case, inst: &Inst) -> bool {
    let (significand, exponent) = case.registers.st(0);
    let exponent = exponent & 0x7fff;
    const ONE: u16 = 0x3fff;
    const INFINITE_OR_NAN: u16 = 0x7fff;
    let finite = exponent != INFINITE_OR_NAN;
    match inst.row().sem {
        Sem::Fpu(Fpu::F2xm1) => finite && (exponent > ONE || exponent == ONE && significand != 1 << 63),
        Sem::Fpu(Fpu::Fyl2xp1) => finite && exponent >= ONE - 2,
        _ => false,
    }
}

/// Next to the least normal number, one unit in the last place decides whether there is an underflow.
fn decides_what_is_tiny(case: &Case, inst: &Inst) -> bool {
    let (control, ..) = case.registers.x87_words();
    let least = [0, 1].into_iter().any(|n| case.registers.st(n).1 & 0x7fff <= 1);
    control & UNDERFLOW == 0 && least && matches!(inst.row().sem, Sem::Fpu(fpu) if is_transcendental(fpu))
}

/// Linux has a segment whose limit is the processor's number. Programs may look at it with LSL and its relatives, and
/// [`crate::guest`] does not have it.
#[must_use]
pub fn tells_processor_number(instructions: &[Inst], host: &Outcome, ours: &Outcome) -> bool {
    let looks = |inst: &Inst| matches!(inst.row().sem, Sem::Sys(Sys::Lsl | Sys::Lar | Sys::Verr | Sys::Verw));
    let found = |outcome: &Outcome| outcome.registers.rflags & flags::ZF != 0;
    instructions.iter().any(looks) && found(host) && !found(ours)
}

/// Functions whose results may be a little apart.
#[must_use]
pub fn is_transcendental(fpu: Fpu) -> bool {
    use Fpu::{F2xm1, Fcos, Fpatan, Fptan, Fsin, Fsincos, Fyl2x, Fyl2xp1};
    matches!(fpu, F2xm1 | Fcos | Fpatan | Fptan | Fsin | Fsincos | Fyl2x | Fyl2xp1)
}

/// The words the kernel uses for what the processor has and programs may use.
static HOST_FLAGS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    line.split_whitespace().map(String::from).collect()
});

/// By number of the row, whether the host's processor has it.
static ROWS_OF_HOST: LazyLock<Vec<bool>> = LazyLock::new(|| rows().iter().map(|row| host_has(row.feature)).collect());

/// Whether the host's processor has a feature.
#[must_use]
pub fn host_has(feature: Feature) -> bool {
    let name = format!("{feature:?}").to_lowercase();
    let word = match name.as_str() {
        "base" | "p6" => return true,
        "clfsh" => "clflush",
        "longmode" => "lm",
        "lahflm" => "lahf_lm",
        "sse3" => "pni",
        "sse41" => "sse4_1",
        "sse42" => "sse4_2",
        "lzcnt" => "abm",
        "sha" => "sha_ni",
        other => other,
    };
    HOST_FLAGS.contains(word)
}

/// Whether the vendor of the host's processor is Intel, whom ours follows where vendors differ.
#[must_use]
pub fn host_is_intel() -> bool {
    let vendor = core::arch::x86_64::__cpuid(0);
    (vendor.ebx, vendor.edx, vendor.ecx) == (0x756e_6547, 0x4965_6e69, 0x6c65_746e)
}

/// The instructions of a case, up to the first bytes that are none.
#[must_use]
pub fn instructions(case: &Case) -> Vec<Inst> {
    let mut bytes = case.code.clone();
    // Traps follow.
    bytes.resize(case.code.len() + MAX_LENGTH, 0xcc);
    let mut at = 0;
    let mut instructions = Vec::new();
    while at < case.code.len()
        && let Ok(inst) = decode(&bytes[at..], case.mode)
    {
        at += usize::from(inst.len);
        instructions.push(inst);
    }
    instructions
}
