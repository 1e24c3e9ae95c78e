//! The backward pass of a block.

use rayon::prelude::*;

use super::block::{Parameters, Saved, Shape};
use super::forward::Filtered;
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::function::{Linear, with_function};
use crate::nn::kernels::gram::gram;
use crate::nn::kernels::matmul::{Panels, matmul};
use crate::nn::kernels::normalize::{
    Backward, Runs, Sums, apply_both, blend, through, through_slope,
};
use crate::nn::kernels::{depthwise, pooling};
use crate::nn::units::{ConvNorm, group, part, sum, total};

/// Gradients of x `[n, in pixels, in_ch]` and of all parameters for `dy [n, out pixels, out_ch]`.
pub(crate) fn backward(
    shape: &Shape,
    x: &[f32],
    w: &Parameters<&[f32]>,
    saved: &Saved,
    dy: &[f32],
) -> (Vec<f32>, Parameters<Vec<f32>>) {
    let mut gradients = Parameters::<Vec<f32>>::default();
    let (mut branch, project) = through_projection_norm(shape, saved, dy);
    let (filtered, depthwise) =
        through_projection(shape, w, saved, &mut branch, &project, &mut gradients);
    gradients.project.gamma = project.gamma;
    gradients.project.beta = project.beta;
    let (expanded, expand) =
        through_depthwise(shape, x, w, saved, &filtered, &depthwise, &mut gradients);
    gradients.depthwise.gamma = depthwise.gamma;
    gradients.depthwise.beta = depthwise.beta;
    let dx = through_expansion(shape, (x, dy), w, saved, expanded, expand, &mut gradients);
    (dx, gradients)
}

/// Phase 1: the branch's output gradient and the sums of the last normalization.
fn through_projection_norm(shape: &Shape, saved: &Saved, dy: &[f32]) -> (Buffer, Backward) {
    let (per, len) = (part(shape.n), shape.out_pixels() * shape.out_ch);
    let mut branch = Buffer::take(dy.len());
    let parts = branch
        .par_chunks_mut(per * len)
        .zip(dy.par_chunks(per * len))
        .zip(saved.projected.par_chunks(per * len))
        .enumerate()
        .map(|(index, ((g, dy), o))| {
            let mut sums = Sums::new(shape.out_ch);
            g.copy_from_slice(dy);
            for (s, g) in g.chunks_exact_mut(len).enumerate() {
                if let Some(factor) = saved.keep.get(index * per + s) {
                    pooling::multiply(g, *factor);
                }
            }
            let samples = group(shape.out_pixels()) * len;
            for (g, o) in g.chunks_mut(samples).zip(o.chunks(samples)) {
                through::<Linear>(g, o, &saved.project_norm, &mut sums);
            }
            sums
        })
        .collect();
    let sums = total(parts, shape.out_ch);
    (branch, Backward::new(&saved.project_norm, &sums))
}

/// The excitation's two dense layers, backward.
struct Excitation<'a> {
    shape: &'a Shape,
    saved: &'a Saved,
    reduce: Panels,
    reduce_bias: &'a [f32],
    excite: Panels,
    ones: Vec<f32>,
}

impl Excitation<'_> {
    /// Turns the gradient `dd` of the scaled maps of `m` samples from `first` on into that of the
    /// maps; leaves the scaled maps in `map`, and the gradients of the gates, those of the hidden
    /// values, and the hidden values themselves.
    fn through(
        &self,
        (first, m): (usize, usize),
        dd: &mut [f32],
        map: &mut [f32],
        (ds, dhidden, hidden): (&mut [f32], &mut [f32], &mut [f32]),
    ) {
        let (mid, squeezed_ch) = (self.shape.mid(), self.shape.squeezed_ch);
        let pixels = self.shape.out_pixels();
        let gates = &self.saved.gates[first * mid..][..m * mid];
        for (((dd, map), s), ds) in dd
            .chunks_exact_mut(pixels * mid)
            .zip(map.chunks_exact_mut(pixels * mid))
            .zip(gates.chunks_exact(mid))
            .zip(ds.chunks_exact_mut(mid))
        {
            pooling::scale_backward(dd, map, s, ds);
        }
        for (d, s) in ds.iter_mut().zip(gates) {
            *d *= s * (1.0 - s);
        }
        let raw = &self.saved.hidden[first * squeezed_ch..][..m * squeezed_ch];
        let mut steep = vec![0.0; raw.len()];
        with_function!(self.shape.act, F => apply_both::<F>(
            raw, &self.ones, self.reduce_bias, hidden, Runs::whole(raw.len()), &mut steep));
        matmul(ds, &self.excite, dhidden);
        for (d, s) in dhidden.iter_mut().zip(&steep) {
            *d *= s;
        }
        let mut dmean = vec![0.0; m * mid];
        matmul(dhidden, &self.reduce, &mut dmean);
        for d in &mut dmean {
            *d /= pixels as f32;
        }
        for (dd, dmean) in dd
            .chunks_exact_mut(pixels * mid)
            .zip(dmean.chunks_exact(mid))
        {
            pooling::add_row(dd, dmean);
        }
    }

    /// Gradients of its parameters by `count` samples from `first` on, of which [`Self::through`] has
    /// left the rest.
    fn parameters(
        &self,
        (first, count): (usize, usize),
        (ds, dhidden, hidden): (&[f32], &[f32], &[f32]),
        part: &mut Parameters<Vec<f32>>,
    ) {
        let (mid, squeezed_ch) = (self.shape.mid(), self.shape.squeezed_ch);
        part.excite = vec![0.0; squeezed_ch * mid];
        gram(hidden, ds, squeezed_ch, mid, &mut part.excite);
        part.reduce = vec![0.0; mid * squeezed_ch];
        let squeezed = &self.saved.squeezed[first * mid..][..count * mid];
        gram(squeezed, dhidden, mid, squeezed_ch, &mut part.reduce);
        part.excite_bias = column_sums(ds, mid);
        part.reduce_bias = column_sums(dhidden, squeezed_ch);
    }
}

/// Phase 2: projection, excitation, activation; the sums of the depthwise normalization.
fn through_projection(
    shape: &Shape,
    w: &Parameters<&[f32]>,
    saved: &Saved,
    branch: &mut Buffer,
    k: &Backward,
    gradients: &mut Parameters<Vec<f32>>,
) -> (Buffer, Backward) {
    let (n, mid, out_ch, squeezed_ch) = (shape.n, shape.mid(), shape.out_ch, shape.squeezed_ch);
    let (per, pixels) = (part(n), shape.out_pixels());
    let with_gate = squeezed_ch > 0;
    let gate_ch = if with_gate { mid } else { 0 };
    let project = Panels::transposed(w.project.weight, out_ch, mid);
    let excitation = Excitation {
        shape,
        saved,
        reduce: Panels::transposed(w.reduce, squeezed_ch, gate_ch),
        reduce_bias: w.reduce_bias,
        excite: Panels::transposed(w.excite, gate_ch, squeezed_ch),
        ones: vec![1.0; squeezed_ch],
    };
    let norm = &saved.depthwise_norm;
    let mut filtered = Buffer::take(n * pixels * mid);
    let parts: Vec<(Sums, Parameters<Vec<f32>>)> = filtered
        .par_chunks_mut(per * pixels * mid)
        .zip(branch.par_chunks_mut(per * pixels * out_ch))
        .enumerate()
        .map(|(index, (dd, g))| {
            let at = index * per;
            let samples = group(pixels);
            let mut sums = Sums::new(mid);
            let mut part = Parameters::<Vec<f32>>::default();
            part.project.weight = vec![0.0; mid * out_ch];
            let mut map = Buffer::take(samples * pixels * mid);
            let mut slope = Buffer::take(samples * pixels * mid);
            let mut before = Buffer::take(samples * pixels * out_ch);
            let here = g.len() / (pixels * out_ch);
            let mut ds = vec![0.0; here * gate_ch];
            let mut dhidden = vec![0.0; here * squeezed_ch];
            let mut hidden = vec![0.0; here * squeezed_ch];
            for (i, (dd, g)) in dd
                .chunks_mut(samples * pixels * mid)
                .zip(g.chunks(samples * pixels * out_ch))
                .enumerate()
            {
                let first = at + i * samples;
                let o = &saved.projected[first * pixels * out_ch..][..g.len()];
                let d = &saved.filtered[first * pixels * mid..][..dd.len()];
                let before = &mut before[..g.len()];
                blend(g, o, k, before, Runs::whole(g.len()));
                matmul(before, &project, dd);
                let (map, slope) = (&mut map[..d.len()], &mut slope[..d.len()]);
                with_function!(shape.act, F =>
                    apply_both::<F>(d, &norm.a, &norm.b, map, Runs::whole(d.len()), slope));
                if with_gate {
                    let m = d.len() / (pixels * mid);
                    let ds = &mut ds[i * samples * mid..][..m * mid];
                    let dhidden = &mut dhidden[i * samples * squeezed_ch..][..m * squeezed_ch];
                    let hidden = &mut hidden[i * samples * squeezed_ch..][..m * squeezed_ch];
                    excitation.through((first, m), dd, map, (ds, dhidden, hidden));
                }
                gram(map, before, mid, out_ch, &mut part.project.weight);
                through_slope(dd, slope, d, &norm.mean, &mut sums);
            }
            if with_gate {
                excitation.parameters((at, here), (&ds, &dhidden, &hidden), &mut part);
            }
            (sums, part)
        })
        .collect();
    let (sums, parts): (Vec<Sums>, Vec<Parameters<Vec<f32>>>) = parts.into_iter().unzip();
    gradients.project.weight = sum(parts.iter().map(|p| &p.project.weight));
    gradients.reduce = sum(parts.iter().map(|p| &p.reduce));
    gradients.reduce_bias = sum(parts.iter().map(|p| &p.reduce_bias));
    gradients.excite = sum(parts.iter().map(|p| &p.excite));
    gradients.excite_bias = sum(parts.iter().map(|p| &p.excite_bias));
    (filtered, Backward::new(norm, &total(sums, mid)))
}

/// Phase 3: depthwise convolution; the sums of the expansion's normalization. Without an
/// expansion the buffer holds the gradient of x.
fn through_depthwise(
    shape: &Shape,
    x: &[f32],
    w: &Parameters<&[f32]>,
    saved: &Saved,
    filtered: &Buffer,
    k: &Backward,
    gradients: &mut Parameters<Vec<f32>>,
) -> (Buffer, Option<Backward>) {
    let (n, mid, window) = (shape.n, shape.mid(), &shape.window);
    let (per, in_len, out_len) = (part(n), window.input_len(), window.output_len());
    let turned = depthwise::turned(w.depthwise.weight, mid);
    let norm = saved.expand_norm.as_ref();
    let input = Filtered {
        shape,
        x,
        expanded: &saved.expanded,
        norm: None,
    };
    let mut expanded = Buffer::take(n * in_len);
    let parts: Vec<(Sums, Vec<f32>)> = expanded
        .par_chunks_mut(per * in_len)
        .zip(filtered.par_chunks(per * out_len))
        .enumerate()
        .map(|(index, (de, gd))| {
            let mut sums = Sums::new(mid);
            let mut dw = vec![0.0; w.depthwise.weight.len()];
            let mut padded = Buffer::zeros(window.padded_len());
            let mut around = Buffer::zeros(window.surrounded_len());
            let mut slope = Buffer::take(if norm.is_some() { in_len } else { 0 });
            for (s, (de, gd)) in de
                .chunks_exact_mut(in_len)
                .zip(gd.chunks_exact(out_len))
                .enumerate()
            {
                let sample = index * per + s;
                let d = &saved.filtered[sample * out_len..][..out_len];
                blend(gd, d, k, &mut around, window.surrounded_runs());
                match norm {
                    Some(norm) => {
                        let e = &saved.expanded[sample * in_len..][..in_len];
                        let runs = window.padded_runs();
                        with_function!(shape.act, F => apply_both::<F>(
                            e, &norm.a, &norm.b, &mut padded, runs, &mut slope));
                    }
                    None => input.write(sample, &mut padded),
                }
                depthwise::weight_gradient(window, &padded, &around, &mut dw);
                depthwise::input_gradient(window, &around, &turned, de);
                if let Some(norm) = norm {
                    let e = &saved.expanded[sample * in_len..][..in_len];
                    through_slope(de, &slope, e, &norm.mean, &mut sums);
                }
            }
            (sums, dw)
        })
        .collect();
    let (sums, parts): (Vec<Sums>, Vec<Vec<f32>>) = parts.into_iter().unzip();
    gradients.depthwise.weight = sum(parts.iter());
    (
        expanded,
        norm.map(|norm| Backward::new(norm, &total(sums, mid))),
    )
}

/// Phase 4: expansion and residual.
fn through_expansion(
    shape: &Shape,
    (x, dy): (&[f32], &[f32]),
    w: &Parameters<&[f32]>,
    saved: &Saved,
    mut expanded: Buffer,
    expand: Option<Backward>,
    gradients: &mut Parameters<Vec<f32>>,
) -> Vec<f32> {
    let (in_ch, mid, pixels) = (shape.in_ch, shape.mid(), shape.in_pixels());
    let per = part(shape.n);
    let Some(k) = expand else {
        let mut dx = expanded.to_vec();
        if shape.residual {
            pooling::add(&mut dx, dy);
        }
        return dx;
    };
    let panels = Panels::transposed(w.expand.weight, mid, in_ch);
    let mut dx = vec![0.0; x.len()];
    let parts: Vec<Vec<f32>> = dx
        .par_chunks_mut(per * pixels * in_ch)
        .zip(expanded.par_chunks_mut(per * pixels * mid))
        .enumerate()
        .map(|(index, (dx, ge))| {
            let samples = group(pixels);
            let mut dw = vec![0.0; in_ch * mid];
            let mut de = Buffer::take(samples * pixels * mid);
            for (i, (dx, ge)) in dx
                .chunks_mut(samples * pixels * in_ch)
                .zip(ge.chunks(samples * pixels * mid))
                .enumerate()
            {
                let first = (index * per + i * samples) * pixels;
                let e = &saved.expanded[first * mid..][..ge.len()];
                let x = &x[first * in_ch..][..dx.len()];
                let de = &mut de[..ge.len()];
                blend(ge, e, &k, de, Runs::whole(ge.len()));
                matmul(de, &panels, dx);
                gram(x, de, in_ch, mid, &mut dw);
                if shape.residual {
                    pooling::add(dx, &dy[first * in_ch..][..dx.len()]);
                }
            }
            dw
        })
        .collect();
    gradients.expand = ConvNorm {
        weight: sum(parts.iter()),
        gamma: k.gamma,
        beta: k.beta,
    };
    dx
}

/// Sum of each column of `rows [rows, c]`.
fn column_sums(rows: &[f32], c: usize) -> Vec<f32> {
    let mut sums = vec![0.0; c];
    for row in rows.chunks_exact(c) {
        pooling::add(&mut sums, row);
    }
    sums
}
