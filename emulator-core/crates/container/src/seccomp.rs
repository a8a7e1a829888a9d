//! Seccomp: a profile of the OCI specification becomes a program for the kernel's filter machine (seccomp(2), bpf(4)).

mod default;
mod syscalls;

pub use default::profile as default_profile;

use libc::sock_filter;

use crate::error::{Error, Result};
use crate::spec::{Seccomp, SeccompArg, SeccompRule};
use syscalls::SYSCALLS;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// Programs for the x32 ABI set this bit in the number. They get the profile's default action, which no kernel of a
/// distribution can tell from none, for they do not run such programs.
const X32: u32 = 0x4000_0000;

/// Most instructions the kernel takes.
const MAX_INSTRUCTIONS: usize = 4096;

/// More than there are numbers of system calls.
const NUMBERS: usize = 512;

/// Words of profiles that are known here.
pub const ACTIONS: [&str; 8] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
pub const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];
pub const FLAGS: [&str; 3] = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"];

/// A compiled profile.
#[derive(Debug, Clone)]
pub struct Filter {
    pub program: Vec<sock_filter>,
    pub flags: u32,
}

/// What becomes of one system call: the first rule whose conditions hold, else `otherwise`.
#[derive(Debug, Clone, PartialEq, Default)]
struct Verdict<'a> {
    rules: Vec<(Vec<&'a SeccompArg>, u32)>,
    otherwise: Option<u32>,
}

/// Compiles a profile.
pub fn compile(profile: &Seccomp) -> Result<Filter> {
    if profile.listener_path.is_some() {
        return Err(Error::unsupported("linux.seccomp.listenerPath", "leave it out"));
    }
    let mut flags = 0;
    for flag in &profile.flags {
        flags |= match flag.as_str() {
            // There is one thread.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            "SECCOMP_FILTER_FLAG_LOG" => libc::SECCOMP_FILTER_FLAG_LOG as u32,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32,
            other => return Err(Error::unsupported(format!("the seccomp flag {other}"), "leave it out")),
        };
    }
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut code = vec![op(LOAD, ARCHITECTURE)];
    for (audit, column) in architectures(profile)? {
        let body = for_architecture(profile, default, column)?;
        // Jumps that tests can make are short ones.
        code.push(jump(IF_EQUAL, audit, 1, 0));
        code.push(op(JUMP, body.len() as u32));
        code.extend(body);
    }
    // Programs of another architecture could call what the profile forbids by other numbers.
    code.push(op(RETURN, libc::SECCOMP_RET_KILL_PROCESS));
    if code.len() > MAX_INSTRUCTIONS {
        return Err(Error::spec("linux.seccomp", format!("it takes {} instructions, the kernel 4096", code.len())));
    }
    Ok(Filter { program: code, flags })
}

/// Architectures of the profile that this machine runs; the native one where it names none.
fn architectures(profile: &Seccomp) -> Result<Vec<(u32, usize)>> {
    let mut found: Vec<(u32, usize)> = Vec::new();
    for name in &profile.architectures {
        match name.as_str() {
            "SCMP_ARCH_X86_64" => found.push((AUDIT_ARCH_X86_64, 0)),
            "SCMP_ARCH_X86" => found.push((AUDIT_ARCH_I386, 1)),
            // Others do not run here. A name that does not exist is a mistake.
            _ if name.starts_with("SCMP_ARCH_") => {}
            _ => return Err(Error::spec("linux.seccomp.architectures", format!("there is no {name:?}"))),
        }
    }
    if found.iter().all(|(audit, _)| *audit != AUDIT_ARCH_X86_64) {
        found.insert(0, (AUDIT_ARCH_X86_64, 0));
    }
    // A second block of the same kind would never be reached.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn for_architecture(profile: &Seccomp, default: u32, column: usize) -> Result<Vec<sock_filter>> {
    let mut verdicts: Vec<Verdict> = vec![Verdict::default(); NUMBERS];
    for rule in &profile.syscalls {
        let action = action(&rule.action, rule.errno_ret.or(profile.default_errno_ret))?;
        check(rule)?;
        for name in &rule.names {
            // Profiles name calls of every architecture and of newer kernels.
            let Some(number) = number_of(name, column) else { continue };
            let verdict = &mut verdicts[number as usize];
            if rule.args.is_empty() {
                verdict.otherwise.get_or_insert(action);
            } else {
                verdict.rules.extend(alternatives(rule).into_iter().map(|conditions| (conditions, action)));
            }
        }
    }
    let mut code = Vec::with_capacity(MAX_INSTRUCTIONS / 4);
    let none = Verdict { rules: Vec::new(), otherwise: Some(default) };
    for verdict in &mut verdicts {
        verdict.otherwise.get_or_insert(default);
    }
    search(&intervals(&verdicts, &none), default, &mut code);
    if column == 0 {
        code.extend([op(RETURN, default), jump(IF_AT_LEAST, X32, 0, 1)]);
    }
    code.push(op(LOAD, NUMBER));
    code.reverse();
    Ok(code)
}

/// The number of a system call.
fn number_of(name: &str, column: usize) -> Option<u32> {
    let row = SYSCALLS.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    u32::try_from([SYSCALLS[row].1, SYSCALLS[row].2][column]).ok()
}

fn check(rule: &SeccompRule) -> Result<()> {
    match rule.args.iter().find(|arg| arg.index > 5) {
        Some(arg) => Err(Error::spec("linux.seccomp.syscalls.args", format!("there is no argument {}", arg.index))),
        None => rule.args.iter().try_for_each(|arg| condition(arg, 0).map(drop)),
    }
}

/// Conditions on different arguments must all hold; several on the same one are alternatives, as runc has it.
fn alternatives(rule: &SeccompRule) -> Vec<Vec<&SeccompArg>> {
    let repeated =
        rule.args.iter().enumerate().any(|(n, arg)| rule.args[..n].iter().any(|other| other.index == arg.index));
    match repeated {
        true => rule.args.iter().map(|arg| vec![arg]).collect(),
        false => vec![rule.args.iter().collect()],
    }
}

/// Where what becomes of a number changes: first numbers with their verdict, in order, from 0 on. `none` is for numbers
/// that nobody knows.
fn intervals<'a>(verdicts: &'a [Verdict<'a>], none: &'a Verdict<'a>) -> Vec<(u32, &'a Verdict<'a>)> {
    let mut found: Vec<(u32, &Verdict)> = Vec::with_capacity(NUMBERS);
    for (number, verdict) in verdicts.iter().chain([none]).enumerate() {
        if found.last().is_none_or(|(_, last)| *last != verdict) {
            found.push((number as u32, verdict));
        }
    }
    found
}

/// A binary search for the number in the accumulator. Jumps lead forward and need to know how far, so that the code is
/// written from its end: `code` is the other way round.
fn search(intervals: &[(u32, &Verdict)], default: u32, code: &mut Vec<sock_filter>) {
    match intervals {
        [] => code.push(op(RETURN, default)),
        [(_, verdict)] => decide(verdict, default, code),
        _ => {
            let (below, above) = intervals.split_at(intervals.len() / 2);
            search(above, default, code);
            let start = code.len();
            search(below, default, code);
            match code.len() - start {
                over @ 0..=255 => code.push(jump(IF_AT_LEAST, above[0].0, over as u8, 0)),
                over => code.extend([op(JUMP, over as u32), jump(IF_AT_LEAST, above[0].0, 0, 1)]),
            }
        }
    }
}

/// The same for what becomes of one number.
fn decide(verdict: &Verdict, default: u32, code: &mut Vec<sock_filter>) {
    code.push(op(RETURN, verdict.otherwise.unwrap_or(default)));
    for (conditions, action) in verdict.rules.iter().rev() {
        let start = code.len();
        code.push(op(RETURN, *action));
        for arg in conditions.iter().rev() {
            // Checked before: the operator exists. Six conditions are far fewer than 255 instructions.
            if let Ok(test) = condition(arg, (code.len() - start) as u8) {
                code.extend(test.into_iter().rev());
            }
        }
    }
}

/// Falls through where the condition holds, else jumps over `skip` instructions more. Arguments have 64 bits and the
/// accumulator 32.
fn condition(arg: &SeccompArg, skip: u8) -> Result<Vec<sock_filter>> {
    let low = ARGUMENTS + 8 * arg.index;
    let high = low + 4;
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    let (value_high, value_low) = halves(arg.value);
    // The number of instructions between a test of the high half and the end of the condition is 2 or 3.
    let ordered = |low_test: u16, negate: bool| {
        let (holds, fails) = if negate { (skip, 0) } else { (0, skip) };
        // Greater in the high half decides, equal leaves it to the low half, less decides too.
        let (high_greater, high_less) = if negate { (skip + 3, 2) } else { (3, skip + 2) };
        vec![
            op(LOAD, high),
            jump(IF_GREATER, value_high, high_greater, 0),
            jump(IF_EQUAL, value_high, 0, high_less),
            op(LOAD, low),
            jump(low_test, value_low, holds, fails),
        ]
    };
    Ok(match arg.op.as_str() {
        "SCMP_CMP_EQ" => vec![
            op(LOAD, high),
            jump(IF_EQUAL, value_high, 0, skip + 2),
            op(LOAD, low),
            jump(IF_EQUAL, value_low, 0, skip),
        ],
        "SCMP_CMP_NE" => {
            vec![op(LOAD, high), jump(IF_EQUAL, value_high, 0, 2), op(LOAD, low), jump(IF_EQUAL, value_low, skip, 0)]
        }
        "SCMP_CMP_GT" => ordered(IF_GREATER, false),
        "SCMP_CMP_GE" => ordered(IF_AT_LEAST, false),
        "SCMP_CMP_LE" => ordered(IF_GREATER, true),
        "SCMP_CMP_LT" => ordered(IF_AT_LEAST, true),
        "SCMP_CMP_MASKED_EQ" => {
            // `value` is the mask, `valueTwo` what must be left.
            let (wanted_high, wanted_low) = halves(arg.value_two);
            vec![
                op(LOAD, high),
                op(AND, value_high),
                jump(IF_EQUAL, wanted_high, 0, skip + 3),
                op(LOAD, low),
                op(AND, value_low),
                jump(IF_EQUAL, wanted_low, 0, skip),
            ]
        }
        other => return Err(Error::spec("linux.seccomp.syscalls.args.op", format!("there is no {other:?}"))),
    })
}

fn action(name: &str, errno: Option<u32>) -> Result<u32> {
    let data = errno.unwrap_or(libc::EPERM as u32) & 0xffff;
    Ok(match name {
        "SCMP_ACT_ALLOW" => libc::SECCOMP_RET_ALLOW,
        "SCMP_ACT_ERRNO" => libc::SECCOMP_RET_ERRNO | data,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => libc::SECCOMP_RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => libc::SECCOMP_RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => libc::SECCOMP_RET_TRAP,
        "SCMP_ACT_TRACE" => libc::SECCOMP_RET_TRACE | data,
        "SCMP_ACT_LOG" => libc::SECCOMP_RET_LOG,
        "SCMP_ACT_NOTIFY" => return Err(Error::unsupported("SCMP_ACT_NOTIFY in linux.seccomp", "use another action")),
        _ => return Err(Error::spec("linux.seccomp", format!("there is no action {name:?}"))),
    })
}

fn op(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests;
