//! Adds operators: records, weights and the tensors between them.

use crate::contents::{BuildError, Contents, Tensor};
use crate::layer::{Conv, Depthwise, Fused, Pad, Pool, TensorId, window};
use crate::params;
use crate::tables::LOGISTIC_OUTPUT;
use crate::weights::{Packed, by_value};
use pupil_core::kernels::scratch_len;
use pupil_core::model::InputSpec;
use pupil_core::model::format::{code, layout};
use pupil_core::op::quant::{Affine, Multiplier};
use pupil_core::op::shape::{Shape, Window};
use pupil_core::op::{AddParams, MulParams, Operator, SoftmaxParams, add};

/// Collects layers and writes the file. Layers run in the order in which they are added.
pub struct ModelBuilder {
    pub(super) contents: Contents,
}

impl ModelBuilder {
    /// A model for frames of `input`, with these class names.
    pub fn new(input: InputSpec, labels: &[&str]) -> Self {
        Self {
            contents: Contents {
                format: input.format,
                labels: labels.iter().map(|l| String::from(*l)).collect(),
                tensors: vec![Tensor {
                    shape: input.shape,
                    affine: input.affine,
                }],
                layers: Vec::new(),
                weights: Vec::new(),
                macs: 0,
            },
        }
    }

    /// Other class names than those that [`ModelBuilder::new`] was given.
    pub fn set_labels(&mut self, labels: &[&str]) {
        self.contents.labels = labels.iter().map(|l| String::from(*l)).collect();
    }

    /// The input.
    pub fn input(&self) -> TensorId {
        TensorId(0)
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, tensor: TensorId) -> Shape {
        self.contents.tensors[tensor.0].shape
    }

    /// Scale and zero point of a tensor.
    pub fn affine(&self, tensor: TensorId) -> Affine {
        self.contents.tensors[tensor.0].affine
    }

    /// Convolution.
    ///
    /// # Errors
    /// Weights or channels of another length than kernel and channels make.
    pub fn conv(&mut self, x: TensorId, layer: Conv) -> Result<TensorId, BuildError> {
        self.check_window(layer.kernel, layer.stride)?;
        let (input, out_ch) = (self.shape(x), layer.channels.len());
        let taps = layer.kernel.0 * layer.kernel.1 * input.c;
        let per_channel = |w: &[u8], o: usize| sum(&w[o * taps..][..taps]);
        self.filter(code::CONV, x, &layer, taps * out_ch, taps, per_channel)
    }

    /// Depthwise convolution; as many outputs for each input channel as `channels` says.
    ///
    /// # Errors
    /// As [`ModelBuilder::conv`].
    pub fn depthwise(&mut self, x: TensorId, layer: Depthwise) -> Result<TensorId, BuildError> {
        self.check_window(layer.kernel, layer.stride)?;
        let out_ch = layer.channels.len();
        let taps = layer.kernel.0 * layer.kernel.1;
        let per_channel =
            |w: &[u8], o: usize| (0..taps).map(|t| i64::from(w[t * out_ch + o] as i8)).sum();
        self.filter(code::DEPTHWISE, x, &layer, taps * out_ch, taps, per_channel)
    }

    /// Fully connected layer on the flattened input.
    ///
    /// # Errors
    /// As [`ModelBuilder::conv`].
    pub fn dense(&mut self, x: TensorId, layer: Conv) -> Result<TensorId, BuildError> {
        self.check_shape(self.shape(x))?;
        let (taps, out) = (self.shape(x).len(), layer.channels.len());
        let layer = Conv {
            kernel: (1, 1),
            stride: (1, 1),
            pad: Pad::Explicit {
                top: 0,
                left: 0,
                h: 1,
                w: 1,
            },
            ..layer
        };
        let per_channel = |w: &[u8], o: usize| sum(&w[o * taps..][..taps]);
        self.filter(code::DENSE, x, &layer, taps * out, taps, per_channel)
    }

    fn filter(
        &mut self,
        operator: u8,
        x: TensorId,
        layer: &Conv,
        weights_len: usize,
        taps: usize,
        channel_sum: impl Fn(&[u8], usize) -> i64,
    ) -> Result<TensorId, BuildError> {
        let name = format!("layer {}", self.contents.layers.len());
        self.check_shape(self.shape(x))?;
        if layer.weights.len() != weights_len {
            let got = layer.weights.len();
            return Err(BuildError(format!(
                "{name}: {got} weights, needs {weights_len}"
            )));
        }
        let zero_point = i32::from(self.affine(x).zero_point);
        let mut channels = Vec::new();
        for (o, channel) in layer.channels.iter().enumerate() {
            self.check_multiplier(&format!("channel {o}"), channel.multiplier)?;
            let sum = channel_sum(&layer.weights, o);
            let folded = i64::from(channel.bias) - i64::from(zero_point) * sum;
            let folded = i32::try_from(folded)
                .map_err(|_| BuildError(format!("{name}: bias of channel {o} exceeds 32 bits")))?;
            channels.push((folded, channel.multiplier));
        }
        let (window, h, w) = window(self.shape(x), layer.kernel, layer.stride, layer.pad);
        let out = Shape::new(h, w, layer.channels.len());
        self.check_shape(out)?;
        let mut record = self.record(operator, &window, layer.out.zero_point, layer.act)?;
        let affine = layer.fused.as_ref().map_or(layer.out, |fused| fused.out);
        let packed = match operator {
            code::DEPTHWISE => Packed::depthwise(self.shape(x), out, &window, layer, &channels),
            _ => Packed::choose(operator, self.shape(x).c, &window, layer, taps, &channels),
        };
        let mut table = layer.fused.as_ref().map(|fused| fused.table);
        if let Some(packed) = packed {
            (record.min, record.max) = packed.act;
            record.layout = packed.layout;
            table = packed.table;
            record.scratch_len = packed.scratch as u32;
            record.weights = self.section(&packed.stream);
        } else {
            let words = channels.iter().flat_map(|(b, m)| [*b, m.mantissa, m.shift]);
            let records: Vec<u8> = words.flat_map(i32::to_le_bytes).collect();
            record.weights = self.section(&layer.weights);
            record.channels = self.section(&records);
        }
        if let Some(table) = table {
            record.flags = 1;
            record.table = self.section(&by_value(&table));
        }
        self.contents.macs = self.contents.macs.saturating_add((out.len() * taps) as u64);
        Ok(self.push(record, x, None, out, affine))
    }

    /// Average over windows; scale and zero point stay.
    ///
    /// # Errors
    /// A window of more than 255 pixels a side.
    pub fn average_pool(&mut self, x: TensorId, pool: Pool) -> Result<TensorId, BuildError> {
        self.pool(code::AVERAGE_POOL, x, pool)
    }

    /// Maximum over windows; scale and zero point stay.
    ///
    /// # Errors
    /// A window of more than 255 pixels a side.
    pub fn max_pool(&mut self, x: TensorId, pool: Pool) -> Result<TensorId, BuildError> {
        self.pool(code::MAX_POOL, x, pool)
    }

    fn pool(&mut self, operator: u8, x: TensorId, pool: Pool) -> Result<TensorId, BuildError> {
        self.check_window(pool.kernel, pool.stride)?;
        let (input, affine) = (self.shape(x), self.affine(x));
        let (window, h, w) = window(input, pool.kernel, pool.stride, pool.pad);
        let record = self.record(operator, &window, affine.zero_point, pool.act)?;
        let out = Shape::new(h, w, input.c);
        self.check_shape(out)?;
        Ok(self.push(record, x, None, out, affine))
    }

    /// Mean over height and width.
    ///
    /// # Errors
    /// None that the model's checks would not find; kept for one signature.
    pub fn mean(&mut self, x: TensorId, out: Affine) -> Result<TensorId, BuildError> {
        let (input, affine) = (self.shape(x), self.affine(x));
        self.check_shape(input)?;
        let real = f64::from(affine.scale) / f64::from(out.scale);
        self.mean_exact(x, out, params::mean_multiplier(real, input.h * input.w))
    }

    /// [`ModelBuilder::mean`] with a given multiplier, the division by the pixels included.
    ///
    /// # Errors
    /// As [`ModelBuilder::mean`].
    pub fn mean_exact(
        &mut self,
        x: TensorId,
        out: Affine,
        m: Multiplier,
    ) -> Result<TensorId, BuildError> {
        let input = self.shape(x);
        self.check_shape(input)?;
        self.check_multiplier("mean", m)?;
        let mut record =
            self.record(code::MEAN, &Window::default(), out.zero_point, (-128, 127))?;
        record.constants = self.constants(&[m.mantissa, m.shift]);
        Ok(self.push(record, x, None, Shape::new(1, 1, input.c), out))
    }

    /// Sum of two maps of one shape.
    ///
    /// # Errors
    /// Different shapes.
    pub fn add(
        &mut self,
        a: TensorId,
        b: TensorId,
        out: Affine,
        act: (i8, i8),
    ) -> Result<TensorId, BuildError> {
        let p = params::add([self.affine(a), self.affine(b)], out, act);
        self.add_exact(a, b, &p, out.scale)
    }

    /// [`ModelBuilder::add`] with given multipliers; the zero points are the tensors'.
    ///
    /// # Errors
    /// Different shapes, or an output that is no int8.
    pub fn add_exact(
        &mut self,
        a: TensorId,
        b: TensorId,
        p: &AddParams<'_>,
        scale: f32,
    ) -> Result<TensorId, BuildError> {
        let (out, act) = output(p.output_zero_point, (p.min, p.max), scale)?;
        if self.shape(a) != self.shape(b) {
            let (a, b) = (self.shape(a), self.shape(b));
            return Err(BuildError(format!("add: {a:?} and {b:?} differ")));
        }
        self.check_zero_points("add", [a, b], p.zero_points)?;
        for m in p.multipliers.into_iter().chain([p.output_multiplier]) {
            self.check_multiplier("add", m)?;
        }
        let mut record = self.record(code::ADD, &Window::default(), out.zero_point, act)?;
        let m = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
        let words: Vec<i32> = m.iter().flat_map(|m| [m.mantissa, m.shift]).collect();
        record.constants = self.constants(&words);
        if let Some(word) = add::table(p) {
            record.layout = layout::TABLE;
            let table: Vec<u8> = (0..256).flat_map(|i| word(i).to_le_bytes()).collect();
            record.table = self.section(&table);
        }
        Ok(self.push(record, a, Some(b), self.shape(a), out))
    }

    /// `map` times one number per channel.
    ///
    /// # Errors
    /// A gate of another size than 1 x 1 x channels.
    pub fn mul(
        &mut self,
        map: TensorId,
        gate: TensorId,
        out: Affine,
        act: (i8, i8),
    ) -> Result<TensorId, BuildError> {
        let ch = self.shape(map).c;
        let p = params::mul(ch, [self.affine(map), self.affine(gate)], out, act);
        self.mul_exact(map, gate, &p, out.scale)
    }

    /// [`ModelBuilder::mul`] with a given multiplier; the zero points are the tensors'.
    ///
    /// # Errors
    /// A gate of another size than 1 x 1 x channels, or an output that is no int8.
    pub fn mul_exact(
        &mut self,
        map: TensorId,
        gate: TensorId,
        p: &MulParams,
        scale: f32,
    ) -> Result<TensorId, BuildError> {
        let (out, act) = output(p.output_zero_point, (p.min, p.max), scale)?;
        let ch = self.shape(map).c;
        if self.shape(gate) != Shape::new(1, 1, ch) {
            let gate = self.shape(gate);
            return Err(BuildError(format!("mul: gate {gate:?} for {ch} channels")));
        }
        if p.ch != ch {
            let found = p.ch;
            return Err(BuildError(format!(
                "mul: {found} channels, the map has {ch}"
            )));
        }
        self.check_zero_points("mul", [map, gate], p.zero_points)?;
        self.check_multiplier("mul", p.multiplier)?;
        let mut record = self.record(code::MUL, &Window::default(), out.zero_point, act)?;
        record.constants = self.constants(&[p.multiplier.mantissa, p.multiplier.shift]);
        record.scratch_len = scratch_len(&Operator::Mul(*p)) as u32;
        Ok(self.push(record, map, Some(gate), self.shape(map), out))
    }

    /// Each value through a table.
    ///
    /// # Errors
    /// None; kept for one signature.
    pub fn lookup(&mut self, x: TensorId, fused: &Fused) -> Result<TensorId, BuildError> {
        let mut record = self.record(
            code::LOOKUP,
            &Window::default(),
            fused.out.zero_point,
            (-128, 127),
        )?;
        record.table = self.section(&by_value(&fused.table));
        Ok(self.push(record, x, None, self.shape(x), fused.out))
    }

    /// Probabilities.
    ///
    /// # Errors
    /// None that the model's checks would not find.
    pub fn softmax(&mut self, x: TensorId) -> Result<TensorId, BuildError> {
        self.softmax_exact(x, &params::softmax(self.affine(x).scale))
    }

    /// [`ModelBuilder::softmax`] with a given multiplier.
    ///
    /// # Errors
    /// As [`ModelBuilder::softmax`].
    pub fn softmax_exact(
        &mut self,
        x: TensorId,
        p: &SoftmaxParams,
    ) -> Result<TensorId, BuildError> {
        self.check_multiplier("softmax", p.multiplier)?;
        let mut record = self.record(code::SOFTMAX, &Window::default(), -128, (-128, 127))?;
        record.constants = self.constants(&[p.multiplier.mantissa, p.multiplier.shift, p.diff_min]);
        Ok(self.push(record, x, None, self.shape(x), LOGISTIC_OUTPUT))
    }
}

/// Scale, zero point and clamps of a layer whose parameters are given as i32.
fn output(
    zero_point: i32,
    (min, max): (i32, i32),
    scale: f32,
) -> Result<(Affine, (i8, i8)), BuildError> {
    let int8 = |n: i32| i8::try_from(n).map_err(|_| BuildError(format!("{n} is no int8")));
    let zero_point = int8(zero_point)?;
    Ok((Affine { scale, zero_point }, (int8(min)?, int8(max)?)))
}

fn sum(weights: &[u8]) -> i64 {
    weights.iter().map(|w| i64::from(*w as i8)).sum()
}
