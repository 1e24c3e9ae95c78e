//! Meta Pseudo Labels (arXiv 2003.10580, algorithm 1).
//!
//! The net that is trained is the student; it sees no labels until the fine-tuning at the end. At
//! each step, with x_u the strong view of unlabeled images:
//!
//! 1. the teacher answers labeled images and both views; pseudo-labels ŷ ~ T(x_u) are sampled;
//! 2. the student learns CE(ŷ, S(x_u));
//! 3. h = L_l(θ_S) − L_l(θ_S'), the fall of the student's loss on the labeled images, less a moving
//!    average of it;
//! 4. the teacher learns CE(y, T(x_l)) + λ UDA + h CE(ŷ, T(x_u)), the last as a sum.
//!
//! Traps of public code: the official code's soft targets make the gradient of the last term
//! exactly zero; another takes the most probable label instead of a sampled one and new − old
//! instead of old − new; "old" and "new" losses of different batches of statistics differ without
//! any update. Here both are of the labeled images alone, by their batch's statistics, without
//! dropout.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Gradients, Tensor, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::consistency::{Watched, answers, consistency};
use super::two_sets::{Mean, Setup, TwoSets, softened};
use super::uda::UdaConfig;
use crate::net::Classifier;
use crate::nn::noise::{Noise, Pass};
use crate::nn::values::{Named, assign, collect, numbers};
use crate::train::fit::{FitConfig, Objective};
use crate::train::loss::{one_hot, soft_cross_entropy};
use crate::train::optimizer::{ModuleOptimizer, State};
use crate::util::random::stream;

/// How the teacher hears about its student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Sampled labels, made more probable where they helped: the paper's practical form.
    #[default]
    Reinforce,
    /// Soft labels and the exact gradient: how the student's loss follows each probability, by
    /// two more forward passes.
    SoftExact,
    /// What the published code computes: a gradient of zero. For comparison.
    PaperCode,
}

/// Constants of Meta Pseudo Labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetaPseudoLabelsConfig {
    /// How the teacher hears about its student.
    pub feedback: Feedback,
    /// Weight of the feedback; at 0 the teacher is a UDA run.
    pub weight: f64,
    /// Decay of the feedback's baseline.
    pub baseline: f64,
    /// Largest feedback of either sign; 0 for no limit.
    pub clip: f64,
    /// λ of the teacher's UDA loss rises to `uda.weight` over this share of the steps.
    pub uda_ramp: f64,
    /// Share of the steps at the end on which the student learns from labels.
    pub fine_tune: f64,
}

impl Default for MetaPseudoLabelsConfig {
    fn default() -> Self {
        Self {
            feedback: Feedback::Reinforce,
            weight: 1.0,
            baseline: 0.99,
            clip: 0.1,
            uda_ramp: 0.1,
            fine_tune: 0.1,
        }
    }
}

/// What the teacher will learn from once its student has been updated.
struct Pending<N> {
    /// The student before the update, where its slopes are needed.
    student: Option<N>,
    labeled: Tensor<4>,
    targets: Tensor<2>,
    strong: Tensor<4>,
    /// Loss on labels and of agreement.
    own: Tensor<1>,
    /// Logits of the strong view.
    logits: Tensor<2>,
    /// Sampled labels.
    sampled: Vec<u8>,
    /// The student's loss on labels before the update.
    old: f64,
}

/// A student that learns from a teacher that learns from its student.
pub(crate) struct MetaPseudoLabels<'a, N> {
    sets: TwoSets<'a>,
    fit: &'a FitConfig,
    config: MetaPseudoLabelsConfig,
    uda: UdaConfig,
    seed: u64,
    teacher: Option<N>,
    optimizer: ModuleOptimizer,
    baseline: f64,
    pending: Option<Pending<N>>,
    watched: Watched,
    feedback: Mean,
}

impl<'a, N: Classifier> MetaPseudoLabels<'a, N> {
    /// With a teacher of its own weights.
    pub(crate) fn new(
        setup: &Setup<'a>,
        teacher: N,
        config: MetaPseudoLabelsConfig,
        uda: UdaConfig,
    ) -> Self {
        Self {
            sets: TwoSets::new(setup, vec![setup.weak, setup.strong]),
            fit: setup.fit,
            config,
            uda,
            seed: setup.seed,
            optimizer: setup.fit.optimizer(),
            teacher: Some(teacher),
            baseline: 0.0,
            pending: None,
            watched: Watched::default(),
            feedback: Mean::default(),
        }
    }

    /// First step of the fine-tuning.
    fn fine_tune_from(&self) -> u64 {
        let share = self.fit.steps as f64 * self.config.fine_tune;
        self.fit.steps - (share as u64).min(self.fit.steps)
    }

    /// Step 4.
    fn teach(&mut self, student: &N, pending: Pending<N>, step: u64) {
        let new = labeled_loss(student, &pending.labeled, &pending.targets, step);
        let mut h = pending.old - new;
        self.feedback.add(h);
        let kept = self.config.baseline;
        self.baseline = kept * self.baseline + (1.0 - kept) * h;
        h -= self.baseline;
        if self.config.clip > 0.0 {
            h = h.clamp(-self.config.clip, self.config.clip);
        }
        let loss = match self.config.feedback {
            _ if self.config.weight == 0.0 => pending.own,
            Feedback::Reinforce => {
                let term = reinforce(&pending.logits, &pending.sampled);
                pending.own + term * (h * self.config.weight)
            }
            Feedback::SoftExact => {
                let before = pending.student.as_ref().unwrap_or(student);
                let labeled = (&pending.labeled, &pending.targets);
                let unlabeled = (&pending.strong, &pending.logits);
                let rate = self.fit.rate(step);
                let term = soft_exact((before, student), labeled, unlabeled, rate, step);
                pending.own + term * self.config.weight
            }
            Feedback::PaperCode => {
                let own = Tensor::from_data(
                    TensorData::new(softened(&pending.logits, 1.0), pending.logits.dims()),
                    &pending.logits.device(),
                );
                pending.own + soft_cross_entropy(pending.logits, own) * (h * self.config.weight)
            }
        };
        if let Some(teacher) = self.teacher.take() {
            let rate = self.fit.rate(step);
            let gradients = loss.backward();
            self.teacher = Some(self.optimizer.step(teacher, &gradients, rate, None));
        }
    }
}

/// Σ CE(ŷ, T(x_u)) over the unlabeled batch: −log of the probability of all sampled labels.
fn reinforce(logits: &Tensor<2>, sampled: &[u8]) -> Tensor<1> {
    let classes = logits.dims()[1];
    let rows = one_hot(sampled, classes, 0.0, &logits.device());
    (log_softmax(logits.clone(), 1) * rows).sum().neg()
}

/// A surrogate whose gradient is dL_l/dθ_T for soft labels: (η/B_u) Σ_u Σ_c T_c(x_u) s_c(x_u), where
/// s_c = v · ∇ log S_c(x_u) at the student before the update, along v = ∇L_l of the student after
/// it, by central differences.
fn soft_exact<N: Classifier>(
    (before, after): (&N, &N),
    (labeled, targets): (&Tensor<4>, &Tensor<2>),
    (unlabeled, teacher): (&Tensor<4>, &Tensor<2>),
    rate: f64,
    step: u64,
) -> Tensor<1> {
    let copy = apart(after);
    let logits = copy.forward(labeled.clone(), &mut Pass::Train(&mut Noise::none(step)));
    let loss = soft_cross_entropy(logits, targets.clone());
    let v = gradients(&copy, &loss.backward());
    let squares = v.iter().flatten().map(|g| f64::from(*g).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    let [n, classes] = teacher.dims();
    let mut slope = vec![0.0f32; n * classes];
    if norm > 0.0 {
        let epsilon = (1e-2 / norm) as f32;
        for sign in [1.0, -1.0] {
            let moved = shifted(before, &v, sign * epsilon);
            let logits = moved.forward(unlabeled.clone(), &mut Pass::Train(&mut Noise::none(step)));
            let log = numbers(log_softmax(logits.detach(), 1));
            for (s, l) in slope.iter_mut().zip(log) {
                *s += sign * l / (2.0 * epsilon);
            }
        }
    }
    let slope: Tensor<2> =
        Tensor::from_data(TensorData::new(slope, [n, classes]), &teacher.device());
    let soft = log_softmax(teacher.clone(), 1).exp();
    (soft * slope).sum() * (rate / n as f64)
}

/// A copy that shares no running statistics.
fn apart<N: Classifier>(net: &N) -> N {
    net.valid().train()
}

/// The student's loss on labeled images, by their own statistics.
fn labeled_loss<N: Classifier>(net: &N, x: &Tensor<4>, targets: &Tensor<2>, step: u64) -> f64 {
    let logits = apart(net).forward(x.clone(), &mut Pass::Train(&mut Noise::none(step)));
    f64::from(soft_cross_entropy(logits, targets.clone()).into_scalar::<f32>())
}

struct Collect<'a> {
    gradients: &'a Gradients,
    list: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let count = value.dims().iter().product();
        let gradient = value.grad(self.gradients);
        self.list
            .push(gradient.map_or_else(|| vec![0.0; count], numbers));
    }
}

/// The gradient of every entry of [`collect`]; zeros where there is none.
fn gradients<N: Module>(net: &N, gradients: &Gradients) -> Vec<Vec<f32>> {
    let list = Vec::new();
    let mut visitor = Collect { gradients, list };
    net.visit(&mut visitor);
    visitor.list
}

/// `net` moved by `length` times `direction`.
fn shifted<N: Classifier>(net: &N, direction: &[Vec<f32>], length: f32) -> N {
    let mut values = collect(net);
    for (entry, d) in values.iter_mut().zip(direction) {
        for (v, d) in entry.values.iter_mut().zip(d) {
            *v += length * d;
        }
    }
    assign(apart(net), &values).expect("a net has its own entries")
}

/// One class a row, drawn by its probabilities.
fn sample(rows: &[f32], classes: usize, rng: &mut impl RngExt) -> Vec<u8> {
    rows.chunks_exact(classes)
        .map(|row| {
            let mut left: f32 = rng.random();
            let drawn = row.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            drawn.unwrap_or(classes - 1) as u8
        })
        .collect()
}

impl<N: Classifier> Objective<N> for MetaPseudoLabels<'_, N> {
    fn loss(&mut self, net: &N, step: u64, pass: &mut Pass<'_>) -> Tensor<1> {
        let mut images = self.sets.next(step);
        if step >= self.fine_tune_from() {
            return soft_cross_entropy(net.forward(images.labeled, pass), images.targets);
        }
        let (weak, strong) = (images.views.remove(0), images.views.remove(0));
        let teacher = self.teacher.as_ref().expect("a teacher between two steps");
        let mut noise = Noise {
            dropout: self.fit.dropout,
            drop_path: self.fit.drop_path,
            step,
            rng: stream(self.seed, "teacher's noise", step),
        };
        let answers = answers(
            teacher,
            images.labeled.clone(),
            (weak, strong.clone()),
            None,
            &mut Pass::Train(&mut noise),
        );
        let ramp = (step as f64 / (self.config.uda_ramp * self.fit.steps as f64).max(1.0)).min(1.0);
        let agree = consistency(&answers, self.uda.rule(), None, &mut self.watched);
        let own = soft_cross_entropy(answers.labeled, images.targets.clone())
            + agree * (self.uda.weight * ramp);
        let soft = softened(&answers.strong, 1.0);
        let classes = self.sets.classes();
        // A stream of its own: how images are changed does not depend on what is drawn here.
        let mut rng = stream(self.seed, "pseudo-labels", step);
        let sampled = sample(&soft, classes, &mut rng);
        let device = self.sets.device();
        let targets = match self.config.feedback {
            Feedback::Reinforce => one_hot(&sampled, classes, 0.0, device),
            Feedback::SoftExact | Feedback::PaperCode => {
                Tensor::from_data(TensorData::new(soft, answers.strong.dims()), device)
            }
        };
        let old = labeled_loss(net, &images.labeled, &images.targets, step);
        let exact = self.config.feedback == Feedback::SoftExact;
        self.pending = Some(Pending {
            student: exact.then(|| apart(net)),
            labeled: images.labeled,
            targets: images.targets,
            strong: strong.clone(),
            own,
            logits: answers.strong,
            sampled,
            old,
        });
        soft_cross_entropy(net.forward(strong, pass), targets)
    }

    fn updated(&mut self, net: &N, step: u64) {
        if let Some(pending) = self.pending.take() {
            self.teach(net, pending, step);
        }
    }

    fn images(&self) -> Vec<String> {
        self.sets.images()
    }

    fn figures(&mut self) -> Vec<(&'static str, f64)> {
        let mut figures = self.watched.figures();
        figures.push(("feedback", self.feedback.take()));
        figures
    }

    fn waiting(&self) -> f64 {
        self.sets.waiting()
    }

    fn state(&self) -> Vec<Named> {
        let scalars = [self.baseline, self.optimizer.steps() as f64];
        // Halves of f64: a snapshot holds f32 alone.
        let values = scalars
            .iter()
            .flat_map(|v| {
                let bits = v.to_bits();
                [(bits >> 32) as u32, bits as u32].map(f32::from_bits)
            })
            .collect();
        let mut state = vec![Named {
            name: "meta".into(),
            dims: vec![4],
            values,
        }];
        state.extend(self.teacher.iter().flat_map(collect).map(|n| Named {
            name: format!("teacher.{}", n.name),
            ..n
        }));
        for state_of in self.optimizer.states() {
            for (kind, values) in [("first", &state_of.first), ("second", &state_of.second)] {
                state.push(Named {
                    name: kind.into(),
                    dims: vec![values.len()],
                    values: values.clone(),
                });
            }
        }
        state
    }

    fn restore(&mut self, state: &[Named]) -> Result<(), String> {
        let foreign = || "the teacher's state is of another version".to_owned();
        let (meta, rest) = state.split_first().ok_or_else(foreign)?;
        let [a, b, c, d] = meta.values[..] else {
            return Err(foreign());
        };
        let scalar =
            |a: f32, b: f32| f64::from_bits(u64::from(a.to_bits()) << 32 | u64::from(b.to_bits()));
        self.baseline = scalar(a, b);
        let steps = scalar(c, d) as u64;
        let teacher = self.teacher.take().ok_or_else(foreign)?;
        let count = collect(&teacher).len();
        if rest.len() < count {
            return Err(foreign());
        }
        let (net, numbers) = rest.split_at(count);
        let net: Vec<Named> = net
            .iter()
            .map(|n| Named {
                name: n.name.trim_start_matches("teacher.").to_owned(),
                ..n.clone()
            })
            .collect();
        let teacher = assign(teacher, &net)?;
        let states = numbers
            .chunks_exact(2)
            .map(|pair| State {
                first: pair[0].values.clone(),
                second: pair[1].values.clone(),
            })
            .collect();
        self.optimizer = self.fit.optimizer().after(steps, states);
        self.teacher = Some(teacher);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
