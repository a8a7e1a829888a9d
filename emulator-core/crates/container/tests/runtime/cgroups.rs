//! Limits, as the kernel keeps them: in the layout of this host, and in those it can be made to have by unmounting.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::bundle::{Bundle, as_everybody, as_root, outcome};
use crate::lifecycle::{holding_hook, wait_for_file};

/// Whether the host has a controller that is mounted; says so if not.
pub fn has(controller: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
    let v1 = mounts.lines().any(|line| {
        line.contains(" - cgroup ")
            && line.rsplit(' ').next().is_some_and(|options| options.split(',').any(|one| one == controller))
    });
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|all| all.contains(controller));
    if !v1 && !v2 {
        eprintln!("not tried: this host has no cgroup controller {controller}");
    }
    v1 || v2
}

#[test]
fn memory_is_limited_by_killing() {
    as_root(|mut bundle| {
        if !has("memory") {
            return;
        }
        bundle.config["linux"]["resources"]["memory"] = json!({"limit": 16 << 20});
        // 64 MiB in a variable.
        let greedy = "a=$(head -c 67108864 /dev/zero | tr '\\0' x); echo ${#a}";
        assert_eq!(bundle.run(greedy).code, 137);
        bundle.config["linux"]["resources"]["memory"] = json!({"limit": 256 << 20});
        assert_eq!(bundle.output(greedy), "67108864\n");
    });
}

#[test]
fn groups_above_go_with_the_container_they_were_made_for() {
    as_root(|mut bundle| {
        if !has("pids") {
            return;
        }
        let find = |name: &str| {
            let found = outcome(Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "3", "-name", name]));
            found.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let name = format!("test-{}", std::process::id());
        bundle.config["linux"]["cgroupsPath"] = format!("/{name}/deep/box").into();
        assert!(bundle.output("cat /proc/self/cgroup").contains(":/"));
        assert_eq!(find(&name), Vec::<String>::new());
        // What was there before stays.
        let parents: Vec<_> =
            find("cgroup.procs").into_iter().map(|file| file.replace("cgroup.procs", &name)).collect();
        let made: Vec<_> =
            parents.iter().filter(|path| path.matches('/').count() <= 5 && fs::create_dir(path).is_ok()).collect();
        bundle.output("true");
        let left = find(&name);
        assert!(
            !left.is_empty() && left.iter().all(|path| !std::path::Path::new(path).join("deep").exists()),
            "{left:?}"
        );
        made.iter().for_each(|path| drop(fs::remove_dir(path)));
    });
}

#[test]
fn events_tell_of_memory_that_has_run_out() {
    as_root(|mut bundle| {
        if !has("memory") {
            return;
        }
        bundle.config["linux"]["resources"]["memory"] = json!({"limit": 16 << 20});
        // Again and again, because nobody may listen yet the first time.
        let greedy = "for n in 1 2 3 4 5 6 7 8; do sleep 0.5; (a=$(head -c 67108864 /dev/zero | tr '\\0' x)); done";
        bundle.start("box", greedy);
        let events = bundle.command(&["events", "--interval", "1s", "box"]);
        assert_eq!(events.code, 0, "it ends with the container: {events:?}");
        let kinds: Vec<_> = events
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["type"].clone())
            .collect();
        assert_eq!(kinds[0], "stats");
        assert!(kinds.contains(&json!("oom")), "{kinds:?}");
    });
}

#[test]
fn a_limit_below_what_is_used_is_refused_where_that_is_to_be_checked() {
    as_root(|mut bundle| {
        if !has("memory") {
            return;
        }
        bundle.start("box", "a=$(head -c 8388608 /dev/zero | tr '\\0' x); echo > /dev/shm/full; sleep 1000");
        while bundle.command(&["exec", "box", "test", "-e", "/dev/shm/full"]).code != 0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let update = |memory: serde_json::Value| {
            fs::write(bundle.path("limits"), json!({"memory": memory}).to_string()).expect("a file");
            bundle.command(&["update", "--resources", "limits", "box"])
        };
        let refused = update(json!({"limit": 4 << 20, "checkBeforeUpdate": true}));
        assert!(refused.stderr.contains("[CGROUP_REFUSED]"), "{refused:?}");
        assert_eq!(update(json!({"limit": 256 << 20, "checkBeforeUpdate": true, "useHierarchy": true})).code, 0);
        assert!(update(json!({"useHierarchy": false})).stderr.contains("[UNSUPPORTED]"));
        assert_eq!(bundle.state("box")["status"], "running");
    });
}

#[test]
fn processes_are_limited_by_number() {
    as_root(|mut bundle| {
        if !has("pids") {
            return;
        }
        bundle.config["linux"]["resources"]["pids"] = json!({"limit": 3});
        let script = "for n in 1 2 3 4 5; do sleep 1 & done; wait";
        assert!(bundle.run(script).stderr.to_lowercase().contains("fork"));
    });
}

#[test]
fn processor_time_is_limited_by_quota_and_can_be_changed() {
    as_root(|mut bundle| {
        if !has("cpu") {
            return;
        }
        bundle.config["linux"]["resources"]["cpu"] = json!({"quota": 10_000, "period": 100_000, "shares": 512});
        // A tenth of a second in a second, and some slack for a busy machine: user and system time of the shell.
        let script = "end=$(($(date +%s%N) + 1000000000)); while [ $(date +%s%N) -lt $end ]; do :; done; times";
        let used: f64 = bundle.output(script).split_whitespace().map(seconds).sum();
        assert!(used < 0.35, "{used} s in one second");
        bundle.start("box", "while :; do sleep 0.05; done");
        assert_eq!(bundle.command(&["update", "--cpu-quota", "50000", "box"]).code, 0);
        assert_eq!(bundle.command(&["update", "--pids-limit", "77", "box"]).code, i32::from(!has("pids")));
        let stats: serde_json::Value =
            serde_json::from_str(&bundle.command(&["events", "--stats", "box"]).stdout).expect("JSON");
        assert!(stats["data"]["cpu"]["usage"]["total"].as_u64().is_some_and(|used| used > 0), "{stats}");
    });
}

/// `0m0.050s`.
fn seconds(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').expect("minutes and seconds");
    minutes.parse::<f64>().expect("minutes") * 60.0 + seconds.parse::<f64>().expect("seconds")
}

/// May the container read /dev/zero, which it may always, and read and write /dev/fuse, which is free to everybody else?
/// Whether there is such a device does not matter: it is the cgroup that says "not permitted".
const DEVICES: &str = "head -c 3 /dev/zero | wc -c; for mode in '<' '>'; do eval ': '$mode' /dev/node' 2>&1 | \
                       grep -o 'Operation not permitted' || echo open; done";

fn with_devices(bundle: &mut Bundle, rules: serde_json::Value) {
    let node = json!([{"type": "c", "path": "/dev/node", "major": 10, "minor": 229, "fileMode": 438}]);
    bundle.config["linux"]["devices"] = node;
    bundle.config["linux"]["resources"] = json!({"devices": rules});
}

const REFUSED: &str = "Operation not permitted\n";

#[test]
fn devices_are_gated() {
    as_root(|mut bundle| {
        if !has("devices") {
            return;
        }
        judge_devices(&mut bundle, &|bundle| bundle.output(DEVICES));
    });
}

fn judge_devices(bundle: &mut Bundle, run: &dyn Fn(&mut Bundle) -> String) {
    let deny = json!({"allow": false, "access": "rwm"});
    let allow = |access: &str| json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": access});
    with_devices(bundle, json!([deny]));
    assert_eq!(run(bundle), format!("3\n{REFUSED}{REFUSED}"));
    with_devices(bundle, json!([deny, allow("r")]));
    assert_eq!(run(bundle), format!("3\nopen\n{REFUSED}"));
    with_devices(bundle, json!([deny, allow("rw"), {"allow": false, "type": "c", "major": 10, "access": "w"}]));
    assert_eq!(run(bundle), format!("3\nopen\n{REFUSED}"));
    with_devices(bundle, json!([deny, {"allow": true, "type": "b", "access": "rwm"}]));
    assert_eq!(run(bundle), format!("3\n{REFUSED}{REFUSED}"));
}

/// Runs `runtime run test` where only some of the host's hierarchies are mounted.
fn in_layout(bundle: &Bundle, layout: &str) -> crate::bundle::Outcome {
    let unmount = match layout {
        "none" => "awk '/ - cgroup2? /{print $5}' /proc/self/mountinfo | xargs -r umount",
        _ => "awk '/ - cgroup /{print $5}' /proc/self/mountinfo | xargs -r umount",
    };
    let runtime = bundle.path("runtime");
    let call = format!("{unmount}; exec {} --root {} run test", runtime.display(), bundle.path("state").display());
    let mut command = Command::new("unshare");
    outcome(command.args(["--mount", "sh", "-c", &call]).current_dir(&bundle.directory))
}

#[test]
fn version_2_alone_guards_devices_by_a_program_and_refuses_what_it_lacks() {
    as_root(|mut bundle| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        if !mounts.contains(" - cgroup2 ") {
            eprintln!("not tried: cgroup version 2 is not mounted");
            return;
        }
        judge_devices(&mut bundle, &|bundle| {
            bundle.write(DEVICES);
            let outcome = in_layout(bundle, "unified");
            assert_eq!(outcome.code, 0, "{outcome:?}");
            outcome.stdout
        });
        let controllers =
            mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let path = format!("{}/cgroup.controllers", controllers.expect("a mount point"));
        let there = fs::read_to_string(path).is_ok_and(|all| all.contains("memory"));
        bundle.config["linux"]["resources"] = json!({"memory": {"limit": 16 << 20}});
        bundle.write("true");
        let outcome = in_layout(&bundle, "unified");
        assert_eq!(outcome.stderr.contains("[CONTROLLER_MISSING]"), !there, "{outcome:?}");
    });
}

#[test]
fn without_cgroups_there_are_no_limits_and_asking_for_one_is_an_error() {
    as_root(|mut bundle| {
        bundle.config["mounts"].as_array_mut().expect("a list").retain(|mount| mount["type"] != "cgroup");
        bundle.config["linux"]["resources"] = json!({});
        bundle.write("echo runs");
        assert_eq!(in_layout(&bundle, "none").stdout, "runs\n");
        for (resources, controller) in [
            (json!({"memory": {"limit": 16 << 20}}), "memory"),
            (json!({"pids": {"limit": 5}}), "pids"),
            (json!({"devices": [{"allow": false}]}), "devices"),
        ] {
            bundle.config["linux"]["resources"] = resources;
            bundle.write("true");
            let outcome = in_layout(&bundle, "none");
            assert!(
                outcome.stderr.contains("[CONTROLLER_MISSING]") && outcome.stderr.contains(controller),
                "{outcome:?}"
            );
        }
    });
}

#[test]
fn a_group_is_gone_with_its_container_and_one_in_use_is_not_taken() {
    as_everybody(|mut bundle| {
        bundle.start("box", "mkdir /sys/fs/cgroup/*/sub 2>/dev/null; while :; do sleep 0.05; done");
        let pid = bundle.state("box")["pid"].to_string();
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its groups");
        if bundle.is_roots() {
            assert!(groups.contains("/terrarium/box~"), "{groups}");
            assert_eq!(bundle.command(&["pause", "box"]).code, 0);
            assert_eq!(bundle.state("box")["status"], "paused");
            assert_eq!(bundle.command(&["resume", "box"]).code, 0);
            assert_eq!(bundle.state("box")["status"], "running");
            let path = groups.lines().find_map(|line| line.split(':').nth(2).filter(|path| path.contains("box~")));
            let path = path.expect("a path").to_owned();
            bundle.config["linux"]["cgroupsPath"] = path.clone().into();
            assert_eq!(bundle.refusal("true"), "CGROUP_REFUSED");
            assert_eq!(bundle.state("box")["status"], "running");
            bundle.command(&["delete", "--force", "box"]);
            let found = outcome(Command::new("find").args(["/sys/fs/cgroup", "-path", &format!("*{path}")]));
            assert_eq!(found.stdout, "");
        }
    });
}

/// Groups called like `pattern`, in every hierarchy.
fn groups(pattern: &str) -> String {
    outcome(Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-path", pattern])).stdout
}

#[test]
fn groups_of_a_runtime_that_was_killed_go_with_the_next_deletion_and_those_of_containers_that_run_stay() {
    as_root(|mut bundle| {
        bundle.start("alive", "sleep 1000");
        bundle.config["hooks"] = json!({"createContainer": holding_hook(&bundle)});
        bundle.write("true");
        let mut killed = bundle.prepare(&["run", "box"]).spawn().expect("the runtime");
        wait_for_file(&bundle.path("come"));
        killed.kill().expect("killed");
        killed.wait().expect("its end");
        bundle.wait_for("box", "stopped");
        // As where it is killed before it has written down what there is.
        fs::remove_file(bundle.path("state/box/state.json")).expect("it was there");
        let left = format!("*/terrarium/box~{}-*", killed.id());
        assert_ne!(groups(&left), "");
        assert_eq!(bundle.command(&["delete", "--force", "box"]).code, 0);
        assert_eq!(groups(&left), "");
        assert_eq!(bundle.state("alive")["status"], "running");
        let pid = bundle.state("alive")["pid"].to_string();
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its groups");
        assert!(own.contains("/terrarium/alive~"), "{own}");
    });
}
