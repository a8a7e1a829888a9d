//! Hooks: programs of the configuration, each given the container's state (config.md, "POSIX-platform Hooks").

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::spec::Hook;

/// Runs them in order; the first that fails ends it.
pub fn run(hooks: &[Hook], state: &str) -> Result<()> {
    hooks.iter().try_for_each(|hook| run_one(hook, state))
}

/// Runs them all in order, whatever becomes of each; what failed (runtime.md, "Lifecycle", of poststop).
pub fn run_all(hooks: &[Hook], state: &str) -> Vec<Error> {
    hooks.iter().filter_map(|hook| run_one(hook, state).err()).collect()
}

fn run_one(hook: &Hook, state: &str) -> Result<()> {
    let failed = |reason: String| Error::HookFailed { path: hook.path.display().to_string(), reason };
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // A hook need not read its input.
        let _ = input.write_all(state.as_bytes());
    }
    let status = wait(&mut child, hook.timeout).map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let mut words = String::new();
    if let Some(errors) = child.stderr.take() {
        let _ = errors.take(1024).read_to_string(&mut words);
    }
    let how = match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", status.code().unwrap_or_default()),
    };
    Err(failed(format!("{how} {}", words.trim())))
}

fn wait(child: &mut Child, timeout: Option<i64>) -> Result<std::process::ExitStatus, String> {
    let Some(seconds) = timeout.and_then(|seconds| u64::try_from(seconds).ok()) else {
        return child.wait().map_err(|error| error.to_string());
    };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took more than {seconds} s"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
