//! The forward pass of a block by running statistics: evaluation and pseudo-labels.
//!
//! Nothing waits for sums over the batch, so a sample goes through the whole block a few rows at a
//! time: the rows that the next row of the depthwise convolution needs are expanded just before it
//! and are still in the first-level cache. Only squeeze-and-excitation makes the projection wait for
//! the whole map.

use std::ops::Range;

use rayon::prelude::*;

use super::forward::Excite;
use super::{Parameters, Shape};
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::function::with_function;
use crate::nn::kernels::matmul::{Panels, matmul};
use crate::nn::kernels::normalize::{Forward, Runs, apply};
use crate::nn::kernels::{depthwise, pooling};
use crate::nn::units::{Running, part};

/// Pixels of a band of rows: enough rows of the matrix product for whole tiles, few enough that a
/// band of 100 channels stays in the first-level cache.
const BAND_PIXELS: usize = 32;

/// Output by running statistics, without noise; these come in the order expand, depthwise,
/// project. Memory: the padded and the filtered map of one sample for each thread.
pub fn evaluate(
    shape: &Shape,
    x: &[f32],
    w: &Parameters<&[f32]>,
    running: &[Running; 3],
) -> Vec<f32> {
    let block = Block::new(shape, w, running);
    let (inside, outside) = (
        shape.in_pixels() * shape.in_ch,
        shape.out_pixels() * shape.out_ch,
    );
    let per = part(shape.n);
    let mut y = vec![0.0; shape.n * outside];
    y.par_chunks_mut(per * outside)
        .zip(x.par_chunks(per * inside))
        .for_each(|(y, x)| {
            let mut maps = Maps::new(shape);
            for (y, x) in y.chunks_exact_mut(outside).zip(x.chunks_exact(inside)) {
                block.run(x, y, &mut maps);
            }
        });
    y
}

/// A block's weights as its kernels read them.
struct Block<'a> {
    shape: &'a Shape,
    expand: Option<(Panels, Forward)>,
    depthwise: &'a [f32],
    depthwise_norm: Forward,
    excite: Option<Excite<'a>>,
    /// With the normalization's factor in it.
    project: Panels,
    project_bias: Vec<f32>,
}

/// Working memory for one sample.
struct Maps {
    /// A band of the expanded map before its normalization.
    expanded: Buffer,
    padded: Buffer,
    /// A band of the depthwise convolution before its normalization.
    filtered: Buffer,
    /// What the projection reads: the whole map with squeeze-and-excitation, or a band.
    map: Buffer,
    squeezed: Vec<f32>,
    hidden: Vec<f32>,
    gates: Vec<f32>,
}

impl Maps {
    fn new(shape: &Shape) -> Self {
        let (mid, window) = (shape.mid(), &shape.window);
        let filtered = band(window.output.1) * window.output.1 * mid;
        let expanded = band(window.input.1) * window.input.1 * mid;
        let with_gate = shape.squeezed_ch > 0;
        Self {
            expanded: Buffer::take(if shape.expand { expanded } else { 0 }),
            padded: Buffer::zeros(window.padded_len()),
            filtered: Buffer::take(filtered),
            map: Buffer::take(if with_gate {
                window.output_len()
            } else {
                filtered
            }),
            squeezed: vec![0.0; if with_gate { mid } else { 0 }],
            hidden: vec![0.0; shape.squeezed_ch],
            gates: vec![0.0; if with_gate { mid } else { 0 }],
        }
    }
}

/// Rows of a band of a map of `width`.
fn band(width: usize) -> usize {
    (BAND_PIXELS / width.max(1)).max(1)
}

impl<'a> Block<'a> {
    fn new(shape: &'a Shape, w: &Parameters<&'a [f32]>, running: &[Running; 3]) -> Self {
        let (in_ch, mid, out_ch) = (shape.in_ch, shape.mid(), shape.out_ch);
        let project_norm = running[2].norm(&w.project);
        let folded: Vec<f32> = w
            .project
            .weight
            .chunks_exact(out_ch)
            .flat_map(|row| row.iter().zip(&project_norm.a).map(|(w, a)| w * a))
            .collect();
        Self {
            shape,
            expand: shape.expand.then(|| {
                let panels = Panels::new(w.expand.weight, in_ch, mid);
                (panels, running[0].norm(&w.expand))
            }),
            depthwise: w.depthwise.weight,
            depthwise_norm: running[1].norm(&w.depthwise),
            excite: (shape.squeezed_ch > 0).then(|| Excite::new(shape, w)),
            project: Panels::new(&folded, mid, out_ch),
            project_bias: project_norm.b,
        }
    }

    /// One sample.
    fn run(&self, x: &[f32], y: &mut [f32], maps: &mut Maps) {
        let (shape, window, mid) = (self.shape, &self.shape.window, self.shape.mid());
        let ((out_h, out_w), row) = (window.output, window.padded().1 * mid);
        let norm = &self.depthwise_norm;
        let rows = band(out_w);
        let mut ready = 0;
        maps.squeezed.fill(0.0);
        for first in (0..out_h).step_by(rows) {
            let last = (first + rows).min(out_h) - 1;
            let needed = last * window.stride + window.kernel - window.before.0.min(window.kernel);
            ready = self.expand(x, ready..needed.min(window.input.0), maps);
            let (from, len) = (first * out_w * mid, (last + 1 - first) * out_w * mid);
            let filtered = &mut maps.filtered[..len];
            let padded = &maps.padded[first * window.stride * row..];
            depthwise::forward(window, padded, self.depthwise, filtered);
            let map = match &self.excite {
                Some(_) => &mut maps.map[from..from + len],
                None => &mut maps.map[..len],
            };
            with_function!(shape.act, F =>
                apply::<F>(filtered, &norm.a, &norm.b, map, Runs::whole(len)));
            match &self.excite {
                Some(_) => pooling::accumulate(map, &mut maps.squeezed),
                None => self.project(map, x, y, first * out_w),
            }
        }
        if let Some(excite) = &self.excite {
            pooling::multiply(&mut maps.squeezed, 1.0 / shape.out_pixels() as f32);
            excite.gates(&maps.squeezed, &mut maps.hidden, &mut maps.gates);
            pooling::scale(&mut maps.map, &maps.gates);
            self.project(&maps.map, x, y, 0);
        }
    }

    /// Writes rows of the depthwise convolution's input into the padded map; the next row to come.
    fn expand(&self, x: &[f32], rows: Range<usize>, maps: &mut Maps) -> usize {
        let (window, mid) = (&self.shape.window, self.shape.mid());
        let (width, runs) = (window.input.1, window.padded_runs());
        let x_row = width * self.shape.in_ch;
        let end = rows.end.max(rows.start);
        for first in rows.clone().step_by(band(width)) {
            let last = (first + band(width)).min(end);
            let runs = Runs {
                start: runs.start + first * runs.stride,
                ..runs
            };
            let x = &x[first * x_row..last * x_row];
            match &self.expand {
                Some((panels, norm)) => {
                    let e = &mut maps.expanded[..(last - first) * width * mid];
                    matmul(x, panels, e);
                    with_function!(self.shape.act, F =>
                        apply::<F>(e, &norm.a, &norm.b, &mut maps.padded, runs));
                }
                None => runs.copy_in(x, &mut maps.padded),
            }
        }
        end
    }

    /// Output pixels from `first` on, of their part of the map.
    fn project(&self, map: &[f32], x: &[f32], y: &mut [f32], first: usize) {
        let (mid, out_ch) = (self.shape.mid(), self.shape.out_ch);
        let range = first * out_ch..(first + map.len() / mid) * out_ch;
        let y = &mut y[range.clone()];
        matmul(map, &self.project, y);
        pooling::add_row(y, &self.project_bias);
        if self.shape.residual {
            pooling::add(y, &x[range]);
        }
    }
}
