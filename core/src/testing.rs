//! The packer's functions for the unit tests of this crate. The packer is linked with another copy of
//! it, so arguments and results are translated.

use std::vec::Vec;

use pupil_packer::pupil_core as other;
use pupil_packer::{params, quantize, weights};

use crate::error::LayerFault;
use crate::op::pairs::{Mode, Pairs};
use crate::op::quant::{Affine, Multiplier};
use crate::op::row_pairs::{Claims, Form, Kernel, RowPairs};
use crate::op::{AddParams, MulParams, SoftmaxParams};

fn here(m: other::op::quant::Multiplier) -> Multiplier {
    Multiplier {
        mantissa: m.mantissa,
        shift: m.shift,
    }
}

fn there(m: Multiplier) -> other::op::quant::Multiplier {
    other::op::quant::Multiplier {
        mantissa: m.mantissa,
        shift: m.shift,
    }
}

fn affine(a: Affine) -> other::op::quant::Affine {
    other::op::quant::Affine {
        scale: a.scale,
        zero_point: a.zero_point,
    }
}

fn channels(all: &[(i32, Multiplier)]) -> Vec<(i32, other::op::quant::Multiplier)> {
    all.iter().map(|(bias, m)| (*bias, there(*m))).collect()
}

/// The multiplier of a mean.
pub fn mean_multiplier(real: f64, pixels: usize) -> Multiplier {
    here(params::mean_multiplier(real, pixels))
}

impl Multiplier {
    pub(crate) fn from_real(real: f64) -> Self {
        here(quantize::multiplier(real))
    }
}

impl AddParams<'_> {
    pub(crate) fn new(inputs: [Affine; 2], out: Affine, act: (i8, i8)) -> Self {
        let p = params::add(inputs.map(affine), affine(out), act);
        Self {
            zero_points: p.zero_points,
            multipliers: p.multipliers.map(here),
            output_multiplier: here(p.output_multiplier),
            output_zero_point: p.output_zero_point,
            min: p.min,
            max: p.max,
            table: None,
        }
    }
}

impl MulParams {
    pub(crate) fn new(ch: usize, inputs: [Affine; 2], out: Affine, act: (i8, i8)) -> Self {
        let p = params::mul(ch, inputs.map(affine), affine(out), act);
        Self {
            ch,
            zero_points: p.zero_points,
            multiplier: here(p.multiplier),
            output_zero_point: p.output_zero_point,
            min: p.min,
            max: p.max,
        }
    }
}

impl SoftmaxParams {
    pub(crate) fn new(scale: f32) -> Self {
        let p = params::softmax(scale);
        Self {
            multiplier: here(p.multiplier),
            diff_min: p.diff_min,
        }
    }
}

impl Pairs<'_> {
    pub(crate) fn encode(
        weights: &[u8],
        taps: usize,
        all: &[(i32, Multiplier)],
        mode: Mode,
        zero_point: i32,
    ) -> Result<Vec<u8>, LayerFault> {
        use other::error::LayerFault as Fault;
        let mode = match mode {
            Mode::Relu => other::op::pairs::Mode::Relu,
            Mode::ReluDoubled => other::op::pairs::Mode::ReluDoubled,
            Mode::General => other::op::pairs::Mode::General,
            Mode::Table => other::op::pairs::Mode::Table,
        };
        let stream = weights::pairs::encode(weights, taps, &channels(all), mode, zero_point);
        stream.map_err(|fault| match fault {
            Fault::Weights => LayerFault::Weights,
            Fault::Multiplier => LayerFault::Multiplier,
            Fault::Accumulator => LayerFault::Accumulator,
            fault => panic!("{fault:?}"),
        })
    }
}

impl RowPairs<'_> {
    pub(crate) fn encode(
        claims: &Claims,
        weights: &[u8],
        all: &[(i32, Multiplier)],
        act_min: i8,
        table: bool,
    ) -> Option<(Form, Vec<u8>)> {
        use other::op::row_pairs::{Form as F, Kernel as K};
        let claims = foreign(claims);
        let found = weights::row_pairs::encode(&claims, weights, &channels(all), act_min, table);
        let (form, bytes) = found?;
        let form = match form {
            F::Blocks(K::K3S1 { fast }) => Form::Blocks(Kernel::K3S1 { fast }),
            F::Blocks(K::K3S2 { fast }) => Form::Blocks(Kernel::K3S2 { fast }),
            F::Blocks(K::K5S1 { fast }) => Form::Blocks(Kernel::K5S1 { fast }),
            F::Any => Form::Any,
        };
        Some((form, bytes))
    }

    pub(crate) fn encode_as(
        form: Form,
        claims: &Claims,
        weights: &[u8],
        all: &[(i32, Multiplier)],
    ) -> Option<Vec<u8>> {
        use other::op::row_pairs::{Form as F, Kernel as K};
        let form = match form {
            Form::Blocks(Kernel::K3S1 { fast }) => F::Blocks(K::K3S1 { fast }),
            Form::Blocks(Kernel::K3S2 { fast }) => F::Blocks(K::K3S2 { fast }),
            Form::Blocks(Kernel::K5S1 { fast }) => F::Blocks(K::K5S1 { fast }),
            Form::Any => F::Any,
        };
        weights::row_pairs::encode_as(form, &foreign(claims), weights, &channels(all))
    }
}

fn foreign(claims: &Claims) -> other::op::row_pairs::Claims {
    let w = claims.window;
    other::op::row_pairs::Claims {
        window: other::op::shape::Window {
            kernel_h: w.kernel_h,
            kernel_w: w.kernel_w,
            stride_h: w.stride_h,
            stride_w: w.stride_w,
            pad_top: w.pad_top,
            pad_left: w.pad_left,
        },
        zero_point: claims.zero_point,
    }
}
