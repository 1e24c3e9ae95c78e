//! What is asked of the builder, checked before anything is computed from it or written.

use super::layers::ModelBuilder;
use crate::contents::BuildError;
use crate::layer::TensorId;
use pupil_core::model::{MAX_SIDE, MAX_VALUES, MAX_WINDOW};
use pupil_core::op::quant::Multiplier;
use pupil_core::op::shape::Shape;

impl ModelBuilder {
    /// A fault of the layer that is being added.
    fn fault(&self, what: &str) -> BuildError {
        BuildError(format!("layer {}: {what}", self.contents.layers.len()))
    }

    /// Sides that the format holds.
    pub(super) fn check_shape(&self, shape: Shape) -> Result<(), BuildError> {
        let Shape { h, w, c } = shape;
        if [h, w, c].into_iter().any(|n| !(1..=MAX_SIDE).contains(&n)) {
            return Err(self.fault(&format!(
                "a map of {h} x {w} x {c}; sides are 1 to {MAX_SIDE}"
            )));
        }
        if shape.volume() > MAX_VALUES {
            return Err(self.fault(&format!(
                "a map of {h} x {w} x {c}; it has at most {MAX_VALUES} values"
            )));
        }
        Ok(())
    }

    /// Window sides and strides that the format holds.
    pub(super) fn check_window(
        &self,
        kernel: (usize, usize),
        stride: (usize, usize),
    ) -> Result<(), BuildError> {
        for (what, side) in [
            ("window", kernel.0),
            ("window", kernel.1),
            ("stride", stride.0),
            ("stride", stride.1),
        ] {
            if !(1..=MAX_WINDOW).contains(&side) {
                return Err(self.fault(&format!("a {what} of {side}; it is 1 to {MAX_WINDOW}")));
            }
        }
        Ok(())
    }

    /// A factor that requantization can apply.
    pub(super) fn check_multiplier(&self, of: &str, m: Multiplier) -> Result<(), BuildError> {
        if m.is_valid() {
            return Ok(());
        }
        let Multiplier { mantissa, shift } = m;
        Err(self.fault(&format!(
            "{of}: multiplier {mantissa} with shift {shift}; a mantissa is not negative, a shift is \
             -31 to 30"
        )))
    }

    /// Zero points that are those of the tensors.
    pub(super) fn check_zero_points(
        &self,
        of: &str,
        tensors: [TensorId; 2],
        asked: [i32; 2],
    ) -> Result<(), BuildError> {
        let found = tensors.map(|t| i32::from(self.affine(t).zero_point));
        if found == asked {
            return Ok(());
        }
        Err(self.fault(&format!(
            "{of}: zero points {asked:?}, those of its inputs are {found:?}"
        )))
    }
}
