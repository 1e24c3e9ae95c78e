//! Units by running statistics, with batch norm in their weights: evaluation and pseudo-labels.
//!
//! Nothing waits for sums over the batch, so a sample goes through a whole chain of units while
//! its maps are in the cache, and the maps of the batch are never in memory together.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::nn::kernels::buffers::Buffer;

/// A unit whose running statistics are part of its weights.
pub trait Folded: Send + Sync {
    /// Numbers of a sample's output.
    fn output_len(&self) -> usize;

    /// Output `y [output_len]`, overwritten, of one sample `x`.
    fn run(&self, x: &[f32], y: &mut [f32]);
}

/// Units one behind another.
pub(crate) type Chain = Vec<Box<dyn Folded>>;

/// Output `[n, output_len of the last]` of `x [n, ..]`, whose samples go through `units` one after
/// another; `x` itself without units.
///
/// Memory beside the output: for each thread two of the largest maps between units, and the
/// units' own working memory.
pub(crate) fn evaluate(units: &[Box<dyn Folded>], n: usize, x: &[f32]) -> Vec<f32> {
    let Some((last, first)) = units.split_last() else {
        return x.to_vec();
    };
    let (inside, outside) = (x.len() / n.max(1), last.output_len());
    let mut y = vec![0.0; n * outside];
    if y.is_empty() || inside == 0 {
        return y;
    }
    let largest = first
        .iter()
        .map(|unit| unit.output_len())
        .max()
        .unwrap_or(0);
    y.par_chunks_mut(outside)
        .zip(x.par_chunks(inside))
        .for_each_init(
            || [Buffer::take(largest), Buffer::take(largest)],
            |[from, to], (y, x)| {
                let mut len = 0;
                for (i, unit) in first.iter().enumerate() {
                    let x = if i == 0 { x } else { &from[..len] };
                    len = unit.output_len();
                    unit.run(x, &mut to[..len]);
                    std::mem::swap(from, to);
                }
                last.run(if first.is_empty() { x } else { &from[..len] }, y);
            },
        );
    y
}

/// Working memory that threads take in turn; as many pieces as were ever in use at once, until the
/// unit is dropped.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// `f` with memory that no one else uses, made by `new` where there is none.
    pub(super) fn with(&self, new: impl FnOnce() -> T, f: impl FnOnce(&mut T)) {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = free.unwrap_or_else(new);
        f(&mut memory);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(memory);
    }
}

/// `w [rows, a.len()]` times `a`, column by column.
pub(super) fn scaled(w: &[f32], a: &[f32]) -> Vec<f32> {
    w.chunks_exact(a.len().max(1))
        .flat_map(|row| row.iter().zip(a).map(|(w, a)| w * a))
        .collect()
}
