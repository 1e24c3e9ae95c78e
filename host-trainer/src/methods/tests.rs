//! What holds for all methods.

use burn::tensor::Device;

use super::consistency::TargetPass;
use super::fixmatch::FixMatchConfig;
use super::pseudo_label::PseudoLabelConfig;
use super::testing::{Linear, STRONG, data, setup, trained, training};
use super::uda::UdaConfig;
use super::{NoisyStudent, PseudoLabel, Supervised};
use crate::data::batch::Normalization;
use crate::eval::float::accuracy;
use crate::methods::selection::PseudoLabels;
use crate::net::{CompoundScaling, EfficientNetConfig};
use crate::nn::Activation;
use crate::nn::init::Init;
use crate::train::FitConfig;
use crate::train::fit::{Objective, fit};
use crate::util::random::stream;

fn net() -> Linear {
    Linear::new(16, 3, 1)
}

#[test]
fn at_weight_zero_every_method_is_supervised_learning_to_the_bit() {
    let data = data();
    let config = FitConfig {
        dropout: 0.2,
        mixup: 0.2,
        ..training(30)
    };
    // The labeled part of the batch.
    let alone = FitConfig { batch: 3, ..config };
    let setup = setup(&data, &config, 0);
    let device = Device::flex().autodiff();
    let mut supervised = Supervised::new(
        &data.labeled,
        3,
        (STRONG, setup.normalization),
        &alone,
        (setup.seed, 0),
        &device,
    );
    let expected = trained(net(), &alone, &mut supervised);
    let none = PseudoLabelConfig {
        alpha: 0.0,
        ..PseudoLabelConfig::default()
    };
    let uda = UdaConfig {
        weight: 0.0,
        ..UdaConfig::default()
    };
    let fixmatch = FixMatchConfig {
        weight: 0.0,
        ..FixMatchConfig::default()
    };
    let mut methods: [(&str, Box<dyn Objective<Linear>>); 3] = [
        ("pseudo-label", Box::new(PseudoLabel::new(&setup, none))),
        ("uda", Box::new(uda.objective(&setup))),
        ("fixmatch", Box::new(fixmatch.objective(&setup))),
    ];
    for (name, method) in &mut methods {
        assert_eq!(trained(net(), &config, method.as_mut()), expected, "{name}");
    }
}

#[test]
fn every_method_learns_and_weighs_unlabeled_images() {
    let data = data();
    let config = training(120);
    let setup = setup(&data, &config, 0);
    let papers = UdaConfig {
        target_pass: TargetPass::Batch,
        align: false,
        ..UdaConfig::default()
    };
    let pseudo = PseudoLabels {
        indices: (0..30).collect(),
        probabilities: (0..90).map(|k| f32::from(k % 3 == k / 3 % 3)).collect(),
    };
    let mut methods: Vec<(&str, Box<dyn Objective<Linear> + '_>)> = vec![
        (
            "pseudo-label",
            Box::new(PseudoLabel::new(&setup, PseudoLabelConfig::default())),
        ),
        ("uda", Box::new(UdaConfig::default().objective(&setup))),
        ("uda, the paper's", Box::new(papers.objective(&setup))),
        (
            "fixmatch",
            Box::new(FixMatchConfig::default().objective(&setup)),
        ),
        (
            "noisy-student",
            Box::new(NoisyStudent::new(&setup, &pseudo)),
        ),
    ];
    let mut all = Vec::new();
    for (name, method) in &mut methods {
        let fitted = fit(
            net(),
            &config,
            (1, "noise"),
            method.as_mut(),
            &mut super::testing::Nobody,
        )
        .unwrap();
        let right = accuracy(&fitted.net, &data.test, &Normalization::around(90));
        assert!(right > 0.9, "{name}: {right}");
        let watched = fitted.epochs.last().unwrap().figures.clone();
        if *name != "noisy-student" {
            let entropy = watched["unlabeled_entropy"];
            assert!((0.0..3f64.ln()).contains(&entropy), "{name}: {entropy}");
            // Predictions become surer.
            let first = fitted.epochs[1].figures["unlabeled_entropy"];
            assert!(entropy < first, "{name}: {first} then {entropy}");
        }
        all.push(crate::nn::values::collect(&fitted.net));
    }
    for i in 0..all.len() {
        for j in 0..i {
            assert_ne!(all[i], all[j], "{} is {}", methods[i].0, methods[j].0);
        }
    }
}

/// With convolutions and batch norm: two forward passes a step, three kinds of images.
#[test]
fn agreement_works_on_nets_with_batch_norm() {
    let data = data();
    let config = FitConfig {
        steps: 12,
        ..training(12)
    };
    let setup = setup(&data, &config, 0);
    let scaling = CompoundScaling {
        width: 0.5,
        depth: 1.0,
        resolution: 1.0,
    };
    let tiny = EfficientNetConfig::tiny([4, 4, 1], 3, scaling, 2, Activation::Silu);
    let mut ends = Vec::new();
    let passes = [TargetPass::Batch, TargetPass::Running, TargetPass::Average];
    for target_pass in passes {
        let uda = UdaConfig {
            confidence: 0.0,
            target_pass,
            ..UdaConfig::default()
        };
        let net = tiny.init(&mut Init {
            device: &setup.device,
            rng: &mut stream(0, "test", 0),
        });
        let end = trained(net, &config, &mut uda.objective(&setup));
        assert!(end.iter().flat_map(|n| &n.values).all(|v| v.is_finite()));
        ends.push(end);
    }
    assert!(ends[0] != ends[1] && ends[1] != ends[2]);
}
