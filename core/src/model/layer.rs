//! Layer records: 40 bytes each, decoded on access.

use super::bytes::{i32_at, part, u8_at, u16_at, u32_at};
use super::header::Model;
use crate::error::{LayerFault, ModelError};
use crate::kernels::pairs::stream_len;
use crate::kernels::row_pairs::{Form, Kernel};
use crate::kernels::{
    AddParams, Filter, Layout, MeanParams, MulParams, Output, PoolParams, SoftmaxParams, m4,
    scratch_len,
};
use crate::quant::{CHANNEL_BYTES, ChannelQuant, Multiplier};
use crate::shape::{Shape, Window};

/// Second input of a layer that reads one tensor.
pub(crate) const NONE: u16 = u16::MAX;

/// Operator codes of the format.
pub(crate) mod code {
    pub const CONV: u8 = 1;
    pub const DEPTHWISE: u8 = 2;
    pub const DENSE: u8 = 3;
    pub const AVERAGE_POOL: u8 = 4;
    pub const MAX_POOL: u8 = 5;
    pub const MEAN: u8 = 6;
    pub const ADD: u8 = 7;
    pub const MUL: u8 = 8;
    pub const LOOKUP: u8 = 9;
    pub const SOFTMAX: u8 = 10;
}

/// Layout codes of the format. Codes are free for each operator; 0 is natural for all.
pub(crate) mod layout {
    pub const NATURAL: u8 = 0;
    pub const PAIRS: u8 = 1;
    pub const PAIRS_DOUBLED: u8 = 2;
    pub const ROW_PAIRS_FAST: u8 = 3;
    pub const ROW_PAIRS: u8 = 4;
    pub const ROW_PAIRS_ANY: u8 = 5;
    /// Of an addition: a table follows the constants.
    pub const TABLE: u8 = 6;
}

/// What a layer computes, with everything that its kernel needs.
#[derive(Clone, Copy, Debug)]
pub enum Operator<'a> {
    /// Convolution; 1x1 with stride 1 is the pointwise kernel.
    Conv(Filter<'a>),
    /// Depthwise convolution; output channel o reads input channel o / (out_ch / in_ch).
    Depthwise(Filter<'a>),
    /// Fully connected on the flattened input.
    Dense(Filter<'a>),
    /// Average over windows, scale and zero point unchanged.
    AveragePool(PoolParams),
    /// Maximum over windows, scale and zero point unchanged.
    MaxPool(PoolParams),
    /// Mean over height and width with a scale of its own.
    Mean(MeanParams<'a>),
    /// Sum of two maps.
    Add(AddParams<'a>),
    /// Map times one number per channel.
    Mul(MulParams),
    /// Each value through a table.
    Lookup(&'a [u8; 256]),
    /// Probabilities (q + 128) / 256.
    Softmax(SoftmaxParams),
}

impl Operator<'_> {
    /// The operator's word in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(f) if f.window.is_pointwise() => "pointwise",
            Self::Conv(_) => "conv",
            Self::Depthwise(_) => "depthwise",
            Self::Dense(_) => "dense",
            Self::AveragePool(_) => "average pool",
            Self::MaxPool(_) => "max pool",
            Self::Mean(_) => "mean",
            Self::Add(_) => "add",
            Self::Mul(_) => "mul",
            Self::Lookup(_) => "lookup",
            Self::Softmax(_) => "softmax",
        }
    }

    /// Multiply-accumulates of convolutions and dense layers; 0 for others.
    pub fn macs(&self) -> u64 {
        match self {
            Self::Conv(f) | Self::Dense(f) | Self::Depthwise(f) => {
                (f.output.len() as u64).saturating_mul(f.taps as u64)
            }
            _ => 0,
        }
    }

    /// Bytes of the weights section that a parse reads to its proofs.
    pub(crate) fn weight_bytes(&self) -> u64 {
        match self {
            Self::Conv(f) | Self::Dense(f) | Self::Depthwise(f) => {
                (f.weights.len() + CHANNEL_BYTES * f.channels.len()) as u64
            }
            Self::Add(p) => p.table.map_or(0, |t| size_of_val(t) as u64),
            _ => 0,
        }
    }

    /// Whether the output may replace the given input (0 or 1) value by value.
    pub fn works_in_place(&self, input: usize) -> bool {
        match self {
            Self::Add(_) => true,
            Self::Mul(_) | Self::Lookup(_) => input == 0,
            // The other kernels read rows again that the output would have replaced.
            Self::Depthwise(f) => {
                input == 0 && matches!(f.layout, Layout::RowPairs(Form::Blocks(_)))
            }
            _ => false,
        }
    }
}

impl Window {
    /// One pixel, stride 1.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel_h == 1 && self.kernel_w == 1 && self.stride_h == 1 && self.stride_w == 1
    }
}

/// One layer: its operator and the tensors that it reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// What it computes.
    pub operator: Operator<'a>,
    /// First input tensor.
    pub input: usize,
    /// Second input tensor of add and mul.
    pub second: Option<usize>,
    /// Output tensor: the layer's index plus 1.
    pub output: usize,
    /// First byte of its scratch memory in the arena, and how many bytes.
    pub scratch: (usize, usize),
}

impl<'a> Layer<'a> {
    /// The scratch memory's bytes in the arena.
    pub fn scratch_range(&self) -> core::ops::Range<usize> {
        self.scratch.0..self.scratch.0 + self.scratch.1
    }

    /// Whether the layer reads `tensor`.
    pub fn reads(&self, tensor: usize) -> bool {
        self.input == tensor || self.second == Some(tensor)
    }

    /// Decodes the record of layer `index`. `prove` checks what takes long (every channel, every
    /// weight of a stream); the memory plan is checked elsewhere.
    pub(crate) fn decode(model: &Model<'a>, index: usize, prove: bool) -> Result<Self, ModelError> {
        let layer = index as u16;
        let fault = |what| ModelError::Layer { layer, what };
        let record = model.record(index).ok_or(fault(LayerFault::Input))?;
        let operator_code = u8_at(record, 0);
        if !(code::CONV..=code::SOFTMAX).contains(&operator_code) {
            return Err(ModelError::UnknownOperator {
                layer,
                code: operator_code,
            });
        }
        let input = usize::from(u16_at(record, 2));
        let second = Some(u16_at(record, 4))
            .filter(|b| *b != NONE)
            .map(usize::from);
        let output = index + 1;
        let two = matches!(operator_code, code::ADD | code::MUL);
        if input > index || second.is_some_and(|b| b > index) || second.is_some() != two {
            return Err(fault(LayerFault::Input));
        }
        let source = Source {
            model: *model,
            record,
            input,
            second,
            output,
            prove,
        };
        if prove {
            source.reserved(operator_code).map_err(fault)?;
        }
        let operator = source.operator(operator_code).map_err(fault)?;
        let scratch = (u32_at(record, 32) as usize, u32_at(record, 36) as usize);
        let end = scratch.0.checked_add(scratch.1);
        let inside = end.is_some_and(|end| end <= model.arena_len());
        if !inside || !scratch.0.is_multiple_of(4) || scratch.1 < scratch_len(&operator) {
            return Err(fault(LayerFault::Scratch));
        }
        Ok(Self {
            operator,
            input,
            second,
            output,
            scratch,
        })
    }
}

/// One record in its surroundings.
struct Source<'a> {
    model: Model<'a>,
    record: &'a [u8],
    input: usize,
    second: Option<usize>,
    output: usize,
    prove: bool,
}

impl<'a> Source<'a> {
    fn operator(&self, operator_code: u8) -> Result<Operator<'a>, LayerFault> {
        match operator_code {
            code::CONV => self.filter(Kind::Conv).map(Operator::Conv),
            code::DEPTHWISE => self.filter(Kind::Depthwise).map(Operator::Depthwise),
            code::DENSE => self.filter(Kind::Dense).map(Operator::Dense),
            code::AVERAGE_POOL => self.pool().map(Operator::AveragePool),
            code::MAX_POOL => self.pool().map(Operator::MaxPool),
            code::MEAN => self.mean().map(Operator::Mean),
            code::ADD => self.add().map(Operator::Add),
            code::MUL => self.mul().map(Operator::Mul),
            code::LOOKUP => {
                need(self.shapes().0 == self.shapes().1, LayerFault::Shape)?;
                self.table().map(Operator::Lookup)
            }
            _ => self.softmax().map(Operator::Softmax),
        }
    }

    /// Fields and flags that the operator does not use are 0, and sections begin at multiples of
    /// 16.
    fn reserved(&self, operator_code: u8) -> Result<(), LayerFault> {
        let [flags, layout] = [1, 15].map(|at| u8_at(self.record, at));
        let filter = matches!(operator_code, code::CONV | code::DEPTHWISE | code::DENSE);
        let sums = filter || operator_code == code::MEAN;
        let windows = !matches!(operator_code, code::DENSE | code::MEAN..);
        let fused = flags == 1 || operator_code == code::LOOKUP;
        let add_table = operator_code == code::ADD && layout == layout::TABLE;
        let constants = matches!(
            operator_code,
            code::MEAN | code::ADD | code::MUL | code::SOFTMAX
        );
        let window = part(self.record, 6, 6).unwrap_or(&[]);
        let without = match operator_code {
            code::DENSE => [1, 1, 1, 1, 0, 0],
            _ => [0; 6],
        };
        need(
            flags <= u8::from(sums)
                && (filter || operator_code == code::ADD || layout == layout::NATURAL)
                && (windows || window == without),
            LayerFault::Reserved,
        )?;
        for (field, used) in [
            (16, filter),
            (20, filter && layout == layout::NATURAL),
            (24, fused || add_table),
            (28, constants),
        ] {
            let at = u32_at(self.record, field);
            need(used || at == 0, LayerFault::Reserved)?;
            need(at.is_multiple_of(16), LayerFault::Weights)?;
        }
        let empty = u32_at(self.record, 36) == 0;
        need(!empty || u32_at(self.record, 32) == 0, LayerFault::Reserved)
    }

    /// Input and output shapes.
    fn shapes(&self) -> (Shape, Shape) {
        (
            self.model.tensor(self.input).shape,
            self.model.tensor(self.output).shape,
        )
    }

    fn zero_point(&self, tensor: usize) -> i32 {
        i32::from(self.model.tensor(tensor).affine.zero_point)
    }

    fn window(&self) -> Window {
        let side = |at| usize::from(u8_at(self.record, at));
        Window {
            kernel_h: side(6),
            kernel_w: side(7),
            stride_h: side(8),
            stride_w: side(9),
            pad_top: side(10),
            pad_left: side(11),
        }
    }

    fn output(&self) -> Result<Output<'a>, LayerFault> {
        let signed = |at| i32::from(u8_at(self.record, at) as i8);
        let (zero_point, min, max) = (signed(12), signed(13), signed(14));
        need(min <= max, LayerFault::Clamp)?;
        let lookup = if u8_at(self.record, 1) & 1 == 1 {
            Some(self.table()?)
        } else {
            None
        };
        Ok(Output {
            zero_point,
            min,
            max,
            lookup,
        })
    }

    fn table(&self) -> Result<&'a [u8; 256], LayerFault> {
        let at = u32_at(self.record, 24) as usize;
        let rest = self.model.weights().get(at..).unwrap_or(&[]);
        rest.first_chunk().ok_or(LayerFault::Weights)
    }

    /// The `N` numbers of the layer's constants.
    fn constants<const N: usize>(&self) -> Result<[i32; N], LayerFault> {
        let at = u32_at(self.record, 28) as usize;
        let bytes = part(self.model.weights(), at, 4 * N).ok_or(LayerFault::Weights)?;
        Ok(core::array::from_fn(|i| i32_at(bytes, 4 * i)))
    }

    fn filter(&self, kind: Kind) -> Result<Filter<'a>, LayerFault> {
        let (input, output) = self.shapes();
        let window = match kind {
            Kind::Dense => Window::global(1, 1),
            _ => self.window(),
        };
        // Multiplications in u64: each side is a u16 or u8.
        let taps = (window.kernel_h * window.kernel_w) as u64;
        let per_channel = match kind {
            Kind::Conv => taps * input.c as u64,
            Kind::Depthwise => taps,
            Kind::Dense => input.len() as u64,
        };
        match kind {
            Kind::Conv => check_window(&window, input, output)?,
            Kind::Depthwise => {
                check_window(&window, input, output)?;
                need(output.c % input.c == 0, LayerFault::Shape)?;
            }
            Kind::Dense => need(output.h == 1 && output.w == 1, LayerFault::Shape)?,
        }
        let out = self.output()?;
        let layout = self.layout(kind, &window, &out)?;
        let len = match layout {
            Layout::Natural => per_channel * output.c as u64,
            Layout::Pairs | Layout::PairsDoubled => stream_len(per_channel, output.c as u64),
            Layout::RowPairs(form) => 4 * form.words(&window) as u64 * output.c as u64,
        };
        let weights = usize::try_from(len)
            .ok()
            .and_then(|len| part(self.model.weights(), u32_at(self.record, 16) as usize, len))
            .ok_or(LayerFault::Weights)?;
        let records = match layout {
            Layout::Natural => output.c * CHANNEL_BYTES,
            Layout::Pairs | Layout::PairsDoubled | Layout::RowPairs(_) => 0,
        };
        let channels = part(
            self.model.weights(),
            u32_at(self.record, 20) as usize,
            records,
        )
        .map(ChannelQuant::new)
        .ok_or(LayerFault::Weights)?;
        let filter = Filter {
            input,
            output,
            window,
            input_zero_point: self.zero_point(self.input),
            taps: per_channel as usize,
            layout,
            weights,
            channels,
            out,
        };
        if !self.prove {
            return Ok(filter);
        }
        for c in 0..channels.len() {
            let (bias, multiplier) = channels.get(c);
            check_multiplier(multiplier)?;
            // |sum| ≤ |bias| + 128 · 128 · taps, for in-image and padded taps together.
            let most = u64::from(bias.unsigned_abs()) + per_channel * 128 * 128;
            need(most <= i32::MAX as u64, LayerFault::Accumulator)?;
        }
        if let Some(pairs) = filter.pairs() {
            pairs.check()?;
        }
        if let Some(pairs) = filter.row_pairs() {
            pairs.check(output.c)?;
        }
        Ok(filter)
    }

    /// The weights' layout, where the operator can have it.
    fn layout(&self, kind: Kind, window: &Window, out: &Output<'_>) -> Result<Layout, LayerFault> {
        // Clamps are in the table, if there are any.
        let unclamped = out.min == -128 && out.max == 127;
        let (input, output) = self.shapes();
        let convolves = matches!(kind, Kind::Conv) && output.c >= 4;
        match u8_at(self.record, 15) {
            layout::NATURAL => Ok(Layout::Natural),
            layout::PAIRS if unclamped && (convolves || matches!(kind, Kind::Dense)) => {
                Ok(Layout::Pairs)
            }
            layout::PAIRS_DOUBLED
                if unclamped
                    && convolves
                    && window.is_pointwise()
                    && input.c.is_multiple_of(8)
                    && out.zero_point == -128
                    && out.lookup.is_none() =>
            {
                Ok(Layout::PairsDoubled)
            }
            code @ layout::ROW_PAIRS_FAST..=layout::ROW_PAIRS_ANY
                if matches!(kind, Kind::Depthwise) && (unclamped || out.lookup.is_none()) =>
            {
                let floor = out.zero_point == -128 && out.min == -128 && out.lookup.is_none();
                let form = match code {
                    layout::ROW_PAIRS_FAST => {
                        Kernel::of(window, true).filter(|_| floor).map(Form::Blocks)
                    }
                    layout::ROW_PAIRS => Kernel::of(window, false).map(Form::Blocks),
                    _ => Some(Form::Any),
                };
                form.map(Layout::RowPairs).ok_or(LayerFault::Layout)
            }
            _ => Err(LayerFault::Layout),
        }
    }

    fn pool(&self) -> Result<PoolParams, LayerFault> {
        let (input, output) = self.shapes();
        let window = self.window();
        check_window(&window, input, output)?;
        need(input.c == output.c, LayerFault::Shape)?;
        let out = self.output()?;
        Ok(PoolParams {
            input,
            output,
            window,
            min: out.min,
            max: out.max,
        })
    }

    fn mean(&self) -> Result<MeanParams<'a>, LayerFault> {
        let (input, output) = self.shapes();
        need(output == Shape::new(1, 1, input.c), LayerFault::Shape)?;
        // |sum| ≤ 255 h w.
        need(
            input.h as u64 * input.w as u64 <= 1 << 23,
            LayerFault::Accumulator,
        )?;
        let [mantissa, shift] = self.constants()?;
        Ok(MeanParams {
            input,
            input_zero_point: self.zero_point(self.input),
            multiplier: check_multiplier(Multiplier { mantissa, shift })?,
            out: self.output()?,
        })
    }

    fn add(&self) -> Result<AddParams<'a>, LayerFault> {
        let second = self.second.ok_or(LayerFault::Input)?;
        let (input, output) = self.shapes();
        let same = input == output && self.model.tensor(second).shape == output;
        need(same, LayerFault::Shape)?;
        let [m1, s1, m2, s2, mo, so] = self.constants()?;
        let multiplier = |mantissa, shift| {
            let m = check_multiplier(Multiplier { mantissa, shift })?;
            // Inputs come shifted left by 20: factors above 1 would overflow.
            need(
                shift <= 0 || mantissa == 1 << 30 && shift == 1,
                LayerFault::Multiplier,
            )?;
            Ok(m)
        };
        let out = self.output()?;
        let mut p = AddParams {
            zero_points: [self.zero_point(self.input), self.zero_point(second)],
            multipliers: [multiplier(m1, s1)?, multiplier(m2, s2)?],
            output_multiplier: check_multiplier(Multiplier {
                mantissa: mo,
                shift: so,
            })?,
            output_zero_point: out.zero_point,
            min: out.min,
            max: out.max,
            table: None,
        };
        p.table = match u8_at(self.record, 15) {
            layout::NATURAL => None,
            layout::TABLE => Some(self.add_table(&p)?),
            _ => return Err(LayerFault::Layout),
        };
        Ok(p)
    }

    /// The table of an addition: the words that its constants make.
    fn add_table(&self, p: &AddParams<'_>) -> Result<&'a [[u8; 4]; 256], LayerFault> {
        let at = u32_at(self.record, 24) as usize;
        let bytes = part(self.model.weights(), at, 1024).ok_or(LayerFault::Weights)?;
        let table = bytes.as_chunks().0.first_chunk::<256>();
        let table = table.ok_or(LayerFault::Weights)?;
        let word = m4::add::table(p).ok_or(LayerFault::Layout)?;
        if self.prove {
            let mut words = table.iter().enumerate();
            let equal = words.all(|(i, w)| i32::from_le_bytes(*w) == word(i));
            need(equal, LayerFault::Weights)?;
        }
        Ok(table)
    }

    fn mul(&self) -> Result<MulParams, LayerFault> {
        let second = self.second.ok_or(LayerFault::Input)?;
        let (input, output) = self.shapes();
        let gate = self.model.tensor(second).shape;
        need(
            input == output && gate == Shape::new(1, 1, input.c),
            LayerFault::Shape,
        )?;
        let [mantissa, shift] = self.constants()?;
        let out = self.output()?;
        Ok(MulParams {
            ch: input.c,
            zero_points: [self.zero_point(self.input), self.zero_point(second)],
            multiplier: check_multiplier(Multiplier { mantissa, shift })?,
            output_zero_point: out.zero_point,
            min: out.min,
            max: out.max,
        })
    }

    fn softmax(&self) -> Result<SoftmaxParams, LayerFault> {
        let (input, output) = self.shapes();
        need(
            input == output && input.h == 1 && input.w == 1,
            LayerFault::Shape,
        )?;
        // 12 integer bits hold the sum of exponentials, each at most 1.
        need(input.c <= 4095, LayerFault::Accumulator)?;
        let [mantissa, shift, diff_min] = self.constants()?;
        need((-255..=0).contains(&diff_min), LayerFault::Multiplier)?;
        let multiplier = check_multiplier(Multiplier { mantissa, shift })?;
        need(multiplier.shift >= 0, LayerFault::Multiplier)?;
        // The scaled difference stays in 32 bits down to diff_min.
        let most = u64::from(diff_min.unsigned_abs()) << multiplier.shift;
        need(most <= i32::MAX as u64, LayerFault::Accumulator)?;
        Ok(SoftmaxParams {
            multiplier,
            diff_min,
        })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Conv,
    Depthwise,
    Dense,
}

fn need(holds: bool, what: LayerFault) -> Result<(), LayerFault> {
    if holds { Ok(()) } else { Err(what) }
}

fn check_multiplier(m: Multiplier) -> Result<Multiplier, LayerFault> {
    need(m.is_valid(), LayerFault::Multiplier)?;
    Ok(m)
}

/// Kernel and strides are at least 1, padding is smaller than the kernel, and the last window
/// begins inside the image: so every window holds a pixel.
fn check_window(w: &Window, input: Shape, output: Shape) -> Result<(), LayerFault> {
    let axis = |kernel: usize, stride: usize, pad: usize, len: usize, out: usize| {
        kernel >= 1 && stride >= 1 && pad < kernel && out >= 1 && (out - 1) * stride < len + pad
    };
    let rows = axis(w.kernel_h, w.stride_h, w.pad_top, input.h, output.h);
    let columns = axis(w.kernel_w, w.stride_w, w.pad_left, input.w, output.w);
    need(rows && columns, LayerFault::Shape)
}
