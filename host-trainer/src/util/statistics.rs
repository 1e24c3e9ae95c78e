//! How sure a measured share is.

/// 95 % interval of a share measured on `n` images (Wilson 1927).
pub(crate) fn wilson(share: f64, n: usize) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    let n = n.max(1) as f64;
    let center = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((center - half).max(0.0), (center + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_intervals_match_published_values() {
        // 8 of 10: 0.4902 to 0.9433; 0 of 10: 0 to 0.2775.
        let (low, high) = wilson(0.8, 10);
        assert!(
            (low - 0.4902).abs() < 5e-4 && (high - 0.9433).abs() < 5e-4,
            "{low} {high}"
        );
        let (low, high) = wilson(0.0, 10);
        assert!(low < 1e-12 && (high - 0.2775).abs() < 5e-4);
    }
}
