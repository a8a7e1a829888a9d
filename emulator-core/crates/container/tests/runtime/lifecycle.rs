//! A container's life as the specification has it, its errors, and that nothing stays behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::bundle::{Bundle, as_everybody, as_root, outcome};

#[test]
fn create_start_kill_delete() {
    as_everybody(|mut bundle| {
        bundle.write("trap 'exit 9' TERM; echo started > /tmp/mark; while :; do sleep 0.05; done");
        bundle.config["root"]["readonly"] = false.into();
        bundle.config["annotations"] = json!({"colour": "blue"});
        bundle.save();
        let create = &["create", "--pid-file", "pid", "box"];
        let mut command = bundle.prepare(create);
        assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
        let state = bundle.state("box");
        assert_eq!((&state["status"], &state["annotations"]["colour"]), (&json!("created"), &json!("blue")));
        assert_eq!(state["pid"].to_string(), fs::read_to_string(bundle.path("pid")).expect("the pid file"));
        assert!(!bundle.path("rootfs/tmp/mark").exists(), "the program waits for start");
        assert!(bundle.command(create).stderr.contains("[CONTAINER_EXISTS]"));
        assert!(bundle.command(&["delete", "box"]).stderr.contains("[CONTAINER_STATUS]"));
        assert_eq!(bundle.command(&["start", "box"]).code, 0);
        assert_eq!(bundle.state("box")["status"], "running");
        assert!(bundle.command(&["start", "box"]).stderr.contains("[CONTAINER_STATUS]"));
        assert!(bundle.command(&["list"]).stdout.contains("running"));
        // A first process gets no signal that it has not asked for.
        wait_for_file(&bundle.path("rootfs/tmp/mark"));
        assert_eq!(bundle.command(&["kill", "box", "SIGTERM"]).code, 0);
        bundle.wait_for("box", "stopped");
        assert!(bundle.command(&["kill", "box", "TERM"]).stderr.contains("[CONTAINER_STATUS]"));
        assert_eq!(bundle.command(&["delete", "box"]).code, 0);
        assert!(bundle.command(&["state", "box"]).stderr.contains("[CONTAINER_UNKNOWN]"));
    });
}

#[test]
fn run_tells_how_the_program_ended() {
    as_everybody(|mut bundle| {
        let outcome = bundle.run("echo out; echo err >&2; exit 7");
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str(), outcome.code), ("out\n", "err\n", 7));
        assert_eq!(bundle.run("kill -9 $$; sleep 1; exit 3").code, 3, "the first process is not killed from within");
        bundle.config["process"]["args"] = json!(["/usr/bin/printf", "%s|", "a b", "$HOME"]);
        bundle.save();
        assert_eq!(bundle.command(&["run", "test"]).stdout, "a b|$HOME|");
    });
}

#[test]
fn run_hands_signals_on() {
    as_everybody(|mut bundle| {
        bundle.write("trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        let mut running = bundle.prepare(&["run", "test"]).stdout(Stdio::piped()).spawn().expect("the runtime");
        let mut output = std::io::BufReader::new(running.stdout.take().expect("a pipe"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).expect("its output");
        let kill = outcome(std::process::Command::new("kill").args(["-TERM", &running.id().to_string()]));
        assert_eq!(kill.code, 0);
        let rest = std::io::read_to_string(output).expect("its output");
        assert_eq!((line + &rest, running.wait().expect("its end").code()), ("ready\ntold\n".into(), Some(5)));
    });
}

#[test]
fn exec_runs_another_process_with_the_same_rights() {
    as_everybody(|mut bundle| {
        bundle.start("box", "while :; do sleep 0.05; done");
        let script = "[ \"$(readlink /proc/self/ns/*)\" = \"$(readlink /proc/1/ns/*)\" ] && echo same; \
                      grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /proc/self/fd | wc -l; exit 4";
        let exec = bundle.command(&["exec", "box", "sh", "-c", script]);
        // 0, 1, 2 and the directory that is being listed.
        let expected = "same\nCapEff:\t0000000020000420\nNoNewPrivs:\t1\n4\n";
        assert_eq!((exec.stdout.as_str(), exec.code), (expected, 4), "{exec:?}");
        let exec = bundle.command(&["exec", "-e", "A=b", "--cwd", "/usr", "box", "sh", "-c", "echo $A; pwd"]);
        assert_eq!(exec.stdout, "b\n/usr\n");
        assert!(bundle.command(&["exec", "box", "no-such-program"]).stderr.contains("[PROGRAM_UNUSABLE]"));
        let tty = bundle.command(&["exec", "--tty", "box", "sh", "-c", "tty; echo $(ls /dev/pts)"]);
        assert_eq!(tty.stdout, "/dev/pts/0\r\n0 ptmx\r\n");
        bundle.command(&["kill", "box", "KILL"]);
        bundle.wait_for("box", "stopped");
        assert!(bundle.command(&["exec", "box", "true"]).stderr.contains("[CONTAINER_STATUS]"));
    });
}

#[test]
fn a_terminal_is_the_containers_console() {
    as_everybody(|mut bundle| {
        bundle.config["process"]["terminal"] = true.into();
        bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 77});
        let outcome = bundle.run("tty; stty size; stat -c %t:%T /dev/console; cat < /dev/tty; exit 6");
        assert_eq!((outcome.stdout.as_str(), outcome.code), ("/dev/pts/0\r\n33 77\r\n88:0\r\n", 6), "{outcome:?}");
    });
}

#[test]
fn hooks_run_in_their_order_and_are_told_the_state() {
    as_everybody(|mut bundle| {
        let log = bundle.path("hooks.log");
        let hook = |name: &str| {
            let script = format!(
                "printf '{name} %s\\n' \"$(sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/')\" >> {}",
                log.display()
            );
            json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
        };
        bundle.config["hooks"] = json!({
            "prestart": hook("prestart"), "createRuntime": hook("createRuntime"),
            "createContainer": hook("createContainer"), "poststart": hook("poststart"), "poststop": hook("poststop"),
        });
        bundle.output("true");
        let told = fs::read_to_string(&log).expect("the log");
        let expected = "prestart creating\ncreateRuntime creating\ncreateContainer creating\npoststart running\n\
                        poststop stopped\n";
        assert_eq!(told, expected);
        bundle.config["hooks"] = json!({"createRuntime": [{"path": "/bin/false"}]});
        assert_eq!(bundle.refusal("true"), "HOOK_FAILED");
    });
}

#[test]
fn a_hook_that_fails_stops_the_container_where_it_has_just_started_and_nothing_at_its_end() {
    as_everybody(|mut bundle| {
        let mark = bundle.path("mark");
        bundle.config["hooks"] = json!({
            "poststart": [{"path": "/bin/false"}],
            "poststop": [{"path": "/bin/false"}, {"path": "/bin/touch", "args": ["touch", mark]}],
        });
        bundle.write("sleep 1000");
        let mut create = bundle.prepare(&["create", "box"]);
        assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
        assert!(bundle.command(&["start", "box"]).stderr.contains("[HOOK_FAILED]"));
        bundle.wait_for("box", "stopped");
        let deleted = bundle.command(&["delete", "box"]);
        assert_eq!(deleted.code, 0, "{deleted:?}");
        assert!(deleted.stderr.contains("/bin/false failed"), "{deleted:?}");
        assert!(mark.exists(), "the hooks behind one that fails run");
    });
}

/// A hook that says that it has come, and goes on once it is told to.
pub fn holding_hook(bundle: &Bundle) -> serde_json::Value {
    let (come, go) = (bundle.path("come"), bundle.path("go"));
    let script = format!("touch {}; while [ ! -e {} ]; do sleep 0.02; done", come.display(), go.display());
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
}

/// Waits until `file` is there.
pub fn wait_for_file(file: &std::path::Path) {
    while !file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_container_is_creating_until_its_program_runs() {
    as_everybody(|mut bundle| {
        bundle.config["hooks"] = json!({"createContainer": holding_hook(&bundle)});
        bundle.write("sleep 1000");
        let mut running = bundle.prepare(&["run", "box"]).spawn().expect("the runtime");
        wait_for_file(&bundle.path("come"));
        assert_eq!(bundle.state("box")["status"], "creating");
        for words in [&["start", "box"][..], &["kill", "box"], &["exec", "box", "true"], &["delete", "box"]] {
            let refused = bundle.command(words);
            assert!(refused.stderr.contains("[CONTAINER_STATUS]"), "{words:?}: {refused:?}");
        }
        fs::write(bundle.path("go"), "").expect("a file");
        bundle.wait_for("box", "running");
        assert_eq!(bundle.command(&["kill", "box", "KILL"]).code, 0);
        assert_eq!(running.wait().expect("its end").code(), Some(137));
        assert!(bundle.command(&["state", "box"]).stderr.contains("[CONTAINER_UNKNOWN]"));
    });
}

#[test]
fn a_container_whose_gate_is_open_is_created_until_its_program_runs() {
    as_everybody(|mut bundle| {
        // In the container, which has /tmp, and shows what is there to the host.
        let script = "touch /tmp/come; while [ ! -e /tmp/go ]; do sleep 0.02; done";
        bundle.config["hooks"] = json!({"startContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}
        ]});
        bundle.config["root"]["readonly"] = false.into();
        bundle.write("sleep 1000");
        let mut create = bundle.prepare(&["create", "box"]);
        assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
        let mut starting = bundle.prepare(&["start", "box"]).spawn().expect("the runtime");
        wait_for_file(&bundle.path("rootfs/tmp/come"));
        assert_eq!(bundle.state("box")["status"], "created");
        fs::write(bundle.path("rootfs/tmp/go"), "").expect("a file");
        assert!(starting.wait().expect("its end").success());
        assert_eq!(bundle.state("box")["status"], "running");
    });
}

#[test]
fn a_set_up_is_called_off_by_a_signal_and_ends_with_its_runtime() {
    as_everybody(|mut bundle| {
        bundle.config["hooks"] = json!({"createContainer": holding_hook(&bundle)});
        bundle.write("true");
        let mut told = bundle.prepare(&["run", "box"]).stderr(Stdio::piped()).spawn().expect("the runtime");
        wait_for_file(&bundle.path("come"));
        assert_eq!(outcome(std::process::Command::new("kill").arg(told.id().to_string())).code, 0);
        let words = std::io::read_to_string(told.stderr.take().expect("a pipe")).expect("its words");
        assert_eq!(told.wait().expect("its end").code(), Some(1));
        assert!(words.contains("called it off"), "{words}");
        assert_eq!(fs::read_dir(bundle.path("state")).expect("the state").count(), 0);
        // Who is killed clears nothing away, but the process does not stay.
        fs::remove_file(bundle.path("come")).expect("it is there");
        let mut killed = bundle.prepare(&["run", "box"]).spawn().expect("the runtime");
        wait_for_file(&bundle.path("come"));
        killed.kill().expect("killed");
        killed.wait().expect("its end");
        bundle.wait_for("box", "stopped");
        assert_eq!(bundle.command(&["delete", "box"]).code, 0);
    });
}

#[test]
fn mistakes_have_codes_and_leave_nothing_behind() {
    as_everybody(|mut bundle| {
        let before = traces();
        let good = bundle.config.clone();
        let mut refused = |change: &dyn Fn(&mut Bundle), code: &str| {
            bundle.config = good.clone();
            change(&mut bundle);
            assert_eq!(bundle.refusal("true"), code);
        };
        refused(&|bundle| bundle.config["root"]["path"] = "nowhere".into(), "ROOTFS_UNUSABLE");
        refused(&|bundle| bundle.config["root"]["path"] = "config.json".into(), "ROOTFS_UNUSABLE");
        refused(&|bundle| bundle.config["process"]["apparmorProfile"] = "x".into(), "UNSUPPORTED");
        refused(&|bundle| bundle.config["process"]["cwd"] = "x".into(), "SPEC_INVALID");
        refused(&|bundle| bundle.config["mounts"] = json!(7), "SPEC_INVALID");
        refused(&|bundle| bundle.mount(json!({"destination": "/x", "type": "nofs"})), "MOUNT_FAILED");
        refused(
            &|bundle| bundle.mount(json!({"destination": "/tmp", "source": "/no/where", "options": ["bind"]})),
            "MOUNT_FAILED",
        );
        refused(
            &|bundle| bundle.mount(json!({"destination": "/tmp", "type": "tmpfs", "options": ["size=much"]})),
            "MOUNT_FAILED",
        );
        bundle.config = good;
        bundle.config["process"]["args"] = json!(["/usr/bin/none"]);
        bundle.save();
        assert!(bundle.command(&["run", "test"]).stderr.contains("[PROGRAM_UNUSABLE]"));
        fs::write(bundle.path("rootfs/tmp/foreign"), b"\x7fELF\x02\x01\x01not for this machine").expect("a file");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(bundle.path("rootfs/tmp/foreign"), executable).expect("permissions");
        bundle.config["process"]["args"] = json!(["/tmp/foreign"]);
        bundle.save();
        assert!(bundle.command(&["run", "test"]).stderr.contains("another architecture"));
        // What fails at start is told there.
        let mut create = bundle.prepare(&["create", "late"]);
        assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
        assert!(bundle.command(&["start", "late"]).stderr.contains("[PROGRAM_UNUSABLE]"));
        bundle.wait_for("late", "stopped");
        assert_eq!(bundle.command(&["delete", "late"]).code, 0);
        assert!(bundle.command(&["run", "../up"]).stderr.contains("[OPTION_INVALID]"));
        assert_eq!(fs::read_dir(bundle.path("state")).expect("the state").count(), 0);
        let id = format!("{}", bundle.directory.display());
        let left: Vec<_> =
            traces().into_iter().filter(|trace| !before.contains(trace) && trace.contains(&id)).collect();
        assert_eq!(left, Vec::<String>::new());
    });
}

#[test]
fn options_that_cannot_be_heeded_are_refused_by_name() {
    as_everybody(|mut bundle| {
        bundle.start("box", "sleep 1000");
        for words in [
            &["--rootless", "true", "state", "box"][..],
            &["run", "--no-pivot", "other"],
            &["run", "--no-new-keyring", "other"],
            &["exec", "--apparmor", "docker-default", "box", "true"],
            &["exec", "--process-label", "system_u:x", "box", "true"],
        ] {
            let refused = bundle.command(words);
            assert!(refused.code != 0 && refused.stderr.contains("[UNSUPPORTED]"), "{words:?}: {refused:?}");
        }
        assert_eq!(bundle.command(&["--rootless=auto", "state", "box"]).code, 0);
    });
}

/// Mounts of this namespace.
fn traces() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
    mounts.lines().map(str::to_owned).collect()
}

#[test]
fn a_container_whose_runtime_is_killed_can_be_deleted() {
    as_everybody(|mut bundle| {
        bundle.write("echo here; sleep 1000");
        let mut running = bundle.prepare(&["run", "box"]).stdout(Stdio::piped()).spawn().expect("the runtime");
        // Before its program runs a container waits for the runtime, and ends with it.
        let mut output = running.stdout.take().expect("a pipe");
        assert_eq!(BufReader::new(&mut output).lines().next().and_then(Result::ok).as_deref(), Some("here"));
        running.kill().expect("killed");
        running.wait().expect("its end");
        assert_eq!(bundle.state("box")["status"], "running");
        let pid = bundle.state("box")["pid"].to_string();
        assert_eq!(bundle.command(&["delete", "--force", "box"]).code, 0);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
    });
}

#[test]
fn the_log_is_what_containerd_reads() {
    as_root(|bundle| {
        bundle.command(&["--log", "log", "--log-format", "json", "state", "nobody"]);
        let log = fs::read_to_string(bundle.path("log")).expect("the log");
        let line: serde_json::Value = serde_json::from_str(log.trim()).expect("JSON");
        assert_eq!(line["level"], "error");
        assert!(line["msg"].as_str().expect("text").contains("nobody"));
    });
}
