//! Sums over the pixels of a sample and products with one number a channel: pooling and gates.

use super::simd::{for_vectors, load, simd_fn, store};

simd_fn! {
    /// `mean [c]` over the pixels of `x [pixels, c]`.
    pub fn mean<'a>(simd: S, x: &'a [f32], mean: &'a mut [f32]) {
        let c = mean.len();
        let share = simd.splat_f32s(1.0 / (x.len() / c).max(1) as f32);
        for_vectors!(S, c, |at, width, FULL| {
            let mut sum = simd.splat_f32s(0.0);
            for x in x.chunks_exact(c) {
                sum = simd.add_f32s(sum, load::<S, FULL>(simd, &x[at..at + width]));
            }
            store::<S, FULL>(simd, &mut mean[at..at + width], simd.mul_f32s(sum, share));
        });
    }
}

/// Through [`mean`]: every pixel of `dx [pixels, c]` becomes `dy [c]` over their number.
pub fn mean_backward(dy: &[f32], dx: &mut [f32]) {
    let share = 1.0 / (dx.len() / dy.len()).max(1) as f32;
    let (first, rest) = dx.split_at_mut(dy.len());
    for (d, g) in first.iter_mut().zip(dy) {
        *d = g * share;
    }
    for pixel in rest.chunks_exact_mut(dy.len()) {
        pixel.copy_from_slice(first);
    }
}

simd_fn! {
    /// x s, pixel by pixel, in place: `x [pixels, c]`, `s [c]`.
    pub fn scale<'a>(simd: S, x: &'a mut [f32], s: &'a [f32]) {
        let c = s.len();
        for x in x.chunks_exact_mut(c) {
            for_vectors!(S, c, |at, width, FULL| {
                let to = at + width;
                let v = simd.mul_f32s(
                    load::<S, FULL>(simd, &x[at..to]), load::<S, FULL>(simd, &s[at..to]),
                );
                store::<S, FULL>(simd, &mut x[at..to], v);
            });
        }
    }
}

simd_fn! {
    /// x times one number, in place.
    pub fn multiply<'a>(simd: S, x: &'a mut [f32], factor: f32) {
        let factor = simd.splat_f32s(factor);
        for_vectors!(S, x.len(), |at, width, FULL| {
            let v = simd.mul_f32s(load::<S, FULL>(simd, &x[at..at + width]), factor);
            store::<S, FULL>(simd, &mut x[at..at + width], v);
        });
    }
}

simd_fn! {
    /// Through y = x s: `ds [c] = Σ dy x` and dy s in place; x becomes y, what the next weight
    /// gradient needs.
    pub fn scale_backward<'a>(
        simd: S, dy: &'a mut [f32], x: &'a mut [f32], s: &'a [f32], ds: &'a mut [f32],
    ) {
        let c = s.len();
        for_vectors!(S, c, |at, width, FULL| {
            let to = at + width;
            let k = load::<S, FULL>(simd, &s[at..to]);
            let mut sum = simd.splat_f32s(0.0);
            for (dy, x) in dy.chunks_exact_mut(c).zip(x.chunks_exact_mut(c)) {
                let d = load::<S, FULL>(simd, &dy[at..to]);
                let v = load::<S, FULL>(simd, &x[at..to]);
                sum = simd.mul_add_e_f32s(d, v, sum);
                store::<S, FULL>(simd, &mut dy[at..to], simd.mul_f32s(d, k));
                store::<S, FULL>(simd, &mut x[at..to], simd.mul_f32s(v, k));
            }
            store::<S, FULL>(simd, &mut ds[at..to], sum);
        });
    }
}

simd_fn! {
    /// Adds `value [c]` to every pixel of `x [pixels, c]`.
    pub fn add_row<'a>(simd: S, x: &'a mut [f32], value: &'a [f32]) {
        let c = value.len();
        for x in x.chunks_exact_mut(c) {
            for_vectors!(S, c, |at, width, FULL| {
                let to = at + width;
                let v = simd.add_f32s(
                    load::<S, FULL>(simd, &x[at..to]), load::<S, FULL>(simd, &value[at..to]),
                );
                store::<S, FULL>(simd, &mut x[at..to], v);
            });
        }
    }
}

simd_fn! {
    /// `sum += value`, number by number.
    pub fn add<'a>(simd: S, sum: &'a mut [f32], value: &'a [f32]) {
        for_vectors!(S, sum.len(), |at, width, FULL| {
            let to = at + width;
            let v = simd.add_f32s(
                load::<S, FULL>(simd, &sum[at..to]), load::<S, FULL>(simd, &value[at..to]),
            );
            store::<S, FULL>(simd, &mut sum[at..to], v);
        });
    }
}
