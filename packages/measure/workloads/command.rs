//! Whole programs as workloads.

use std::process::{Command, Stdio};

use crate::{Workload, checksum};

/// A run of `command`, of which the checksum is over what it prints.
pub fn workload(command: &[String]) -> Workload {
    let command = command.to_vec();
    Workload::new(1, move || {
        // The other end of its standard input is closed at once. There may be no /dev/null.
        let run = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::piped()).stderr(Stdio::inherit()).output();
        let output = run.unwrap_or_else(|error| panic!("{} cannot be run: {error}", command[0]));
        assert!(output.status.success(), "{} ended with {}", command[0], output.status);
        checksum(output.stdout.into_iter().map(u64::from))
    })
}
