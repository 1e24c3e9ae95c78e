//! Convolution, depthwise and dense layers: where their weights lie, in which layout, and that no
//! sum leaves its range.

use super::bytes::part;
use super::format::layout;
use super::operator::{Source, check_multiplier, check_window, need};
use crate::error::LayerFault;
use crate::op::pairs::stream_len;
use crate::op::quant::{CHANNEL_BYTES, ChannelQuant};
use crate::op::row_pairs::{Form, Kernel};
use crate::op::shape::Window;
use crate::op::{Filter, Layout, Output};

/// The operators with weights.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Conv,
    Depthwise,
    Dense,
}

impl<'a> Source<'a> {
    pub(super) fn filter(&self, kind: Kind) -> Result<Filter<'a>, LayerFault> {
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
            .and_then(|len| part(self.model.weights(), self.record.weights as usize, len))
            .ok_or(LayerFault::Weights)?;
        let records = match layout {
            Layout::Natural => output.c * CHANNEL_BYTES,
            Layout::Pairs | Layout::PairsDoubled | Layout::RowPairs(_) => 0,
        };
        let channels = part(self.model.weights(), self.record.channels as usize, records)
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
        match self.record.layout {
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
}
