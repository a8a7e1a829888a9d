//! The tests beside the instructions, through compiled code.

use filetest::guest::Guest;
use hosted::HostedJit;

#[test]
fn compiled_code_does_what_every_example_says() {
    let mut guest = Guest::compiled(Box::new(HostedJit::new()));
    filetest::run(&mut guest).assert_same();
    // Of some 3,700 examples those in 16-bit code are interpreted, and those that cannot be decoded.
    assert!(guest.compiled_instructions() > 3000, "{} instructions were compiled", guest.compiled_instructions());
}
