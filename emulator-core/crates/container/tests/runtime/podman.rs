//! A real Podman with this runtime in the place of crun.

use std::process::{Command, Stdio};

use crate::bundle::{Bundle, Outcome, as_root, outcome};

/// A Podman whose containers are the test's own; none, with the reason told, where there is none.
fn podman(bundle: &Bundle, words: &[&str]) -> Outcome {
    let path = |name: &str| bundle.path(name).display().to_string();
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "podman",
        "--cgroup-manager",
        "cgroupfs",
        "--storage-driver",
        "vfs",
        "--events-backend",
        "none",
    ]);
    for (option, name) in
        [("--runtime", "runtime"), ("--root", "podman"), ("--runroot", "podman-run"), ("--tmpdir", "podman-tmp")]
    {
        command.args([option, &path(name)]);
    }
    outcome(command.args(words).stdin(Stdio::null()))
}

fn run(bundle: &Bundle, options: &[&str], words: &[&str]) -> Outcome {
    let root = bundle.path("rootfs").display().to_string();
    // Its own limits are higher than what this user may have perhaps.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];
    let fixed = ["--network", "none", "--volume", "/usr:/usr:ro"];
    podman(bundle, &[&["run"], &limits[..], &fixed, options, &["--rootfs", &root], words].concat())
}

#[test]
fn podman_runs_containers_through_this_runtime() {
    as_root(|bundle| {
        if let Err(error) = Command::new("podman").arg("--version").output() {
            eprintln!("not tried: podman: {error}");
            return;
        }
        let once = run(&bundle, &["--rm"], &["sh", "-c", "echo out; cat /proc/sys/kernel/hostname | wc -c; exit 3"]);
        assert_eq!((once.stdout.as_str(), once.code), ("out\n13\n", 3), "{once:?}");
        let terminal = run(&bundle, &["--rm", "--tty"], &["sh", "-c", "tty; stty size"]);
        assert!(terminal.stdout.starts_with("/dev/pts/0\r\n"), "{terminal:?}");
        let started = run(&bundle, &["--detach", "--name", "box"], &["sleep", "1000"]);
        assert_eq!(started.code, 0, "{started:?}");
        let exec = podman(&bundle, &["exec", "box", "sh", "-c", "echo $$; exit 4"]);
        assert_eq!((exec.stdout.as_str(), exec.code), ("2\n", 4), "{exec:?}");
        let status =
            || podman(&bundle, &["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "box"]).stdout;
        assert_eq!(podman(&bundle, &["pause", "box"]).code, 0);
        assert_eq!(status(), "paused 0\n");
        assert_eq!(podman(&bundle, &["unpause", "box"]).code, 0);
        assert_eq!(status(), "running 0\n");
        assert_eq!(podman(&bundle, &["kill", "--signal", "KILL", "box"]).code, 0);
        assert_eq!(podman(&bundle, &["wait", "box"]).stdout, "137\n");
        assert_eq!(status(), "exited 137\n");
        assert_eq!(podman(&bundle, &["rm", "box"]).code, 0);
        assert_eq!(podman(&bundle, &["ps", "--all", "--quiet"]).stdout, "");
    });
}
