//! Weights back in their natural layout.

use pupil_core::op::{Filter, pairs};

/// The weights of a layer in their natural layout, whatever layout they are packed in.
pub fn natural_weights(f: &Filter<'_>) -> Vec<u8> {
    let (taps, channels) = (f.taps(), f.output().c);
    if let Some(rows) = f.row_pairs() {
        let mut weights = vec![0; taps * channels];
        for c in 0..channels {
            rows.unpack(c, channels, &mut weights[c..]);
        }
        return weights.into_iter().map(|w| w as u8).collect();
    }
    let Some(packed) = f.pairs() else {
        return f.weights().to_vec();
    };
    let mut rows = vec![0i8; pairs::BLOCK * taps];
    let mut all = Vec::new();
    for block in 0..channels.div_ceil(pairs::BLOCK) {
        packed.unpack(block, &mut rows);
        all.extend(rows.iter().map(|w| *w as u8));
    }
    all.truncate(taps * channels);
    all
}
