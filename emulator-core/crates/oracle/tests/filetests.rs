//! The tests beside the instructions, run by the host's processor.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::host::Host;

#[test]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn the_host_processor_does_what_every_example_says() {
    if let Some(cause) = Host::unavailable() {
        eprintln!("skipped: {cause}");
        return;
    }
    let report = filetest::run(&mut Host::new());
    for (reason, count) in &report.declined {
        eprintln!("not judged: {reason}: {count}");
    }
    report.assert_same();
    assert!(report.run > report.declined.values().sum());
}
