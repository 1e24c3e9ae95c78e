//! Counts against the formulas, and every net's way to int8.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::table::{efficientnet_row, zoo_row};
use super::*;
use crate::data::batch::Normalization;
use crate::data::{Augment, Labeled};
use crate::eval::metrics::argmax;
use crate::experiments::train::{Lesson, train};
use crate::net::blueprint::{Blueprint, Part};
use crate::net::graph::calibrate::ranges;
use crate::net::graph::fold_net::fold_net;
use crate::net::graph::lower::lower;
use crate::net::graph::nodes::Op;
use crate::net::graph::{float, int8};
use crate::net::{CompoundScaling, EfficientNetConfig, Net, Variant};
use crate::nn::Activation;
use crate::nn::init::Init;
use crate::nn::noise::Pass;
use crate::nn::values::collect;
use crate::train::{FitConfig, OptimizerKind, Schedule};
use crate::util::random::stream;
use pupil_core::model::Model;

const GREY: Images = Images {
    input: [28, 28, 1],
    classes: 10,
    stem_stride: 1,
};

fn init(blueprint: &Blueprint, device: &Device) -> Net {
    blueprint.init(&mut Init {
        device,
        rng: &mut stream(7, "zoo test", 0),
    })
}

fn blueprint(family: Family, images: &Images, attach: Option<&Attach>) -> Blueprint {
    family.blueprint(images, attach).unwrap()
}

#[test]
fn counts_without_squeeze_and_excitation_are_exact() {
    let counts = Family::ALL.map(|family| {
        let net = blueprint(family, &GREY, None);
        (family, net.parameters(), net.macs())
    });
    assert_eq!(
        counts,
        [
            (Family::Vgg, 72_666, 7_338_880),
            (Family::ResNet, 77_754, 9_345_920),
            (Family::ResNeXt, 48_442, 6_938_112),
            (Family::Inception, 36_018, 3_610_736),
            (Family::MobileNetV1, 54_922, 4_150_208),
            (Family::MbConv, 40_874, 5_408_064),
        ]
    );
}

#[test]
fn the_formula_counts_what_the_nets_have() {
    for family in Family::ALL {
        for attach in [None, Some(family.attach())] {
            let blueprint = blueprint(family, &GREY, attach.as_ref());
            let net = init(&blueprint, &Device::flex());
            let norms: usize = collect(&net)
                .iter()
                .filter(|n| n.name.ends_with("mean") || n.name.ends_with("variance"))
                .map(|n| n.values.len())
                .sum();
            assert_eq!(net.num_params() - norms, blueprint.parameters(), "{family}");
        }
    }
}

#[test]
fn squeeze_and_excitation_adds_two_c_squared_over_r() {
    for family in Family::ALL {
        for (ratio, bias) in [(4, false), (8, true), (8, false)] {
            let attach = Attach {
                ratio,
                bias,
                ..family.attach()
            };
            let row = zoo_row(family, &GREY, &attach).unwrap();
            assert!(row.parts >= 3, "{family}");
            assert_eq!(row.rounding(), 0.0, "{family} ratio {ratio}");
            assert_eq!(row.biases > 0, bias);
            // The dense layers' multiply-accumulates are their weights.
            assert_eq!(row.added_macs, row.added_parameters - row.biases);
        }
        // 40 channels by 16 are 2, not 2.5: what the table calls rounding.
        let attach = Attach {
            ratio: 16,
            ..family.attach()
        };
        let row = zoo_row(family, &GREY, &attach).unwrap();
        assert_eq!(row.rounding() != 0.0, family == Family::Inception);
    }
    // SE-ResNet's widths 16, 32, 64 at ratio 8: 2 (256 + 1024 + 4096) / 8.
    let row = zoo_row(Family::ResNet, &GREY, &Family::ResNet.attach()).unwrap();
    assert_eq!((row.parts, row.added_parameters), (3, 1344));
}

#[test]
fn published_nets_have_their_rows() {
    let b0 = efficientnet_row(Variant::B0);
    assert_eq!((b0.parts, b0.added_parameters), (16, 636_540));
    assert_eq!(b0.parameters + b0.added_parameters, 5_288_548);
    assert!(b0.rounding().abs() < 1e-6);
    let lite = efficientnet_row(Variant::Lite0);
    assert_eq!((lite.parts, lite.parameters), (0, 4_652_008));
}

#[test]
fn mbconv_is_the_tiny_efficientnet() {
    let images = Images {
        stem_stride: 2,
        ..GREY
    };
    let one = CompoundScaling::phi(0.0);
    let mut tiny = EfficientNetConfig::tiny(images.input, 10, one, 4, Activation::Silu);
    let ours = blueprint(Family::MbConv, &images, None);
    tiny.blocks.iter_mut().for_each(|b| b.squeezed_ch = 0);
    assert_eq!(
        (ours.parameters(), ours.macs()),
        (tiny.parameters(), tiny.macs())
    );
}

/// Kinds of parts around each squeeze-and-excitation: what it reads, and who reads it.
fn neighbours(net: &Blueprint) -> Vec<(&'static str, &'static str)> {
    let kind = |part: &Part| match part {
        Part::Conv { .. } => "conv",
        Part::Depthwise { .. } => "depthwise",
        Part::Add { .. } => "add",
        Part::Concat => "concat",
        _ => "other",
    };
    net.steps
        .iter()
        .enumerate()
        .filter(|(_, s)| matches!(s.part, Part::SqueezeExcite { .. }))
        .map(|(i, step)| {
            let writer = step.inputs[0]
                .checked_sub(1)
                .map_or("image", |w| kind(&net.steps[w].part));
            let reader = net.steps.iter().find(|s| s.inputs.contains(&(i + 1)));
            (writer, reader.map_or("none", |s| kind(&s.part)))
        })
        .collect()
}

#[test]
fn placements_are_senets() {
    let at = |family: Family, placement| {
        let attach = Attach {
            placement,
            ..family.attach()
        };
        blueprint(family, &GREY, Some(&attach))
    };
    let standard = at(Family::ResNet, Placement::Standard);
    assert_eq!(neighbours(&standard), [("conv", "add"); 3]);
    let post = at(Family::ResNet, Placement::Post);
    assert!(neighbours(&post).iter().all(|(writer, _)| *writer == "add"));
    let pre = at(Family::ResNet, Placement::Pre);
    assert_eq!(
        neighbours(&pre),
        [("conv", "conv"), ("add", "conv"), ("add", "conv")]
    );
    let identity = at(Family::ResNet, Placement::Identity);
    // The first unit's identity is the stem, the others' a shortcut convolution.
    assert_eq!(neighbours(&identity), [("conv", "add"); 3]);
    for net in [&pre, &identity, &post, &standard] {
        assert_eq!(net.squeeze_excites().len(), 3);
    }
    let mbconv = at(Family::MbConv, Placement::Standard);
    assert_eq!(neighbours(&mbconv), [("depthwise", "conv"); 4]);
    let inception = at(Family::Inception, Placement::Standard);
    assert!(neighbours(&inception).iter().all(|(w, _)| *w == "concat"));
    let refused = Family::Vgg.blueprint(
        &GREY,
        Some(&Attach {
            placement: Placement::Identity,
            ..Family::Vgg.attach()
        }),
    );
    assert!(refused.unwrap_err().contains("no identity branch"));
}

/// Stripes in four directions with any phase, and noise: learned in some dozen steps.
fn stripes(count: usize, seed: u64) -> Labeled {
    use rand::Rng;
    let mut rng = stream(seed, "stripes", 0);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..count {
        let class = i % 4;
        let (dy, dx) = [(0.0, 1.0), (1.0, 0.0), (0.7, 0.7), (0.7, -0.7)][class];
        let phase = (rng.next_u32() % 628) as f32 / 100.0;
        for p in 0..256 {
            let wave = ((p / 16) as f32 * dy + (p % 16) as f32 * dx + phase).sin();
            let noise = (rng.next_u32() % 61) as f32 - 30.0;
            pixels.push((128.0 + 70.0 * wave + noise) as u8);
        }
        labels.push(class as u8);
    }
    Labeled {
        images: crate::data::Images::new([16, 16, 1], pixels),
        labels,
    }
}

fn training(steps: u64) -> FitConfig {
    FitConfig {
        steps,
        batch: 16,
        learning_rate: 4e-3,
        warmup: 0.05,
        schedule: Schedule::Cosine,
        optimizer: OptimizerKind::AdamW,
        momentum: 0.9,
        weight_decay: 0.02,
        clip: 0.0,
        ema: 0.9,
        label_smoothing: 0.1,
        dropout: 0.0,
        drop_path: 0.0,
        mixup: 0.0,
        cutmix: 0.0,
    }
}

/// Trains a net on stripes, packs it, and compares the chip's answers with the float net's.
fn assert_packs(family: Family, attach: Option<&Attach>) {
    let name = format!("{family} {attach:?}");
    let images = Images {
        input: [16, 16, 1],
        classes: 4,
        stem_stride: 1,
    };
    let blueprint = blueprint(family, &images, attach);
    let device = Device::flex().autodiff();
    let set = stripes(128, 1);
    let normalization = Normalization::around(128);
    let lesson = Lesson {
        set: &set,
        augment: Augment::None,
        normalization,
        classes: 4,
    };
    let net = init(&blueprint, &device);
    let (net, loss) = train(net, &training(40), lesson, 3, || {}).unwrap();
    assert!(loss < 1.0, "{name}: loss {loss}"); // ln 4 = 1.39 at the start

    let graph = fold_net(&net);
    let lowered = lower(&graph);
    let found = ranges(&lowered, &set.images, &normalization, 0.0);
    let labels = ["a", "b", "c", "d"].map(str::to_owned);
    let bytes = int8::build(&lowered, &found, &normalization, &labels).unwrap();
    let model = Model::parse(&bytes).unwrap();
    // Cut convolutions do no more than whole ones.
    assert_eq!(model.macs() as usize, blueprint.macs(), "{name}");

    let fresh = stripes(48, 2);
    let scores = crate::eval::int8::scores(&model, &fresh.images).unwrap();
    let net = net.valid();
    let mut same = 0;
    let mut off = 0.0f32;
    for (i, row) in scores.chunks_exact(4).enumerate() {
        let input: Vec<f32> = fresh
            .images
            .get(i)
            .iter()
            .map(|p| normalization.apply(*p))
            .collect();
        let x: Tensor<4> = Tensor::from_data(
            TensorData::new(input.clone(), [1, 16, 16, 1]),
            &Device::flex(),
        );
        let expected: Vec<f32> = net
            .forward(x, &mut Pass::Evaluate)
            .into_data()
            .try_to_vec()
            .unwrap();
        let largest = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        // Some images are enough for the plain f32 loops.
        for graph in [&graph, &lowered].into_iter().filter(|_| i < 4) {
            let logits = float::run(graph, &input, &mut |_, _| {});
            for (a, b) in logits.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-4 * largest, "{name}: {a} {b}");
            }
        }
        let sum: f32 = expected.iter().map(|z| z.exp()).sum();
        let int8: Vec<f32> = row
            .iter()
            .map(|q| (f32::from(*q) + 128.0) / 256.0)
            .collect();
        for (z, p) in expected.iter().zip(&int8) {
            off += (z.exp() / sum - p).abs() / 192.0;
        }
        same += usize::from(argmax(&int8) == argmax(&expected));
    }
    // A stripe between two directions may fall to either; probabilities hardly move.
    assert!(
        same >= 46,
        "{name}: {same} of 48 answers are the float net's"
    );
    assert!(
        off < 0.01,
        "{name}: probabilities are off by {off} on average"
    );
}

#[test]
fn every_net_packs_and_answers_as_in_float() {
    for family in Family::ALL {
        assert_packs(family, None);
        assert_packs(family, Some(&family.attach()));
    }
}

#[test]
fn every_kind_of_squeeze_and_excitation_packs() {
    let family = Family::ResNet;
    for placement in [Placement::Pre, Placement::Post, Placement::Identity] {
        let attach = Attach {
            placement,
            ..family.attach()
        };
        assert_packs(family, Some(&attach));
    }
    // Over a concatenation the part is cut; over grouped convolutions' units it is not.
    for (family, placement) in [
        (Family::Inception, Placement::Pre),
        (Family::ResNeXt, Placement::Pre),
    ] {
        let attach = Attach {
            ratio: 4,
            placement,
            act: Activation::Relu6,
            gate: Activation::HardSigmoid,
            bias: true,
        };
        assert_packs(family, Some(&attach));
    }
}

#[test]
fn grouped_convolutions_of_the_zoo_cost_no_more_when_packed() {
    let net = init(&blueprint(Family::ResNeXt, &GREY, None), &Device::flex());
    let weights = |graph: &crate::net::graph::Graph| -> usize {
        let count = |op: &Op| match op {
            Op::Conv(f) | Op::GroupedConv(_, f) | Op::Dense(f) => f.weights.len(),
            _ => 0,
        };
        graph.nodes.iter().map(|n| count(&n.op)).sum()
    };
    let graph = fold_net(&net);
    assert_eq!(weights(&lower(&graph)), weights(&graph));
}
