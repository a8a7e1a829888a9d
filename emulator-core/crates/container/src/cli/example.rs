//! spec: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{Args, Known};
use super::print;
use crate::error::{During, Result};
use crate::mounts::protect::{MASKED, READ_ONLY};
use crate::seccomp;
use crate::spec::OCI_VERSION;

/// Writes `config.json` where there is none.
pub fn spec(words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &["bundle,b"], flags: &["rootless"] })?;
    let path = Path::new(args.value("bundle").unwrap_or(".")).join("config.json");
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    let text = format!("{:#}\n", document(args.has("rootless")));
    file.and_then(|mut file| file.write_all(text.as_bytes())).during(format!("making {}", path.display()))?;
    print("")
}

/// A shell with few rights; for a user without any, in a user namespace that knows nobody else.
pub fn document(rootless: bool) -> Value {
    let few = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut mounts = json!([
        mount("/proc", "proc", &[]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]);
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let mut namespaces: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let mut linux = json!({
        "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
        "seccomp": seccomp::default_profile(),
    });
    if rootless {
        // Group 5 is not mapped, and there is no cgroup to be shown.
        mounts[2]["options"].as_array_mut().into_iter().for_each(|options| options.truncate(5));
        mounts.as_array_mut().into_iter().for_each(|mounts| mounts.truncate(6));
        namespaces.push(json!({"type": "user"}));
        linux["uidMappings"] = one_id(rustix::process::geteuid().as_raw());
        linux["gidMappings"] = one_id(rustix::process::getegid().as_raw());
        linux["resources"] = json!({});
    }
    linux["namespaces"] = namespaces.into();
    json!({
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": few, "effective": few, "permitted": few},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "terrarium",
        "mounts": mounts,
        "linux": linux,
    })
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Value {
    let source = if kind == "tmpfs" && destination == "/dev/shm" { "shm" } else { kind };
    json!({"destination": destination, "type": kind, "source": source, "options": options})
}

fn one_id(id: u32) -> Value {
    json!([{"containerID": 0, "hostID": id, "size": 1}])
}
