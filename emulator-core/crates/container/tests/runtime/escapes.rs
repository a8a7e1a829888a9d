//! Each published way out of a container, tried on this runtime.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::bundle::{Bundle, as_everybody, as_root};

/// Whether a container's first process is a copy in memory, as long as it waits to be started; none where nobody may look.
fn in_memory(bundle: &Bundle) -> Option<bool> {
    let mut create = bundle.prepare(&["create", "box"]);
    assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
    let exe = format!("/proc/{}/exe", bundle.state("box")["pid"]);
    let link = fs::read_link(&exe).ok();
    assert!(fs::OpenOptions::new().write(true).open(&exe).is_err(), "not while it runs");
    bundle.command(&["delete", "--force", "box"]);
    link.map(|link| link.to_string_lossy().starts_with("/memfd:terrarium-container"))
}

/// CVE-2019-5736: a container overwrote the runtime through /proc/self/exe.
#[test]
fn the_runtime_cannot_be_overwritten_from_within() {
    as_everybody(|mut bundle| {
        bundle.write("true");
        // The file is root's, whom a container of a user's does not map; then it is the user's own, as it is at once where
        // the tests do not run as root.
        if !bundle.is_roots() && fs::metadata(bundle.path("runtime")).expect("the runtime").uid() == 0 {
            assert_eq!(in_memory(&bundle), Some(false));
            assert_ne!(bundle.as_owner(Command::new("test").args(["-w", "runtime"])).code, 0);
            let owner = fs::metadata(bundle.path("rootfs")).expect("the root").uid();
            chown(bundle.path("runtime"), Some(owner), Some(owner)).expect("a new owner");
        }
        assert_ne!(in_memory(&bundle), Some(false));
        // Where everybody may write the owner does not matter.
        fs::set_permissions(bundle.path("runtime"), fs::Permissions::from_mode(0o777)).expect("permissions");
        assert_ne!(in_memory(&bundle), Some(false));
        // An image whose entry point is the runtime itself: it runs, and finds itself in memory.
        let before = fs::read(bundle.path("runtime")).expect("the runtime");
        bundle.config["process"]["args"] = json!(["/proc/self/exe", "--version"]);
        bundle.save();
        let outcome = bundle.command(&["run", "self"]);
        assert!(outcome.code != 0 || outcome.stdout.contains("terrarium-container"), "{outcome:?}");
        assert_eq!(fs::read(bundle.path("runtime")).expect("the runtime"), before);
    });
}

/// CVE-2024-21626: a descriptor of a host directory leaked, and a working directory led through it.
#[test]
fn no_descriptor_leaks_and_none_serves_as_a_way_out() {
    as_everybody(|mut bundle| {
        let host = fs::File::open("/").expect("the host's root");
        let inherited = rustix_dup(&host);
        bundle.write("ls /proc/self/fd");
        // 3 is the directory that ls reads.
        let outcome = bundle.command(&["run", "test"]);
        assert_eq!(outcome.stdout, "0\n1\n2\n3\n", "{outcome:?}");
        for number in 3..24 {
            bundle.config["process"]["cwd"] = format!("/proc/self/fd/{number}").into();
            let outcome = bundle.run("ls -d etc/passwd ../../../../../etc/passwd; pwd -P");
            assert!(!outcome.stdout.contains("passwd"), "{number}: {outcome:?}");
        }
        drop(inherited);
    });
}

/// CVE-2016-9962: a process in the container looked into one of the runtime's that was on its way to become a program.
#[test]
fn a_container_that_waits_shows_its_processes_nothing_of_the_runtime() {
    as_root(|mut bundle| {
        bundle.write("sleep 1000");
        let mut create = bundle.prepare(&["create", "box"]);
        assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the runtime").success());
        // What it has open may be counted, and not be followed.
        let follow = "readlink /proc/1/fd/* /proc/1/cwd /proc/1/exe | wc -l";
        assert_eq!(bundle.command(&["exec", "box", "sh", "-c", follow]).stdout, "0\n");
        assert_eq!(bundle.command(&["start", "box"]).code, 0);
        assert_eq!(bundle.command(&["exec", "box", "sh", "-c", follow]).stdout, "5\n");
    });
}

/// A copy without close-on-exec, as a careless caller has.
fn rustix_dup(file: &fs::File) -> fs::File {
    // SAFETY: the number is a descriptor that has just been made and that nobody else owns.
    unsafe {
        let number = libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 10);
        std::os::fd::FromRawFd::from_raw_fd(number)
    }
}

/// CVE-2021-30465 and its kind: a mount's destination is a link, or becomes one meanwhile.
#[test]
fn mounts_land_inside_whatever_links_the_image_has() {
    as_everybody(|mut bundle| {
        let outside = bundle.path("outside");
        fs::create_dir(&outside).expect("a directory");
        bundle.config["root"]["readonly"] = false.into();
        let tmp = bundle.path("rootfs/tmp");
        symlink("../../outside", tmp.join("relative")).expect("a link");
        symlink(&outside, tmp.join("absolute")).expect("a link");
        symlink("/proc/self/root/../../outside", tmp.join("magic")).expect("a link");
        let good = bundle.config.clone();
        for link in ["relative", "absolute", "magic"] {
            bundle.config = good.clone();
            let mount = json!({"destination": format!("/tmp/{link}/x"), "type": "tmpfs"});
            bundle.mount(mount);
            let outcome = bundle.run("cat /proc/self/mountinfo");
            assert!(outcome.code == 0 || outcome.stderr.contains("[MOUNT_FAILED]"), "{outcome:?}");
            assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0, "{link}");
        }
        bundle.config = good;
        race(&mut bundle);
        assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);
    });
}

/// Swaps a directory and a link that leads out, as fast as it can, while containers are made.
fn race(bundle: &mut Bundle) {
    let place = bundle.path("rootfs/tmp/place");
    fs::create_dir(&place).expect("a directory");
    let (aside, link) = (bundle.path("rootfs/tmp/aside"), bundle.path("rootfs/tmp/link"));
    symlink("../../outside", &link).expect("a link");
    bundle.mount(json!({"destination": "/tmp/place/deep", "type": "tmpfs"}));
    bundle.write("grep -c outside /proc/self/mountinfo; true");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (from, to) in [(&place, &aside), (&link, &place), (&place, &link), (&aside, &place)] {
                    let _ = fs::rename(from, to);
                }
            }
        });
        for _ in 0..15 {
            let outcome = bundle.command(&["run", "test"]);
            assert!(outcome.code != 0 || outcome.stdout == "0\n", "{outcome:?}");
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// CVE-2019-19921, CVE-2023-28642: the image makes /proc or /sys a link, so that protection holds somewhere else.
#[test]
fn kernel_file_systems_are_not_redirected() {
    as_everybody(|mut bundle| {
        for name in ["proc", "sys"] {
            let place = bundle.path("rootfs").join(name);
            fs::remove_dir(&place).expect("removed");
            symlink("/tmp", &place).expect("a link");
            assert_eq!(bundle.refusal("true"), "MOUNT_FAILED");
            fs::remove_file(&place).expect("removed");
            fs::create_dir(&place).expect("a directory");
        }
    });
}

/// CVE-2025-31133: the image brings its own /dev/null, which then covered what should be hidden.
#[test]
fn masks_do_not_depend_on_the_images_devices() {
    as_everybody(|mut bundle| {
        // Without a fresh /dev the image's own is there.
        bundle.config["mounts"]
            .as_array_mut()
            .expect("a list")
            .retain(|mount| mount["destination"] == "/proc" || mount["destination"] == "/usr");
        bundle.config["root"]["readonly"] = false.into();
        symlink("/proc/sys/kernel/core_pattern", bundle.path("rootfs/dev/null")).expect("a link");
        let outcome = bundle.run("cat /proc/keys; stat -c %t:%T /proc/keys");
        assert!(outcome.stdout == "1:3\n" || outcome.stderr.contains("[MOUNT_FAILED]"), "{outcome:?}");
    });
}

/// The image makes /dev a link to a directory of the host.
#[test]
fn device_nodes_are_made_inside() {
    as_everybody(|mut bundle| {
        let outside = bundle.path("outside");
        fs::create_dir(&outside).expect("a directory");
        fs::remove_dir(bundle.path("rootfs/dev")).expect("removed");
        symlink("../outside", bundle.path("rootfs/dev")).expect("a link");
        bundle.run("true");
        assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);
    });
}

/// CVE-2022-24769: inheritable capabilities that nobody had asked for.
#[test]
fn nothing_is_inheritable() {
    as_everybody(|mut bundle| {
        assert_eq!(bundle.output("grep CapInh /proc/self/status"), "CapInh:\t0000000000000000\n");
        bundle.start("box", "while :; do sleep 0.05; done");
        let exec = bundle.command(&["exec", "box", "grep", "CapInh", "/proc/self/status"]);
        assert_eq!(exec.stdout, "CapInh:\t0000000000000000\n");
    });
}

/// CVE-2022-0492: release_agent of a writable cgroup runs a program on the host.
#[test]
fn the_cgroup_file_system_is_the_containers_own_or_read_only() {
    as_root(|mut bundle| {
        let script =
            "find /sys/fs/cgroup -writable -type f | head -1; find /sys/fs/cgroup -name release_agent | head -1";
        assert_eq!(bundle.output(script), "", "read-only, and below the root there is no release agent");
        for mount in bundle.config["mounts"].as_array_mut().expect("a list") {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
        bundle.output("true");
        bundle.config["linux"]["namespaces"].as_array_mut().expect("a list").retain(|one| one["type"] != "cgroup");
        assert_eq!(bundle.refusal("true"), "UNSUPPORTED");
    });
}

/// CVE-2025-52881: writes to files of /proc were redirected to others of the host.
#[test]
fn kernel_parameters_are_written_by_a_proc_of_ones_own() {
    as_everybody(|mut bundle| {
        // The image's mounts cover /proc/sys with something else.
        let mut decoy = fs::File::create(bundle.path("decoy")).expect("a file");
        decoy.write_all(b"untouched").expect("written");
        bundle.mount(json!({"destination": "/proc/sys/net/ipv4/ip_forward", "source": "decoy", "options": ["bind"]}));
        bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        bundle.output("true");
        assert_eq!(fs::read_to_string(bundle.path("decoy")).expect("a file"), "untouched");
    });
}
