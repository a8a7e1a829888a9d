//! features: what this runtime does (features.md).

use serde_json::{Value, json};

use crate::capabilities;
use crate::mounts::options;
use crate::seccomp;
use crate::spec::NamespaceKind;

/// The document as text.
pub fn document() -> String {
    let namespaces: Vec<Value> = NamespaceKind::ALL.iter().filter_map(|kind| serde_json::to_value(kind).ok()).collect();
    let features = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::spec::OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": options::names(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities::NAMES.to_vec(),
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": seccomp::ACTIONS,
                "operators": seccomp::OPERATORS,
                "archs": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                "knownFlags": seccomp::FLAGS,
                "supportedFlags": seccomp::FLAGS,
            },
            "apparmor": {"enabled": false},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "netDevices": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
        },
        "potentiallyUnsafeConfigAnnotations": [],
    });
    format!("{features:#}\n")
}
