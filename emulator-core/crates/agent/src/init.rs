//! The first process of a guest that is made of an OCI image: mounts what a program expects, starts the agent and the
//! image's program, and ends the machine as that ends. Nothing of the image is needed for it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::mount::MountFlags;
use rustix::process::WaitOptions;
use rustix::system::RebootCommand;
use rustix::termios::OptionalActions;

use crate::message::Start;
use crate::{feed, program, verdict};

/// Where this program and what it is to do are; gone before the image's program starts.
const DIRECTORY: &str = "/.terrarium";
const CONSOLE: &str = "/dev/ttyS0";
const CHANNEL: &str = "/dev/ttyS1";

/// What is reported where the program could not even be tried: wait(2)'s form of exit code 126.
const NOT_RUN: u32 = 126 << 8;

/// Runs the guest. The end of this process would be the kernel's panic.
pub fn run() -> ! {
    let status = boot().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "init: {error}");
        NOT_RUN
    });
    verdict::give(status);
    // Elsewhere than in our machine.
    let _ = rustix::system::reboot(RebootCommand::PowerOff);
    loop {
        std::thread::park();
    }
}

/// What is to be run, as packages/container/src/image/machine/initramfs.ts writes it.
struct Plan {
    hostname: OsString,
    /// Whether the console is the program's terminal; else what it writes goes there by a pipe.
    terminal: bool,
    uid: OsString,
    gid: OsString,
    /// Numbers, with commas between them.
    groups: OsString,
    start: Start,
}

impl Plan {
    /// Five texts that end in zero bytes, then what PROTOCOL.md calls the rest of a START message.
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut text = || {
            let end = bytes.iter().position(|&byte| byte == 0)?;
            let text = OsString::from_vec(bytes[..end].to_vec());
            bytes = &bytes[end + 1..];
            Some(text)
        };
        let (hostname, terminal, uid, gid, groups) = (text()?, text()? == "1", text()?, text()?, text()?);
        Some(Self { hostname, terminal, uid, gid, groups, start: Start::parse(bytes)? })
    }

    /// A process of the image's user that becomes `words`.
    fn command(&self, terminal: bool, words: &[OsString]) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("terrarium-agent").arg(program::STEP).arg(if terminal { "shared" } else { program::OWN_SESSION });
        command.args([&self.uid, &self.gid, &self.groups, &self.start.directory]).args(words);
        command.env_clear().envs(self.start.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Runs the program to its end; its status as wait(2) has it.
fn boot() -> std::io::Result<u32> {
    let plan = std::fs::read(format!("{DIRECTORY}/plan"))?;
    let plan = Plan::parse(&plan).ok_or_else(|| std::io::Error::other("the plan is damaged"))?;
    set_capabilities(&std::fs::read(format!("{DIRECTORY}/capabilities"))?)?;
    mount_all()?;
    // What runs goes on without its file, and proc(5) still leads to it.
    std::fs::remove_dir_all(DIRECTORY)?;
    rustix::system::sethostname(plan.hostname.as_encoded_bytes())?;
    // IFF_UP (netdevice(7)). A kernel without a network has no such file.
    let _ = std::fs::write("/sys/class/net/lo/flags", "0x1");
    std::fs::create_dir_all(&plan.start.directory)?;
    let console = open(CONSOLE)?;
    // Without the port there is no run(); the program runs all the same.
    let channel = open(CHANNEL).ok();
    let fed = !plan.terminal && channel.is_some();
    if fed {
        feed::make(number(&plan.uid)?, number(&plan.gid)?)?;
    }
    if let Some(channel) = channel {
        plan.command(false, &["-".into()]).stdin(channel).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    }
    let (child, output) = start(&plan, &console, fed)?;
    let status = wait_for(child.id())?;
    // SAFETY: kill(2) takes two numbers. -1 is everybody but process 1, which this is: a container's end is no other.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    if let Some(output) = output {
        let _ = output.join();
    }
    // Fails where the program itself has had the line hung up.
    let _ = rustix::termios::tcdrain(&console);
    Ok(status)
}

/// Gives files the capabilities that the archive they came in could not hold: paths and hexadecimal digits, each with a zero
/// byte behind it.
fn set_capabilities(list: &[u8]) -> std::io::Result<()> {
    let mut texts = list.split(|&byte| byte == 0);
    while let (Some(path), Some(digits)) = (texts.next(), texts.next()) {
        let value: Option<Vec<u8>> =
            digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        let value = value.ok_or_else(|| std::io::Error::other("the list of capabilities is damaged"))?;
        rustix::fs::lsetxattr(path, "security.capability", &value, rustix::fs::XattrFlags::empty())?;
    }
    Ok(())
}

fn number(id: &OsString) -> std::io::Result<u32> {
    id.to_str().and_then(|id| id.parse().ok()).ok_or_else(|| std::io::Error::other("the plan's ids are no numbers"))
}

/// What the OCI runtime specification (config-linux.md, "Default Filesystems") has, and a machine's own devices.
fn mount_all() -> std::io::Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let shown = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (kind, target, flags, options) in [
        ("proc", "/proc", safe, c""),
        ("sysfs", "/sys", safe, c""),
        ("devtmpfs", "/dev", shown, c"mode=755"),
        ("devpts", "/dev/pts", shown, c"ptmxmode=0666,mode=0620,gid=5"),
        ("tmpfs", "/dev/shm", safe, c"mode=1777"),
    ] {
        std::fs::create_dir_all(target)?;
        rustix::mount::mount(kind, target, kind, flags, options)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        // A kernel may have made them.
        let _ = std::os::unix::fs::symlink(target, format!("/dev/{name}"));
    }
    Ok(())
}

fn open(path: &str) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)
}

/// Starts the program, at the console or at pipes; the thread that passes on what it writes to those. One that is fed waits for
/// whoever feeds it.
fn start(plan: &Plan, console: &File, fed: bool) -> std::io::Result<(Child, Option<JoinHandle<()>>)> {
    let mut command = plan.command(plan.terminal, &plan.start.arguments);
    if plan.terminal {
        let owner = plan.uid.to_str().and_then(|uid| uid.parse().ok());
        std::os::unix::fs::fchown(console, owner, None)?;
        // Where the leader of a session ends, its terminal is hung up, and what it has not sent is lost: this one does not.
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(console)?;
        command.stdin(console.try_clone()?).stdout(console.try_clone()?).stderr(console.try_clone()?);
        return Ok((command.spawn()?, None));
    }
    let mut attributes = rustix::termios::tcgetattr(console)?;
    attributes.make_raw();
    rustix::termios::tcsetattr(console, OptionalActions::Now, &attributes)?;
    let (reader, writer) = std::io::pipe()?;
    command.stdin(if fed { feed::open()?.into() } else { Stdio::null() });
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // It holds the pipe's other end.
    drop(command);
    let output = console.try_clone()?;
    Ok((child, Some(std::thread::spawn(move || pass_on(reader, output)))))
}

fn pass_on(mut from: PipeReader, mut to: File) {
    // Fails where the console does, and then nobody reads.
    let _ = std::io::copy(&mut from, &mut to);
}

/// Waits for all who have lost their parent until that process has ended.
fn wait_for(pid: u32) -> std::io::Result<u32> {
    loop {
        if let Some((ended, status)) = rustix::process::wait(WaitOptions::empty())?
            && ended.as_raw_nonzero().get().cast_unsigned() == pid
        {
            return Ok(status.as_raw().cast_unsigned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_cut_short_anywhere_is_refused() {
        let plan = [&b"box\x001\x001000\x001001\x005,6\0"[..], &[1, 0], b"/tmp\0id\0A=b\0"].concat();
        let parsed = Plan::parse(&plan).expect("a plan");
        assert_eq!(
            (parsed.hostname, parsed.terminal, parsed.uid, parsed.gid),
            ("box".into(), true, "1000".into(), "1001".into())
        );
        assert_eq!((parsed.groups, parsed.start.arguments), ("5,6".into(), vec![OsString::from("id")]));
        assert_eq!(parsed.start.environment, [("A".into(), "b".into())]);
        for end in 0..plan.len() - "A=b\0".len() {
            assert!(Plan::parse(&plan[..end]).is_none(), "cut at {end}");
        }
    }
}
