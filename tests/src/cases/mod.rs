//! Layers and networks to be run on a chip: packed, with inputs and the reference's answers.
//!
//! [`bench`] has the layers that other kernels have been counted on, [`networks`] whole networks,
//! [`blocks`] random networks in every schedule, [`random`] layers of any shape, [`vectors`] layers
//! from files.

pub mod bench;
pub mod blocks;
pub mod networks;
pub mod random;
pub mod vectors;

use pupil_core::interpreter::Interpreter;
use pupil_core::kernels::reference::{self, Convolution};
use pupil_core::kernels::{run, run_in_place, scratch_len};
use pupil_core::model::{InputSpec, Model, PixelFormat};
use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::{Shape, Window, same_padding};
use pupil_firmware::cases::{Header, Work};
use pupil_packer::{BuildError, Channel, Conv, ModelBuilder, Pad, TensorId};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Multiply-accumulates, or elements of operators that have none.
    pub macs: u64,
    /// What runs.
    pub work: Work,
    /// Packed model.
    pub model: Vec<u8>,
    /// Input: int8 as bytes for a layer, a frame for a whole model.
    pub input: Vec<u8>,
    /// Second input.
    pub second: Vec<u8>,
    /// Expected output.
    pub expected: Vec<u8>,
}

impl Case {
    /// Appends header and parts.
    pub fn write(&self, to: &mut Vec<u8>) {
        let parts = [&self.model, &self.input, &self.second, &self.expected];
        let header = Header {
            work: self.work,
            parts: parts.map(Vec::len),
        };
        to.extend(header.to_bytes());
        for part in parts {
            to.extend(part);
            to.resize(to.len().next_multiple_of(16), 0);
        }
    }

    /// What this computer's kernels answer.
    ///
    /// # Errors
    /// A model that does not parse.
    pub fn on_host(&self) -> Result<Vec<u8>, String> {
        let model = Model::parse(&self.model).map_err(|e| e.to_string())?;
        let int8 = |bytes: &[u8]| bytes.iter().map(|b| *b as i8).collect::<Vec<_>>();
        let bytes = |values: &[i8]| values.iter().map(|q| *q as u8).collect::<Vec<_>>();
        let layer = |i: usize| model.layer(i).ok_or("no such layer");
        match self.work {
            Work::Whole => {
                let mut arena = vec![0; model.arena_len()];
                let mut interpreter =
                    Interpreter::new(&model, &mut arena).map_err(|e| e.to_string())?;
                let scores = interpreter.classify(&self.input, &mut ());
                Ok(bytes(scores.map_err(|e| e.to_string())?))
            }
            Work::Layer(i) => {
                let layer = layer(i)?;
                let mut y = vec![0; self.expected.len()];
                let mut scratch = vec![0; scratch_len(&layer.operator)];
                let (x, second) = (int8(&self.input), int8(&self.second));
                run(&layer.operator, &x, &second, &mut y, &mut scratch)
                    .map_err(|e| e.to_string())?;
                Ok(bytes(&y))
            }
            Work::InPlace(i) => {
                let layer = layer(i)?;
                let mut scratch = vec![0; scratch_len(&layer.operator)];
                let mut map = int8(&self.input);
                let second = int8(&self.second);
                run_in_place(&layer.operator, 0, &mut map, &second, &mut scratch)
                    .map_err(|e| e.to_string())?;
                Ok(bytes(&map))
            }
        }
    }
}

/// A random number generator (xorshift64*), the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.word();
        random
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n.max(1)
    }

    /// Of a list.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.word()) / 4_294_967_296.0
    }

    /// Any int8.
    pub fn int8(&mut self) -> i8 {
        self.word() as i8
    }

    /// `n` int8 as bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.word() as u8).collect()
    }

    /// `n` weights as trainers make them: −127 to 127.
    pub fn weights(&mut self, n: usize) -> Vec<u8> {
        let weight = |r: &mut Self| r.int8().max(-127) as u8;
        (0..n).map(|_| weight(self)).collect()
    }
}

/// An affine with this zero point; the scale is of no account.
pub fn zero_point(zero_point: i8) -> Affine {
    Affine {
        scale: 0.05,
        zero_point,
    }
}

/// Which operator a [`Conv`] is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Convolution.
    Conv,
    /// Depthwise convolution.
    Depthwise,
    /// Fully connected.
    Dense,
}

/// Channels whose outputs spread over the int8 range for random weights and inputs.
pub fn channels(random: &mut Random, taps: usize, out_ch: usize) -> Vec<Channel> {
    // The sum of `taps` products of two uniform int8 has a deviation of about 73^2 √taps.
    let spread = 5400.0 * (taps as f64).sqrt();
    (0..out_ch)
        .map(|_| Channel {
            bias: (random.unit() * spread - spread / 2.0) as i32,
            multiplier: pupil_packer::quantize::multiplier((0.5 + random.unit()) * 64.0 / spread),
        })
        .collect()
}

/// A model of one layer behind an input of this shape and zero point, and the layer's index.
///
/// # Errors
/// Whatever the builder says.
pub fn model(
    input: Shape,
    affine: Affine,
    add: impl FnOnce(&mut ModelBuilder, TensorId) -> Result<TensorId, BuildError>,
) -> Result<(Vec<u8>, usize), BuildError> {
    let spec = InputSpec {
        shape: input,
        format: PixelFormat::Raw8,
        affine,
    };
    let mut builder = ModelBuilder::new(spec, &[]);
    let x = builder.input();
    let y = add(&mut builder, x)?;
    let layer = y.index().saturating_sub(1);
    // One class per output value, so that the output may be a whole map; of a map with more values
    // than a model has classes one per channel of their mean.
    let mut scores = y;
    if builder.shape(y).len() > usize::from(u16::MAX) {
        scores = builder.mean(y, zero_point(0))?;
    }
    let labels = vec![""; builder.shape(scores).len()];
    builder.set_labels(&labels);
    Ok((builder.finish()?, layer))
}

/// A case of one convolution-like layer on random input, with the answer of the slow reference.
///
/// # Errors
/// Whatever the builder says.
pub fn filter_case(
    name: &str,
    kind: Kind,
    input: Shape,
    input_zero_point: i8,
    layer: &Conv,
    random: &mut Random,
) -> Result<Case, BuildError> {
    let (packed, index) = model(input, zero_point(input_zero_point), |b, x| match kind {
        Kind::Conv => b.conv(x, layer.clone()),
        Kind::Depthwise => b.depthwise(x, layer.clone()),
        Kind::Dense => b.dense(x, layer.clone()),
    })?;
    let x = random.bytes(input.len());
    let (expected, macs) = answer(kind, input, input_zero_point, layer, &x);
    Ok(Case {
        name: name.into(),
        macs,
        work: Work::Layer(index),
        model: packed,
        input: x,
        second: vec![],
        expected,
    })
}

/// The reference's answer and the multiply-accumulates.
fn answer(kind: Kind, input: Shape, zero_point: i8, layer: &Conv, x: &[u8]) -> (Vec<u8>, u64) {
    let int8 = |bytes: &[u8]| bytes.iter().map(|b| *b as i8).collect::<Vec<_>>();
    let (x, weights) = (int8(x), int8(&layer.weights));
    let bias: Vec<i32> = layer.channels.iter().map(|c| c.bias).collect();
    let multipliers: Vec<Multiplier> = layer.channels.iter().map(|c| c.multiplier).collect();
    let zero_points = (i32::from(zero_point), i32::from(layer.out.zero_point));
    let out_ch = bias.len();
    let (mut y, macs) = if kind == Kind::Dense {
        let y = reference::dense(&x, &weights, &bias, &multipliers, zero_points, layer.act)
            .collect::<Vec<_>>();
        (y, x.len() * out_ch)
    } else {
        let (top, left, h, w) = match layer.pad {
            Pad::Same => (
                same_padding(input.h, layer.kernel.0, layer.stride.0).0,
                same_padding(input.w, layer.kernel.1, layer.stride.1).0,
                input.h.div_ceil(layer.stride.0),
                input.w.div_ceil(layer.stride.1),
            ),
            Pad::Explicit { top, left, h, w } => (top, left, h, w),
        };
        let output = Shape::new(h, w, out_ch);
        let p = Convolution {
            input,
            output,
            window: Window {
                kernel_h: layer.kernel.0,
                kernel_w: layer.kernel.1,
                stride_h: layer.stride.0,
                stride_w: layer.stride.1,
                pad_top: top,
                pad_left: left,
            },
            weights: &weights,
            bias: &bias,
            multipliers: &multipliers,
            zero_points,
            act: layer.act,
        };
        let taps = weights.len() / out_ch;
        let y = reference::convolution(&p, &x, kind == Kind::Depthwise).collect::<Vec<_>>();
        (y, output.len() * taps)
    };
    if let Some(fused) = &layer.fused {
        for q in &mut y {
            *q = fused.table[usize::from(*q as u8)] as i8;
        }
    }
    (y.into_iter().map(|q| q as u8).collect(), macs as u64)
}
