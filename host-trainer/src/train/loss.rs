//! Cross-entropy against target distributions, and distillation.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};

/// Mean over the batch of −Σ t log softmax(z), for `logits` and `targets` `[n, classes]`.
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let n = logits.dims()[0] as f32;
    (log_softmax(logits, 1) * targets).sum().neg() / n
}

/// T² · mean KL(softmax(teacher/T) ‖ softmax(student/T)) (Hinton et al., arXiv 1503.02531); the
/// factor keeps the gradient's scale at any temperature.
pub fn distillation(student: Tensor<2>, teacher: Tensor<2>, temperature: f32) -> Tensor<1> {
    let target = softmax(teacher.clone() / temperature, 1);
    let log_target = log_softmax(teacher / temperature, 1);
    divergence(student, target, log_target, temperature)
}

/// [`distillation`] from `target`, rows of probabilities at the same temperature.
pub fn distillation_from(student: Tensor<2>, target: Tensor<2>, temperature: f32) -> Tensor<1> {
    // Far below any probability that counts, and no logarithm of 0.
    let log_target = (target.clone() + 1e-12).log();
    divergence(student, target, log_target, temperature)
}

/// T² · mean KL(target ‖ softmax(student/T)).
fn divergence(student: Tensor<2>, target: Tensor<2>, log_target: Tensor<2>, t: f32) -> Tensor<1> {
    let n = student.dims()[0] as f32;
    let difference = log_target - log_softmax(student / t, 1);
    (target * difference).sum() * (t * t / n)
}

/// One-hot rows `[n, classes]` mixed with the uniform distribution: 1 − ε + ε/K at the label,
/// ε/K elsewhere.
pub fn smoothed(labels: &[u8], classes: usize, smoothing: f32) -> Vec<f32> {
    let mut rows = vec![smoothing / classes as f32; labels.len() * classes];
    for (row, label) in rows.chunks_exact_mut(classes).zip(labels) {
        row[usize::from(*label)] += 1.0 - smoothing;
    }
    rows
}

/// [`smoothed`] as a tensor.
pub fn one_hot(labels: &[u8], classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
    let rows = smoothed(labels, classes, smoothing);
    Tensor::from_data(TensorData::new(rows, [labels.len(), classes]), device)
}

/// The rows `indices` of `probabilities`, row-major with `classes` columns.
pub fn rows(
    probabilities: &[f32],
    indices: &[usize],
    classes: usize,
    device: &Device,
) -> Tensor<2> {
    let picked: Vec<f32> = indices
        .iter()
        .flat_map(|i| probabilities[i * classes..][..classes].iter().copied())
        .collect();
    Tensor::from_data(TensorData::new(picked, [indices.len(), classes]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(values: &[f32]) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [values.len() / 3, 3]);
        Tensor::from_data(data, &Device::flex())
    }

    fn scalar(x: Tensor<1>) -> f32 {
        x.into_scalar::<f32>()
    }

    #[test]
    fn cross_entropy_matches_the_formula() {
        let z = [1.0f32, 2.0, 0.5, -1.0, 0.0, 3.0];
        let smooth = scalar(soft_cross_entropy(
            logits(&z),
            one_hot(&[1, 2], 3, 0.1, &Device::flex()),
        ));
        let mut expected = 0.0;
        for (row, label) in z.chunks(3).zip([1usize, 2]) {
            let sum: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
            for (k, v) in row.iter().enumerate() {
                let t = 0.1 / 3.0 + if k == label { 0.9 } else { 0.0 };
                expected -= t * (f64::from(*v) - sum.ln()) / 2.0;
            }
        }
        assert!(
            (f64::from(smooth) - expected).abs() < 1e-6,
            "{smooth} {expected}"
        );
    }

    #[test]
    fn distilling_from_an_equal_net_costs_nothing() {
        let z = [1.0f32, 2.0, 0.5, -1.0, 0.0, 3.0];
        assert!(scalar(distillation(logits(&z), logits(&z), 4.0)).abs() < 1e-6);
        assert!(scalar(distillation(logits(&[0.0; 6]), logits(&z), 2.0)) > 0.1);
    }

    #[test]
    fn kept_answers_teach_what_answers_of_the_moment_do() {
        let device = Device::flex().autodiff();
        let (z, t) = ([1.0f32, 2.0, 0.5, -1.0, 0.0, 3.0], logits(&[0.3; 6]));
        let loss_and_gradient = |kept: bool| {
            let student: Tensor<2> =
                Tensor::from_data(TensorData::new(z.to_vec(), [2, 3]), &device).require_grad();
            let loss = if kept {
                let target = softmax(t.clone() / 2.0, 1);
                distillation_from(student.clone(), Tensor::from_inner(target), 2.0)
            } else {
                distillation(student.clone(), Tensor::from_inner(t.clone()), 2.0)
            };
            let value = loss.clone().into_scalar::<f32>();
            let mut all = crate::nn::values::numbers(student.grad(&loss.backward()).unwrap());
            all.push(value);
            all
        };
        for (a, b) in loss_and_gradient(true).iter().zip(loss_and_gradient(false)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn at_temperature_one_distillation_is_cross_entropy_less_the_entropy() {
        let (s, t) = ([0.3f32, -0.2, 0.9], [1.0f32, 2.0, 0.5]);
        let p = softmax(logits(&t), 1);
        let entropy = scalar(soft_cross_entropy(logits(&t), p.clone()));
        let cross = scalar(soft_cross_entropy(logits(&s), p));
        let kl = scalar(distillation(logits(&s), logits(&t), 1.0));
        assert!((kl - (cross - entropy)).abs() < 1e-6);
    }
}
