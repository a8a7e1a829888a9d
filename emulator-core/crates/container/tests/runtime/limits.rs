//! Limits whose effect is to be seen: which processors, and how fast disks are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::bundle::{Bundle, as_root};
use crate::cgroups::has;

#[test]
fn processors_are_those_of_the_configuration() {
    as_root(|mut bundle| {
        if !has("cpuset") {
            return;
        }
        let allowed = "grep Cpus_allowed_list /proc/self/status | cut -f 2";
        bundle.config["linux"]["resources"]["cpu"] = json!({"cpus": "0"});
        assert_eq!(bundle.output(allowed), "0\n");
        // Nobody has so many.
        bundle.config["linux"]["resources"]["cpu"] = json!({"cpus": "9999"});
        assert_eq!(bundle.refusal(allowed), "CGROUP_REFUSED");
    });
}

/// Seconds that writing two MiB past the page cache to a directory of the host takes.
fn writing(bundle: &mut Bundle) -> f64 {
    let script = "begun=$(date +%s%N); dd if=/dev/zero of=/data/file bs=64k count=32 oflag=direct 2>/dev/null && \
                  echo $(($(date +%s%N) - begun))";
    bundle.output(script).trim().parse::<f64>().expect("nanoseconds") / 1e9
}

#[test]
fn disks_are_throttled() {
    as_root(|mut bundle| {
        let data = bundle.path("data");
        fs::create_dir(&data).expect("a directory");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).expect("permissions");
        let device = fs::metadata(&data).expect("the directory").dev();
        let (major, minor) = (libc::major(device), libc::minor(device));
        // Limits are those of whole disks.
        if !(has("blkio") || has("io")) || !Path::new(&format!("/sys/dev/block/{major}:{minor}/queue")).exists() {
            eprintln!("not tried: {} is on no disk of its own that could be throttled", data.display());
            return;
        }
        bundle.mount(json!({"destination": "/data", "source": data, "options": ["rbind"]}));
        let rate = json!([{"major": major, "minor": minor, "rate": 1 << 20}]);
        bundle.config["linux"]["resources"]["blockIO"] = json!({"throttleWriteBpsDevice": rate});
        let throttled = writing(&mut bundle);
        assert!(throttled > 1.5, "two MiB at one MiB a second take {throttled} s");
        bundle.config["linux"]["resources"]["blockIO"] = json!({});
        let free = writing(&mut bundle);
        assert!(free < throttled, "{free} s without a limit, {throttled} s with one");
    });
}
