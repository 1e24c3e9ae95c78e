//! Residual addition (TensorFlow Lite's ADD): both inputs are brought to one scale with 20 extra
//! bits, added, and requantized.

use super::operators::{Every, OperatorSet, Operators};
use crate::quant::Multiplier;

/// Bits that the inputs are shifted left by before scaling.
pub const LEFT_SHIFT: u32 = 20;

/// Parameters of an addition.
#[derive(Clone, Copy, Debug)]
pub struct AddParams<'a> {
    /// Zero points of the inputs.
    pub zero_points: [i32; 2],
    /// Scale of each input over twice the greater of both; at most 1.
    pub multipliers: [Multiplier; 2],
    /// Twice the greater input scale over 2^20 times the output scale.
    pub output_multiplier: Multiplier,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Lower clamp.
    pub min: i32,
    /// Upper clamp.
    pub max: i32,
    /// Little-endian words of the chip's table, if the addition has one: see `m4/add.rs`.
    pub table: Option<&'a [[u8; 4]; 256]>,
}

impl AddParams<'_> {
    /// The parameters for tensors of these scales and zero points, clamped to `act`.
    #[cfg(feature = "std")]
    pub fn new(
        inputs: [crate::quant::Affine; 2],
        out: crate::quant::Affine,
        act: (i8, i8),
    ) -> Self {
        let scales = inputs.map(|a| f64::from(a.scale));
        let twice = 2.0 * scales[0].max(scales[1]);
        let output = twice / (f64::from(1u32 << LEFT_SHIFT) * f64::from(out.scale));
        Self {
            zero_points: inputs.map(|a| i32::from(a.zero_point)),
            multipliers: scales.map(|s| Multiplier::from_real(s / twice)),
            output_multiplier: Multiplier::from_real(output),
            output_zero_point: i32::from(out.zero_point),
            min: i32::from(act.0),
            max: i32::from(act.1),
            table: None,
        }
    }

    #[inline(always)]
    fn one(&self, a: i8, b: i8) -> i8 {
        let scaled = |x: i8, i: usize| {
            self.multipliers[i].apply((i32::from(x) - self.zero_points[i]) << LEFT_SHIFT)
        };
        // Each term is below 2^28.
        let sum = scaled(a, 0) + scaled(b, 1);
        let q = self
            .output_multiplier
            .apply(sum)
            .saturating_add(self.output_zero_point);
        q.max(self.min).min(self.max) as i8
    }
}

/// `output = a + b`, value by value. False, with the output unchanged, where the maps have different
/// lengths.
#[must_use]
pub fn add(p: &AddParams<'_>, a: &[i8], b: &[i8], output: &mut [i8]) -> bool {
    add_linked::<Every>(p, a, b, output)
}

/// Whether the portable loop runs an addition of this build: those with a table go to the chip's
/// kernel, where there is one.
fn is_plain<O: Operators>(p: &AddParams<'_>) -> bool {
    cfg!(not(arm_dsp)) || O::SET.has(OperatorSet::ADD_PLAIN) && p.table.is_none()
}

/// [`add`] in a program that links the operators `O` only.
pub(super) fn add_linked<O: Operators>(
    p: &AddParams<'_>,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    if !is_plain::<O>(p) || a.len() != output.len() || b.len() != output.len() {
        return false;
    }
    for ((y, a), b) in output.iter_mut().zip(a).zip(b) {
        *y = p.one(*a, *b);
    }
    true
}

/// The output takes the place of the input numbered `replaced` (0 or 1). False as for [`add`].
#[must_use]
pub fn add_in_place(p: &AddParams<'_>, replaced: usize, map: &mut [i8], other: &[i8]) -> bool {
    add_in_place_linked::<Every>(p, replaced, map, other)
}

/// [`add_in_place`] in a program that links the operators `O` only.
pub(super) fn add_in_place_linked<O: Operators>(
    p: &AddParams<'_>,
    replaced: usize,
    map: &mut [i8],
    other: &[i8],
) -> bool {
    if !is_plain::<O>(p) || map.len() != other.len() {
        return false;
    }
    for (x, other) in map.iter_mut().zip(other) {
        *x = match replaced {
            0 => p.one(*x, *other),
            _ => p.one(*other, *x),
        };
    }
    true
}

/// Both inputs and the output are one map.
#[must_use]
pub fn add_doubled(p: &AddParams<'_>, map: &mut [i8]) -> bool {
    add_doubled_linked::<Every>(p, map)
}

/// [`add_doubled`] in a program that links the operators `O` only.
#[must_use]
pub(crate) fn add_doubled_linked<O: Operators>(p: &AddParams<'_>, map: &mut [i8]) -> bool {
    #[cfg(arm_dsp)]
    if O::SET.has(OperatorSet::ADD) && p.table.is_some() {
        let mut places = super::m4::run::Places {
            maps: super::maps::Maps::in_place(map),
            other: &[],
            which: 2,
            scratch: &mut [],
        };
        return super::m4::add::add::<O>(p, &mut places);
    }
    if !is_plain::<O>(p) {
        return false;
    }
    for x in map {
        *x = p.one(*x, *x);
    }
    true
}
