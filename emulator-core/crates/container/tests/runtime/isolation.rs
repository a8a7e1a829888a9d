//! What a container sees and may do.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::bundle::{as_everybody, as_root};

#[test]
fn every_namespace_is_the_containers_own() {
    as_everybody(|mut bundle| {
        bundle.config["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "time"}));
        let kinds = ["pid", "net", "mnt", "ipc", "uts", "cgroup", "time"];
        let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace");
        let output = bundle.output(&format!("cd /proc/self/ns; readlink {}", kinds.join(" ")));
        let theirs: Vec<_> = output.lines().collect();
        assert_eq!(theirs.len(), kinds.len());
        for (kind, theirs) in kinds.iter().zip(theirs) {
            assert!(theirs.starts_with(kind) && own(kind).to_str() != Some(theirs), "{kind} {theirs}");
        }
        // The program is the first process, and sees no other.
        assert_eq!(bundle.output("echo $$; set -- /proc/[0-9]*; echo $#"), "1\n1\n");
        assert_eq!(bundle.output("cat /proc/sys/kernel/hostname"), "terrarium\n");
        // IFF_UP and IFF_LOOPBACK.
        assert_eq!(bundle.output("cd /sys/class/net; echo *; cat lo/flags"), "lo\n0x9\n");
    });
}

#[test]
fn a_namespace_given_by_path_is_joined() {
    as_root(|mut bundle| {
        let path = "/proc/self/ns/net";
        for namespace in bundle.config["linux"]["namespaces"].as_array_mut().expect("a list") {
            if namespace["type"] == "network" {
                namespace["path"] = path.into();
            }
        }
        let host = fs::read_link(path).expect("a namespace");
        assert_eq!(bundle.output("readlink /proc/self/ns/net").trim(), host.to_str().expect("text"));
    });
}

#[test]
fn a_user_namespace_maps_the_containers_root_to_somebody_else() {
    as_root(|mut bundle| {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
        bundle.config["linux"]["uidMappings"] = map.clone();
        bundle.config["linux"]["gidMappings"] = map;
        bundle.config["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "user"}));
        bundle.mount(json!({"destination": "/shared", "source": "shared", "options": ["bind"]}));
        fs::create_dir(bundle.path("shared")).expect("a directory");
        std::os::unix::fs::chown(bundle.path("shared"), Some(100_000), Some(100_000)).expect("a new owner");
        bundle.config["root"]["readonly"] = false.into();
        // The mount point of /shared is made in the root, by root of the container, who may not write there.
        fs::create_dir(bundle.path("rootfs/shared")).expect("a directory");
        let map = bundle.output("id -u; touch /shared/file; cat /proc/self/uid_map");
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "65536"]);
        assert_eq!(fs::metadata(bundle.path("shared/file")).expect("it was made").uid(), 100_000);
    });
}

#[test]
fn an_idmapped_mount_shows_files_of_another_as_ones_own() {
    as_root(|mut bundle| {
        fs::create_dir(bundle.path("data")).expect("a directory");
        fs::write(bundle.path("data/file"), "").expect("a file");
        std::os::unix::fs::chown(bundle.path("data/file"), Some(1234), Some(1234)).expect("a new owner");
        fs::create_dir(bundle.path("rootfs/data")).expect("a directory");
        // What is 1234 on disk is 7 on the mount.
        let map = json!([{"containerID": 1234, "hostID": 7, "size": 1}]);
        let mut mount = json!({"destination": "/data", "source": "data", "options": ["bind", "idmap"]});
        mount["uidMappings"] = map.clone();
        mount["gidMappings"] = map;
        bundle.mount(mount);
        assert_eq!(bundle.output("stat -c %u:%g /data/file"), "7:7\n");
    });
}

#[test]
fn nothing_of_the_hosts_mounts_is_left() {
    as_everybody(|mut bundle| {
        let mountinfo = bundle.output("cat /proc/self/mountinfo");
        let points: Vec<_> = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        let own = ["/", "/proc", "/dev", "/sys", "/usr"];
        for point in &points {
            assert!(own.iter().any(|own| point == own || point.starts_with(&format!("{own}/"))), "{point}");
        }
        // Nothing spreads to or from the host.
        assert!(!mountinfo.contains("shared:") && !mountinfo.contains("master:"), "{mountinfo}");
        assert_eq!(bundle.output("ls /.."), bundle.output("ls /"));
    });
}

#[test]
fn what_tells_of_the_host_is_hidden_and_what_changes_it_is_read_only() {
    as_everybody(|mut bundle| {
        let script = "wc -c < /proc/keys; ls -A /sys/firmware | wc -l; for file in /proc/sys/kernel/panic \
                      /proc/sysrq-trigger /x /usr/x /sys/x; do (: > $file) 2>/dev/null && echo $file; done; true";
        assert_eq!(bundle.output(script), "0\n0\n");
        // The same without protection, to see that it was that.
        bundle.config["linux"]["maskedPaths"] = json!([]);
        let keys = bundle.output("wc -c < /proc/keys").trim().parse::<u32>().expect("a number");
        assert!(keys > 0 || !bundle.is_roots());
    });
}

#[test]
fn capabilities_are_those_of_the_configuration_and_no_other() {
    as_everybody(|mut bundle| {
        let mask = |bundle: &mut crate::bundle::Bundle| {
            let status = bundle.output("grep Cap /proc/self/status");
            let sets: Vec<_> = status.lines().map(|line| line.split('\t').nth(1).expect("a mask").to_owned()).collect();
            sets
        };
        // capabilities(7): inheritable, permitted, effective, bounding, ambient. 5, 10 and 29 are the default's.
        let few = "0000000020000420";
        let none = "0000000000000000";
        assert_eq!(mask(&mut bundle), [none, few, few, few, none]);
        bundle.config["process"]["capabilities"] = json!({});
        assert_eq!(mask(&mut bundle), [none; 5]);
        // A user other than root keeps ambient ones only.
        let chown = json!(["CAP_CHOWN", "CAP_NO_SUCH_THING"]);
        bundle.config["process"]["capabilities"] = json!({"bounding": chown, "permitted": chown,
            "effective": chown, "inheritable": chown, "ambient": chown});
        let one = "0000000000000001";
        if bundle.is_roots() {
            bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000, "additionalGids": [7, 8]});
            assert_eq!(bundle.output("id -u; id -G"), "1000\n1000 7 8\n");
        }
        assert_eq!(mask(&mut bundle), [one; 5]);
    });
}

#[test]
fn a_seccomp_profile_is_obeyed() {
    as_everybody(|mut bundle| {
        // ENOTTY is 25: no other reason gives it here.
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 25},
                {"names": ["rmdir"], "action": "SCMP_ACT_KILL_PROCESS"},
                {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 25,
                    "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]},
            ],
        });
        for privileged in [false, true] {
            if privileged && !bundle.is_roots() {
                continue;
            }
            bundle.config["process"]["noNewPrivileges"] = (!privileged).into();
            let status = bundle.output("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status");
            assert_eq!(status, format!("NoNewPrivs:\t{}\nSeccomp:\t2\n", u8::from(!privileged)));
            assert!(bundle.run("mkdir /tmp/x").stderr.contains("Inappropriate ioctl"));
            assert_eq!(bundle.run("rmdir /tmp/x").code, 128 + libc::SIGSYS);
            assert_eq!(bundle.output("trap 'echo 10' USR1; kill -10 $$ 2>/dev/null || kill -0 $$ && echo 0"), "0\n");
        }
    });
}

#[test]
fn a_seccomp_profile_need_not_allow_what_the_runtime_calls() {
    as_everybody(|mut bundle| {
        // What is newer than a profile may be, and what programs that talk to nobody need not.
        let names = [
            "faccessat2",
            "close_range",
            "openat2",
            "clone3",
            "getcwd",
            "chdir",
            "fchdir",
            "sendto",
            "recvfrom",
            "sendmsg",
            "recvmsg",
            "socket",
            "mount_setattr",
            "open_tree",
            "move_mount",
            "setns",
            "unshare",
            "pidfd_open",
        ];
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}],
        });
        for limited in [false, true] {
            bundle.config["process"]["noNewPrivileges"] = limited.into();
            assert_eq!(bundle.output("echo runs"), "runs\n");
        }
    });
}

#[test]
fn the_process_is_as_configured() {
    as_everybody(|mut bundle| {
        let process = &mut bundle.config["process"];
        process["cwd"] = "/usr".into();
        process["env"].as_array_mut().expect("a list").push("FLAVOUR=sweet and sour".into());
        process["user"]["umask"] = 0o027.into();
        process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        process["oomScoreAdj"] = 500.into();
        process["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
        bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"});
        bundle.config["linux"]["personality"] = json!({"domain": "LINUX32"});
        let script = "pwd; echo $FLAVOUR; umask; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; \
                      cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; uname -m";
        let expected = "/usr\nsweet and sour\n0027\n64\n128\n500\n1\n4096\ni686\n";
        assert_eq!(bundle.output(script), expected);
        let signals = bundle.output("grep -E '^Sig(Blk|Ign)' /proc/self/status");
        assert_eq!(signals, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    });
}

#[test]
fn a_time_namespace_sets_the_boot_clock_off() {
    as_everybody(|mut bundle| {
        bundle.config["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "time"}));
        bundle.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000}});
        let uptime = |text: String| text.split('.').next().and_then(|text| text.parse::<u64>().ok()).expect("seconds");
        let outside = || uptime(fs::read_to_string("/proc/uptime").expect("the uptime"));
        let before = outside();
        let inside = uptime(bundle.output("cat /proc/uptime")) - 1_000_000;
        assert!((before..=outside()).contains(&inside), "{before} {inside}");
    });
}

#[test]
fn devices_are_the_default_ones() {
    as_everybody(|mut bundle| {
        let names = "null zero full random urandom tty";
        let output = bundle.output(&format!("cd /dev; stat -c '%t:%T %a' {names}; readlink fd stdin ptmx"));
        let nodes = "1:3 666\n1:5 666\n1:7 666\n1:8 666\n1:9 666\n5:0 666\n";
        assert_eq!(output, format!("{nodes}/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n"));
        let other = "ls /dev | grep -vxE 'null|zero|full|random|urandom|tty|fd|std.*|ptmx|pts|shm|mqueue' || true";
        assert_eq!(bundle.output(other), "");
        if bundle.is_roots() {
            let node = json!([{"type": "c", "path": "/dev/spare", "major": 1, "minor": 3, "fileMode": 384, "uid": 5}]);
            bundle.config["linux"]["devices"] = node;
            assert_eq!(bundle.output("stat -c '%F %a %u' /dev/spare"), "character special file 600 5\n");
        }
    });
}
