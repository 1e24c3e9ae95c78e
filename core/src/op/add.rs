//! Parameters of an addition, and the table that its packed form may have.

use super::quant::Multiplier;

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
    /// Little-endian words of the chip's table, if the addition has one: see `arm_dsp/add.rs`.
    pub table: Option<&'a [[u8; 4]; 256]>,
}

impl AddParams<'_> {
    #[inline(always)]
    pub(crate) fn one(&self, a: i8, b: i8) -> i8 {
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

/// Right shifts for which every value fits its half before saturation, and the addend 32 bits.
pub(crate) const SHIFTS: core::ops::RangeInclusive<i32> = 15..=22;

/// The factor of the input that needs no table.
pub(crate) const HALF: Multiplier = Multiplier {
    mantissa: 1 << 30,
    shift: 0,
};

/// Which input has the table: the one whose factor need not be 1/2. None where neither factor is,
/// or the output's is too large or small for the fast form.
fn in_table(p: &AddParams<'_>) -> Option<usize> {
    let out = p.output_multiplier;
    let fast = out.is_valid() && SHIFTS.contains(&-out.shift);
    let whole = p.multipliers.iter().rposition(|m| *m == HALF);
    whole.filter(|_| fast).map(|whole| 1 - whole)
}

/// Words of an addition's table by index, where it has one.
pub fn table(p: &AddParams<'_>) -> Option<impl Fn(usize) -> i32> {
    let other = in_table(p)?;
    let (multiplier, points) = (p.multipliers[other], p.zero_points);
    // An untrusted factor could be 1; those of scales are at most 1/2.
    let fits = multiplier.is_valid() && multiplier.shift <= 0;
    fits.then_some(move |i: usize| {
        let x = i32::from(i as u8 as i8) - points[other];
        let term = multiplier.apply(x << LEFT_SHIFT);
        2 * term - (points[1 - other] << 20)
    })
}
