//! Judges: the kernel's own headers for the numbers, and for programs an interpreter of bpf(4) that knows nothing of how
//! they were made. That the kernel takes and obeys them is tested with containers.

#![allow(clippy::print_stderr, reason = "what is not compared is said")]

use super::*;
use serde_json::{Value, json};

/// What `program` says to a call.
fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => architecture,
        _ => {
            let argument = arguments[(offset - ARGUMENTS) as usize / 8];
            if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
        }
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let mut branch = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            LOAD => accumulator = word(k),
            AND => accumulator &= k,
            RETURN => return k,
            JUMP => at += k as usize,
            IF_EQUAL => branch(accumulator == k),
            IF_GREATER => branch(accumulator > k),
            IF_AT_LEAST => branch(accumulator >= k),
            _ => panic!("an instruction {code:#x}"),
        }
    }
}

fn profile(value: Value) -> Result<Filter> {
    compile(&serde_json::from_value(value).expect("a profile"))
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | 1;

#[test]
fn the_table_is_the_kernels() {
    for (name, number) in [
        ("read", libc::SYS_read),
        ("clone3", libc::SYS_clone3),
        ("execve", libc::SYS_execve),
        ("pivot_root", libc::SYS_pivot_root),
        ("statx", libc::SYS_statx),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
    ] {
        assert_eq!(number_of(name, 0), Some(number as u32), "{name}");
    }
    let headers = "/usr/include/x86_64-linux-gnu/asm";
    for (file, column) in [("unistd_64.h", 0), ("unistd_32.h", 1)] {
        let Ok(text) = std::fs::read_to_string(format!("{headers}/{file}")) else {
            eprintln!("{headers}/{file} is not here: the numbers of {file} are not compared");
            continue;
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("#define __NR_")) {
            let Some((name, number)) = line.split_once(' ') else { continue };
            assert_eq!(number_of(name, column), number.trim().parse().ok(), "{name} in {file}");
        }
    }
    assert!(SYSCALLS.is_sorted_by_key(|(name, ..)| *name));
    assert!(SYSCALLS.iter().all(|(_, one, other)| (*one).max(*other) < NUMBERS as i32));
}

#[test]
fn every_number_gets_what_the_profile_says() {
    let names: Vec<_> = SYSCALLS.iter().step_by(3).map(|(name, ..)| *name).collect();
    let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    let rules = json!([{"names": names, "action": "SCMP_ACT_ALLOW"}]);
    let text = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": rules});
    let filter = profile(text).expect("it compiles");
    for (audit, column) in [(AUDIT_ARCH_X86_64, 0), (AUDIT_ARCH_I386, 1)] {
        for number in 0..600 {
            let allowed = names.iter().any(|name| number_of(name, column) == Some(number));
            let expected = if allowed { ALLOW } else { EPERM };
            assert_eq!(run(&filter.program, audit, number, [0; 6]), expected, "{number} of {column}");
            if column == 0 {
                assert_eq!(run(&filter.program, audit, number | X32, [0; 6]), EPERM);
            }
        }
    }
    // AUDIT_ARCH_AARCH64.
    assert_eq!(run(&filter.program, 0xc000_00b7, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
}

#[test]
fn conditions_compare_all_64_bits() {
    type Holds = fn(u64, u64) -> bool;
    let operators: [(&str, Holds); 6] = [
        ("SCMP_CMP_EQ", |a, b| a == b),
        ("SCMP_CMP_NE", |a, b| a != b),
        ("SCMP_CMP_LT", |a, b| a < b),
        ("SCMP_CMP_LE", |a, b| a <= b),
        ("SCMP_CMP_GT", |a, b| a > b),
        ("SCMP_CMP_GE", |a, b| a >= b),
    ];
    let values = [0, 1, 7, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x7_0000_0007, u64::MAX];
    let run_with = |arg: Value, call: u64| {
        let rules = json!([{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [arg]}]);
        let filter = profile(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})).expect("it compiles");
        run(&filter.program, AUDIT_ARCH_X86_64, libc::SYS_ioctl as u32, [0, 0, call, 0, 0, 0]) == ALLOW
    };
    for (name, holds) in operators {
        for value in values {
            for call in values {
                let arg = json!({"index": 2, "value": value, "op": name});
                assert_eq!(run_with(arg, call), holds(call, value), "{call:#x} {name} {value:#x}");
            }
        }
    }
    for call in values {
        let arg = json!({"index": 2, "value": 0x1_0000_0001_u64, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"});
        assert_eq!(run_with(arg, call), call & 0x1_0000_0001 == 1, "{call:#x}");
    }
}

#[test]
fn the_first_rule_whose_conditions_hold_decides() {
    let arg = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let filter = profile(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [arg(0, 16), arg(2, 9)]},
            {"names": ["socket"], "action": "SCMP_ACT_KILL_PROCESS", "args": [arg(0, 40)]},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [arg(0, 1), arg(0, 2)]},
        ],
    }))
    .expect("it compiles");
    let call = |name: i64, arguments| run(&filter.program, AUDIT_ARCH_X86_64, name as u32, arguments);
    assert_eq!(call(libc::SYS_socket, [16, 3, 9, 0, 0, 0]), libc::SECCOMP_RET_ERRNO | 22);
    assert_eq!(call(libc::SYS_socket, [16, 3, 8, 0, 0, 0]), ALLOW);
    assert_eq!(call(libc::SYS_socket, [40, 1, 0, 0, 0, 0]), libc::SECCOMP_RET_KILL_PROCESS);
    // Two conditions on one argument are alternatives.
    assert_eq!([1, 2, 3].map(|first| call(libc::SYS_personality, [first, 0, 0, 0, 0, 0])), [EPERM, EPERM, ALLOW]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let refused = |value: Value| profile(value).expect_err("it is refused");
    assert!(matches!(refused(json!({"defaultAction": "SCMP_ACT_NOTIFY"})), Error::Unsupported { .. }));
    assert!(matches!(refused(json!({"defaultAction": "SCMP_ACT_MAYBE"})), Error::SpecInvalid { .. }));
    let flags = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]});
    assert!(matches!(refused(flags), Error::Unsupported { .. }));
    let args = json!([{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]);
    let rules = json!([{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args}]);
    assert!(matches!(
        refused(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})),
        Error::SpecInvalid { .. }
    ));
}

#[test]
fn the_default_profile_lets_programs_run_and_nobody_administer() {
    let filter = compile(&default_profile()).expect("it compiles");
    let call = |number: i64, first: u64| run(&filter.program, AUDIT_ARCH_X86_64, number as u32, [first, 0, 0, 0, 0, 0]);
    for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_openat, libc::SYS_futex, libc::SYS_socketpair] {
        assert_eq!(call(number, 0), ALLOW);
    }
    let forbidden = [
        libc::SYS_mount,
        libc::SYS_mount_setattr,
        libc::SYS_open_tree,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_reboot,
        libc::SYS_open_by_handle_at,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_clock_settime,
        libc::SYS_perf_event_open,
        // One that does not exist.
        9_999,
    ];
    for number in forbidden {
        assert_eq!(call(number, 0), EPERM, "{number}");
    }
    assert_eq!(
        [libc::SIGCHLD as u64, libc::CLONE_NEWUSER as u64].map(|flags| call(libc::SYS_clone, flags)),
        [ALLOW, EPERM]
    );
    assert_eq!(call(libc::SYS_clone3, 0), libc::SECCOMP_RET_ERRNO | 38);
    assert_eq!([2, 40].map(|family| call(libc::SYS_socket, family)), [ALLOW, EPERM]);
    // Every name is one the kernel has, on one of the two architectures.
    for rule in default_profile().syscalls {
        for name in &rule.names {
            assert!(SYSCALLS.iter().any(|(known, ..)| known == name), "{name}");
        }
    }
}
