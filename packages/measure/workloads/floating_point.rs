//! Floating point: scalar and vector SSE2, and x87.

use std::arch::asm;
#[cfg(target_arch = "x86")]
use std::arch::x86::{_mm_add_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_ps, _mm_setzero_ps, _mm_storeu_ps};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm_add_ps, _mm_loadu_ps, _mm_mul_ps, _mm_set1_ps, _mm_setzero_ps, _mm_storeu_ps};
use std::hint::black_box;

use crate::{Workload, checksum, random};

/// A double between 0 and 1.
fn fraction(state: &mut u64) -> f64 {
    (random(state) >> 11) as f64 / (1u64 << 53) as f64
}

#[derive(Clone)]
struct Body {
    position: [f64; 3],
    velocity: [f64; 3],
    mass: f64,
}

/// Bodies that attract each other: additions, multiplications, a division and a square root of doubles.
pub fn nbody() -> Workload {
    const BODIES: u32 = 5;
    const STEPS: u32 = 2_000;
    let mut state = 1;
    let mut triple = || [fraction(&mut state), fraction(&mut state), fraction(&mut state)];
    let start: Vec<Body> =
        (0..BODIES).map(|_| Body { position: triple(), velocity: [0.0; 3], mass: triple()[0] }).collect();
    Workload::new(STEPS, move || {
        let mut bodies = start.clone();
        for _ in 0..STEPS {
            advance(black_box(&mut bodies), 0.001);
        }
        checksum(bodies.iter().flat_map(|body| body.position).map(f64::to_bits))
    })
}

/// One step of Newton's law, softened so that nothing flies off when two come close.
fn advance(bodies: &mut [Body], step: f64) {
    for index in 1..bodies.len() {
        let (before, rest) = bodies.split_at_mut(index);
        let one = &mut rest[0];
        for other in before {
            let difference: [f64; 3] = std::array::from_fn(|axis| one.position[axis] - other.position[axis]);
            let squared = difference.iter().fold(0.01, |sum, d| sum + d * d);
            let force = step / (squared * squared.sqrt());
            for (axis, d) in difference.into_iter().enumerate() {
                one.velocity[axis] -= d * other.mass * force;
                other.velocity[axis] += d * one.mass * force;
            }
        }
    }
    for body in bodies {
        for axis in 0..3 {
            body.position[axis] += step * body.velocity[axis];
        }
    }
}

/// Rows and columns of the matrices.
const SIDE: usize = 64;

fn matrix(state: &mut u64) -> Vec<f32> {
    (0..SIDE * SIDE).map(|_| fraction(state) as f32).collect()
}

/// A product of matrices of single-precision numbers; the order of the sums is part of the result.
fn product_by(multiply: impl Fn(&[f32], &[f32], &mut [f32]) + 'static) -> Workload {
    let mut state = 1;
    let (a, b, mut product) = (matrix(&mut state), matrix(&mut state), vec![0.0; SIDE * SIDE]);
    Workload::new((SIDE * SIDE * SIDE) as u32, move || {
        multiply(black_box(&a), black_box(&b), &mut product);
        checksum(product.iter().map(|value| u64::from(value.to_bits())))
    })
}

/// One number at a time, each sum in one register.
pub fn matmul() -> Workload {
    product_by(|a, b, product| {
        for row in 0..SIDE {
            for column in 0..SIDE {
                let terms = (0..SIDE).map(|k| a[row * SIDE + k] * b[k * SIDE + column]);
                product[row * SIDE + column] = terms.fold(0.0, |sum, term| sum + term);
            }
        }
    })
}

/// Four columns at a time.
pub fn matmul_sse2() -> Workload {
    #[target_feature(enable = "sse2")]
    fn multiply(a: &[f32], b: &[f32], product: &mut [f32]) {
        for row in 0..SIDE {
            for column in (0..SIDE).step_by(4) {
                let mut sums = _mm_setzero_ps();
                for k in 0..SIDE {
                    let four = &b[k * SIDE + column..][..4];
                    // SAFETY: there are four, and the load needs no alignment.
                    let four = unsafe { _mm_loadu_ps(four.as_ptr()) };
                    sums = _mm_add_ps(sums, _mm_mul_ps(_mm_set1_ps(a[row * SIDE + k]), four));
                }
                let four = &mut product[row * SIDE + column..][..4];
                // SAFETY: as above.
                unsafe { _mm_storeu_ps(four.as_mut_ptr(), sums) };
            }
        }
    }
    // SAFETY: the processors that Linux programs of these targets are for have SSE2.
    product_by(|a, b, product| unsafe { multiply(a, b, product) })
}

/// Eight columns at a time, each product added without being rounded before.
#[cfg(target_arch = "x86_64")]
pub fn matmul_fma() -> Workload {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps};
    #[target_feature(enable = "avx,fma")]
    fn multiply(a: &[f32], b: &[f32], product: &mut [f32]) {
        for row in 0..SIDE {
            for column in (0..SIDE).step_by(8) {
                let mut sums = _mm256_setzero_ps();
                for k in 0..SIDE {
                    let eight = &b[k * SIDE + column..][..8];
                    // SAFETY: there are eight, and the load needs no alignment.
                    let eight = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
                    sums = _mm256_fmadd_ps(_mm256_set1_ps(a[row * SIDE + k]), eight, sums);
                }
                let eight = &mut product[row * SIDE + column..][..8];
                // SAFETY: as above.
                unsafe { _mm256_storeu_ps(eight.as_mut_ptr(), sums) };
            }
        }
    }
    assert!(is_x86_feature_detected!("fma"), "the processor has no FMA");
    // SAFETY: it has.
    product_by(|a, b, product| unsafe { multiply(a, b, product) })
}

/// The logistic map x' = r x (1 - x) in extended precision, as 32-bit programs without SSE calculate. It is chaotic, so
/// that a bit rounded wrongly shows in the result.
pub fn x87() -> Workload {
    const STEPS: u32 = 20_000;
    Workload::new(STEPS, || {
        let (rate, mut value) = (3.99f64, 0.3f64);
        let mut sum = 0u64;
        for _ in 0..STEPS / 100 {
            // SAFETY: reads `rate`, reads and writes `value`, and leaves the x87 stack as empty as it has to find it.
            unsafe {
                asm!(
                    "fld qword ptr [{rate}]",
                    "fld qword ptr [{value}]",
                    "2:",
                    "fld1",
                    "fsub st(0), st(1)",
                    "fmulp st(1), st(0)",
                    "fmul st(0), st(1)",
                    "dec {count:e}",
                    "jnz 2b",
                    "fstp qword ptr [{value}]",
                    "fstp st(0)",
                    rate = in(reg) &raw const rate,
                    value = in(reg) &raw mut value,
                    count = inout(reg) 100u32 => _,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    options(nostack),
                );
            }
            sum = checksum([sum, value.to_bits()]);
        }
        sum
    })
}
