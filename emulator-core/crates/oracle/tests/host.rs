//! The host's own side of a case.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use oracle::case::Case;
use oracle::host::Host;
use x86::Width;

const PATTERN: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

/// Intel SDM vol. 2, VZEROUPPER: bits 255:128 become zero, the rest stays.
#[test]
#[allow(clippy::print_stderr, reason = "a test's own report")]
fn upper_halves_of_ymm_registers_reach_the_processor_and_come_back() {
    let no_avx = || (!std::is_x86_feature_detected!("avx")).then(|| "this processor has no AVX".to_owned());
    if let Some(cause) = Host::unavailable().or_else(no_avx) {
        eprintln!("skipped: {cause}");
        return;
    }
    let mut host = Host::new();
    let mut run = |code: &[u8]| {
        let mut case = Case::new(code.to_vec(), Width::W64);
        for n in 0..16 {
            case.registers.set_xmm(n, n as u128);
            case.registers.ymm_high[n] = PATTERN + n as u128;
        }
        let outcome = host.run(&case);
        assert_eq!(outcome.fault, None);
        assert!((0..16).all(|n| outcome.registers.xmm(n) == n as u128));
        outcome.registers.ymm_high
    };
    const NOP: [u8; 1] = [0x90];
    const VZEROUPPER: [u8; 3] = [0xc5, 0xf8, 0x77];
    assert_eq!(run(&NOP), core::array::from_fn(|n| PATTERN + n as u128));
    assert_eq!(run(&VZEROUPPER), [0; 16]);
}
