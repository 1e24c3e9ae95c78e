//! Random streams: one per (seed, purpose, counter), so that nothing depends on the order in
//! which threads or stages ask.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The stream of `counter` for one purpose under one seed.
pub fn stream(seed: u64, purpose: &str, counter: u64) -> ChaCha8Rng {
    let mut sha = Sha256::new();
    sha.update(seed.to_le_bytes());
    sha.update(purpose.as_bytes());
    let mut rng = ChaCha8Rng::from_seed(sha.finalize().into());
    rng.set_stream(counter);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_differ_by_seed_purpose_and_counter() {
        let first = |s, p, c| stream(s, p, c).next_u64();
        let all = [
            first(1, "a", 0),
            first(2, "a", 0),
            first(1, "b", 0),
            first(1, "a", 1),
        ];
        for i in 0..4 {
            for j in 0..i {
                assert_ne!(all[i], all[j]);
            }
        }
        assert_eq!(first(1, "a", 0), all[0]);
    }
}
