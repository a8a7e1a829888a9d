//! Limits of the OCI specification in the files of both versions (cgroup-v1/ and cgroup-v2.rst of the kernel's documents).

use super::{Cgroup, lacking, missing, refused, write};
use crate::error::{Error, Result};
use crate::spec::{BlockIo, Cpu, Memory, Resources, Throttle};

/// One value for one file; which file depends on the version. `None` where a version has nothing of the kind.
struct Limit {
    controller: &'static str,
    /// The field of `linux.resources` it comes from.
    field: &'static str,
    v1: Option<(&'static str, String)>,
    v2: Option<(&'static str, String)>,
}

/// Sets every limit that is given.
pub fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<()> {
    let mut limits = Vec::new();
    if let Some(memory) = &resources.memory {
        if memory.check_before_update == Some(true) {
            check_usage(cgroup, memory)?;
        }
        self::memory(memory, &mut limits)?;
    }
    if let Some(cpu) = &resources.cpu {
        self::cpu(cpu, &mut limits)?;
    }
    if let Some(pids) = &resources.pids {
        let max = if pids.limit > 0 { pids.limit.to_string() } else { "max".to_owned() };
        limits.push(both("pids", "pids.limit", ("pids.max", max.clone()), ("pids.max", max)));
    }
    for limit in &limits {
        set(cgroup, limit)?;
    }
    if let Some(io) = &resources.block_io {
        block_io(cgroup, io)?;
    }
    for (key, value) in &resources.unified {
        let controller = key.split('.').next().unwrap_or_default();
        match cgroup.with(controller) {
            Some((directory, true)) => write(&directory.join(key), value)?,
            _ => return Err(missing(controller, &format!("linux.resources.unified.{key} in cgroup version 2"))),
        }
    }
    Ok(())
}

/// A limit below what is in use would have the kernel kill at once.
fn check_usage(cgroup: &Cgroup, memory: &Memory) -> Result<()> {
    let used = cgroup.stats().memory_bytes.unwrap_or_default();
    match memory.limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0 && *limit < used) {
        Some(limit) => Err(refused(&cgroup.path, &format!("{used} bytes are in use, more than the limit of {limit}"))),
        None => Ok(()),
    }
}

fn set(cgroup: &Cgroup, limit: &Limit) -> Result<()> {
    let field = format!("linux.resources.{}", limit.field);
    let (directory, unified) = cgroup.with(limit.controller).ok_or_else(|| lacking(limit.controller, &field))?;
    match if unified { &limit.v2 } else { &limit.v1 } {
        Some((file, value)) => write(&directory.join(file), value),
        None => {
            let version = if unified { 2 } else { 1 };
            Err(Error::unsupported(field, format!("version {version} of cgroups has nothing of the kind")))
        }
    }
}

fn both(
    controller: &'static str,
    field: &'static str,
    v1: (&'static str, String),
    v2: (&'static str, String),
) -> Limit {
    Limit { controller, field, v1: Some(v1), v2: Some(v2) }
}

fn memory(memory: &Memory, limits: &mut Vec<Limit>) -> Result<()> {
    let v2 = |bytes: i64| if bytes < 0 { "max".to_owned() } else { bytes.to_string() };
    if memory.kernel.is_some_and(|bytes| bytes != 0) || memory.kernel_tcp.is_some_and(|bytes| bytes != 0) {
        return Err(Error::unsupported("linux.resources.memory.kernel and kernelTCP", "limit all memory instead"));
    }
    if let Some(bytes) = memory.limit.filter(|bytes| *bytes != 0) {
        limits.push(both(
            "memory",
            "memory.limit",
            ("memory.limit_in_bytes", bytes.to_string()),
            ("memory.max", v2(bytes)),
        ));
    }
    if let Some(bytes) = memory.reservation.filter(|bytes| *bytes != 0) {
        limits.push(both(
            "memory",
            "memory.reservation",
            ("memory.soft_limit_in_bytes", bytes.to_string()),
            ("memory.low", v2(bytes)),
        ));
    }
    if let Some(bytes) = memory.swap.filter(|bytes| *bytes != 0) {
        // Version 1 and the specification count memory and swap together, version 2 swap alone.
        let alone = match memory.limit {
            Some(limit) if bytes >= limit && limit > 0 => bytes - limit,
            _ if bytes < 0 => -1,
            _ => return Err(Error::spec("linux.resources.memory.swap", "it is less than the limit of memory alone")),
        };
        limits.push(both(
            "memory",
            "memory.swap",
            ("memory.memsw.limit_in_bytes", bytes.to_string()),
            ("memory.swap.max", v2(alone)),
        ));
    }
    if let Some(swappiness) = memory.swappiness {
        let v1 = Some(("memory.swappiness", swappiness.to_string()));
        limits.push(Limit { controller: "memory", field: "memory.swappiness", v1, v2: None });
    }
    if memory.use_hierarchy == Some(false) {
        let mend = "leave it out: the kernel counts what groups below use";
        return Err(Error::unsupported("linux.resources.memory.useHierarchy false", mend));
    }
    if memory.disable_oom_killer == Some(true) {
        let v1 = Some(("memory.oom_control", "1".to_owned()));
        limits.push(Limit { controller: "memory", field: "memory.disableOOMKiller", v1, v2: None });
    }
    Ok(())
}

fn cpu(cpu: &Cpu, limits: &mut Vec<Limit>) -> Result<()> {
    const DEFAULT_PERIOD_US: u64 = 100_000;
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        let v1 = ("cpu.shares", shares.to_string());
        limits.push(both("cpu", "cpu.shares", v1, ("cpu.weight", weight_of(shares).to_string())));
    }
    let period = cpu.period.filter(|period| *period != 0);
    let quota = cpu.quota.filter(|quota| *quota != 0);
    if period.is_some() || quota.is_some() {
        let value = |quota: Option<i64>| match quota {
            Some(microseconds) if microseconds > 0 => microseconds.to_string(),
            _ => "max".to_owned(),
        };
        let v2 = ("cpu.max", format!("{} {}", value(quota), period.unwrap_or(DEFAULT_PERIOD_US)));
        if let Some(period) = period {
            limits.push(both("cpu", "cpu.period", ("cpu.cfs_period_us", period.to_string()), v2.clone()));
        }
        if let Some(quota) = quota {
            limits.push(both("cpu", "cpu.quota", ("cpu.cfs_quota_us", quota.to_string()), v2));
        }
    }
    if let Some(burst) = cpu.burst {
        let value = burst.to_string();
        limits.push(both("cpu", "cpu.burst", ("cpu.cfs_burst_us", value.clone()), ("cpu.max.burst", value)));
    }
    if let Some(idle) = cpu.idle {
        limits.push(both("cpu", "cpu.idle", ("cpu.idle", idle.to_string()), ("cpu.idle", idle.to_string())));
    }
    let mut first_version = |field, file, value: Option<String>| {
        if let Some(value) = value.filter(|value| value != "0") {
            limits.push(Limit { controller: "cpu", field, v1: Some((file, value)), v2: None });
        }
    };
    first_version("cpu.realtimePeriod", "cpu.rt_period_us", cpu.realtime_period.map(|value| value.to_string()));
    first_version("cpu.realtimeRuntime", "cpu.rt_runtime_us", cpu.realtime_runtime.map(|value| value.to_string()));
    for (field, file, value) in [("cpu.cpus", "cpuset.cpus", &cpu.cpus), ("cpu.mems", "cpuset.mems", &cpu.mems)] {
        if let Some(list) = value.clone().filter(|list| !list.is_empty()) {
            limits.push(both("cpuset", field, (file, list.clone()), (file, list)));
        }
    }
    Ok(())
}

/// Shares of version 1, 2 to 262144, as a weight of version 2, 1 to 10000.
fn weight_of(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

fn block_io(cgroup: &Cgroup, io: &BlockIo) -> Result<()> {
    let directory = |field: &str| {
        let found = cgroup.with("blkio").or_else(|| cgroup.with("io"));
        found.ok_or_else(|| missing("blkio or io", &format!("linux.resources.blockIO.{field}")))
    };
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        let (directory, unified) = directory("weight")?;
        let files = if unified { ["io.bfq.weight", "io.weight"] } else { ["blkio.bfq.weight", "blkio.weight"] };
        let Some(file) = files.into_iter().find(|file| directory.join(file).exists()) else {
            return Err(missing(files[0], "linux.resources.blockIO.weight"));
        };
        write(&directory.join(file), &weight.to_string())?;
    }
    let throttles: [(&str, &[Throttle], &str, &str); 4] = [
        ("throttleReadBpsDevice", &io.throttle_read_bps_device, "blkio.throttle.read_bps_device", "rbps"),
        ("throttleWriteBpsDevice", &io.throttle_write_bps_device, "blkio.throttle.write_bps_device", "wbps"),
        ("throttleReadIOPSDevice", &io.throttle_read_iops_device, "blkio.throttle.read_iops_device", "riops"),
        ("throttleWriteIOPSDevice", &io.throttle_write_iops_device, "blkio.throttle.write_iops_device", "wiops"),
    ];
    for (field, rates, v1, v2) in throttles {
        for Throttle { major, minor, rate } in rates {
            match directory(field)? {
                (directory, true) => write(&directory.join("io.max"), &format!("{major}:{minor} {v2}={rate}"))?,
                (directory, false) => write(&directory.join(v1), &format!("{major}:{minor} {rate}"))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_over_the_whole_range() {
        // The ends of both ranges, as the kernel's documents give them.
        assert_eq!([2, 262_144].map(weight_of), [1, 10_000]);
        assert_eq!([0, u64::MAX].map(weight_of), [1, 10_000]);
    }

    #[test]
    fn swap_is_counted_with_memory_in_the_specification_and_alone_in_version_2() {
        let mut limits = Vec::new();
        let wanted = Memory { limit: Some(100), swap: Some(150), ..Default::default() };
        memory(&wanted, &mut limits).expect("they can be set");
        let swap = limits.iter().find(|limit| limit.field == "memory.swap").expect("it is limited");
        assert_eq!(swap.v1, Some(("memory.memsw.limit_in_bytes", "150".to_owned())));
        assert_eq!(swap.v2, Some(("memory.swap.max", "50".to_owned())));
        let wrong = Memory { limit: Some(100), swap: Some(50), ..Default::default() };
        assert!(memory(&wrong, &mut limits).is_err());
    }
}
