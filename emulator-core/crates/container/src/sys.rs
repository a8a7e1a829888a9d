//! System calls that rustix has no safe form of. Each is one function that can be read beside its manual page.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, Result};
use rustix::process::Pid;

/// Flags of clone3(2) that the libc crate lacks, or has with too few bits.
pub const CLONE_NEWTIME: u64 = 0x80;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What clone3(2) made, seen by the parent.
pub struct Cloned {
    /// The child's process id in the caller's namespace.
    pub pid: Pid,
    /// Refers to the child whatever becomes of the number.
    pub pidfd: OwnedFd,
}

/// clone3(2) as a fork: the child gets a copy of everything, and `None`. `cgroup` is a directory of cgroup v2 to be born in.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Option<Cloned>> {
    let mut pidfd: RawFd = -1;
    let into_cgroup = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    // A parent made by CLONE_PARENT is signalled as the caller's was.
    let exit_signal = if flags & libc::CLONE_PARENT as u64 == 0 { libc::SIGCHLD as u64 } else { 0 };
    let args = libc::clone_args {
        flags: flags | libc::CLONE_PIDFD as u64 | into_cgroup,
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: without CLONE_VM and with no stack given this is fork(2). The program has one thread, so that no lock is
    // held by a thread the child lacks, and the child may go on as the parent would. `args` and `pidfd` outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match check(result)? {
        0 => Ok(None),
        pid => {
            let pid = Pid::from_raw(pid as i32).ok_or(Errno::INVAL)?;
            // SAFETY: the kernel has just put a new descriptor there, which nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Some(Cloned { pid, pidfd }))
        }
    }
}

/// What mount_setattr(2) changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'a> {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_SHARED` and the like, or 0.
    pub propagation: u64,
    /// Whose mapping of ids the mount gets, with `MOUNT_ATTR_IDMAP`.
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// mount_setattr(2) on the mount that `mount` is the root of.
pub fn mount_setattr(mount: BorrowedFd<'_>, attributes: MountAttributes<'_>, recursive: bool) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let attr = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: attributes.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: reads a NUL-terminated string and `size` bytes of a structure, both of which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result).map(drop)
}

/// Joins the namespaces that `flags` name of the process or namespace that `fd` refers to (setns(2)).
pub fn setns(fd: BorrowedFd<'_>, flags: u64) -> Result<()> {
    // SAFETY: takes a descriptor and a number; memory is not touched.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags as i32) }.into()).map(drop)
}

/// Moves this process, not only its children, into new namespaces.
pub fn unshare(flags: u64) -> Result<()> {
    // SAFETY: takes a number; CLONE_FILES and CLONE_FS, which threads would notice, are not among the flags used here.
    check(unsafe { libc::unshare(flags as i32) }.into()).map(drop)
}

/// Marks every descriptor from `first` on as closed by execve(2).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: only sets a flag of descriptors; none becomes invalid.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(result).map(drop)
}

/// Closes every descriptor from `first` on. Only for a process that ends without touching what owned them.
pub fn close_from(first: u32) -> Result<()> {
    // SAFETY: the caller goes on with the standard streams alone and leaves by exit(2), so that no owner is ever dropped.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Closes every descriptor but the standard streams and those of `kept`. Only for a process that ends, or becomes a
/// program, without touching what owned the others.
pub fn close_all_but(mut kept: Vec<RawFd>) -> Result<()> {
    kept.sort_unstable();
    let mut first = 3_u32;
    for fd in kept.into_iter().filter_map(|fd| u32::try_from(fd).ok()).filter(|fd| *fd >= 3).chain([u32::MAX]) {
        if first < fd {
            // SAFETY: the caller never comes back to what owned them, so that none is used, and no owner ever dropped.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) })?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Installs a seccomp filter (seccomp(2)). It can not be taken off again.
pub fn seccomp_set_filter(program: &[libc::sock_filter], flags: u32) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from memory that outlives the call, and never writes there.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    check(result).map(drop)
}

/// A new session keyring, so that the container does not see the caller's keys (keyctl(2)).
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: a null name makes an anonymous keyring; nothing is read or written.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) };
    check(result).map(drop)
}

/// personality(2).
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::syscall(libc::SYS_personality, persona) }).map(drop)
}

/// ioprio_set(2) for this process.
pub fn set_io_priority(priority: i32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) }).map(drop)
}

/// bpf(2) with a command and its attributes as the kernel lays them out.
pub fn bpf<T>(command: u32, attributes: &mut T) -> Result<i64> {
    // SAFETY: `size` says how much there is; pointers among the attributes are the caller's, who keeps them alive.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) })
}

/// Becomes another program (execve(2)); returns only if that fails.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer and hold strings that outlive the call.
    let result = unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    check(result.into()).err().unwrap_or(Errno::INVAL)
}

/// Every signal acts as it does by default and none is held back; Rust ignores SIGPIPE, and programs would inherit that.
pub fn reset_signals() {
    // struct sigaction of the kernel: handler, flags, restorer, mask. The C library's own call leaves out two signals.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is 0; no handler of this program is called any more. KILL and STOP are refused, and are so anyway.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
    let mut none = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that sigprocmask then reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Holds all signals back and returns a descriptor they can be read from (signalfd(2)).
pub fn catch_signals() -> Result<OwnedFd> {
    let mut all = std::mem::MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set that the other two read; no memory but it is touched.
    let result = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        libc::signalfd(-1, all.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    check(result.into()).map(owned_fd)
}

/// The next signal that waits at such a descriptor; none where none does.
pub fn read_signal(signals: &OwnedFd) -> Option<i32> {
    // struct signalfd_siginfo begins with the signal's number.
    let mut record = [0; 128];
    let length = rustix::io::read(signals, &mut record).ok()?;
    (length == record.len()).then(|| i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))
}

/// Switches the loopback device of this network namespace on (netdevice(7)).
pub fn loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all zero is a valid request: no name and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, letter) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *letter as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads one `ifreq`, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) }.into()).map(drop)
}

/// A socket for whole frames, at no device yet, that does not get what it sends itself (packet(7)).
pub fn packet_socket() -> Result<OwnedFd> {
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers. Protocol 0 receives nothing before the socket is bound.
    let socket = owned_fd(check(unsafe { libc::socket(libc::AF_PACKET, flags, 0) }.into())?);
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let option = (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING);
    // SAFETY: the kernel reads one integer, whose size it is told.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), option.0, option.1, (&raw const on).cast(), length) };
    check(set.into())?;
    Ok(socket)
}

/// Binds such a socket to device `index`, for frames of every kind.
pub fn bind_packet_socket(socket: &OwnedFd, index: u32) -> Result<()> {
    // SAFETY: all zero is a valid address, whose other fields the kernel ignores.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as i32;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads an address of that length, which outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) }.into()).map(drop)
}

/// A child that has ended and that nobody has waited for yet (waitid(2)); it stays so.
pub fn ended_child() -> Option<Pid> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel fills the structure in; zeroed, it says that there is no such child.
    let pid = unsafe {
        libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options);
        info.assume_init().si_pid()
    };
    Pid::from_raw(pid)
}

/// The descriptor behind the standard streams, of which whoever started this program says that it is there. Called once.
pub fn inherited_descriptor() -> OwnedFd {
    // SAFETY: it was open when the program began, and nothing else in it takes it for its own.
    unsafe { OwnedFd::from_raw_fd(3) }
}

/// The descriptor number in a result of a system call that makes one.
pub fn owned_fd(number: i64) -> OwnedFd {
    // SAFETY: used on what a system call has just returned as a new descriptor, which nobody else owns.
    unsafe { OwnedFd::from_raw_fd(number as RawFd) }
}

fn check(result: i64) -> Result<i64> {
    if result >= 0 {
        return Ok(result);
    }
    Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)))
}
