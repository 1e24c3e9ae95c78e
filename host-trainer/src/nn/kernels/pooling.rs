//! Sums over the pixels of a sample and products with one number a channel: pooling and gates.

use super::simd::{Simd, for_vectors, load, simd_fn, store};

/// `mean [c]` over the pixels of `x [pixels, c]`.
pub(crate) fn mean(x: &[f32], mean: &mut [f32]) {
    mean.fill(0.0);
    accumulate(x, mean);
    multiply(mean, 1.0 / (x.len() / mean.len()).max(1) as f32);
}

simd_fn! {
    /// Adds the pixels of `x [pixels, c]`, in order, to `sum [c]`.
    pub(crate) fn accumulate<'a>(simd: S, x: &'a [f32], sum: &'a mut [f32]) {
        let c = sum.len();
        for_vectors!(S, c, |at, width, FULL| {
            let mut all = load::<S, FULL>(simd, &sum[at..at + width]);
            for x in x.chunks_exact(c) {
                all = simd.add_f32s(all, load::<S, FULL>(simd, &x[at..at + width]));
            }
            store::<S, FULL>(simd, &mut sum[at..at + width], all);
        });
    }
}

/// Through [`mean`]: every pixel of `dx [pixels, c]` becomes `dy [c]` over their number.
pub(crate) fn mean_backward(dy: &[f32], dx: &mut [f32]) {
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
    pub(crate) fn scale<'a>(simd: S, x: &'a mut [f32], s: &'a [f32]) {
        for x in x.chunks_exact_mut(s.len()) {
            combine(simd, x, s, |x, s| simd.mul_f32s(x, s));
        }
    }
}

simd_fn! {
    /// x times one number, in place.
    pub(crate) fn multiply<'a>(simd: S, x: &'a mut [f32], factor: f32) {
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
    pub(crate) fn scale_backward<'a>(
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
    pub(crate) fn add_row<'a>(simd: S, x: &'a mut [f32], value: &'a [f32]) {
        for x in x.chunks_exact_mut(value.len()) {
            combine(simd, x, value, |x, value| simd.add_f32s(x, value));
        }
    }
}

simd_fn! {
    /// `sum += value`, number by number.
    pub(crate) fn add<'a>(simd: S, sum: &'a mut [f32], value: &'a [f32]) {
        combine(simd, sum, value, |sum, value| simd.add_f32s(sum, value));
    }
}

/// x = f(x, y), number by number, over the shorter of both.
#[inline(always)]
fn combine<S: Simd>(simd: S, x: &mut [f32], y: &[f32], f: impl Fn(S::f32s, S::f32s) -> S::f32s) {
    let len = x.len().min(y.len());
    let ((x, x_rest), (y, y_rest)) = (
        S::as_mut_simd_f32s(&mut x[..len]),
        S::as_simd_f32s(&y[..len]),
    );
    for (x, y) in x.iter_mut().zip(y) {
        *x = f(*x, *y);
    }
    if !x_rest.is_empty() {
        let [before, y] = [&*x_rest, y_rest].map(|r| load::<S, false>(simd, r));
        store::<S, false>(simd, x_rest, f(before, y));
    }
}
