//! A real containerd with this runtime in the place of runc.

use std::process::{Child, Command, Stdio};

use crate::bundle::{Bundle, Outcome, as_root, outcome};

/// A containerd of the test's own, and a client for it.
struct Containerd<'a> {
    bundle: &'a Bundle,
    daemon: Child,
}

impl<'a> Containerd<'a> {
    /// None, with the reason told, where there is none.
    fn start(bundle: &'a Bundle) -> Option<Self> {
        let directory = bundle.directory.display();
        let config = format!(
            "version = 2\nroot = \"{directory}/root\"\nstate = \"{directory}/run\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{directory}/socket\"\n"
        );
        std::fs::write(bundle.path("containerd.toml"), config).expect("a file");
        let mut command = Command::new("containerd");
        command.arg("-c").arg(bundle.path("containerd.toml")).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = match command.spawn() {
            Ok(daemon) => daemon,
            Err(error) => {
                eprintln!("not tried: containerd: {error}");
                return None;
            }
        };
        let containerd = Self { bundle, daemon };
        for _ in 0..200 {
            if containerd.ctr(&["version"]).code == 0 {
                return Some(containerd);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("containerd does not answer");
    }

    fn ctr(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new("timeout");
        command.args(["30", "ctr", "-a"]).arg(self.bundle.path("socket")).args(words);
        outcome(command.stdin(Stdio::null()))
    }

    fn run(&self, options: &[&str], words: &[&str]) -> Outcome {
        let paths = ["runtime", "state", "rootfs"].map(|name| self.bundle.path(name).display().to_string());
        let [runtime, state, root] = &paths;
        let usr = "type=bind,src=/usr,dst=/usr,options=rbind:ro";
        let fixed = ["run", "--runc-binary", runtime, "--runc-root", state, "--mount", usr];
        self.ctr(&[&fixed, options, &["--rootfs", root], words].concat())
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn containerd_runs_containers_through_this_runtime() {
    as_root(|bundle| {
        let Some(containerd) = Containerd::start(&bundle) else { return };
        let id = format!("test-{}", std::process::id());
        let run = containerd.run(&["--rm"], &[&id, "sh", "-c", "echo out; exit 3"]);
        assert_eq!((run.stdout.as_str(), run.code), ("out\n", 3), "{run:?}");
        let started = containerd.run(&["--detach"], &[&id, "sleep", "1000"]);
        assert_eq!(started.code, 0, "{started:?}");
        let status = || containerd.ctr(&["task", "ls"]).stdout;
        assert!(status().contains("RUNNING"));
        let exec = containerd.ctr(&["task", "exec", "--exec-id", "e", &id, "sh", "-c", "echo $$; exit 4"]);
        assert_eq!((exec.stdout.as_str(), exec.code), ("2\n", 4), "{exec:?}");
        assert_eq!(containerd.ctr(&["task", "pause", &id]).code, 0);
        assert!(status().contains("PAUSED"));
        assert_eq!(containerd.ctr(&["task", "resume", &id]).code, 0);
        assert_eq!(containerd.ctr(&["task", "kill", "--signal", "KILL", &id]).code, 0);
        for _ in 0..100 {
            if status().contains("STOPPED") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // The client warns of a first process that ended otherwise than by 0.
        let removed = containerd.ctr(&["task", "rm", &id]);
        assert!(removed.code == 0 && removed.stderr.contains("137"), "{removed:?}");
        assert_eq!(containerd.ctr(&["container", "rm", &id]).code, 0);
        assert_eq!(bundle.command(&["list", "--quiet"]).stdout, "");
    });
}
