//! What UDA and FixMatch share: targets from a weak view, learned on a strong one.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::two_sets::{Mean, entropy, slice, softened};
use crate::eval::metrics::argmax;
use crate::net::Classifier;
use crate::nn::noise::Pass;
use crate::nn::values::Named;

/// Which statistics normalize the weak view that targets are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetPass {
    /// Those of one batch of labeled images and both views, under noise, as the papers' code.
    #[default]
    Batch,
    /// The running ones, without noise or gradient: a third of the work.
    Running,
    /// Those of the weights' moving average, which answers, too (Mean Teacher, arXiv 1703.01780):
    /// as much work, and surer answers while the rate is high.
    Average,
}

/// The net's answers of one step.
pub(crate) struct Answers {
    /// Of labeled images `[n, classes]`.
    pub labeled: Tensor<2>,
    /// Of the strong views `[m, classes]`.
    pub strong: Tensor<2>,
    /// Of the weak views, out of the graph.
    pub weak: Tensor<2>,
}

/// Answers for labeled images and both views; the weak view's are `teacher`'s where there is one,
/// and else `net`'s own in the same pass ([`TargetPass::Batch`]).
pub(crate) fn answers<N: Classifier>(
    net: &N,
    labeled: Tensor<4>,
    (weak, strong): (Tensor<4>, Tensor<4>),
    teacher: Option<&N>,
    pass: &mut Pass<'_>,
) -> Answers {
    let (n, m) = (labeled.dims()[0], weak.dims()[0]);
    let Some(teacher) = teacher else {
        let logits = net.forward(Tensor::cat(vec![labeled, weak, strong], 0), pass);
        return Answers {
            labeled: slice(&logits, 0, n),
            weak: slice(&logits, n, n + m).detach(),
            strong: slice(&logits, n + m, n + 2 * m),
        };
    };
    let device = weak.device();
    let weak: Tensor<4> = Tensor::from_data(weak.into_data(), &device.inner());
    let weak = teacher.forward(weak, &mut Pass::Evaluate);
    let logits = net.forward(Tensor::cat(vec![labeled, strong], 0), pass);
    Answers {
        labeled: slice(&logits, 0, n),
        weak,
        strong: slice(&logits, n, n + m),
    }
}

/// Distribution alignment (ReMixMatch, arXiv 1911.09785): predictions are multiplied by what the
/// labels' distribution has over their own mean, so that no class is forgotten.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alignment {
    prior: Vec<f32>,
    mean: Vec<f32>,
}

/// Memory of the mean prediction.
const ALIGNMENT_DECAY: f32 = 0.99;

impl Alignment {
    /// With the distribution of `labels`.
    pub(crate) fn new(labels: &[u8], classes: usize) -> Self {
        let mut prior = vec![0.0; classes];
        for label in labels {
            prior[usize::from(*label)] += 1.0 / labels.len() as f32;
        }
        Self {
            mean: vec![1.0 / classes as f32; classes],
            prior,
        }
    }

    /// Aligns rows of probabilities and follows their mean.
    pub(crate) fn apply(&mut self, rows: &mut [f32]) {
        let classes = self.prior.len();
        let count = (rows.len() / classes).max(1) as f32;
        for (c, mean) in self.mean.iter_mut().enumerate() {
            let now = rows.iter().skip(c).step_by(classes).sum::<f32>() / count;
            *mean = ALIGNMENT_DECAY * *mean + (1.0 - ALIGNMENT_DECAY) * now;
        }
        for row in rows.chunks_exact_mut(classes) {
            for ((p, prior), mean) in row.iter_mut().zip(&self.prior).zip(&self.mean) {
                *p *= (prior + 1e-6) / (mean + 1e-6);
            }
            normalize(row);
        }
    }

    /// For a snapshot.
    pub(crate) fn state(&self) -> Named {
        Named {
            name: "alignment.mean".into(),
            dims: vec![self.mean.len()],
            values: self.mean.clone(),
        }
    }

    /// From a snapshot.
    ///
    /// # Errors
    /// An entry of another length.
    pub(crate) fn restore(&mut self, state: Option<&Named>) -> Result<(), String> {
        match state {
            Some(entry) if entry.values.len() == self.mean.len() => {
                self.mean.clone_from(&entry.values);
                Ok(())
            }
            _ => Err("alignment.mean is missing or has another length".into()),
        }
    }
}

/// Makes a row sum to 1.
fn normalize(row: &mut [f32]) {
    let sum: f32 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

/// What becomes of a confident prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// p^(1/τ), normalized: UDA.
    Sharpened(f32),
    /// The most probable class alone: FixMatch.
    Hard,
}

/// How targets are made of the weak view's logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Images whose most probable class is not above this teach nothing.
    pub confidence: f32,
    /// Of those that are.
    pub target: Target,
}

/// Targets `[m, classes]`, zero for images that are not confident, and the share that is.
pub(crate) fn targets(rows: &[f32], classes: usize, rule: Rule) -> (Vec<f32>, f64) {
    let mut all = vec![0.0; rows.len()];
    let mut kept = 0usize;
    for (row, target) in rows
        .chunks_exact(classes)
        .zip(all.chunks_exact_mut(classes))
    {
        let best = argmax(row);
        if row[best] <= rule.confidence {
            continue;
        }
        kept += 1;
        match rule.target {
            Target::Hard => target[best] = 1.0,
            Target::Sharpened(temperature) => {
                for (t, p) in target.iter_mut().zip(row) {
                    // Relative to the greatest: no underflow of all at once.
                    *t = (p / row[best]).powf(1.0 / temperature);
                }
                normalize(target);
            }
        }
    }
    (all, kept as f64 / (rows.len() / classes).max(1) as f64)
}

/// What is watched of the unlabeled images.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watched {
    entropy: Mean,
    confident: Mean,
}

impl Watched {
    /// Means since the last call.
    pub(crate) fn figures(&mut self) -> Vec<(&'static str, f64)> {
        vec![
            ("unlabeled_entropy", self.entropy.take()),
            ("confident", self.confident.take()),
        ]
    }
}

/// Mean over *all* unlabeled images of the cross-entropy of the strong view against the weak
/// view's target; images that are not confident count as 0.
pub(crate) fn consistency(
    answers: &Answers,
    rule: Rule,
    alignment: Option<&mut Alignment>,
    watched: &mut Watched,
) -> Tensor<1> {
    let [m, classes] = answers.strong.dims();
    let mut rows = softened(&answers.weak, 1.0);
    watched.entropy.add(entropy(&rows, classes));
    if let Some(alignment) = alignment {
        alignment.apply(&mut rows);
    }
    let (rows, share) = targets(&rows, classes, rule);
    watched.confident.add(share);
    let device = answers.strong.device();
    let targets: Tensor<2> = Tensor::from_data(TensorData::new(rows, [m, classes]), &device);
    (log_softmax(answers.strong.clone(), 1) * targets)
        .sum()
        .neg()
        / m as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const ROWS: [f32; 6] = [0.7, 0.2, 0.1, 0.4, 0.35, 0.25];

    #[test]
    fn only_confident_rows_teach_and_sharpening_is_the_temperatures() {
        let sharp = Rule {
            confidence: 0.5,
            target: Target::Sharpened(0.5),
        };
        let (t, share) = targets(&ROWS, 3, sharp);
        assert_eq!(share, 0.5);
        let squares = [0.49f32, 0.04, 0.01].map(|v| v / 0.54);
        for (a, b) in t.iter().zip(squares.iter().chain(&[0.0; 3])) {
            assert!((a - b).abs() < 1e-6, "{t:?}");
        }
        let hard = Rule {
            confidence: 0.3,
            target: Target::Hard,
        };
        assert_eq!(
            targets(&ROWS, 3, hard),
            (vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 1.0)
        );
        // Strictly above.
        let equal = Rule {
            confidence: 0.7,
            ..hard
        };
        assert_eq!(targets(&ROWS, 3, equal).1, 0.0);
    }

    #[test]
    fn equal_views_at_temperature_one_cost_the_targets_entropy_and_no_gradient() {
        let device = Device::flex().autodiff();
        let logits: Tensor<2> = Tensor::from_data(
            TensorData::new(vec![0.3f32, -1.0, 2.0, 0.5, 0.1, 0.0], [2, 3]),
            &device,
        )
        .require_grad();
        let answers = Answers {
            labeled: logits.clone(),
            weak: logits.clone().detach(),
            strong: logits.clone(),
        };
        let rule = Rule {
            confidence: 0.0,
            target: Target::Sharpened(1.0),
        };
        let loss = consistency(&answers, rule, None, &mut Watched::default());
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let expected = entropy(&softened(&logits, 1.0), 3);
        assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        // p − target = 0: the gradient of the Kullback-Leibler divergence at its minimum.
        let gradient = crate::nn::values::numbers(logits.grad(&loss.backward()).unwrap());
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn nothing_confident_gives_no_gradient() {
        let device = Device::flex().autodiff();
        let logits: Tensor<2> =
            Tensor::from_data(TensorData::new(vec![0.3f32, -1.0, 2.0], [1, 3]), &device)
                .require_grad();
        let answers = Answers {
            labeled: logits.clone(),
            weak: logits.clone().detach(),
            strong: logits.clone(),
        };
        let rule = Rule {
            confidence: 0.99,
            target: Target::Hard,
        };
        let loss = consistency(&answers, rule, None, &mut Watched::default());
        let gradient = crate::nn::values::numbers(logits.grad(&loss.backward()).unwrap());
        assert_eq!(gradient, [0.0; 3]);
    }

    #[test]
    fn alignment_lifts_a_class_that_is_predicted_too_rarely() {
        let mut alignment = Alignment::new(&[0, 1, 0, 1], 2);
        for _ in 0..500 {
            alignment.apply(&mut [0.8, 0.2, 0.8, 0.2]);
        }
        let mut row = [0.8f32, 0.2];
        alignment.apply(&mut row);
        assert!((row[0] - 0.5).abs() < 0.01, "{row:?}");
        let mut other = Alignment::new(&[0, 1], 2);
        other.restore(Some(&alignment.state())).unwrap();
        assert_eq!(other, alignment);
        assert!(other.restore(None).is_err());
    }
}
