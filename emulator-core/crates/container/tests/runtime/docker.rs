//! A real dockerd that has this runtime beside its own.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::bundle::{Bundle, Outcome, as_root, outcome};

/// A dockerd of the test's own, and a client for it.
struct Docker<'a> {
    bundle: &'a Bundle,
    daemon: Child,
}

impl<'a> Docker<'a> {
    /// None, with the reason told, where there is none or where it cannot run.
    fn start(bundle: &'a Bundle) -> Option<Self> {
        let path = |name: &str| bundle.path(name).display().to_string();
        let mut command = Command::new("dockerd");
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"]);
        command.args([
            "--data-root",
            &path("docker"),
            "--exec-root",
            &path("docker-run"),
            "--pidfile",
            &path("docker.pid"),
        ]);
        command.args(["--host", &format!("unix://{}", path("socket"))]);
        command.args(["--add-runtime", &format!("terrarium={}", path("runtime"))]);
        let log = fs::File::create(bundle.path("docker.log")).expect("a file");
        let daemon = match command.stdout(Stdio::null()).stderr(log).spawn() {
            Ok(daemon) => daemon,
            Err(error) => {
                eprintln!("not tried: dockerd: {error}");
                return None;
            }
        };
        let mut docker = Self { bundle, daemon };
        for _ in 0..400 {
            if docker.client(&["version"]).code == 0 {
                return Some(docker);
            }
            if docker.daemon.try_wait().expect("its state").is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let log = fs::read_to_string(bundle.path("docker.log")).expect("the log");
        eprintln!("not tried: dockerd does not run here: {}", log.lines().next_back().unwrap_or_default());
        None
    }

    fn prepare(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["60", "docker", "--host"]).arg(format!("unix://{}", self.bundle.path("socket").display()));
        command.args(words).stdin(Stdio::null());
        command
    }

    fn client(&self, words: &[&str]) -> Outcome {
        outcome(&mut self.prepare(words))
    }

    fn run(&self, options: &[&str], words: &[&str]) -> Outcome {
        let fixed = ["run", "--runtime", "terrarium", "--network", "none", "--volume", "/usr:/usr:ro"];
        self.client(&[&fixed, options, &["test:1"], words].concat())
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        // It takes its containers and mounts down when it is asked to end.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
    }
}

#[test]
fn docker_runs_containers_through_this_runtime() {
    as_root(|bundle| {
        let Some(docker) = Docker::start(&bundle) else { return };
        let mut archive = Command::new("tar");
        archive.arg("-C").arg(bundle.path("rootfs")).args(["-cf"]).arg(bundle.path("root.tar")).arg(".");
        assert!(archive.status().expect("tar").success());
        let imported = docker.client(&["import", &bundle.path("root.tar").display().to_string(), "test:1"]);
        assert_eq!(imported.code, 0, "{imported:?}");
        let once = docker.run(&["--rm", "--memory", "64m", "--pids-limit", "50"], &["sh", "-c", "echo out; exit 3"]);
        assert_eq!((once.stdout.as_str(), once.code), ("out\n", 3), "{once:?}");
        let started = docker.run(&["--detach", "--name", "box"], &["sleep", "1000"]);
        assert_eq!(started.code, 0, "{started:?}");
        let inspect = |what: &str| docker.client(&["inspect", "--format", what, "box"]).stdout;
        assert_eq!(inspect("{{.HostConfig.Runtime}} {{.State.Status}}"), "terrarium running\n");
        let exec = docker.client(&["exec", "box", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; exit 4"]);
        assert_eq!((exec.stdout.as_str(), exec.code), ("sleep 1000 ", 4), "{exec:?}");
        assert_eq!(docker.client(&["pause", "box"]).code, 0);
        assert_eq!(inspect("{{.State.Status}}"), "paused\n");
        assert_eq!(docker.client(&["unpause", "box"]).code, 0);
        let updated = docker.client(&["update", "--pids-limit", "77", "box"]);
        assert_eq!(updated.code, 0, "{updated:?}");
        assert_eq!(docker.client(&["kill", "box"]).code, 0);
        assert_eq!(docker.client(&["wait", "box"]).stdout, "137\n");
        assert_eq!(docker.client(&["rm", "box"]).code, 0);
        assert_eq!(docker.client(&["ps", "--all", "--quiet"]).stdout, "");
    });
}
