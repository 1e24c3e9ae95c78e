//! One supervised training of any classifier on a small budget.

use burn::tensor::Device;

use crate::data::Augment;
use crate::data::batch::Normalization;
use crate::data::dataset::Labeled;
use crate::methods::Supervised;
use crate::net::Classifier;
use crate::train::{Epoch, FitConfig, FitError, Watch, fit};

/// The images of a training, how pixels become numbers, and how many classes there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lesson<'a> {
    /// Images and classes.
    pub set: &'a Labeled,
    /// Changes to the images.
    pub augment: Augment,
    /// Pixels to real values.
    pub normalization: Normalization,
    /// Classes.
    pub classes: usize,
}

/// Nothing is looked at before the end.
struct Follow<T>(T);

impl<N, T: FnMut()> Watch<N> for Follow<T> {
    fn validate(&mut self, _net: &N) -> f64 {
        0.0
    }

    fn report(&mut self, _step: u64, _epoch: Option<&Epoch>) {
        (self.0)();
    }
}

/// Trains `net` and returns it with averaged weights, and the mean loss of the last epoch. The
/// seed fixes the order of the images, their augmentation and the net's noise. `tick` follows
/// each step.
///
/// # Errors
/// A loss that is no number.
pub(crate) fn train<N: Classifier>(
    net: N,
    config: &FitConfig,
    lesson: Lesson<'_>,
    seed: u64,
    tick: impl FnMut(),
) -> Result<(N, f64), FitError> {
    let mut objective = Supervised::new(
        lesson.set,
        lesson.classes,
        (lesson.augment, lesson.normalization),
        config,
        (seed, 0),
        &Device::flex().autodiff(),
    );
    let noise = (seed, "compare noise");
    let fitted = fit(net, config, noise, &mut objective, &mut Follow(tick))?;
    let loss = fitted.epochs.last().map_or(f64::NAN, |e| e.loss);
    Ok((fitted.net, loss))
}
