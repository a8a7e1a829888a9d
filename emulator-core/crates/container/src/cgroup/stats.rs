//! What a container has used.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Cgroup;

/// Counters; absent where the host does not count.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Bytes in use now.
    pub memory_bytes: Option<u64>,
    /// Processor time since the start.
    pub cpu_nanoseconds: Option<u64>,
    /// Processes and threads now.
    pub tasks: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
}

impl Cgroup {
    /// Reads the counters.
    pub fn stats(&self) -> Stats {
        let read = |controller: &str, v1: &str, v2: &str| {
            let (directory, unified) = self.with(controller)?;
            number(&directory.join(if unified { v2 } else { v1 }))
        };
        let v1_time = self.with("cpuacct").and_then(|(directory, _)| number(&directory.join("cpuacct.usage")));
        let v2_time = || Some(1_000 * field(&self.unified()?.join("cpu.stat"), "usage_usec")?);
        let kills = self.with("memory").and_then(|(directory, unified)| {
            field(&directory.join(if unified { "memory.events" } else { "memory.oom_control" }), "oom_kill")
        });
        Stats {
            memory_bytes: read("memory", "memory.usage_in_bytes", "memory.current"),
            cpu_nanoseconds: v1_time.or_else(v2_time),
            tasks: read("pids", "pids.current", "pids.current"),
            oom_kills: kills,
        }
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number behind a name.
pub fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
