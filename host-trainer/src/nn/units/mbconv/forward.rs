//! The forward pass of a block in training, by the batch's statistics.

use rayon::prelude::*;

use super::block::{Parameters, Saved, Shape};
use crate::nn::activation::Activation;
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::function::{Linear, Sigmoid, with_function};
use crate::nn::kernels::matmul::{Panels, matmul};
use crate::nn::kernels::normalize::{Forward, Runs, Sums, apply, moments};
use crate::nn::kernels::{depthwise, pooling};
use crate::nn::units::{group, part, total};

/// Output `[n, out pixels, out_ch]` of `x [n, in pixels, in_ch]`, and what [`super::backward()`]
/// needs. `keep` is empty, or a factor for each sample's branch (stochastic depth).
pub(crate) fn forward(
    shape: &Shape,
    x: &[f32],
    w: &Parameters<&[f32]>,
    keep: Vec<f32>,
) -> (Vec<f32>, Saved) {
    let (expanded, expand_norm) = expand(shape, x, w);
    let input = Filtered {
        shape,
        x,
        expanded: &expanded,
        norm: expand_norm.as_ref(),
    };
    let (filtered, depthwise_norm) = filter(&input, w);
    let Projected {
        projected,
        squeezed,
        hidden,
        gates,
        norm: project_norm,
    } = project(shape, w, &filtered, &depthwise_norm);
    let y = finish(shape, x, &projected, &project_norm, &keep);
    let saved = Saved {
        expanded,
        filtered,
        projected,
        squeezed,
        hidden,
        gates,
        expand_norm,
        depthwise_norm,
        project_norm,
        keep,
    };
    (y, saved)
}

/// Phase 1: expand, statistics.
fn expand(shape: &Shape, x: &[f32], w: &Parameters<&[f32]>) -> (Buffer, Option<Forward>) {
    let (n, mid, inside) = (shape.n, shape.mid(), shape.in_pixels());
    let per = part(n);
    let mut expanded = Buffer::take(if shape.expand { n * inside * mid } else { 0 });
    let expand_norm = shape.expand.then(|| {
        let panels = Panels::new(w.expand.weight, shape.in_ch, mid);
        let mut shift = vec![0.0; mid];
        matmul(&x[..shape.in_ch], &panels, &mut shift);
        let samples = group(inside);
        let parts = expanded
            .par_chunks_mut(per * inside * mid)
            .zip(x.par_chunks(per * inside * shape.in_ch))
            .map(|(e, x)| {
                let mut sums = Sums::new(mid);
                for (e, x) in e
                    .chunks_mut(samples * inside * mid)
                    .zip(x.chunks(samples * inside * shape.in_ch))
                {
                    matmul(x, &panels, e);
                    moments(e, &shift, &mut sums);
                }
                sums
            })
            .collect();
        Forward::of_batch(&total(parts, mid), &shift, w.expand.gamma, w.expand.beta)
    });
    (expanded, expand_norm)
}

/// Phase 2: normalize and activate into a padded map, depthwise, statistics.
fn filter(input: &Filtered<'_>, w: &Parameters<&[f32]>) -> (Buffer, Forward) {
    let shape = input.shape;
    let (n, mid, outside) = (shape.n, shape.mid(), shape.out_pixels());
    let per = part(n);
    let mut filtered = Buffer::take(n * outside * mid);
    let shift = vec![0.0; mid]; // a sum of k² activations has no far-off mean
    let parts = filtered
        .par_chunks_mut(per * outside * mid)
        .enumerate()
        .map(|(index, d)| {
            let mut sums = Sums::new(mid);
            let mut padded = Buffer::zeros(shape.window.padded_len());
            let samples = group(outside);
            for (g, d) in d.chunks_mut(samples * outside * mid).enumerate() {
                for (s, d) in d.chunks_exact_mut(outside * mid).enumerate() {
                    input.write(index * per + g * samples + s, &mut padded);
                    depthwise::forward(&shape.window, &padded, w.depthwise.weight, d);
                }
                moments(d, &shift, &mut sums);
            }
            sums
        })
        .collect();
    let norm = Forward::of_batch(
        &total(parts, mid),
        &shift,
        w.depthwise.gamma,
        w.depthwise.beta,
    );
    (filtered, norm)
}

/// What the third phase makes; see [`Saved`].
struct Projected {
    projected: Buffer,
    squeezed: Vec<f32>,
    hidden: Vec<f32>,
    gates: Vec<f32>,
    norm: Forward,
}

/// Phase 3: normalize and activate, squeeze, excite, scale, project, statistics.
fn project(
    shape: &Shape,
    w: &Parameters<&[f32]>,
    filtered: &[f32],
    depthwise_norm: &Forward,
) -> Projected {
    let (n, mid, out_ch) = (shape.n, shape.mid(), shape.out_ch);
    let outside = shape.out_pixels();
    let per = part(n);
    let squeezed_ch = shape.squeezed_ch;
    let with_gate = squeezed_ch > 0;
    let gate_ch = if with_gate { mid } else { 0 };
    let mut squeezed = vec![0.0; n * gate_ch];
    let mut gates = vec![0.0; n * gate_ch];
    let mut hidden = vec![0.0; n * squeezed_ch];
    let mut projected = Buffer::take(n * outside * out_ch);
    let project = Panels::new(w.project.weight, mid, out_ch);
    let excite = Excite::new(shape, w);
    let shift = vec![0.0; out_ch];
    let parts = projected
        .par_chunks_mut(per * outside * out_ch)
        .zip(filtered.par_chunks(per * outside * mid))
        .zip(pieces(&mut squeezed, per * gate_ch, n.div_ceil(per)))
        .zip(pieces(&mut gates, per * gate_ch, n.div_ceil(per)))
        .zip(pieces(&mut hidden, per * squeezed_ch, n.div_ceil(per)))
        .map(|((((o, d), squeezed), gates), hidden)| {
            let mut sums = Sums::new(out_ch);
            let samples = group(outside);
            let mut map = Buffer::take(samples * outside * mid);
            for (g, (o, d)) in o
                .chunks_mut(samples * outside * out_ch)
                .zip(d.chunks(samples * outside * mid))
                .enumerate()
            {
                let map = &mut map[..d.len()];
                let k = depthwise_norm;
                with_function!(shape.act, F =>
                    apply::<F>(d, &k.a, &k.b, map, Runs::whole(d.len())));
                if with_gate {
                    let count = d.len() / (outside * mid);
                    let squeezed = &mut squeezed[g * samples * mid..][..count * mid];
                    let gates = &mut gates[g * samples * mid..][..count * mid];
                    let hidden = &mut hidden[g * samples * squeezed_ch..][..count * squeezed_ch];
                    excite.run(map, outside, squeezed, hidden, gates);
                }
                matmul(map, &project, o);
                moments(o, &shift, &mut sums);
            }
            sums
        })
        .collect();
    let norm = Forward::of_batch(
        &total(parts, out_ch),
        &shift,
        w.project.gamma,
        w.project.beta,
    );
    Projected {
        projected,
        squeezed,
        hidden,
        gates,
        norm,
    }
}

/// Phase 4: normalize, stochastic depth, residual.
fn finish(shape: &Shape, x: &[f32], projected: &[f32], norm: &Forward, keep: &[f32]) -> Vec<f32> {
    let (n, out_ch, outside) = (shape.n, shape.out_ch, shape.out_pixels());
    let per = part(n);
    let mut y = vec![0.0; n * outside * out_ch];
    y.par_chunks_mut(per * outside * out_ch)
        .zip(projected.par_chunks(per * outside * out_ch))
        .enumerate()
        .for_each(|(index, (y, o))| {
            apply::<Linear>(o, &norm.a, &norm.b, y, Runs::whole(o.len()));
            for (s, y) in y.chunks_exact_mut(outside * out_ch).enumerate() {
                let sample = index * per + s;
                if let Some(factor) = keep.get(sample) {
                    pooling::multiply(y, *factor);
                }
                if shape.residual {
                    pooling::add(y, &x[sample * y.len()..][..y.len()]);
                }
            }
        });
    y
}

/// What the depthwise convolution reads.
pub(super) struct Filtered<'a> {
    pub shape: &'a Shape,
    pub x: &'a [f32],
    pub expanded: &'a [f32],
    pub norm: Option<&'a Forward>,
}

impl Filtered<'_> {
    /// Writes the depthwise convolution's input of `sample` into the middle of its padded map.
    pub(super) fn write(&self, sample: usize, padded: &mut [f32]) {
        let (shape, len) = (self.shape, self.shape.window.input_len());
        let runs = shape.window.padded_runs();
        match self.norm {
            Some(k) => {
                let e = &self.expanded[sample * len..][..len];
                with_function!(shape.act, F => apply::<F>(e, &k.a, &k.b, padded, runs));
            }
            None => {
                let x = &self.x[sample * len..][..len];
                runs.copy_in(x, padded);
            }
        }
    }
}

/// The excitation: two dense layers on the means of a map.
pub(super) struct Excite {
    mid: usize,
    squeezed_ch: usize,
    act: Activation,
    reduce: Panels,
    reduce_bias: Vec<f32>,
    excite: Panels,
    excite_bias: Vec<f32>,
    ones: Vec<f32>,
}

impl Excite {
    pub(super) fn new(shape: &Shape, w: &Parameters<&[f32]>) -> Self {
        let (mid, squeezed_ch) = (shape.mid(), shape.squeezed_ch);
        let outer = if squeezed_ch > 0 { mid } else { 0 };
        Self {
            mid,
            squeezed_ch,
            act: shape.act,
            reduce: Panels::new(w.reduce, outer, squeezed_ch),
            reduce_bias: w.reduce_bias.to_vec(),
            excite: Panels::new(w.excite, squeezed_ch, outer),
            excite_bias: w.excite_bias.to_vec(),
            ones: vec![1.0; mid],
        }
    }

    /// Scales `map [samples, pixels, mid]`; leaves means, hidden values before their bias, gates.
    fn run(
        &self,
        map: &mut [f32],
        pixels: usize,
        squeezed: &mut [f32],
        hidden: &mut [f32],
        gates: &mut [f32],
    ) {
        let mid = self.mid;
        for (map, mean) in map
            .chunks_exact(pixels * mid)
            .zip(squeezed.chunks_exact_mut(mid))
        {
            pooling::mean(map, mean);
        }
        self.gates(squeezed, hidden, gates);
        for (map, gate) in map
            .chunks_exact_mut(pixels * mid)
            .zip(gates.chunks_exact(mid))
        {
            pooling::scale(map, gate);
        }
    }

    /// Gates `[samples, mid]` for means `[samples, mid]`; leaves the hidden values before their bias.
    pub(super) fn gates(&self, squeezed: &[f32], hidden: &mut [f32], gates: &mut [f32]) {
        matmul(squeezed, &self.reduce, hidden);
        let mut active = vec![0.0; hidden.len()];
        let ones = &self.ones[..self.squeezed_ch];
        with_function!(self.act, F =>
            apply::<F>(hidden, ones, &self.reduce_bias, &mut active, Runs::whole(hidden.len())));
        let mut raw = vec![0.0; gates.len()];
        matmul(&active, &self.excite, &mut raw);
        apply::<Sigmoid>(
            &raw,
            &self.ones,
            &self.excite_bias,
            gates,
            Runs::whole(raw.len()),
        );
    }
}

/// `count` pieces of `len` numbers, the last maybe shorter; all empty where `len` is 0.
fn pieces(values: &mut [f32], len: usize, count: usize) -> Vec<&mut [f32]> {
    if len == 0 {
        return (0..count).map(|_| Default::default()).collect();
    }
    values.chunks_mut(len).collect()
}
