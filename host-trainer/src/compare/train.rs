//! One supervised training of any classifier on a small budget.

use burn::tensor::{Device, Tensor, TensorData};

use super::budget::Budget;
use crate::data::batch::{AugmentStream, BatchSampler, Normalization, batch};
use crate::data::dataset::Labeled;
use crate::model::Classifier;
use crate::nn::noise::{Noise, Pass};
use crate::nn::values::{assign, collect};
use crate::random::stream;
use crate::train::FitError;
use crate::train::ema::Ema;
use crate::train::loss::{one_hot, soft_cross_entropy};
use crate::train::mix::{Mix, Pairs};
use crate::train::optimizer::ModuleOptimizer;

/// The images of a training, how pixels become numbers, and how many classes there are.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// Images and classes.
    pub set: &'a Labeled,
    /// Pixels to real values.
    pub normalization: Normalization,
    /// Classes.
    pub classes: usize,
}

/// Trains `net` and returns it with averaged weights, and the mean loss of the last tenth of the
/// steps. The seed fixes the order of the images, their augmentation and the net's noise. `tick`
/// follows each step.
///
/// # Errors
/// A loss that is no number.
pub fn train<N: Classifier>(
    mut net: N,
    budget: &Budget,
    lesson: Lesson<'_>,
    seed: u64,
    mut tick: impl FnMut(),
) -> Result<(N, f64), FitError> {
    let device = Device::flex().autodiff();
    let mut sampler = BatchSampler::new(seed, "compare", lesson.set.labels.len());
    let mut noise = Noise {
        dropout: budget.dropout,
        drop_path: 0.0,
        rng: stream(seed, "compare noise", 0),
    };
    let clip = (budget.clip > 0.0).then_some(budget.clip);
    let mut optimizer = ModuleOptimizer::new(budget.optimizer, clip);
    let mut ema = Ema::new(budget.ema, collect(&net));
    let last = budget.steps - (budget.steps / 10).clamp(1, budget.steps.max(1));
    let (mut sum, mut count) = (0.0, 0u32);
    for step in 0..budget.steps {
        let indices = sampler.next(budget.batch);
        let (x, targets) = mixed_batch(budget, lesson, &indices, (seed, step), &device);
        let logits = net.forward(x, &mut Pass::Train(&mut noise));
        let loss = soft_cross_entropy(logits, targets);
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(FitError::NotFinite {
                step,
                loss: value,
                rate: budget.learning_rate,
            });
        }
        let factor = budget
            .schedule
            .factor(step, budget.steps / 20, budget.steps);
        let rate = budget.learning_rate * factor;
        net = optimizer.step(net, &loss.backward(), rate, &mut ema);
        if step >= last {
            (sum, count) = (sum + f64::from(value), count + 1);
        }
        tick();
    }
    // `valid` and `train` detach the running statistics, which plain clones share.
    let averaged = assign(net.valid().train(), ema.values());
    let net = averaged.unwrap_or(net);
    Ok((net, sum / f64::from(count.max(1))))
}

/// Augmented images and smoothed targets, mixed where the budget says so.
fn mixed_batch(
    budget: &Budget,
    lesson: Lesson<'_>,
    indices: &[usize],
    (seed, step): (u64, u64),
    device: &Device,
) -> (Tensor<4>, Tensor<2>) {
    let from = AugmentStream { seed, step };
    let (images, classes) = (&lesson.set.images, lesson.classes);
    let x = batch(
        images,
        indices,
        &budget.augment,
        &lesson.normalization,
        from,
        device,
    );
    let labels: Vec<u8> = indices.iter().map(|i| lesson.set.labels[*i]).collect();
    let targets = one_hot(&labels, classes, budget.label_smoothing, device);
    if budget.mix == Mix::None {
        return (x, targets);
    }
    let (x_dims, t_dims) = (x.dims(), targets.dims());
    let floats = |data: TensorData| data.try_to_vec::<f32>().expect("tensors are f32");
    let (mut pixels, mut rows) = (floats(x.into_data()), floats(targets.into_data()));
    let mut pairs = Pairs {
        images: &mut pixels,
        dims: images.dims,
        targets: &mut rows,
        classes,
    };
    budget.mix.apply(&mut pairs, &mut stream(seed, "mix", step));
    (
        Tensor::from_data(TensorData::new(pixels, x_dims), device),
        Tensor::from_data(TensorData::new(rows, t_dims), device),
    )
}
