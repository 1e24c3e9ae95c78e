//! What share of answers is right.

/// Index of the greatest value; the first of equals.
pub(crate) fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best
}

/// Share of rows of `probabilities` whose greatest entry is the label's.
pub(crate) fn share_right(probabilities: &[f32], labels: &[u8]) -> f64 {
    let classes = probabilities
        .len()
        .checked_div(labels.len())
        .unwrap_or(1)
        .max(1);
    let right = probabilities
        .chunks_exact(classes)
        .zip(labels)
        .filter(|(row, label)| argmax(row) == usize::from(**label))
        .count();
    right as f64 / labels.len().max(1) as f64
}

/// Share of equal entries.
pub(crate) fn share_equal(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / b.len().max(1) as f64
}
