//! Rules a configuration must keep, and features that are refused by name. Whatever can be known before anything is
//! made is found here.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use serde_json::Value;

use super::{Linux, NamespaceKind, Process, Resources, Spec};
use crate::error::{Error, Result};

/// Refuses what cannot become a container.
pub fn check(spec: &Spec) -> Result<()> {
    check_version(&spec.oci_version)?;
    if spec.root.is_none() {
        return Err(Error::spec("root", "a container on Linux needs one"));
    }
    if let Some(process) = &spec.process {
        check_process("process", process)?;
    }
    for (index, mount) in spec.mounts.iter().enumerate() {
        no_nul(&format!("mounts[{index}].destination"), &mount.destination.to_string_lossy())?;
    }
    absent("vm", spec.vm.as_ref(), "this runtime makes containers, not machines")?;
    if spec.linux.namespaces.iter().all(|namespace| namespace.kind != NamespaceKind::Mount) {
        return Err(Error::unsupported(
            "a container in the host's mount namespace",
            "add {\"type\": \"mount\"} to linux.namespaces",
        ));
    }
    check_namespaces(spec)?;
    check_linux(&spec.linux)?;
    check_resources(&spec.linux.resources)
}

/// Semantic versioning: whatever is called 1.x is made to be understood by who understands 1.0.
fn check_version(version: &str) -> Result<()> {
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(Error::spec("ociVersion", format!("{version:?} is not version 1 of the specification"))),
    }
}

/// Checks a process, of `config.json` or given to `exec`.
pub fn check_process(field: &str, process: &Process) -> Result<()> {
    if process.args.is_empty() {
        return Err(Error::spec(format!("{field}.args"), "there is no program"));
    }
    if !process.cwd.is_absolute() {
        return Err(Error::spec(format!("{field}.cwd"), "it is not an absolute path"));
    }
    for text in process.args.iter().chain(&process.env) {
        no_nul(&format!("{field}.args and env"), text)?;
    }
    for limit in &process.rlimits {
        if limit.soft > limit.hard {
            return Err(Error::spec(format!("{field}.rlimits"), format!("{} is softer than hard", limit.resource)));
        }
    }
    let security = "this host's security module is not spoken to; leave it out";
    let label = |label: &Option<String>| label.clone().filter(|label| !label.is_empty()).map(Value::from);
    absent(&format!("{field}.apparmorProfile"), label(&process.apparmor_profile).as_ref(), security)?;
    absent(&format!("{field}.selinuxLabel"), label(&process.selinux_label).as_ref(), security)?;
    absent(&format!("{field}.scheduler"), process.scheduler.as_ref(), "leave it out")?;
    absent(&format!("{field}.execCPUAffinity"), process.exec_cpu_affinity.as_ref(), "use linux.resources.cpu.cpus")
}

fn check_namespaces(spec: &Spec) -> Result<()> {
    let namespaces = &spec.linux.namespaces;
    for (index, namespace) in namespaces.iter().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        if namespaces[..index].iter().any(|other| other.kind == namespace.kind) {
            return Err(Error::spec(field, format!("there is a second one of type {}", namespace.kind.file())));
        }
        if namespace.path.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(Error::spec(field, "its path is not absolute"));
        }
        if namespace.kind == NamespaceKind::User && namespace.path.is_some() {
            return Err(Error::unsupported("joining a user namespace by path", "leave the path out for a new one"));
        }
        if namespace.kind == NamespaceKind::Mount && namespace.path.is_some() {
            return Err(Error::unsupported("joining a mount namespace by path", "leave the path out for a new one"));
        }
    }
    let needs = |wanted: bool, field: &str, kind: NamespaceKind| {
        let other = spec.namespace(kind).is_some_and(|one| one.path.as_deref().is_none_or(|path| !is_own(path, kind)));
        match wanted && !other {
            true => Err(Error::spec(field, format!("it would change the host's {} namespace", kind.file()))),
            false => Ok(()),
        }
    };
    needs(spec.hostname.is_some(), "hostname", NamespaceKind::Uts)?;
    needs(spec.domainname.is_some(), "domainname", NamespaceKind::Uts)?;
    needs(!spec.linux.time_offsets.is_empty(), "linux.timeOffsets", NamespaceKind::Time)?;
    needs(!spec.linux.uid_mappings.is_empty(), "linux.uidMappings", NamespaceKind::User)?;
    for name in spec.linux.sysctl.keys() {
        needs(true, &format!("linux.sysctl.{name}"), namespace_of_sysctl(name)?)?;
    }
    Ok(())
}

/// Whether a path leads to the namespace this process is in; one that leads nowhere is met when it is joined.
fn is_own(path: &Path, kind: NamespaceKind) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(path).is_some_and(|found| identity(&Path::new("/proc/self/ns").join(kind.file())) == Some(found))
}

/// Which namespace a kernel parameter belongs to; one that belongs to none would change the host.
fn namespace_of_sysctl(name: &str) -> Result<NamespaceKind> {
    const IPC: [&str; 8] = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];
    let name = name.replace('/', ".");
    if name.split('.').any(str::is_empty) {
        return Err(Error::spec(format!("linux.sysctl.{name}"), "it is not a name"));
    }
    match name.split_once('.') {
        Some(("net", _)) => Ok(NamespaceKind::Network),
        Some(("fs", rest)) if rest.starts_with("mqueue.") => Ok(NamespaceKind::Ipc),
        Some(("kernel", rest)) if IPC.contains(&rest) => Ok(NamespaceKind::Ipc),
        Some(("kernel", "hostname" | "domainname")) => Ok(NamespaceKind::Uts),
        _ => Err(Error::spec(format!("linux.sysctl.{name}"), "it belongs to no namespace and would change the host")),
    }
}

fn check_linux(linux: &Linux) -> Result<()> {
    let label = linux.mount_label.clone().filter(|label| !label.is_empty()).map(Value::from);
    absent("linux.mountLabel", label.as_ref(), "this host's security module is not spoken to; leave it out")?;
    absent("linux.intelRdt", linux.intel_rdt.as_ref(), "leave it out")?;
    absent("linux.netDevices", linux.net_devices.as_ref(), "move the device into the namespace beforehand")?;
    for device in &linux.devices {
        if !matches!(device.kind.as_str(), "c" | "u" | "b" | "p") {
            return Err(Error::spec("linux.devices", format!("there is no type {:?}", device.kind)));
        }
    }
    for path in linux.masked_paths.iter().chain(&linux.readonly_paths) {
        if !path.is_absolute() {
            return Err(Error::spec("linux.maskedPaths and readonlyPaths", format!("{path:?} is not absolute")));
        }
    }
    match linux.cgroups_path.as_deref() {
        Some(path) if path.components().any(|part| part == Component::ParentDir) => {
            Err(Error::spec("linux.cgroupsPath", "it leads upwards"))
        }
        Some(path) if is_systemd(path) => {
            Err(Error::unsupported("a cgroupsPath in systemd's form", "give a path, such as /terrarium/NAME"))
        }
        _ => Ok(()),
    }
}

/// `slice:prefix:name`.
fn is_systemd(path: &Path) -> bool {
    path.to_string_lossy().matches(':').count() == 2
}

fn check_resources(resources: &Resources) -> Result<()> {
    let filled = |value: &Option<Value>| value.clone().filter(|value| !is_empty(value));
    absent("linux.resources.hugepageLimits", filled(&resources.hugepage_limits).as_ref(), "leave it out")?;
    absent("linux.resources.network", filled(&resources.network).as_ref(), "use nftables in its namespace")?;
    absent("linux.resources.rdma", filled(&resources.rdma).as_ref(), "leave it out")?;
    if let Some(io) = &resources.block_io {
        let leaf = io.leaf_weight.clone().filter(|weight| weight.as_u64() != Some(0));
        absent("linux.resources.blockIO.leafWeight", leaf.as_ref(), "leave it out")?;
        absent("linux.resources.blockIO.weightDevice", filled(&io.weight_device).as_ref(), "use weight")?;
    }
    for rule in &resources.devices {
        let access = rule.access.as_deref().unwrap_or("rwm");
        if access.is_empty() || access.chars().any(|letter| !"rwm".contains(letter)) {
            return Err(Error::spec("linux.resources.devices", format!("the access {access:?} is not made of rwm")));
        }
    }
    // config-linux.md, "unified": a key is a file of the cgroup, never a way out of it.
    for key in resources.unified.keys() {
        if key.contains('/') || !key.contains('.') || key.starts_with("cgroup.") {
            return Err(Error::spec("linux.resources.unified", format!("{key:?} names no controller's file")));
        }
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

fn absent(field: &str, value: Option<&Value>, mend: &str) -> Result<()> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Error::unsupported(field, mend)),
    }
}

fn no_nul(field: &str, text: &str) -> Result<()> {
    match text.contains('\0') {
        true => Err(Error::spec(field, "there is a NUL character in it")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(path: &str, value: Value) -> Result<()> {
        let mut config = json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["true"]},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}]},
        });
        let (parent, key) = path.rsplit_once('/').expect("a path");
        config.pointer_mut(parent).expect("it is there")[key] = value;
        Spec::parse(config.to_string().as_bytes()).map(drop)
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (path, value) in [
            ("/linux/intelRdt", json!({"closID": "x"})),
            ("/process/scheduler", json!({"policy": "SCHED_OTHER"})),
            ("/process/apparmorProfile", json!("docker-default")),
            ("/vm", json!({})),
        ] {
            let name = path[1..].replace('/', ".");
            let refused = with(path, value).expect_err("it is not supported");
            assert!(matches!(&refused, Error::Unsupported { feature, .. } if *feature == name), "{refused:?}");
        }
    }

    #[test]
    fn what_would_change_the_host_is_refused() {
        for (path, value) in [
            ("/linux/sysctl", json!({"kernel.core_pattern": "|/bin/evil"})),
            ("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
            ("/linux/sysctl", json!({"net/../../kernel/core_pattern": "x"})),
            ("/linux/cgroupsPath", json!("/a/../../b")),
            ("/linux/resources", json!({"unified": {"../memory.max": "1"}})),
            ("/linux/namespaces", json!([{"type": "mount"}, {"type": "mount"}])),
            ("/ociVersion", json!("2.0.0")),
            ("/process/cwd", json!("relative")),
            ("/process/args", json!([])),
        ] {
            let refused = with(path, value).expect_err("it breaks a rule");
            assert!(matches!(refused, Error::SpecInvalid { .. }), "{path}: {refused:?}");
        }
    }

    #[test]
    fn a_name_is_for_a_namespace_that_is_not_the_hosts() {
        let joined = |path: &str| {
            let namespaces = json!([{"type": "mount"}, {"type": "uts", "path": path}]);
            let config = json!({"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "box",
                "linux": {"namespaces": namespaces}});
            Spec::parse(config.to_string().as_bytes()).map(drop)
        };
        // There is none with that path; what matters is that it is not this process's.
        joined("/proc/self/ns/no-such").expect("another namespace");
        assert!(matches!(joined("/proc/self/ns/uts"), Err(Error::SpecInvalid { .. })));
    }

    #[test]
    fn what_the_specification_does_not_know_is_ignored() {
        with("/linux/futureFeature", json!({"on": true})).expect("unknown properties are ignored");
        with("/hostname", json!("box")).expect("there is a UTS namespace");
    }
}
