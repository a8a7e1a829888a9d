//! The workloads: each a function of a number of rounds, each round about ten million instructions.

use core::hint::black_box;

/// A workload: rounds in, checksum out.
pub type Workload = fn(u64) -> u64;

/// The workload of that name.
pub fn find(name: &str) -> Option<Workload> {
    Some(match name {
        "alu" => alu,
        "branches" => branches,
        "memory" => memory,
        "calls" => calls,
        "sieve" => sieve,
        "sha256" => sha256,
        _ => return None,
    })
}

/// Arithmetic and shifts in registers: Marsaglia's xorshift64 with a multiplication (2003).
fn alu(rounds: u64) -> u64 {
    let mut x: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = 0u64;
    for _ in 0..rounds * 1_000_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum = sum.wrapping_add(x.wrapping_mul(0x2545_f491_4f6c_dd1d));
    }
    sum
}

/// Branches that no predictor knows: lengths of Collatz sequences.
fn branches(rounds: u64) -> u64 {
    let mut sum = 0u64;
    for round in 0..rounds {
        for start in 1..20_000u64 {
            let mut n = black_box(start + round);
            while n != 1 {
                if n & 1 == 0 {
                    n /= 2;
                } else {
                    n = 3 * n + 1;
                }
                sum += 1;
            }
        }
    }
    sum
}

const TABLE: usize = 1 << 19;
static mut CHAIN: [u64; TABLE] = [0; TABLE];
static mut FLAGS: [u8; 1 << 20] = [0; 1 << 20];

/// Loads that depend on each other: a pointer chase through 4 MiB in a full-period order, then a sum over it.
fn memory(rounds: u64) -> u64 {
    // SAFETY: this program has one thread, and this reference is the only one.
    let chain = unsafe { &mut *(&raw mut CHAIN) };
    for (index, slot) in chain.iter_mut().enumerate() {
        // A linear congruential step modulo a power of two with full period (Hull and Dobell, 1962).
        *slot = (index as u64).wrapping_mul(5).wrapping_add(12_345) % TABLE as u64;
    }
    let mut position = 0usize;
    let mut sum = 0u64;
    for _ in 0..rounds {
        for _ in 0..TABLE {
            position = chain[position] as usize;
            sum = sum.wrapping_add(position as u64);
        }
        for slot in chain.iter() {
            sum = sum.rotate_left(1) ^ *slot;
        }
    }
    sum
}

/// Calls and returns: naive Fibonacci.
fn calls(rounds: u64) -> u64 {
    #[inline(never)]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(black_box(n - 1)) + fibonacci(black_box(n - 2)) }
    }
    (0..rounds).map(|round| fibonacci(27 + (round & 1))).sum()
}

/// Stores with a stride: the sieve of Eratosthenes up to a million.
fn sieve(rounds: u64) -> u64 {
    // SAFETY: as in `memory`.
    let composite = unsafe { &mut *(&raw mut FLAGS) };
    let mut primes = 0u64;
    for _ in 0..rounds {
        composite.fill(0);
        let mut n = 2;
        while n * n < composite.len() {
            if composite[n] == 0 {
                let mut multiple = n * n;
                while multiple < composite.len() {
                    composite[multiple] = 1;
                    multiple += n;
                }
            }
            n += 1;
        }
        primes += composite[2..].iter().filter(|&&flag| flag == 0).count() as u64;
    }
    primes
}

/// Rotations and additions over an array: the compression function of SHA-256 (FIPS 180-4, 6.2.2), chained. The
/// round constants are replaced by a counter times the golden ratio, which changes the hash but not the work.
fn sha256(rounds: u64) -> u64 {
    let mut state: [u32; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    for block in 0..rounds * 2_500 {
        let mut w = [0u32; 64];
        for (index, word) in w.iter_mut().take(16).enumerate() {
            *word = (block as u32).wrapping_add(index as u32);
        }
        for t in 16..64 {
            let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
            let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
            w[t] = w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1);
        }
        compress(&mut state, &w);
    }
    u64::from(state[0]) << 32 | u64::from(state[4])
}

fn compress(state: &mut [u32; 8], w: &[u32; 64]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (t, word) in w.iter().enumerate() {
        let sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let constant = (t as u32).wrapping_mul(0x9e37_79b9);
        let t1 = h.wrapping_add(sigma1).wrapping_add(choice).wrapping_add(constant).wrapping_add(*word);
        let sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) ^ (a & c) ^ (b & c);
        (h, g, f, e, d, c, b) = (g, f, e, d.wrapping_add(t1), c, b, a);
        a = t1.wrapping_add(sigma0).wrapping_add(majority);
    }
    for (word, value) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(value);
    }
}
