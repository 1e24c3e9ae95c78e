//! The graph as a packed int8 model: per-channel symmetric weights, per-tensor affine
//! activations, TensorFlow Lite's rules for biases and multipliers.

use std::collections::BTreeMap;

use pupil_core::model::{InputSpec, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_packer::tables;
use pupil_packer::{BuildError, Channel, Conv, Fused, ModelBuilder, Pad, Pool, TensorId};

use super::calibrate::Range;
use super::float::Place;
use super::nodes::{Filter, Graph, Node, Op};
use crate::data::batch::Normalization;
use crate::nn::Activation;

/// SiLU lies above −0.003 from here down: smaller inputs need no steps of their own.
const SILU_FLOOR: f32 = -8.0;

/// Greatest magnitude of a bias in its own steps: the densest weights' layout holds it. Its steps are
/// fine enough: an output that it fills has 16,000 of them a step.
const LARGEST_BIAS: f32 = (1 << 21) as f32;

/// Packs the graph with the given ranges and class names.
///
/// # Errors
/// A graph that the format can't hold, or a range that calibration has not seen.
pub(crate) fn build(
    graph: &Graph,
    ranges: &BTreeMap<Place, Range>,
    normalization: &Normalization,
    labels: &[String],
) -> Result<Vec<u8>, BuildError> {
    let [h, w, c] = graph.tensors[0];
    let format = match c {
        1 => PixelFormat::Grey8,
        3 => PixelFormat::Rgb888,
        _ => {
            return Err(BuildError(format!(
                "{c} input channels; 1 (grey) and 3 (RGB) can be packed"
            )));
        }
    };
    let affine = Affine {
        scale: normalization.scale,
        zero_point: normalization.zero_point,
    };
    let input = InputSpec {
        shape: Shape::new(h, w, c),
        format,
        affine,
    };
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut packer = Packer {
        builder: ModelBuilder::new(input, &names),
        ranges,
    };
    let mut tensors = vec![packer.builder.input()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let inputs: Vec<TensorId> = node.inputs.iter().map(|t| tensors[*t]).collect();
        tensors.push(packer.node(i, node, &inputs)?);
    }
    if let Some(logits) = tensors.last() {
        packer.builder.softmax(*logits)?;
    }
    packer.builder.finish()
}

/// Which dimension of the weights counts output channels.
#[derive(Clone, Copy)]
enum Layout {
    OutputFirst,
    OutputLast,
}

/// Where calibration has watched a layer.
#[derive(Clone, Copy)]
struct Site {
    before: Place,
    after: Place,
}

impl Site {
    fn of(node: usize) -> Self {
        Self {
            before: Place::BeforeAct(node),
            after: Place::Output(node),
        }
    }
}

/// Way of a sum to an int8: scale and clamps, then a table.
struct Landing {
    out: Affine,
    clamps: (i8, i8),
    fused: Option<Fused>,
}

struct Packer<'a> {
    builder: ModelBuilder,
    ranges: &'a BTreeMap<Place, Range>,
}

impl Packer<'_> {
    fn range(&self, place: Place) -> Result<Range, BuildError> {
        let missing = || BuildError(format!("{place:?} was not calibrated"));
        self.ranges.get(&place).copied().ok_or_else(missing)
    }

    fn affine(&self, place: Place) -> Result<Affine, BuildError> {
        let range = self.range(place)?;
        Ok(pupil_packer::quantize::covering(range.min, range.max))
    }

    /// Appends node `i`, which reads `inputs`; returns what it writes.
    fn node(&mut self, i: usize, node: &Node, inputs: &[TensorId]) -> Result<TensorId, BuildError> {
        let x = inputs[0];
        Ok(match &node.op {
            Op::Conv(f) => {
                let layer = self.filter(x, f, Layout::OutputFirst, Site::of(i))?;
                self.builder.conv(x, layer)?
            }
            Op::Depthwise(f) => {
                let layer = self.filter(x, f, Layout::OutputLast, Site::of(i))?;
                self.builder.depthwise(x, layer)?
            }
            Op::Dense(f) => {
                let layer = self.filter(x, f, Layout::OutputFirst, Site::of(i))?;
                self.builder.dense(x, layer)?
            }
            Op::Mean => {
                let out = self.affine(Place::Output(i))?;
                self.builder.mean(x, out)?
            }
            Op::MaxPool { kernel, stride } => self.builder.max_pool(
                x,
                Pool {
                    kernel: (*kernel, *kernel),
                    stride: (*stride, *stride),
                    pad: Pad::Same,
                    act: (-128, 127),
                },
            )?,
            Op::Add(act) => {
                let landing = self.landing(*act, Site::of(i))?;
                let sum = self
                    .builder
                    .add(x, inputs[1], landing.out, landing.clamps)?;
                match &landing.fused {
                    Some(fused) => self.builder.lookup(sum, fused)?,
                    None => sum,
                }
            }
            Op::Scale => {
                let out = self.affine(Place::Output(i))?;
                self.builder.mul(x, inputs[1], out, (-128, 127))?
            }
            Op::Concat | Op::GroupedConv(..) => {
                return Err(BuildError(format!(
                    "{}: grouped convolution and concatenation have no int8 operator; lower the graph first",
                    node.name
                )));
            }
            Op::SqueezeExcite { reduce, expand } => self.squeeze_excite(i, x, reduce, expand)?,
        })
    }

    fn squeeze_excite(
        &mut self,
        i: usize,
        x: TensorId,
        reduce: &Filter,
        expand: &Filter,
    ) -> Result<TensorId, BuildError> {
        let squeezed = self.affine(Place::Squeezed(i))?;
        let z = self.builder.mean(x, squeezed)?;
        let site = Site {
            before: Place::HiddenBeforeAct(i),
            after: Place::Hidden(i),
        };
        let layer = self.filter(z, reduce, Layout::OutputFirst, site)?;
        let z = self.builder.dense(z, layer)?;
        // The gate's own range is fixed: 1/256, −128.
        let site = Site {
            before: Place::GateBeforeAct(i),
            after: Place::GateBeforeAct(i),
        };
        let layer = self.filter(z, expand, Layout::OutputFirst, site)?;
        let gate = self.builder.dense(z, layer)?;
        let out = self.affine(Place::Output(i))?;
        self.builder.mul(x, gate, out, (-128, 127))
    }

    /// Where a sum lands that has `act` behind it.
    fn landing(&self, act: Activation, site: Site) -> Result<Landing, BuildError> {
        let landing = |out, clamps, fused| Landing { out, clamps, fused };
        Ok(match act {
            Activation::Linear => landing(self.affine(site.after)?, (-128, 127), None),
            Activation::Relu | Activation::Relu6 => {
                let out = self.affine(site.after)?;
                let top = if act == Activation::Relu6 {
                    pupil_packer::quantize::quantize(out, 6.0)
                } else {
                    127
                };
                landing(out, (out.zero_point, top), None)
            }
            Activation::Silu | Activation::HardSwish => {
                let range = self.range(site.before)?;
                let before = pupil_packer::quantize::covering(range.min.max(SILU_FLOOR), range.max);
                let after = self.affine(site.after)?;
                let table = match act {
                    Activation::Silu => tables::silu(before, after),
                    _ => tables::hard_swish_table(before, after),
                };
                landing(before, (-128, 127), Some(Fused { table, out: after }))
            }
            Activation::Sigmoid | Activation::HardSigmoid => {
                let before = self.affine(site.before)?;
                let out = tables::LOGISTIC_OUTPUT;
                let table = match act {
                    Activation::Sigmoid => tables::logistic_table(before),
                    _ => tables::from_function(before, out, |x| (x + 3.0).clamp(0.0, 6.0) / 6.0),
                };
                landing(before, (-128, 127), Some(Fused { table, out }))
            }
        })
    }

    /// Quantizes weights and biases; the activation becomes clamps or a table.
    fn filter(
        &self,
        x: TensorId,
        f: &Filter,
        layout: Layout,
        site: Site,
    ) -> Result<Conv, BuildError> {
        let input = self.builder.affine(x);
        let Landing {
            out,
            clamps: act,
            fused,
        } = self.landing(f.act, site)?;
        let channels = f.bias.len();
        let at = |i: usize| match layout {
            Layout::OutputFirst => i / (f.weights.len() / channels),
            Layout::OutputLast => i % channels,
        };
        let mut largest = vec![0.0f32; channels];
        for (i, w) in f.weights.iter().enumerate() {
            largest[at(i)] = largest[at(i)].max(w.abs());
        }
        let scales: Vec<f32> = largest
            .iter()
            .zip(&f.bias)
            .map(|(largest, bias)| weight_scale(*largest, bias / input.scale))
            .collect();
        let weights = f
            .weights
            .iter()
            .enumerate()
            .map(|(i, w)| (w / scales[at(i)]).round().clamp(-127.0, 127.0) as i8 as u8)
            .collect();
        let channels = f
            .bias
            .iter()
            .zip(&scales)
            .map(|(b, s)| {
                let step = f64::from(input.scale) * f64::from(*s);
                let bias = (f64::from(*b) / step).round();
                Channel {
                    bias: bias.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32,
                    multiplier: pupil_packer::quantize::multiplier(step / f64::from(out.scale)),
                }
            })
            .collect();
        Ok(Conv {
            kernel: (f.kernel, f.kernel),
            stride: (f.stride, f.stride),
            pad: Pad::Same,
            weights,
            channels,
            out,
            act,
            fused,
        })
    }
}

/// Scale of a channel's weights, the greatest of which is `largest` in magnitude; `bias` is in steps
/// of the input.
///
/// The bias has the step input scale × weight scale. Where training has left a channel hardly more
/// than its bias, that step is so small that the bias would not fit: then the bias decides, as in
/// TensorFlow Lite's converter, and the weights are rounded in its steps.
fn weight_scale(largest: f32, bias: f32) -> f32 {
    // A channel of zeros may have any scale; the reference takes 1.
    let of_weights = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    of_weights.max(bias.abs() / LARGEST_BIAS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pupil_core::interpreter::Interpreter;
    use pupil_core::model::Model;

    /// A model of one convolution, 1 × 1, from `[2, 2, 1]` to four channels and their mean.
    fn packed(weights: [f32; 4], bias: [f32; 4]) -> Result<Vec<u8>, BuildError> {
        let mut graph = Graph::new([2, 2, 1]);
        let filter = Filter {
            kernel: 1,
            stride: 1,
            weights: weights.to_vec(),
            bias: bias.to_vec(),
            act: Activation::Linear,
        };
        let map = graph.push("conv".into(), &[0], Op::Conv(filter), [2, 2, 4]);
        graph.push("mean".into(), &[map], Op::Mean, [1, 1, 4]);
        let range = Range {
            min: -1.0,
            max: 2.0,
        };
        let ranges = [Place::Output(0), Place::Output(1), Place::BeforeAct(0)]
            .map(|place| (place, range))
            .into();
        let labels = ["a", "b", "c", "d"].map(String::from);
        build(&graph, &ranges, &Normalization::around(0), &labels)
    }

    #[test]
    fn a_channel_that_is_hardly_more_than_its_bias_answers_with_its_bias() {
        // 1e-12 / 127 a step: a bias of 1 would need 64 bits.
        for tiny in [1e-12, 1e-30, 0.0] {
            let bytes = packed([0.4, tiny, -tiny, 0.0], [0.1, 1.0, -0.5, 1.5]).unwrap();
            let model = Model::parse(&bytes).unwrap();
            let mut arena = vec![0; model.arena_len()];
            let mut interpreter = Interpreter::new(&model, &mut arena).unwrap();
            let scores = interpreter.classify(&[0; 4], &mut ()).unwrap();
            let order = pupil_core::classify::top_k::<1>(scores);
            assert_eq!(order[0].index, 3);
            // softmax of 0.1, 1.0, -0.5, 1.5 in steps of 1/256 from -128 on.
            let expected = [-96, -50, -111, 1];
            for (s, e) in scores.iter().zip(expected) {
                assert!((i32::from(*s) - e).abs() <= 2, "{scores:?}");
            }
        }
    }

    #[test]
    fn an_ordinary_channel_has_the_scale_of_its_weights() {
        assert_eq!(weight_scale(0.5, 1e3), 0.5 / 127.0);
        assert_eq!(weight_scale(0.0, 1e3), 1.0);
        assert_eq!(weight_scale(1e-9, (1 << 21) as f32), 1.0);
    }
}
