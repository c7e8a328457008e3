//! Seeded noise for tests.

/// A number in `0..1` that looks random in `i`: SplitMix64 (Steele et al. 2014).
pub(crate) fn uniform(i: u32) -> f64 {
    let mut z = u64::from(i).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

/// Close to a standard normal number: twelve uniform ones.
pub(crate) fn normal(i: u32) -> f64 {
    (0..12).map(|k| uniform(12 * i + k)).sum::<f64>() - 6.0
}
