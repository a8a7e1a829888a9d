//! state, list, ps, events, update.

use std::fs;

use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};

use super::args::{Args, Known, invalid};
use super::{Context, one_id, print};
use crate::cgroup::oom::OomWatch;
use crate::error::{During, Error, Result};
use crate::spec::Resources;
use crate::state::{Container, Status};

/// Prints a container's state.
pub fn state(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &[], flags: &[] })?;
    print_json(&context.store.open(one_id(&args)?)?.document())
}

/// Prints all containers.
pub fn list(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &["format,f"], flags: &["quiet,q"] })?;
    let all = context.store.all();
    if args.has("quiet") {
        return print(&all.iter().map(|container| format!("{}\n", container.record.id)).collect::<String>());
    }
    match args.value("format").unwrap_or("table") {
        "json" => print_json(&all.iter().map(listed).collect::<Vec<_>>().into()),
        "table" => {
            let rows = all.iter().map(|container| {
                let Container { record, .. } = container;
                let pid = record.process().map_or(0, |_| record.pid);
                let (status, bundle) = (container.status().name(), record.bundle.display().to_string());
                [record.id.clone(), pid.to_string(), status.to_owned(), bundle, record.created.clone()]
            });
            let heads = ["ID", "PID", "STATUS", "BUNDLE", "CREATED"].map(str::to_owned);
            print(&table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>()))
        }
        _ => Err(invalid("--format", "table or json")),
    }
}

fn listed(container: &Container) -> Value {
    let mut entry = container.document();
    entry["created"] = container.record.created.clone().into();
    entry["owner"] = container.record.owner.into();
    entry["pid"] = container.record.process().map_or(0, |_| container.record.pid).into();
    entry
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Prints a container's processes, as the host numbers them.
pub fn ps(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &["format,f"], flags: &[] })?;
    let id = args.rest.first().ok_or_else(|| invalid("the arguments", "a container id"))?;
    let container = context.store.open(id)?;
    container.require(&[Status::Created, Status::Running, Status::Paused])?;
    if container.record.cgroup.is_empty() {
        let controller = "any".to_owned();
        return Err(Error::ControllerMissing { controller, needed_for: "listing processes".into() });
    }
    let pids: Vec<i32> = container.record.cgroup.processes().iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    match args.value("format").unwrap_or("table") {
        "json" => print_json(&json!(pids)),
        "table" => {
            let command = |pid: i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned()
            };
            let heads = ["PID", "CMD"].map(str::to_owned);
            let rows = pids.iter().map(|pid| [pid.to_string(), command(*pid)]);
            print(&table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>()))
        }
        _ => Err(invalid("--format", "table or json")),
    }
}

/// Prints what a container has used: once with --stats, else every few seconds until it ends, and when it has run out of
/// memory.
pub fn events(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    let args = Args::parse(words, &Known { values: &["interval"], flags: &["stats"] })?;
    let container = context.store.open(one_id(&args)?)?;
    container.require(&[Status::Created, Status::Running, Status::Paused])?;
    print_stats(&container)?;
    if args.has("stats") {
        return Ok(0);
    }
    let interval = args.value("interval").unwrap_or("5s");
    let seconds = interval.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0);
    let tv_sec = seconds.ok_or_else(|| invalid("--interval", "a number of seconds, such as 5s"))?;
    let Some((_, pidfd)) = container.record.process() else { return Ok(0) };
    let mut watch = container.record.cgroup.watch_oom();
    loop {
        let mut polled = vec![PollFd::new(&pidfd, PollFlags::IN)];
        polled.extend(watch.as_ref().map(|watch| PollFd::new(watch, PollFlags::IN)));
        let ready = rustix::event::poll(&mut polled, Some(&Timespec { tv_sec, tv_nsec: 0 })).during("waiting")?;
        // The group's end is news, too, and none of memory.
        if !polled[0].revents().is_empty() {
            return Ok(0);
        }
        if watch.as_mut().is_some_and(OomWatch::take) {
            print(&format!("{}\n", json!({"type": "oom", "id": container.record.id})))?;
        } else if ready == 0 {
            print_stats(&container)?;
        }
    }
}

/// One line.
fn print_stats(container: &Container) -> Result<u8> {
    let stats = container.record.cgroup.stats();
    let data = json!({
        "cpu": {"usage": {"total": stats.cpu_nanoseconds}},
        "memory": {"usage": {"usage": stats.memory_bytes}, "oomKills": stats.oom_kills},
        "pids": {"current": stats.tasks},
    });
    print(&format!("{}\n", json!({"type": "stats", "id": container.record.id, "data": data})))
}

/// Changes a container's limits.
pub fn update(context: &Context, words: impl Iterator<Item = String>) -> Result<u8> {
    const KNOWN: Known = Known {
        values: &[
            "resources,r",
            "memory",
            "memory-reservation",
            "memory-swap",
            "cpu-share",
            "cpu-quota",
            "cpu-period",
            "cpuset-cpus",
            "cpuset-mems",
            "pids-limit",
            "blkio-weight",
        ],
        flags: &[],
    };
    let args = Args::parse(words, &KNOWN)?;
    let container = context.store.open(one_id(&args)?)?;
    container.require(&[Status::Created, Status::Running, Status::Paused])?;
    let resources = match args.value("resources") {
        Some(path) => {
            let text = match path {
                "-" => std::io::read_to_string(std::io::stdin()),
                path => fs::read_to_string(path),
            };
            let text = text.during(format!("reading {path}"))?;
            serde_json::from_str(&text).map_err(|error| Error::spec(path, error.to_string()))?
        }
        None => resources_of(&args)?,
    };
    container.record.cgroup.apply(&resources)?;
    Ok(0)
}

fn resources_of(args: &Args) -> Result<Resources> {
    let text = |name: &str| args.value(name).map(str::to_owned);
    let memory = crate::spec::Memory {
        limit: args.number("memory")?,
        reservation: args.number("memory-reservation")?,
        swap: args.number("memory-swap")?,
        ..Default::default()
    };
    let cpu = crate::spec::Cpu {
        shares: args.number("cpu-share")?,
        quota: args.number("cpu-quota")?,
        period: args.number("cpu-period")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
        ..Default::default()
    };
    let block_io = crate::spec::BlockIo { weight: args.number("blkio-weight")?, ..Default::default() };
    Ok(Resources {
        memory: Some(memory),
        cpu: Some(cpu),
        pids: args.number("pids-limit")?.map(|limit| crate::spec::Pids { limit }),
        block_io: Some(block_io),
        ..Default::default()
    })
}

fn print_json(value: &Value) -> Result<u8> {
    print(&format!("{value:#}\n"))
}
