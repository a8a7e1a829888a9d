//! Every target on a bounded number of inputs; `cargo run -p fuzz` goes on from there.

use fuzz::{TARGETS, run};

fn survives(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let report = run(target, 1, |done| done < target.bounded);
    if let Some(input) = report.failure {
        // Once more, for its message.
        (target.run)(&input);
        panic!("{name} failed once on {input:02x?}");
    }
}

#[test]
fn the_decoder_agrees_with_an_independent_one() {
    survives("decoder");
}

#[test]
fn the_page_walker_agrees_with_the_manuals_tables() {
    survives("walker");
}

#[test]
fn no_descriptor_makes_a_segment_register_that_the_checks_forbid() {
    survives("descriptors");
}

#[test]
fn boot_loaders_boot_or_refuse_every_file() {
    survives("boot");
}

#[test]
fn snapshots_restore_or_are_refused() {
    survives("snapshot");
}

#[test]
fn no_guest_takes_its_host_down() {
    survives("guest");
}
