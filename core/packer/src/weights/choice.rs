//! Which layout a layer's weights get: the fastest one whose claims hold.

use super::{pairs, row_pairs};
use crate::layer::Conv;
use pupil_core::kernels::depthwise_scratch;
use pupil_core::model::format::{code, layout};
use pupil_core::op::pairs::{Mode, conv_scratch, dense_scratch};
use pupil_core::op::quant::Multiplier;
use pupil_core::op::row_pairs::{Claims, Form};
use pupil_core::op::shape::{Shape, Window};

/// Weights in the layout that fast kernels read.
pub struct Packed {
    pub layout: u8,
    pub stream: Vec<u8>,
    /// Index is the int8 as u8. Clamps are part of it.
    pub table: Option<[u8; 256]>,
    /// Clamps that are left for the kernel.
    pub act: (i8, i8),
    pub scratch: usize,
}

impl Packed {
    /// The row-pair layout of a depthwise layer; none where its claims do not hold.
    pub fn depthwise(
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
        let (form, stream) = row_pairs::encode(&claims, &layer.weights, channels, min, table)?;
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
    pub fn choose(
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
            |mode| pairs::encode(&layer.weights, taps, channels, mode, i32::from(zero_point)).ok();
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
pub fn by_value(table: &[u8; 256]) -> [u8; 256] {
    core::array::from_fn(|i| table[i ^ 0x80])
}
