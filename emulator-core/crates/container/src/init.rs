//! The container's first process, from its birth to the program. It has one thread, a copy of the runtime's memory, and
//! every step either succeeds or ends it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::process::DumpableBehavior;

use crate::capabilities::Sets;
use crate::channel::{Channel, Report};
use crate::error::{During, Error, Result};
use crate::hooks;
use crate::launch::{Order, Provisions, Streams};
use crate::mounts::{Sources, Tree, devices, filesystem, options::Options, protect};
use crate::namespaces::{self, IdMapper};
use crate::network;
use crate::process::{self, Program};
use crate::reaper;
use crate::spec::{NamespaceKind, Personality, Process, Spec};
use crate::sys;
use crate::terminal;
use crate::user;

/// Exit status of a first process that never became the program.
const STATUS_FAILED: i32 = 1;

/// Becomes the program of `order`, or reports why not and ends.
pub fn run(order: Order<'_>, provisions: Provisions, channel: &Channel) -> ! {
    // Who made it listens until it is made, who starts it afterwards; either may have been killed.
    match make(order, provisions, channel) {
        Err(error) => drop(channel.send(&Report::Failed(error))),
        Ok((program, order, state)) => {
            let error = start(program, &order, &state);
            match &order.gate {
                Some(gate) => gate.report(&error),
                None => drop(channel.send(&Report::Failed(error))),
            }
        }
    }
    std::process::exit(STATUS_FAILED)
}

type Made<'a> = (Program, Order<'a>, String);

fn make<'a>(mut order: Order<'a>, provisions: Provisions, channel: &Channel) -> Result<Made<'a>> {
    let Provisions { sources, sets, entrance } = provisions;
    let spec = order.spec;
    // Until it is made it ends with who makes it: a file system that does not answer may hold it for ever.
    process::tie(true)?;
    channel.wait()?;
    rustix::process::setsid().during("beginning a session")?;
    sys::reset_signals();
    entrance.enter()?;
    // It has directories of the host open.
    drop(entrance);
    become_root(spec)?;
    // Changing the user has cleared it.
    process::tie(true)?;
    if !spec.has_new(NamespaceKind::User) {
        namespaces::join(spec, |kind| kind != NamespaceKind::Pid)?;
    }
    namespaces::unshare_later(spec)?;
    name_host(spec)?;
    if spec.has_new(NamespaceKind::Network) {
        sys::loopback_up().during("switching the loopback device on")?;
        let device = order.network.as_ref().and_then(|network| network.device.as_ref());
        device.map_or(Ok(()), |(interface, cable)| network::set_up(interface, cable))?;
    }
    // Here paths still lead to the host.
    let null = protect::open_null()?;
    let nodes = devices::HostNodes::open(spec)?;
    set_parameters(spec)?;
    let sources = match sources {
        Some(sources) => sources,
        None => Sources::open(spec, order.bundle, &order.layout, &mut IdMapper::default())?,
    };
    let names = order.network.as_ref().map(|network| &network.names);
    let mut tree = Tree::build(spec, sources, &order.layout, names)?;
    if let Some(layer) = tree.layer.take() {
        // The program may not have it, or it could write past the overlay.
        channel.send_with(&Report::Layer, layer.as_fd())?;
    }
    devices::provide(&tree, spec, &nodes)?;
    let process = user::resolve(&tree.inside(), spec.process()?)?;
    connect(&tree, &process, &mut order)?;
    let state = run_hooks(spec, channel)?;
    protect::protect(&tree, &spec.linux, &null)?;
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        tree.seal()?;
    }
    tree.enter(spec)?;
    let sets = match sets {
        Some(sets) => sets,
        None => Sets::grantable(process.capabilities.as_ref())?,
    };
    process::prepare(&process, &sets, order.filter, order.preserve_fds)?;
    let program = Program::find(&process)?;
    process::tie(order.tied)?;
    // From now on processes of `exec` may be here, and until the program runs there are descriptors they must not have.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).during("hiding from the container")?;
    channel.send(&Report::Ready)?;
    channel.wait()?;
    Ok((program, order, state))
}

/// Only returns with the reason why the program could not be started.
fn start(program: Program, order: &Order<'_>, state: &str) -> Error {
    let begin = || {
        if let Some(gate) = &order.gate {
            gate.wait()?;
        }
        let spec = order.spec;
        hooks::run(&spec.hooks.start_container, state)?;
        set_personality(spec.linux.personality.as_ref())?;
        spec.process()
    };
    match begin() {
        Ok(process) if order.reaper => reaper::run(program, process, order.filter),
        Ok(process) => program.run(process, order.filter),
        Err(error) => error,
    }
}

/// Being born into a user namespace leaves ids as they were, which the new maps need not know.
fn become_root(spec: &Spec) -> Result<()> {
    if !spec.has_new(NamespaceKind::User) {
        return Ok(());
    }
    let maps_root = |map: &[crate::spec::IdMapping]| map.iter().any(|range| range.container_id == 0 && range.size > 0);
    if maps_root(&spec.linux.gid_mappings) {
        let root = Gid::ROOT;
        rustix::thread::set_thread_res_gid(root, root, root).during("becoming the container's root group")?;
    }
    if maps_root(&spec.linux.uid_mappings) {
        let root = Uid::ROOT;
        rustix::thread::set_thread_res_uid(root, root, root).during("becoming the container's root")?;
    }
    // The kernel now thinks there are secrets to keep from this user, and gives files in /proc/self to the host's root.
    // In a process id namespace of its own nobody else is there to look.
    if spec.has_new(NamespaceKind::Pid) {
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).during("opening /proc/self")?;
    }
    Ok(())
}

fn name_host(spec: &Spec) -> Result<()> {
    if let Some(name) = spec.hostname.as_deref().filter(|name| !name.is_empty()) {
        rustix::system::sethostname(name.as_bytes()).during("setting the host's name")?;
    }
    if let Some(name) = spec.domainname.as_deref().filter(|name| !name.is_empty()) {
        rustix::system::setdomainname(name.as_bytes()).during("setting the domain's name")?;
    }
    Ok(())
}

/// Kernel parameters, by a /proc that is mounted nowhere: what an image or a mount puts in its place does not matter.
fn set_parameters(spec: &Spec) -> Result<()> {
    if spec.linux.sysctl.is_empty() {
        return Ok(());
    }
    let operation = "opening /proc/sys";
    let system = |reason: String| Error::System { operation: operation.into(), reason };
    let procfs = filesystem::make("proc", Path::new("proc"), &Options::default()).map_err(system)?;
    for (name, value) in &spec.linux.sysctl {
        let path = Path::new("sys").join(name.replace('.', "/"));
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let written = rustix::fs::openat2(&procfs, path, flags, Mode::empty(), resolve)
            .and_then(|file| rustix::io::write(&file, value.as_bytes()));
        written.during(format!("setting {name} to {value:?}"))?;
    }
    Ok(())
}

/// Gives the process its standard streams.
fn connect(tree: &Tree, process: &Process, order: &mut Order<'_>) -> Result<()> {
    match std::mem::replace(&mut order.streams, Streams::Inherited) {
        Streams::Inherited => Ok(()),
        Streams::Given(streams) => take_streams(&streams),
        Streams::Terminal(socket) => {
            let slave = open_terminal(&tree.inside(), process, &socket)?;
            terminal::show(&tree.inside(), &slave)?;
            terminal::take(slave)
        }
    }
}

/// Makes these the three standard streams.
pub fn take_streams([input, output, error]: &[OwnedFd; 3]) -> Result<()> {
    let taken = rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(error));
    taken.during("taking the standard streams")
}

/// A terminal for `process`, whose master goes over `socket`.
pub fn open_terminal(inside: &crate::inside::Inside<'_>, process: &Process, socket: &OwnedFd) -> Result<OwnedFd> {
    let (master, slave) = terminal::open(inside, process.console_size)?;
    if process.user.uid != 0 {
        let owner = Uid::from_raw(process.user.uid);
        rustix::fs::fchown(&slave, Some(owner), None)
            .map_err(|errno| crate::process::unmapped("user", process.user.uid, errno))?;
    }
    terminal::send(socket.as_fd(), &master)?;
    Ok(slave)
}

/// Asks the runtime to run its hooks, then runs the container's; the state as hooks get it.
fn run_hooks(spec: &Spec, channel: &Channel) -> Result<String> {
    let all = &spec.hooks;
    let mut lists = [&all.prestart, &all.create_runtime, &all.create_container, &all.start_container].into_iter();
    if lists.all(Vec::is_empty) {
        return Ok(String::new());
    }
    channel.send(&Report::Hooks)?;
    let state = channel.wait()?.0;
    hooks::run(&all.create_container, &state)?;
    Ok(state)
}

fn set_personality(personality: Option<&Personality>) -> Result<()> {
    let Some(Personality { domain, flags }) = personality else { return Ok(()) };
    if let Some(flag) = flags.first() {
        return Err(Error::unsupported(format!("the personality flag {flag}"), "leave it out"));
    }
    let number = match domain.as_str() {
        "LINUX" => 0,
        "LINUX32" => 8,
        other => return Err(Error::spec("linux.personality.domain", format!("there is no {other:?}"))),
    };
    sys::set_personality(number).during("setting the personality")
}
