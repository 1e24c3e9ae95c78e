//! Writes packed models: the only writer of the format. Host only.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::bytes::crc32;
use super::header::{CRC_START, HEADER_BYTES, InputSpec, LAYER_BYTES, MAGIC, Model, TENSOR_BYTES};
use super::layer::{NONE, code, layout};
use super::{FORMAT_VERSION, MAX_LAYERS};
use crate::error::ModelError;
use crate::kernels::pairs::{Mode, Pairs, conv_scratch, dense_scratch};
use crate::kernels::row_pairs::{Claims, Form, RowPairs};
use crate::kernels::{AddParams, MulParams, SoftmaxParams, depthwise_scratch, m4, mean_multiplier};
use crate::plan::{Demand, Plan};
use crate::quant::{Affine, Multiplier};
use crate::shape::{Shape, Window, same_padding};
use crate::tables::LOGISTIC_OUTPUT;

/// A tensor of a model that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorId(usize);

/// Bias (without the input's zero point) and multiplier of an output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// In units of input scale times weight scale.
    pub bias: i32,
    /// Input scale times weight scale over output scale.
    pub multiplier: Multiplier,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// TensorFlow's SAME; the output is ⌈input / stride⌉.
    Same,
    /// Given rows above and columns to the left, and output height and width.
    Explicit {
        /// Rows above the image.
        top: usize,
        /// Columns left of the image.
        left: usize,
        /// Output rows.
        h: usize,
        /// Output columns.
        w: usize,
    },
}

/// A non-linearity fused behind a layer as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Index is the requantized int8 as u8.
    pub table: [u8; 256],
    /// Scale and zero point behind the table.
    pub out: Affine,
}

/// A convolution or dense layer to add.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Stride down and right.
    pub stride: (usize, usize),
    /// Padding.
    pub pad: Pad,
    /// int8 as bytes: `[out_ch][kh][kw][in_ch]`; dense `[out][in]`.
    pub weights: Vec<u8>,
    /// One entry per output channel.
    pub channels: Vec<Channel>,
    /// Scale and zero point that the sums are requantized to.
    pub out: Affine,
    /// Clamps of the requantized value: (−128, 127) for none.
    pub act: (i8, i8),
    /// A table behind the clamps.
    pub fused: Option<Fused>,
}

/// A depthwise convolution: as [`Conv`], weights `[kh][kw][out_ch]`.
pub type Depthwise = Conv;

impl Conv {
    /// A dense layer without activation.
    pub fn dense(weights: Vec<u8>, channels: Vec<Channel>, out: Affine) -> Self {
        Self {
            kernel: (1, 1),
            stride: (1, 1),
            pad: Pad::Same,
            weights,
            channels,
            out,
            act: (-128, 127),
            fused: None,
        }
    }
}

/// A pooling to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Stride down and right.
    pub stride: (usize, usize),
    /// Padding.
    pub pad: Pad,
    /// Clamps.
    pub act: (i8, i8),
}

/// Why a layer or model can't be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(pub String);

impl core::fmt::Display for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for BuildError {}

impl From<ModelError> for BuildError {
    fn from(error: ModelError) -> Self {
        Self(format!("{error}"))
    }
}

#[derive(Clone, Copy)]
struct Tensor {
    shape: Shape,
    affine: Affine,
}

/// Collects layers and writes the file. Layers run in the order in which they are added.
pub struct ModelBuilder {
    input: InputSpec,
    labels: Vec<String>,
    tensors: Vec<Tensor>,
    records: Vec<[u8; LAYER_BYTES]>,
    reads: Vec<(usize, Option<usize>)>,
    in_place: Vec<[bool; 2]>,
    weights: Vec<u8>,
    macs: u64,
}

impl ModelBuilder {
    /// A model for frames of `input`, with these class names.
    pub fn new(input: InputSpec, labels: &[&str]) -> Self {
        Self {
            input,
            labels: labels.iter().map(|l| String::from(*l)).collect(),
            tensors: vec![Tensor {
                shape: input.shape,
                affine: input.affine,
            }],
            records: Vec::new(),
            reads: Vec::new(),
            in_place: Vec::new(),
            weights: Vec::new(),
            macs: 0,
        }
    }

    /// Other class names than those that [`ModelBuilder::new`] was given.
    pub fn set_labels(&mut self, labels: &[&str]) {
        self.labels = labels.iter().map(|l| String::from(*l)).collect();
    }

    /// The input.
    pub fn input(&self) -> TensorId {
        TensorId(0)
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, tensor: TensorId) -> Shape {
        self.tensors[tensor.0].shape
    }

    /// Scale and zero point of a tensor.
    pub fn affine(&self, tensor: TensorId) -> Affine {
        self.tensors[tensor.0].affine
    }

    /// Convolution.
    ///
    /// # Errors
    /// Weights or channels of another length than kernel and channels make.
    pub fn conv(&mut self, x: TensorId, layer: Conv) -> Result<TensorId, BuildError> {
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
        let out_ch = layer.channels.len();
        let taps = layer.kernel.0 * layer.kernel.1;
        let per_channel =
            |w: &[u8], o: usize| (0..taps).map(|t| i32::from(w[t * out_ch + o] as i8)).sum();
        self.filter(code::DEPTHWISE, x, &layer, taps * out_ch, taps, per_channel)
    }

    /// Fully connected layer on the flattened input.
    ///
    /// # Errors
    /// As [`ModelBuilder::conv`].
    pub fn dense(&mut self, x: TensorId, layer: Conv) -> Result<TensorId, BuildError> {
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
        channel_sum: impl Fn(&[u8], usize) -> i32,
    ) -> Result<TensorId, BuildError> {
        let name = format!("layer {}", self.records.len());
        if layer.weights.len() != weights_len {
            let got = layer.weights.len();
            return Err(BuildError(format!(
                "{name}: {got} weights, needs {weights_len}"
            )));
        }
        let zero_point = i32::from(self.affine(x).zero_point);
        let mut channels = Vec::new();
        for (o, channel) in layer.channels.iter().enumerate() {
            let folded = i64::from(channel.bias)
                - i64::from(zero_point) * i64::from(channel_sum(&layer.weights, o));
            let folded = i32::try_from(folded)
                .map_err(|_| BuildError(format!("{name}: bias of channel {o} exceeds 32 bits")))?;
            channels.push((folded, channel.multiplier));
        }
        let (window, h, w) = window(self.shape(x), layer.kernel, layer.stride, layer.pad);
        let out = Shape::new(h, w, layer.channels.len());
        let mut record = self.record(operator, &window, layer.out.zero_point, layer.act)?;
        let affine = layer.fused.as_ref().map_or(layer.out, |fused| fused.out);
        let packed = match operator {
            code::DEPTHWISE => Packed::depthwise(self.shape(x), out, &window, layer, &channels),
            _ => Packed::choose(operator, self.shape(x).c, &window, layer, taps, &channels),
        };
        let mut table = layer.fused.as_ref().map(|fused| fused.table);
        if let Some(packed) = packed {
            (record[13], record[14]) = (packed.act.0 as u8, packed.act.1 as u8);
            record[15] = packed.layout;
            table = packed.table;
            record[36..40].copy_from_slice(&(packed.scratch as u32).to_le_bytes());
            self.section(&mut record, 16, &packed.stream);
        } else {
            let words = channels.iter().flat_map(|(b, m)| [*b, m.mantissa, m.shift]);
            let records: Vec<u8> = words.flat_map(i32::to_le_bytes).collect();
            self.section(&mut record, 16, &layer.weights);
            self.section(&mut record, 20, &records);
        }
        if let Some(table) = table {
            record[1] = 1;
            self.section(&mut record, 24, &by_value(&table));
        }
        self.macs += (out.len() * taps) as u64;
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
        let (input, affine) = (self.shape(x), self.affine(x));
        let (window, h, w) = window(input, pool.kernel, pool.stride, pool.pad);
        let record = self.record(operator, &window, affine.zero_point, pool.act)?;
        Ok(self.push(record, x, None, Shape::new(h, w, input.c), affine))
    }

    /// Mean over height and width.
    ///
    /// # Errors
    /// None that the model's checks would not find; kept for one signature.
    pub fn mean(&mut self, x: TensorId, out: Affine) -> Result<TensorId, BuildError> {
        let (input, affine) = (self.shape(x), self.affine(x));
        let real = f64::from(affine.scale) / f64::from(out.scale);
        self.mean_exact(x, out, mean_multiplier(real, input.h * input.w))
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
        let mut record =
            self.record(code::MEAN, &Window::default(), out.zero_point, (-128, 127))?;
        self.constants(&mut record, &[m.mantissa, m.shift]);
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
        let p = AddParams::new([self.affine(a), self.affine(b)], out, act);
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
        let mut record = self.record(code::ADD, &Window::default(), out.zero_point, act)?;
        let m = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
        let words: Vec<i32> = m.iter().flat_map(|m| [m.mantissa, m.shift]).collect();
        self.constants(&mut record, &words);
        if let Some(word) = m4::add::table(p) {
            record[15] = layout::TABLE;
            let table: Vec<u8> = (0..256).flat_map(|i| word(i).to_le_bytes()).collect();
            self.section(&mut record, 24, &table);
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
        let p = MulParams::new(ch, [self.affine(map), self.affine(gate)], out, act);
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
        let mut record = self.record(code::MUL, &Window::default(), out.zero_point, act)?;
        self.constants(&mut record, &[p.multiplier.mantissa, p.multiplier.shift]);
        let scratch = 4 * m4::squeeze_excite::scratch_words(ch);
        record[36..40].copy_from_slice(&(scratch as u32).to_le_bytes());
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
        self.section(&mut record, 24, &by_value(&fused.table));
        Ok(self.push(record, x, None, self.shape(x), fused.out))
    }

    /// Probabilities.
    ///
    /// # Errors
    /// None that the model's checks would not find.
    pub fn softmax(&mut self, x: TensorId) -> Result<TensorId, BuildError> {
        self.softmax_exact(x, &SoftmaxParams::new(self.affine(x).scale))
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
        let mut record = self.record(code::SOFTMAX, &Window::default(), -128, (-128, 127))?;
        self.constants(
            &mut record,
            &[p.multiplier.mantissa, p.multiplier.shift, p.diff_min],
        );
        Ok(self.push(record, x, None, self.shape(x), LOGISTIC_OUTPUT))
    }

    /// Plans the memory, writes the file and parses it back.
    ///
    /// # Errors
    /// Whatever [`Model::parse`] says of the written bytes, or labels and sizes that the format
    /// can't hold.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        if self.records.len() > MAX_LAYERS {
            let layers = self.records.len();
            return Err(BuildError(format!(
                "{layers} layers, a packed model has {MAX_LAYERS} at most"
            )));
        }
        let scratch: Vec<(usize, usize)> = self
            .records
            .iter()
            .enumerate()
            .map(|(i, r)| (i, u32::from_le_bytes([r[36], r[37], r[38], r[39]]) as usize))
            .filter(|(_, len)| *len > 0)
            .collect();
        let plan = Plan::new(&self.demands(), &scratch);
        let mut records = self.records.clone();
        for ((layer, _), entry) in scratch.iter().zip(&plan.scratch) {
            records[*layer][32..36].copy_from_slice(&(entry.offset as u32).to_le_bytes());
        }
        let side = |n: usize| {
            u16::try_from(n).map_err(|_| BuildError(format!("a side of {n} exceeds 65,535")))
        };
        let mut file = vec![0u8; HEADER_BYTES];
        let labels_at = file.len();
        for label in &self.labels {
            if label.chars().any(char::is_control) {
                return Err(BuildError(format!(
                    "label {label:?} has control characters"
                )));
            }
            let len = u8::try_from(label.len())
                .map_err(|_| BuildError(format!("label `{label}` has over 255 bytes")))?;
            file.push(len);
            file.extend(label.as_bytes());
        }
        pad(&mut file, 4);
        let tensors_at = file.len();
        for (tensor, entry) in self.tensors.iter().zip(&plan.entries) {
            let start = file.len();
            for n in [tensor.shape.h, tensor.shape.w, tensor.shape.c] {
                file.extend(side(n)?.to_le_bytes());
            }
            file.push(tensor.affine.zero_point as u8);
            file.push(0);
            file.extend(tensor.affine.scale.to_le_bytes());
            file.extend((entry.offset as u32).to_le_bytes());
            debug_assert_eq!(file.len() - start, TENSOR_BYTES);
        }
        let layers_at = file.len();
        file.extend(records.iter().flatten());
        pad(&mut file, 16);
        let weights_at = file.len();
        file.extend(&self.weights);

        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(FORMAT_VERSION.to_le_bytes());
        header.extend((HEADER_BYTES as u16).to_le_bytes());
        header.extend((file.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        header.extend(side(self.labels.len())?.to_le_bytes());
        header.extend(side(self.records.len())?.to_le_bytes());
        header.extend([self.input.format.code(), 0, 0, 0]);
        for offset in [labels_at, tensors_at, layers_at, weights_at, plan.peak] {
            header.extend((offset as u32).to_le_bytes());
        }
        header.extend((self.macs.min(u64::from(u32::MAX)) as u32).to_le_bytes());
        file[..HEADER_BYTES].copy_from_slice(&header);
        let crc = crc32(&file[CRC_START..]).to_le_bytes();
        file[CRC_START - 4..CRC_START].copy_from_slice(&crc);
        Model::parse(&file)?;
        Ok(file)
    }

    /// Life of each tensor, and whom it replaces.
    fn demands(&self) -> Vec<Demand> {
        let layers = self.records.len();
        let reads = |t: usize, i: usize| self.reads[i].0 == t || self.reads[i].1 == Some(t);
        let last = |t: usize| {
            let reader = (t..layers).rev().find(|i| reads(t, *i));
            if t == layers {
                layers - 1
            } else {
                reader.unwrap_or(t.saturating_sub(1))
            }
        };
        (0..self.tensors.len())
            .map(|t| {
                // Layer t − 1 writes tensor t; it may replace an input that nobody reads later.
                let replaces = t.checked_sub(1).and_then(|i| {
                    let (a, b) = self.reads[i];
                    let free = |x: usize, k: usize| {
                        let fits = self.tensors[x].shape == self.tensors[t].shape;
                        (self.in_place[i][k] && fits && last(x) == i).then_some(x)
                    };
                    free(a, 0).or_else(|| b.and_then(|b| free(b, 1)))
                });
                Demand {
                    len: self.tensors[t].shape.len(),
                    first: t.saturating_sub(1),
                    last: last(t),
                    replaces,
                }
            })
            .collect()
    }

    fn record(
        &self,
        operator: u8,
        window: &Window,
        zero_point: i8,
        act: (i8, i8),
    ) -> Result<[u8; LAYER_BYTES], BuildError> {
        let mut record = [0; LAYER_BYTES];
        record[0] = operator;
        let sides = [
            window.kernel_h,
            window.kernel_w,
            window.stride_h,
            window.stride_w,
            window.pad_top,
            window.pad_left,
        ];
        for (byte, side) in record[6..12].iter_mut().zip(sides) {
            *byte = u8::try_from(side)
                .map_err(|_| BuildError(format!("a window side of {side} exceeds 255")))?;
        }
        record[12] = zero_point as u8;
        record[13] = act.0 as u8;
        record[14] = act.1 as u8;
        Ok(record)
    }

    /// Appends bytes to the weights section, aligned to 16, and notes where.
    fn section(&mut self, record: &mut [u8; LAYER_BYTES], field: usize, bytes: &[u8]) {
        pad(&mut self.weights, 16);
        record[field..field + 4].copy_from_slice(&(self.weights.len() as u32).to_le_bytes());
        self.weights.extend(bytes);
    }

    fn constants(&mut self, record: &mut [u8; LAYER_BYTES], words: &[i32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.section(record, 28, &bytes);
    }

    fn push(
        &mut self,
        mut record: [u8; LAYER_BYTES],
        a: TensorId,
        b: Option<TensorId>,
        shape: Shape,
        affine: Affine,
    ) -> TensorId {
        record[2..4].copy_from_slice(&(a.0 as u16).to_le_bytes());
        let second = b.map_or(NONE, |b| b.0 as u16);
        record[4..6].copy_from_slice(&second.to_le_bytes());
        self.in_place.push([
            matches!(record[0], code::ADD | code::MUL | code::LOOKUP)
                || record[0] == code::DEPTHWISE
                    && matches!(record[15], layout::ROW_PAIRS_FAST | layout::ROW_PAIRS),
            record[0] == code::ADD,
        ]);
        self.records.push(record);
        self.reads.push((a.0, b.map(|b| b.0)));
        self.tensors.push(Tensor { shape, affine });
        TensorId(self.tensors.len() - 1)
    }
}

/// Weights in the layout that fast kernels read.
struct Packed {
    layout: u8,
    stream: Vec<u8>,
    /// Index is the int8 as u8. Clamps are part of it.
    table: Option<[u8; 256]>,
    /// Clamps that are left for the kernel.
    act: (i8, i8),
    scratch: usize,
}

impl Packed {
    /// The row-pair layout of a depthwise layer; none where its claims do not hold.
    fn depthwise(
        input: Shape,
        output: Shape,
        window: &Window,
        layer: &Conv,
        channels: &[(i32, Multiplier)],
    ) -> Option<Self> {
        let (min, max) = layer.act;
        if min > max {
            return None;
        }
        let claims = Claims {
            window: *window,
            zero_point: i32::from(layer.out.zero_point),
        };
        let table = layer.fused.is_some();
        let (form, stream) = RowPairs::encode(&claims, &layer.weights, channels, min, table)?;
        Some(Self {
            layout: match form {
                Form::Blocks(kernel) if kernel.fast() => layout::ROW_PAIRS_FAST,
                Form::Blocks(_) => layout::ROW_PAIRS,
                Form::Any => layout::ROW_PAIRS_ANY,
            },
            stream,
            table: table.then(|| clamped_table(layer)),
            act: if table { (-128, 127) } else { layer.act },
            scratch: depthwise_scratch(form, window, input, output),
        })
    }

    /// The fastest layout whose claims hold for this layer; none where only the natural one does.
    fn choose(
        operator: u8,
        in_ch: usize,
        window: &Window,
        layer: &Conv,
        taps: usize,
        channels: &[(i32, Multiplier)],
    ) -> Option<Self> {
        let (min, max) = layer.act;
        if operator == code::CONV && channels.len() < 4 || min > max {
            return None;
        }
        let zero_point = layer.out.zero_point;
        let encode =
            |mode| Pairs::encode(&layer.weights, taps, channels, mode, i32::from(zero_point)).ok();
        let scratch = match operator {
            code::CONV => {
                let whole = window.kernel_h * window.kernel_w == 1 && in_ch.is_multiple_of(4);
                conv_scratch(taps, whole)
            }
            _ => dense_scratch(taps),
        };
        let packed = |layout, stream, table| {
            Some(Self {
                layout,
                stream,
                table,
                // Clamps are in the table, if there are any.
                act: (-128, 127),
                scratch,
            })
        };
        let clamped = min > -128 || max < 127;
        if layer.fused.is_none() && !clamped {
            let relu = zero_point == -128;
            let doubles = relu
                && operator == code::CONV
                && window.is_pointwise()
                && taps.is_multiple_of(8)
                && channels.len() > taps;
            if doubles && let Some(stream) = encode(Mode::ReluDoubled) {
                return packed(layout::PAIRS_DOUBLED, stream, None);
            }
            let mode = if relu { Mode::Relu } else { Mode::General };
            if let Some(stream) = encode(mode) {
                return packed(layout::PAIRS, stream, None);
            }
        }
        // Values that need more than 16 bits before they are saturated go through a table, too.
        packed(
            layout::PAIRS,
            encode(Mode::Table)?,
            Some(clamped_table(layer)),
        )
    }
}

/// The fused table, or none but the clamps, behind the layer's clamps. Index is the int8 as u8.
fn clamped_table(layer: &Conv) -> [u8; 256] {
    let (min, max) = layer.act;
    core::array::from_fn(|i| {
        let q = (i as u8 as i8).clamp(min, max) as u8;
        match &layer.fused {
            Some(fused) => fused.table[usize::from(q)],
            None => q,
        }
    })
}

/// A table by the int8 plus 128, as kernels read it, from one by the int8 as u8.
fn by_value(table: &[u8; 256]) -> [u8; 256] {
    core::array::from_fn(|i| table[i ^ 0x80])
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

fn sum(weights: &[u8]) -> i32 {
    weights.iter().map(|w| i32::from(*w as i8)).sum()
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// The window and the output's height and width.
fn window(
    input: Shape,
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: Pad,
) -> (Window, usize, usize) {
    let (top, left, h, w) = match padding {
        Pad::Same => (
            same_padding(input.h, kernel.0, stride.0).0,
            same_padding(input.w, kernel.1, stride.1).0,
            input.h.div_ceil(stride.0.max(1)),
            input.w.div_ceil(stride.1.max(1)),
        ),
        Pad::Explicit { top, left, h, w } => (top, left, h, w),
    };
    let window = Window {
        kernel_h: kernel.0,
        kernel_w: kernel.1,
        stride_h: stride.0,
        stride_w: stride.1,
        pad_top: top,
        pad_left: left,
    };
    (window, h, w)
}
