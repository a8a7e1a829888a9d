//! Which devices a container may use: two files in version 1, a program for the kernel's own machine in version 2.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Cgroup, missing, refused};
use crate::error::{During, Error, Result};
use crate::spec::DeviceRule;
use crate::sys;

/// What every container may do, after its own rules: make any node (and open few), and open the default devices, its
/// terminals and /dev/ptmx.
const ALWAYS: [(&str, Option<u32>, Option<u32>, &str); 11] = [
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    ("c", Some(1), Some(3), "rwm"),
    ("c", Some(1), Some(5), "rwm"),
    ("c", Some(1), Some(7), "rwm"),
    ("c", Some(1), Some(8), "rwm"),
    ("c", Some(1), Some(9), "rwm"),
    ("c", Some(5), Some(0), "rwm"),
    ("c", Some(5), Some(1), "rwm"),
    ("c", Some(5), Some(2), "rwm"),
    ("c", Some(136), None, "rwm"),
];

/// A rule with everything decided; later ones override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `c`, `b` or `a` for both.
    kind: char,
    major: Option<u32>,
    minor: Option<u32>,
    access: String,
}

/// Sets the rules. Without any the container may use what its user may.
pub fn apply(cgroup: &Cgroup, rules: &[DeviceRule]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let rules: Vec<Rule> = rules.iter().map(rule_of).chain(ALWAYS.iter().map(always)).collect();
    if let Some((directory, false)) = cgroup.with("devices") {
        return write_lines(&directory, &lines(&rules)?);
    }
    match cgroup.unified() {
        Some(directory) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let group = rustix::fs::open(directory, flags, Mode::empty()).during("opening the cgroup")?;
            program::attach(&program::compile(&rules), group.as_raw_fd())
        }
        // Who may make no group is no root, and can make no node: there is nothing to forbid.
        None if cgroup.is_empty() && !rustix::process::geteuid().is_root() => Ok(()),
        None => Err(missing("devices", "linux.resources.devices")),
    }
}

fn rule_of(rule: &DeviceRule) -> Rule {
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    Rule {
        allow: rule.allow,
        kind: rule.kind.as_deref().and_then(|kind| kind.chars().next()).unwrap_or('a'),
        major: number(rule.major),
        minor: number(rule.minor),
        access: rule.access.clone().unwrap_or_else(|| "rwm".to_owned()),
    }
}

fn always(&(kind, major, minor, access): &(&str, Option<u32>, Option<u32>, &str)) -> Rule {
    let kind = kind.chars().next().unwrap_or('a');
    Rule { allow: true, kind, major, minor, access: access.to_owned() }
}

/// What to write in version 1, and where. It knows whether everything is allowed or nothing, and exceptions from that;
/// taking back a part of an exception has no effect there, and takes back nothing of a wider one. So the sum is done here.
fn lines(rules: &[Rule]) -> Result<Vec<(&'static str, String)>> {
    let (mut default, mut exceptions): (bool, Vec<Rule>) = (true, Vec::new());
    for rule in rules.iter().flat_map(of_one_kind) {
        if rule.kind == 'a' {
            (default, exceptions) = (rule.allow, Vec::new());
        } else if rule.allow != default {
            exceptions.push(rule);
        } else {
            take_back(&mut exceptions, &rule)?;
        }
    }
    let file = |allow: bool| if allow { "devices.allow" } else { "devices.deny" };
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    let line = |rule: &Rule| format!("{} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access);
    let all = exceptions.iter().map(|rule| (file(rule.allow), line(rule)));
    Ok(std::iter::once((file(default), "a".to_owned())).chain(all).collect())
}

/// One write a line; the file of most of them is opened once.
fn write_lines(directory: &Path, lines: &[(&'static str, String)]) -> Result<()> {
    for same in lines.chunk_by(|one, other| one.0 == other.0) {
        let path = directory.join(same[0].0);
        let file = File::create(&path).map_err(|error| refused(&path, &error))?;
        for (_, line) in same {
            (&file).write_all(line.as_bytes()).map_err(|error| refused(&path, &format!("{line:?}: {error}")))?;
        }
    }
    Ok(())
}

/// The kernel takes `a` for everything, whatever follows it.
fn of_one_kind(rule: &Rule) -> Vec<Rule> {
    let everything =
        (rule.major, rule.minor) == (None, None) && "rwm".chars().all(|letter| rule.access.contains(letter));
    match rule.kind {
        'a' if !everything => ['b', 'c'].map(|kind| Rule { kind, ..rule.clone() }).into(),
        _ => vec![rule.clone()],
    }
}

fn take_back(exceptions: &mut Vec<Rule>, rule: &Rule) -> Result<()> {
    let meets = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
    let covers = |one: Option<u32>, other: Option<u32>| one.is_none() || one == other;
    for exception in exceptions.iter_mut() {
        let common = exception.access.chars().any(|letter| rule.access.contains(letter));
        let overlap = exception.kind == rule.kind
            && meets(rule.major, exception.major)
            && meets(rule.minor, exception.minor)
            && common;
        if !overlap {
            continue;
        }
        if !(covers(rule.major, exception.major) && covers(rule.minor, exception.minor)) {
            return Err(Error::unsupported(
                "a device rule that takes back a part of an earlier one, in cgroup version 1",
                "name the devices that are allowed",
            ));
        }
        exception.access.retain(|letter| !rule.access.contains(letter));
    }
    exceptions.retain(|exception| !exception.access.is_empty());
    Ok(())
}

mod program {
    //! The eBPF program that judges every access (Documentation/bpf, `BPF_PROG_TYPE_CGROUP_DEVICE`).

    use std::os::fd::AsRawFd;

    use super::{During, Result, Rule, sys};

    /// One instruction: opcode, registers (source high), offset, immediate.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Instruction {
        opcode: u8,
        registers: u8,
        offset: i16,
        immediate: i32,
    }

    const LOAD_WORD: u8 = 0x61;
    const MOVE: u8 = 0xb7;
    const MOVE_REGISTER: u8 = 0xbf;
    const AND: u8 = 0x57;
    const SHIFT_RIGHT: u8 = 0x77;
    const JUMP_NOT_EQUAL: u8 = 0x55;
    const EXIT: u8 = 0x95;

    /// Registers: the answer, the context, then type, access, major and minor number and one to compute in.
    const ANSWER: u8 = 0;
    const CONTEXT: u8 = 1;
    const TYPE: u8 = 2;
    const ACCESS: u8 = 3;
    const MAJOR: u8 = 4;
    const MINOR: u8 = 5;
    const SCRATCH: u8 = 6;

    fn op(opcode: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
        Instruction { opcode, registers: source << 4 | destination, offset, immediate }
    }

    /// Rules are asked from the last to the first, since later ones override; where none speaks, everything is allowed.
    pub fn compile(rules: &[Rule]) -> Vec<Instruction> {
        // struct bpf_cgroup_dev_ctx: access in the high half and type in the low half of a word, then major and minor.
        let mut program = vec![
            op(LOAD_WORD, TYPE, CONTEXT, 0, 0),
            op(MOVE_REGISTER, ACCESS, TYPE, 0, 0),
            op(AND, TYPE, 0, 0, 0xffff),
            op(SHIFT_RIGHT, ACCESS, 0, 0, 16),
            op(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
            op(LOAD_WORD, MINOR, CONTEXT, 8, 0),
        ];
        for rule in rules.iter().rev() {
            let code = judge(rule);
            let is_last_word = code.len() == VERDICT;
            program.extend(code);
            if is_last_word {
                // The kernel takes no program in which something is never reached.
                return program;
            }
        }
        program.extend([op(MOVE, ANSWER, 0, 0, 1), op(EXIT, 0, 0, 0, 0)]);
        program
    }

    /// Length of a rule without conditions.
    const VERDICT: usize = 2;

    /// Each test that fails jumps behind the rule.
    fn judge(rule: &Rule) -> Vec<Instruction> {
        let mut code = vec![op(MOVE, ANSWER, 0, 0, i32::from(rule.allow)), op(EXIT, 0, 0, 0, 0)];
        let mut require = |register: u8, value: u32| {
            code.insert(0, op(JUMP_NOT_EQUAL, register, 0, code.len() as i16, value as i32));
        };
        if let Some(minor) = rule.minor {
            require(MINOR, minor);
        }
        if let Some(major) = rule.major {
            require(MAJOR, major);
        }
        // BPF_DEVCG_ACC_MKNOD, READ, WRITE; BPF_DEVCG_DEV_BLOCK, CHAR.
        let access = rule.access.chars().map(|letter| match letter {
            'm' => 1,
            'r' => 2,
            _ => 4,
        });
        let access: i32 = access.sum();
        match rule.kind {
            'a' => {}
            'b' => require(TYPE, 1),
            _ => require(TYPE, 2),
        }
        if access != 7 {
            // A grant must cover all that is asked; a ban meets any part of it.
            let (mask, opcode) = if rule.allow { (!access & 7, 0x55) } else { (access, 0x15) };
            let behind = code.len() as i16;
            code.splice(
                0..0,
                [
                    op(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0),
                    op(AND, SCRATCH, 0, 0, mask),
                    op(opcode, SCRATCH, 0, behind, 0),
                ],
            );
        }
        code
    }

    /// Gives the program to the kernel for the group that `group` is open on; it stays as long as the group.
    pub fn attach(program: &[Instruction], group: i32) -> Result<()> {
        #[repr(C)]
        #[derive(Default)]
        struct Load {
            kind: u32,
            count: u32,
            instructions: u64,
            license: u64,
            rest: [u64; 16],
        }
        #[repr(C)]
        struct Attach {
            target: u32,
            program: u32,
            kind: u32,
            flags: u32,
        }
        const BPF_PROG_LOAD: u32 = 5;
        const BPF_PROG_ATTACH: u32 = 8;
        const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
        const BPF_CGROUP_DEVICE: u32 = 6;
        let mut load = Load {
            kind: BPF_PROG_TYPE_CGROUP_DEVICE,
            count: program.len() as u32,
            instructions: program.as_ptr() as u64,
            license: c"Apache-2.0".as_ptr() as u64,
            ..Load::default()
        };
        let refused = |operation: &str| format!("{operation} the program that guards devices");
        let number = sys::bpf(BPF_PROG_LOAD, &mut load).during(refused("loading"))?;
        let loaded = sys::owned_fd(number);
        let program = loaded.as_raw_fd();
        let mut attach = Attach { target: group as u32, program: program as u32, kind: BPF_CGROUP_DEVICE, flags: 0 };
        sys::bpf(BPF_PROG_ATTACH, &mut attach).during(refused("attaching")).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: char, major: Option<u32>, minor: Option<u32>, access: &str) -> Rule {
        Rule { allow, kind, major, minor, access: access.to_owned() }
    }

    #[test]
    fn version_1_is_told_the_sum_of_the_rules() {
        let nothing = rule(false, 'a', None, None, "rwm");
        let tapes = rule(true, 'c', Some(9), None, "rw");
        let told =
            |rules: &[Rule]| lines(rules).map(|lines| lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>());
        assert_eq!(told(&[nothing.clone(), tapes.clone()]), Ok(vec!["a".into(), "c 9:* rw".into()]));
        let no_writing = rule(false, 'a', Some(9), None, "w");
        assert_eq!(told(&[nothing.clone(), tapes.clone(), no_writing]), Ok(vec!["a".into(), "c 9:* r".into()]));
        assert_eq!(told(&[tapes.clone(), nothing.clone()]), Ok(vec!["a".into()]));
        let but_one = rule(false, 'c', Some(9), Some(1), "rwm");
        assert!(matches!(told(&[nothing, tapes, but_one]), Err(Error::Unsupported { .. })));
    }
}
