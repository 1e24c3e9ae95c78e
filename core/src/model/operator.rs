//! Operators without weights, out of their layers' records.

use super::bytes::{i32_at, part};
use super::format::{LayerRecord, code, layout};
use super::header::Model;
use crate::error::LayerFault;
use crate::op::quant::Multiplier;
use crate::op::shape::{Shape, Window};
use crate::op::{
    AddParams, MeanParams, MulParams, Operator, Output, PoolParams, SoftmaxParams, add,
};

/// One record in its surroundings.
pub(super) struct Source<'a> {
    pub model: Model<'a>,
    pub record: LayerRecord,
    pub input: usize,
    pub second: Option<usize>,
    pub output: usize,
    pub prove: bool,
}

impl<'a> Source<'a> {
    /// The operators that have no weights.
    pub(super) fn without_weights(&self) -> Result<Operator<'a>, LayerFault> {
        match self.record.operator {
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
    pub(super) fn reserved(&self) -> Result<(), LayerFault> {
        let record = &self.record;
        let operator = record.operator;
        let filter = matches!(operator, code::CONV | code::DEPTHWISE | code::DENSE);
        let sums = filter || operator == code::MEAN;
        let windows = !matches!(operator, code::DENSE | code::MEAN..);
        let fused = record.flags == 1 || operator == code::LOOKUP;
        let add_table = operator == code::ADD && record.layout == layout::TABLE;
        let constants = matches!(operator, code::MEAN | code::ADD | code::MUL | code::SOFTMAX);
        let without = match operator {
            code::DENSE => [1, 1, 1, 1, 0, 0],
            _ => [0; 6],
        };
        need(
            record.flags <= u8::from(sums)
                && (filter || operator == code::ADD || record.layout == layout::NATURAL)
                && (windows || record.window == without),
            LayerFault::Reserved,
        )?;
        for (at, used) in [
            (record.weights, filter),
            (record.channels, filter && record.layout == layout::NATURAL),
            (record.table, fused || add_table),
            (record.constants, constants),
        ] {
            need(used || at == 0, LayerFault::Reserved)?;
            need(at.is_multiple_of(16), LayerFault::Weights)?;
        }
        let empty = record.scratch_len == 0;
        need(!empty || record.scratch_at == 0, LayerFault::Reserved)
    }

    /// Input and output shapes.
    pub(super) fn shapes(&self) -> (Shape, Shape) {
        (
            self.model.tensor(self.input).shape,
            self.model.tensor(self.output).shape,
        )
    }

    pub(super) fn zero_point(&self, tensor: usize) -> i32 {
        i32::from(self.model.tensor(tensor).affine.zero_point)
    }

    pub(super) fn window(&self) -> Window {
        let [kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left] =
            self.record.window.map(usize::from);
        Window {
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
        }
    }

    pub(super) fn output(&self) -> Result<Output<'a>, LayerFault> {
        let LayerRecord {
            zero_point,
            min,
            max,
            ..
        } = self.record;
        let [zero_point, min, max] = [zero_point, min, max].map(i32::from);
        need(min <= max, LayerFault::Clamp)?;
        let lookup = if self.record.flags & 1 == 1 {
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
        let at = self.record.table as usize;
        let rest = self.model.weights().get(at..).unwrap_or(&[]);
        rest.first_chunk().ok_or(LayerFault::Weights)
    }

    /// The `N` numbers of the layer's constants.
    fn constants<const N: usize>(&self) -> Result<[i32; N], LayerFault> {
        let at = self.record.constants as usize;
        let bytes = part(self.model.weights(), at, 4 * N).ok_or(LayerFault::Weights)?;
        Ok(core::array::from_fn(|i| i32_at(bytes, 4 * i)))
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
        p.table = match self.record.layout {
            layout::NATURAL => None,
            layout::TABLE => Some(self.add_table(&p)?),
            _ => return Err(LayerFault::Layout),
        };
        Ok(p)
    }

    /// The table of an addition: the words that its constants make.
    fn add_table(&self, p: &AddParams<'_>) -> Result<&'a [[u8; 4]; 256], LayerFault> {
        let at = self.record.table as usize;
        let bytes = part(self.model.weights(), at, 1024).ok_or(LayerFault::Weights)?;
        let table = bytes.as_chunks().0.first_chunk::<256>();
        let table = table.ok_or(LayerFault::Weights)?;
        let word = add::table(p).ok_or(LayerFault::Layout)?;
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
        // TensorFlow Lite's is far below the least difference of two int8 where the scale is small.
        need(diff_min <= 0, LayerFault::Multiplier)?;
        let multiplier = check_multiplier(Multiplier { mantissa, shift })?;
        need(multiplier.shift >= 0, LayerFault::Multiplier)?;
        // The scaled difference stays in 32 bits down to diff_min.
        let most = u64::from(diff_min.unsigned_abs().min(255)) << multiplier.shift;
        need(most <= i32::MAX as u64, LayerFault::Accumulator)?;
        Ok(SoftmaxParams {
            multiplier,
            diff_min,
        })
    }
}

pub(super) fn need(holds: bool, what: LayerFault) -> Result<(), LayerFault> {
    if holds { Ok(()) } else { Err(what) }
}

pub(super) fn check_multiplier(m: Multiplier) -> Result<Multiplier, LayerFault> {
    need(m.is_valid(), LayerFault::Multiplier)?;
    Ok(m)
}

/// Kernel and strides are at least 1, padding is smaller than the kernel, and the last window
/// begins inside the image: so every window holds a pixel. A window of one pixel and stride 1 has an
/// output for every pixel: its kernels walk both maps as one row.
pub(super) fn check_window(w: &Window, input: Shape, output: Shape) -> Result<(), LayerFault> {
    let axis = |kernel: usize, stride: usize, pad: usize, len: usize, out: usize| {
        kernel >= 1 && stride >= 1 && pad < kernel && out >= 1 && (out - 1) * stride < len + pad
    };
    let every = (input.h, input.w) == (output.h, output.w);
    need(!w.is_pointwise() || every, LayerFault::Shape)?;
    let rows = axis(w.kernel_h, w.stride_h, w.pad_top, input.h, output.h);
    let columns = axis(w.kernel_w, w.stride_w, w.pad_left, input.w, output.w);
    need(rows && columns, LayerFault::Shape)
}
