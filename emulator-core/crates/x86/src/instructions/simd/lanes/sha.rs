//! Rounds and message schedules of SHA-1 and SHA-256 (FIPS 180-4; Intel SDM vol. 2, SHA1RNDS4 and following).

use super::{Bytes, PackedOp, dwords, from_dwords};

/// The message schedules. SHA-1 keeps its earliest word in the highest lane, SHA-256 in the lowest.
pub(super) fn schedule(op: PackedOp, a: &Bytes, b: &Bytes) -> Bytes {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (dwords(a), dwords(b));
    match op {
        PackedOp::Sha1nexte => from_dwords([b0, b1, b2, b3.wrapping_add(a3.rotate_left(30))]),
        PackedOp::Sha1msg1 => from_dwords([a0 ^ b2, a1 ^ b3, a2 ^ a0, a3 ^ a1]),
        PackedOp::Sha1msg2 => {
            let w16 = (a3 ^ b2).rotate_left(1);
            let w17 = (a2 ^ b1).rotate_left(1);
            let w18 = (a1 ^ b0).rotate_left(1);
            from_dwords([(a0 ^ w16).rotate_left(1), w18, w17, w16])
        }
        PackedOp::Sha256msg1 => {
            let next = [a1, a2, a3, b0].map(small_sigma_0);
            from_dwords([
                a0.wrapping_add(next[0]),
                a1.wrapping_add(next[1]),
                a2.wrapping_add(next[2]),
                a3.wrapping_add(next[3]),
            ])
        }
        PackedOp::Sha256msg2 => {
            let w16 = a0.wrapping_add(small_sigma_1(b2));
            let w17 = a1.wrapping_add(small_sigma_1(b3));
            let w18 = a2.wrapping_add(small_sigma_1(w16));
            from_dwords([w16, w17, w18, a3.wrapping_add(small_sigma_1(w17))])
        }
        _ => unreachable!("{op:?} is no message schedule"),
    }
}

fn small_sigma_0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3
}

fn small_sigma_1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ !x & z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ x & z ^ y & z
}

/// `SHA1RNDS4`: A to D in `state`, highest first; in `words` the message, with E added to the first.
pub(super) fn sha1_rounds(state: &Bytes, words: &Bytes, function: u8) -> Bytes {
    let (constant, f): (u32, fn(u32, u32, u32) -> u32) = match function & 3 {
        0 => (0x5a82_7999, choose),
        1 => (0x6ed9_eba1, |x, y, z| x ^ y ^ z),
        2 => (0x8f1b_bcdc, majority),
        _ => (0xca62_c1d6, |x, y, z| x ^ y ^ z),
    };
    let [mut d, mut c, mut b, mut a] = dwords(state);
    let mut e = 0u32;
    for word in dwords(words).into_iter().rev() {
        let next = a.rotate_left(5).wrapping_add(f(b, c, d)).wrapping_add(e).wrapping_add(word).wrapping_add(constant);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    from_dwords([d, c, b, a])
}

/// `SHA256RNDS2`: C, D, G, H in `cdgh`, A, B, E, F in `abef`, highest first; two words with their constants in `words`.
pub(super) fn sha256_rounds(cdgh: u128, abef: u128, words: u128) -> u128 {
    let [mut h, mut g, mut d, mut c] = dwords(&cdgh.to_le_bytes());
    let [mut f, mut e, mut b, mut a] = dwords(&abef.to_le_bytes());
    for word in [words as u32, (words >> 32) as u32] {
        let big_sigma_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let big_sigma_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t1 = h.wrapping_add(big_sigma_1).wrapping_add(choose(e, f, g)).wrapping_add(word);
        let t2 = big_sigma_0.wrapping_add(majority(a, b, c));
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
    }
    u128::from_le_bytes(from_dwords([f, e, b, a]))
}
