//! A bundle in a temporary directory: the host's /usr, read-only, is the container's, so that no image is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// Who runs the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
}

/// The user without rights, where the tests run as root: nobody.
const NOBODY: u32 = 65_534;

/// What a program wrote, and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

pub struct Bundle {
    pub directory: PathBuf,
    pub config: Value,
    who: Who,
}

fn is_root() -> bool {
    // SAFETY: only asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// Runs a test as everybody who may make containers here.
pub fn as_everybody(test: impl Fn(Bundle)) {
    as_root(&test);
    if may(Who::User) {
        test(Bundle::new(Who::User));
    }
}

/// Runs a test that needs the host's root.
pub fn as_root(test: impl Fn(Bundle)) {
    if !is_root() {
        eprintln!("not run as root: the tests are not");
    } else if may(Who::Root) {
        test(Bundle::new(Who::Root));
    }
}

/// Whether this machine's kernel lets `who` make namespaces, asked of util-linux, not of ourselves.
fn may(who: Who) -> bool {
    static ANSWERS: [OnceLock<bool>; 2] = [OnceLock::new(), OnceLock::new()];
    *ANSWERS[who as usize].get_or_init(|| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "--mount-proc"]);
        if who == Who::User {
            unshare.args(["--user", "--map-root-user"]);
        }
        let output = become_who(&mut unshare, who).arg("true").output();
        let cause = match output {
            Ok(output) if output.status.success() => return true,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("not run as {who:?}: this machine does not let it make namespaces: {cause}");
        false
    })
}

fn become_who(command: &mut Command, who: Who) -> &mut Command {
    match who == Who::User && is_root() {
        true => command.uid(NOBODY).gid(NOBODY),
        false => command,
    }
}

impl Bundle {
    pub fn new(who: Who) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("terrarium-test-{}-{number}", std::process::id()));
        let root = directory.join("rootfs");
        for name in ["usr", "proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(root.join(name)).expect("a root file system");
        }
        for name in ["bin", "lib", "lib64", "sbin"] {
            if Path::new("/usr").join(name).exists() {
                symlink(format!("usr/{name}"), root.join(name)).expect("a link");
            }
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("permissions");
        // The build directory need not be open to everybody. Another process copies: while this one had the copy open for
        // writing, a child of another test's could inherit that, and nobody could run it.
        let mut copy = Command::new("cp");
        copy.arg(env!("CARGO_BIN_EXE_terrarium-container")).arg(directory.join("runtime"));
        assert!(copy.status().expect("cp").success());
        if who == Who::User && is_root() {
            let paths = ["", "rootfs"].iter().map(|name| directory.join(name));
            let inner = fs::read_dir(&root).expect("the root").map(|entry| entry.expect("an entry").path());
            for path in paths.chain(inner).filter(|path| !path.is_symlink()) {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("a new owner");
            }
        }
        let mut bundle = Self { directory, config: Value::Null, who };
        bundle.command(&["spec"].into_iter().chain((who == Who::User).then_some("--rootless")).collect::<Vec<_>>());
        let text = fs::read(bundle.path("config.json")).expect("the configuration");
        bundle.config = serde_json::from_slice(&text).expect("JSON");
        bundle.config["process"]["terminal"] = false.into();
        bundle.mount(json!({"destination": "/usr", "source": "/usr", "options": ["rbind", "ro", "nosuid"]}));
        bundle
    }

    /// A path in the bundle.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Adds a mount.
    pub fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
    }

    /// Whether it belongs to the host's root.
    pub fn is_roots(&self) -> bool {
        self.who == Who::Root
    }

    /// A command of the runtime, not yet run.
    pub fn prepare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("runtime"));
        command.arg("--root").arg(self.path("state")).args(words);
        command.current_dir(&self.directory).stdin(Stdio::null());
        become_who(&mut command, self.who);
        command
    }

    /// Runs another program as whose the bundle is, in its directory.
    pub fn as_owner(&self, command: &mut Command) -> Outcome {
        outcome(become_who(command, self.who).current_dir(&self.directory).stdin(Stdio::null()))
    }

    /// Runs a command of the runtime.
    pub fn command(&self, words: &[&str]) -> Outcome {
        outcome(&mut self.prepare(words))
    }

    /// Writes the configuration down, with `script` for the shell as the program.
    pub fn write(&mut self, script: &str) {
        self.config["process"]["args"] = json!(["sh", "-c", script]);
        self.save();
    }

    /// Writes the configuration down.
    pub fn save(&self) {
        let file = self.path("config.json");
        fs::write(&file, self.config.to_string()).expect("the configuration");
    }

    /// Runs a script in a container, to its end.
    pub fn run(&mut self, script: &str) -> Outcome {
        self.write(script);
        self.command(&["run", "test"])
    }

    /// Runs a script that must succeed; what it wrote.
    pub fn output(&mut self, script: &str) -> String {
        let outcome = self.run(script);
        assert_eq!(outcome.code, 0, "{script}: {outcome:?}");
        outcome.stdout
    }

    /// Runs a script whose container cannot be made; the code of the error.
    pub fn refusal(&mut self, script: &str) -> String {
        let outcome = self.run(script);
        assert_ne!(outcome.code, 0, "it was made: {outcome:?}");
        let code = outcome.stderr.rsplit('[').next().and_then(|rest| rest.split(']').next());
        code.unwrap_or_default().to_owned()
    }

    /// A container that runs `script` in the background.
    pub fn start(&mut self, id: &str, script: &str) {
        self.write(script);
        let mut create = self.prepare(&["create", id]);
        // A pipe would be held open by the container.
        let errors = fs::File::create(self.path("errors")).expect("a file");
        let status = create.stdout(Stdio::null()).stderr(errors).status().expect("the runtime");
        assert!(status.success(), "{}", fs::read_to_string(self.path("errors")).expect("the errors"));
        let started = self.command(&["start", id]);
        assert_eq!(started.code, 0, "{started:?}");
    }

    /// A container's state.
    pub fn state(&self, id: &str) -> Value {
        let outcome = self.command(&["state", id]);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("no state: {outcome:?}"))
    }

    /// Waits until a container has that status.
    pub fn wait_for(&self, id: &str, status: &str) {
        for _ in 0..500 {
            if self.state(id)["status"] == status {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{id} is never {status}: {}", self.state(id));
    }
}

/// Runs a program.
pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().expect("it can be run");
    Outcome {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for id in self.command(&["list", "--quiet"]).stdout.lines() {
            self.command(&["delete", "--force", id]);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
