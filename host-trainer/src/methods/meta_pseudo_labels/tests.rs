//! The teacher's gradient against its definition: F(θ_T) = L_l(θ_S − η ∇ L_u(θ_T, θ_S)).

use burn::tensor::Device;

use super::*;
use crate::methods::consistency::TargetPass;
use crate::methods::testing::{Linear, data, setup, trained, training};

const PIXELS: usize = 6;
const CLASSES: usize = 3;
const RATE: f64 = 0.05;

fn images(n: usize, seed: usize) -> Tensor<4> {
    let value = |i: usize| ((i * 29 + seed * 17) % 23) as f32 / 8.0 - 1.4;
    let values: Vec<f32> = (0..n * PIXELS).map(value).collect();
    Tensor::from_data(
        TensorData::new(values, [n, 1, PIXELS, 1]),
        &Device::flex().autodiff(),
    )
}

fn answer(net: &Linear, x: &Tensor<4>) -> Tensor<2> {
    net.forward(x.clone(), &mut Pass::Train(&mut Noise::none(0)))
}

struct Case {
    student: Linear,
    teacher: Linear,
    labeled: Tensor<4>,
    targets: Tensor<2>,
    unlabeled: Tensor<4>,
}

fn case() -> Case {
    let device = Device::flex().autodiff();
    Case {
        student: Linear::new(PIXELS, CLASSES, 3),
        teacher: Linear::new(PIXELS, CLASSES, 8),
        labeled: images(5, 1),
        targets: one_hot(&[0, 1, 2, 1, 0], CLASSES, 0.0, &device),
        unlabeled: images(2, 9),
    }
}

impl Case {
    /// The student after one plain step on `targets` of the unlabeled images.
    fn stepped(&self, targets: Tensor<2>) -> Linear {
        let loss = soft_cross_entropy(answer(&self.student, &self.unlabeled), targets);
        let g = gradients(&self.student, &loss.backward());
        shifted(&self.student, &g, -RATE as f32)
    }

    fn labeled_loss(&self, student: &Linear) -> f64 {
        labeled_loss(student, &self.labeled, &self.targets, 0)
    }

    /// dF/dθ_T by central differences.
    fn by_differences(&self) -> Vec<f64> {
        let count = PIXELS * CLASSES;
        let at = |k: usize, by: f32| {
            let mut direction = vec![vec![0.0; count]];
            direction[0][k] = 1.0;
            let teacher = shifted(&self.teacher, &direction, by);
            let rows = softened(&answer(&teacher, &self.unlabeled), 1.0);
            let targets = Tensor::from_data(
                TensorData::new(rows, [2, CLASSES]),
                &self.unlabeled.device(),
            );
            self.labeled_loss(&self.stepped(targets))
        };
        let by = 0.05;
        (0..count)
            .map(|k| (at(k, by) - at(k, -by)) / (2.0 * f64::from(by)))
            .collect()
    }
}

fn teacher_gradient(case: &Case, loss: &Tensor<1>) -> Vec<f64> {
    let all = gradients(&case.teacher, &loss.backward());
    all[0].iter().map(|g| f64::from(*g)).collect()
}

/// Cosine, and ratio of the norms.
fn alike(a: &[f64], b: &[f64]) -> (f64, f64) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (na, nb) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    (dot(a, b) / (na * nb), na / nb)
}

#[test]
fn soft_labels_give_the_exact_gradient() {
    let case = case();
    let logits = answer(&case.teacher, &case.unlabeled);
    let rows = softened(&logits, 1.0);
    let targets = Tensor::from_data(TensorData::new(rows, [2, CLASSES]), &logits.device());
    let after = case.stepped(targets);
    let surrogate = soft_exact(
        (&case.student, &after),
        (&case.labeled, &case.targets),
        (&case.unlabeled, &logits),
        RATE,
        0,
    );
    let (cosine, ratio) = alike(&teacher_gradient(&case, &surrogate), &case.by_differences());
    // f32 differences of a loss near 1: three digits.
    assert!(
        cosine > 0.999 && (ratio - 1.0).abs() < 0.01,
        "{cosine} {ratio}"
    );
}

/// The expectation over all nine pairs of labels, each with its probability.
#[test]
fn sampled_labels_give_it_in_expectation() {
    let case = case();
    let p = softened(&answer(&case.teacher, &case.unlabeled), 1.0);
    let old = case.labeled_loss(&case.student);
    let mut expected = vec![0.0; PIXELS * CLASSES];
    let (mut better, mut worse) = (0, 0);
    for a in 0..CLASSES {
        for b in 0..CLASSES {
            let sampled = [a as u8, b as u8];
            let targets = one_hot(&sampled, CLASSES, 0.0, &case.unlabeled.device());
            let h = old - case.labeled_loss(&case.stepped(targets));
            if h > 0.0 {
                better += 1
            } else {
                worse += 1
            }
            let term = reinforce(&answer(&case.teacher, &case.unlabeled), &sampled);
            let weight = f64::from(p[a] * p[CLASSES + b]) * h;
            for (e, g) in expected.iter_mut().zip(teacher_gradient(&case, &term)) {
                *e += weight * g;
            }
        }
    }
    assert!(better > 0 && worse > 0, "labels of both kinds");
    let (cosine, ratio) = alike(&expected, &case.by_differences());
    // h is the fall of the loss over a step of finite length.
    assert!(
        cosine > 0.99 && (ratio - 1.0).abs() < 0.1,
        "{cosine} {ratio}"
    );
}

#[test]
fn labels_that_helped_become_more_probable() {
    let case = case();
    let logits = answer(&case.teacher, &case.unlabeled);
    let loss = reinforce(&logits, &[2, 0]) * 0.3;
    let g = gradients(&case.teacher, &loss.backward());
    let after = shifted(&case.teacher, &g, -0.1);
    let before = softened(&logits, 1.0);
    let now = softened(&answer(&after, &case.unlabeled), 1.0);
    assert!(
        now[2] > before[2] && now[3] > before[3],
        "{before:?} {now:?}"
    );
}

#[test]
fn the_published_codes_feedback_has_no_gradient() {
    let case = case();
    let logits = answer(&case.teacher, &case.unlabeled);
    let rows = softened(&logits, 1.0);
    let own = Tensor::from_data(TensorData::new(rows, [2, CLASSES]), &logits.device());
    let loss = soft_cross_entropy(logits, own);
    let g = teacher_gradient(&case, &loss);
    assert!(g.iter().all(|g| g.abs() < 1e-6), "{g:?}");
}

fn run(config: MetaPseudoLabelsConfig, steps: u64) -> (Vec<Named>, Vec<Named>, Vec<Named>) {
    let data = data();
    let fit = training(steps);
    let mut method = MetaPseudoLabels::new(
        &setup(&data, &fit, 0),
        Linear::new(16, CLASSES, 5),
        config,
        UdaConfig::default(),
    );
    let student = trained(Linear::new(16, CLASSES, 2), &fit, &mut method);
    let teacher = collect(method.teacher.as_ref().unwrap());
    let state = Objective::<Linear>::state(&method);
    (student, teacher, state)
}

#[test]
fn without_feedback_the_teacher_is_a_uda_run_to_the_bit() {
    let config = MetaPseudoLabelsConfig {
        weight: 0.0,
        uda_ramp: 0.0,
        fine_tune: 0.0,
        ..MetaPseudoLabelsConfig::default()
    };
    let (_, teacher, _) = run(config, 20);
    let data = data();
    // A plain copy of the last weights: no average.
    let fit = FitConfig {
        ema: 0.0,
        ..training(20)
    };
    // The teacher's UDA is the paper's: one batch of everything, nothing aligned.
    let uda = UdaConfig {
        align: false,
        target_pass: TargetPass::Batch,
        ..UdaConfig::default()
    };
    let mut uda = uda.objective(&setup(&data, &fit, 0));
    assert_eq!(
        trained(Linear::new(16, CLASSES, 5), &fit, &mut uda),
        teacher
    );
    // And with feedback it is not.
    let (_, other, _) = run(
        MetaPseudoLabelsConfig {
            uda_ramp: 0.0,
            fine_tune: 0.0,
            ..MetaPseudoLabelsConfig::default()
        },
        20,
    );
    assert_ne!(other, teacher);
}

#[test]
fn the_student_learns_by_every_feedback() {
    let data = data();
    for feedback in [
        Feedback::Reinforce,
        Feedback::SoftExact,
        Feedback::PaperCode,
    ] {
        let config = MetaPseudoLabelsConfig {
            feedback,
            ..MetaPseudoLabelsConfig::default()
        };
        let (student, ..) = run(config, 150);
        let net = assign(Linear::new(16, CLASSES, 0), &student).unwrap();
        let normalization = crate::data::batch::Normalization::around(90);
        let right = crate::eval::accuracy(&net, &data.test, &normalization);
        assert!(right > 0.9, "{feedback:?}: {right}");
    }
}

#[test]
fn a_state_comes_back_to_the_bit_and_another_is_refused() {
    let (_, teacher, state) = run(MetaPseudoLabelsConfig::default(), 20);
    let data = data();
    let fit = training(20);
    let mut method = MetaPseudoLabels::new(
        &setup(&data, &fit, 20),
        Linear::new(16, CLASSES, 9),
        MetaPseudoLabelsConfig::default(),
        UdaConfig::default(),
    );
    Objective::<Linear>::restore(&mut method, &state).unwrap();
    assert_eq!(collect(method.teacher.as_ref().unwrap()), teacher);
    let bits = |list: &[Named]| -> Vec<u32> {
        let values = list.iter().flat_map(|n| &n.values);
        values.map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(&Objective::<Linear>::state(&method)), bits(&state));
    assert!(Objective::<Linear>::restore(&mut method, &state[..1]).is_err());
}
