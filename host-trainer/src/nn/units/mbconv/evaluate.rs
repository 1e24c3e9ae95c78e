//! The forward pass of a block by running statistics: evaluation and pseudo-labels.
//!
//! Nothing waits for sums over the batch, so a sample goes through the whole block a few rows at a
//! time: the rows that the next row of the depthwise convolution needs are expanded just before it
//! and are still in the first-level cache. Only squeeze-and-excitation makes the projection wait for
//! the whole map.

use std::ops::Range;

use super::block::{Parameters, Shape};
use super::forward::Excite;
use crate::nn::kernels::buffers::Buffer;
use crate::nn::kernels::function::with_function;
use crate::nn::kernels::matmul::{Panels, matmul, matmul_activated};
use crate::nn::kernels::normalize::Runs;
use crate::nn::kernels::{depthwise, pooling};
use crate::nn::units::Running;
use crate::nn::units::folded::{self, Pool, scaled};

/// Pixels of a band of rows: enough rows of the matrix product for whole tiles, few enough that a
/// band of 100 channels stays in the first-level cache.
const BAND_PIXELS: usize = 32;

/// A block with running statistics: its weights have their normalization's factor in them, and
/// what it adds is a bias.
pub(crate) struct Folded {
    shape: Shape,
    expand: Option<(Panels, Buffer)>,
    depthwise: Buffer,
    depthwise_bias: Vec<f32>,
    excite: Option<Excite>,
    project: Panels,
    project_bias: Vec<f32>,
    pool: Pool<Maps>,
}

/// Working memory for one sample.
struct Maps {
    padded: Buffer,
    /// What the projection reads: the whole map with squeeze-and-excitation, or a band.
    map: Buffer,
    squeezed: Vec<f32>,
    hidden: Vec<f32>,
    gates: Vec<f32>,
}

impl Maps {
    fn new(shape: &Shape) -> Self {
        let (mid, window) = (shape.mid(), &shape.window);
        let band = band(window.output.1) * window.output.1 * mid;
        let with_gate = shape.squeezed_ch > 0;
        Self {
            padded: Buffer::zeros(window.padded_len()),
            map: Buffer::take(if with_gate { window.output_len() } else { band }),
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

impl Folded {
    /// From parameters and running statistics in the order expand, depthwise, project. Memory:
    /// that of the weights, and for each thread the padded map of a sample and, of the filtered
    /// one, all with squeeze-and-excitation or a band without.
    pub(crate) fn new(shape: Shape, w: &Parameters<&[f32]>, running: &[Running; 3]) -> Self {
        let (in_ch, mid, out_ch) = (shape.in_ch, shape.mid(), shape.out_ch);
        let [expand, depthwise, project] = [
            (&running[0], &w.expand),
            (&running[1], &w.depthwise),
            (&running[2], &w.project),
        ]
        .map(|(running, w)| (w.weight, running.norm(w)));
        let mut folded = Buffer::take(depthwise.0.len());
        folded.copy_from_slice(&scaled(depthwise.0, &depthwise.1.a));
        Self {
            expand: shape.expand.then(|| {
                let panels = Panels::new(&scaled(expand.0, &expand.1.a), in_ch, mid);
                (panels, Panels::bias(&expand.1.b))
            }),
            depthwise: folded,
            depthwise_bias: depthwise.1.b,
            excite: (shape.squeezed_ch > 0).then(|| Excite::new(&shape, w)),
            project: Panels::new(&scaled(project.0, &project.1.a), mid, out_ch),
            project_bias: project.1.b,
            pool: Pool::default(),
            shape,
        }
    }

    /// Band after band of rows.
    fn bands(&self, x: &[f32], y: &mut [f32], maps: &mut Maps) {
        let (shape, window, mid) = (&self.shape, &self.shape.window, self.shape.mid());
        let ((out_h, out_w), row) = (window.output, window.padded().1 * mid);
        let rows = band(out_w);
        let mut ready = 0;
        maps.squeezed.fill(0.0);
        for first in (0..out_h).step_by(rows) {
            let last = (first + rows).min(out_h) - 1;
            let needed = last * window.stride + window.kernel - window.before.0.min(window.kernel);
            ready = self.expand(x, ready..needed.min(window.input.0), maps);
            let (from, len) = (first * out_w * mid, (last + 1 - first) * out_w * mid);
            let padded = &maps.padded[first * window.stride * row..];
            let map = match &self.excite {
                Some(_) => &mut maps.map[from..from + len],
                None => &mut maps.map[..len],
            };
            let (w, b) = (&self.depthwise, &self.depthwise_bias);
            with_function!(shape.act, F =>
                depthwise::forward_activated::<F>(window, padded, w, b, map));
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
        let window = &self.shape.window;
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
                Some((panels, bias)) => with_function!(self.shape.act, F =>
                    matmul_activated::<F>(x, panels, bias, &mut maps.padded, runs)),
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

impl folded::Folded for Folded {
    fn output_len(&self) -> usize {
        self.shape.out_pixels() * self.shape.out_ch
    }

    fn run(&self, x: &[f32], y: &mut [f32]) {
        let new = || Maps::new(&self.shape);
        self.pool.with(new, |maps| self.bands(x, y, maps));
    }
}
