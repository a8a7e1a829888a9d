//! What a host or a configuration does not allow: an error with its code, its cause and its mend, and nothing half-made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome, as_everybody, as_root, outcome};

/// Every word has to be in the error, behind the code in brackets at its end.
fn assert_refused(refused: &Outcome, code: &str, words: &[&str]) {
    assert_ne!(refused.code, 0, "it was made: {refused:?}");
    assert!(refused.stderr.trim_end().ends_with(&format!("[{code}]")), "{code}: {refused:?}");
    let missing: Vec<_> = words.iter().filter(|word| !refused.stderr.contains(*word)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {refused:?}");
}

/// Its name, which no other test's has.
fn id_of(bundle: &Bundle) -> String {
    bundle.directory.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Nothing is left of a container that could not be made: no state, no group, no mount, no process.
fn assert_nothing_left(bundle: &Bundle, what: &str) {
    let state = fs::read_dir(bundle.path("state")).map_or(0, Iterator::count);
    assert_eq!(state, 0, "{what}: a state");
    let name = format!("{}-*", id_of(bundle));
    let groups = outcome(Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &name]));
    assert_eq!(groups.stdout, "", "{what}: groups");
    let directory = bundle.directory.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
    assert!(!mounts.contains(&directory), "{what}: mounts in {directory}");
    let processes = fs::read_dir("/proc").expect("/proc").flatten().filter(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&directory)
    });
    assert_eq!(processes.count(), 0, "{what}: processes");
}

/// Tries a configuration.
fn refuse(bundle: &mut Bundle, change: impl Fn(&mut Value), code: &str, words: &[&str]) {
    let good = bundle.config.clone();
    change(&mut bundle.config);
    bundle.save();
    assert_refused(&bundle.command(&["run", &id_of(bundle)]), code, words);
    assert_nothing_left(bundle, code);
    bundle.config = good;
}

#[test]
fn a_program_that_cannot_be_run() {
    as_everybody(|mut bundle| {
        let file = |name: &str, bytes: &[u8], mode: u32| {
            let path = bundle.path("rootfs/tmp").join(name);
            fs::write(&path, bytes).expect("a file");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
        };
        // An ELF file for the machine 0xF3, RISC-V.
        let mut foreign = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0\x01\0\0\0".to_vec();
        foreign.resize(4096, 0);
        file("foreign", &foreign, 0o755);
        file("script", b"#!/no/interpreter\n", 0o755);
        file("plain", b"#!/bin/sh\n", 0o644);
        for (program, words) in [
            ("/no/program", ["no such program", "look for it in the root file system"]),
            ("no-program", ["no such program", "PATH"]),
            ("/tmp/script", ["no interpreter", "look for it in the root file system"]),
            ("/tmp/foreign", ["another architecture", "platform"]),
            ("/tmp/plain", ["Permission denied", "executable"]),
        ] {
            let args = json!([program]);
            refuse(&mut bundle, |config| config["process"]["args"] = args.clone(), "PROGRAM_UNUSABLE", &words);
        }
    });
}

#[test]
fn a_configuration_that_is_none() {
    as_everybody(|mut bundle| {
        let rules: [(&str, Value, [&str; 2]); 6] = [
            ("/ociVersion", json!("2.0.0"), ["ociVersion", "not version 1"]),
            ("/process/args", json!([]), ["process.args", "no program"]),
            ("/process/cwd", json!("relative"), ["process.cwd", "not an absolute path"]),
            ("/root", Value::Null, ["root", "needs one"]),
            ("/linux/cgroupsPath", json!("/a/../../b"), ["linux.cgroupsPath", "leads upwards"]),
            ("/mounts", json!(7), ["config.json", "invalid type"]),
        ];
        for (path, value, words) in rules {
            let (parent, key) = path.rsplit_once('/').expect("a path");
            let change = |config: &mut Value| config.pointer_mut(parent).expect("it is there")[key] = value.clone();
            refuse(&mut bundle, change, "SPEC_INVALID", &words);
        }
        fs::write(bundle.path("config.json"), "{").expect("a file");
        assert_refused(&bundle.command(&["run", &id_of(&bundle)]), "SPEC_INVALID", &["config.json", "EOF"]);
        assert_nothing_left(&bundle, "no JSON");
    });
}

#[test]
fn a_user_without_rights_and_without_user_namespaces() {
    as_everybody(|mut bundle| {
        if bundle.is_roots() {
            return;
        }
        // The one way without a user namespace is to be root.
        let without = |config: &mut Value| {
            config["linux"]["namespaces"].as_array_mut().expect("a list").retain(|one| one["type"] != "user");
            config["linux"]["uidMappings"] = json!([]);
            config["linux"]["gidMappings"] = json!([]);
        };
        refuse(&mut bundle, without, "NAMESPACE_REFUSED", &["not permitted", "be root, or add a user namespace"]);
        // A user whose kernel gives no more user namespaces: the first of these is root in it and sets the limit.
        bundle.write("true");
        let inner = format!("exec {} --root state run {}", bundle.path("runtime").display(), id_of(&bundle));
        let outer = format!(
            "echo 1 > /proc/sys/user/max_user_namespaces && exec unshare --user --map-user=1000 --map-group=1000 sh -c '{inner}'"
        );
        let unshare = bundle.as_owner(Command::new("unshare").args(["--user", "--map-root-user", "sh", "-c", &outer]));
        assert_refused(&unshare, "NAMESPACE_REFUSED", &["user", "No space left", "/proc/sys/user"]);
        assert_nothing_left(&bundle, "no user namespaces");
    });
}

#[test]
fn a_limit_for_which_there_is_no_controller() {
    as_root(|mut bundle| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        let memory = mounts.lines().find(|line| line.contains(" - cgroup ") && line.ends_with(",memory"));
        let Some(point) = memory.and_then(|line| line.split(' ').nth(4)) else {
            eprintln!("not tried: this host has no hierarchy of version 1 for memory that could be left out");
            return;
        };
        bundle.config["linux"]["resources"] = json!({"memory": {"limit": 16 << 20}});
        bundle.write("true");
        // In a mount namespace of its own that controller is missing, and the others are there.
        let runtime = bundle.path("runtime");
        let call = format!("umount {point} && exec {} --root state run {}", runtime.display(), id_of(&bundle));
        let refused =
            outcome(Command::new("unshare").args(["--mount", "sh", "-c", &call]).current_dir(&bundle.directory));
        let words = ["no cgroup controller memory", "linux.resources.memory.limit", "mount it, or leave that out"];
        assert_refused(&refused, "CONTROLLER_MISSING", &words);
        assert_nothing_left(&bundle, "no controller");
        // What needs none is made there.
        bundle.config["linux"]["resources"] = json!({"pids": {"limit": 20}});
        bundle.write("true");
        let made = outcome(Command::new("unshare").args(["--mount", "sh", "-c", &call]).current_dir(&bundle.directory));
        assert_eq!(made.code, 0, "{made:?}");
    });
}

#[test]
fn a_limit_for_a_user_whom_the_host_lets_into_no_group() {
    as_everybody(|mut bundle| {
        if bundle.is_roots() {
            return;
        }
        let limit = |config: &mut Value| config["linux"]["resources"] = json!({"pids": {"limit": 20}});
        let controllers = fs::read_to_string("/proc/cgroups").unwrap_or_default();
        match controllers.contains("pids") {
            true => refuse(&mut bundle, limit, "CGROUP_REFUSED", &["may make no group", "be root", "delegated"]),
            false => refuse(&mut bundle, limit, "CONTROLLER_MISSING", &["pids", "leave that out"]),
        }
    });
}
