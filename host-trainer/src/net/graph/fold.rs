//! From a trained net to a [`Graph`]: batch norm becomes part of weights and biases.
//!
//! w' = w γ / √(σ² + ε), b' = β − μ γ / √(σ² + ε) with the running statistics.

use super::nodes::{Dims, Filter, Graph, Op};
use crate::net::{EfficientNet, EfficientNetConfig};
use crate::nn::conv::BatchNormAct;
use crate::nn::kernels::normalize::EPSILON;
use crate::nn::{Activation, Depthwise, SqueezeExcite};
use burn::tensor::Tensor;

pub(super) fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().expect("parameters are f32")
}

/// Scale and shift of each channel.
pub(super) fn scale_shift(norm: &BatchNormAct) -> (Vec<f32>, Vec<f32>) {
    let (gamma, beta) = (values(norm.gamma.val()), values(norm.beta.val()));
    let (mean, variance) = (
        values(norm.mean.value_sync()),
        values(norm.variance.value_sync()),
    );
    let scale: Vec<f32> = gamma
        .iter()
        .zip(&variance)
        .map(|(g, v)| (f64::from(*g) / (f64::from(*v) + EPSILON).sqrt()) as f32)
        .collect();
    let shift = beta
        .iter()
        .zip(&mean)
        .zip(&scale)
        .map(|((b, m), s)| b - m * s)
        .collect();
    (scale, shift)
}

/// `[rows, out]` to `[out][rows]`, each output channel scaled.
pub(super) fn transpose_scaled(weights: &[f32], scale: &[f32]) -> Vec<f32> {
    let out = scale.len();
    let rows = weights.len() / out;
    let mut turned = Vec::with_capacity(weights.len());
    for (o, s) in scale.iter().enumerate() {
        turned.extend((0..rows).map(|r| weights[r * out + o] * s));
    }
    turned
}

pub(super) fn conv(
    weight: Tensor<2>,
    norm: &BatchNormAct,
    kernel: usize,
    stride: usize,
    act: Activation,
) -> Filter {
    let (scale, bias) = scale_shift(norm);
    Filter {
        kernel,
        stride,
        weights: transpose_scaled(&values(weight), &scale),
        bias,
        act,
    }
}

pub(super) fn dense(weight: Tensor<2>, bias: Tensor<1>, act: Activation) -> Filter {
    let bias = values(bias);
    let weights = transpose_scaled(&values(weight), &vec![1.0; bias.len()]);
    Filter {
        kernel: 1,
        stride: 1,
        weights,
        bias,
        act,
    }
}

pub(super) fn depthwise(
    layer: &Depthwise,
    (kernel, stride): (usize, usize),
    act: Activation,
) -> Filter {
    let (scale, bias) = scale_shift(&layer.norm);
    let weights = values(layer.weight.val())
        .chunks_exact(scale.len())
        .flat_map(|tap| {
            tap.iter()
                .zip(&scale)
                .map(|(w, s)| w * s)
                .collect::<Vec<_>>()
        })
        .collect();
    Filter {
        kernel,
        stride,
        weights,
        bias,
        act,
    }
}

pub(super) fn squeeze_excite(se: &SqueezeExcite) -> Op {
    Op::SqueezeExcite {
        reduce: dense(se.reduce.val(), se.reduce_bias(), se.act()),
        expand: dense(se.expand.val(), se.expand_bias(), se.gate()),
    }
}

fn strided([h, w, _]: Dims, stride: usize, ch: usize) -> Dims {
    [h.div_ceil(stride), w.div_ceil(stride), ch]
}

/// The graph that computes what `net` computes in evaluation, up to rounding: logits come last.
pub(crate) fn fold(config: &EfficientNetConfig, net: &EfficientNet) -> Graph {
    let act = config.act;
    let mut graph = Graph::new(config.input);
    let mut dims = strided(config.input, config.stem_stride, config.stem_ch);
    let stem = conv(
        net.stem.weight.val(),
        &net.stem.norm,
        3,
        config.stem_stride,
        act,
    );
    let mut x = graph.push("stem".into(), &[0], Op::Conv(stem), dims);
    for (i, (block, shape)) in net.blocks.iter().zip(&config.blocks).enumerate() {
        let name = |part: &str| format!("block {} {part}", i + 1);
        let start = x;
        if let Some(expand) = &block.expand {
            dims = strided(dims, 1, shape.expanded_ch());
            let filter = conv(expand.weight.val(), &expand.norm, 1, 1, act);
            x = graph.push(name("expand"), &[x], Op::Conv(filter), dims);
        }
        dims = strided(dims, shape.stride, shape.expanded_ch());
        let filter = depthwise(&block.depthwise, (shape.kernel, shape.stride), act);
        x = graph.push(name("depthwise"), &[x], Op::Depthwise(filter), dims);
        if let Some(se) = &block.squeeze_excite {
            x = graph.push(name("squeeze-excite"), &[x], squeeze_excite(se), dims);
        }
        dims = strided(dims, 1, shape.out_ch);
        let filter = conv(
            block.project.weight.val(),
            &block.project.norm,
            1,
            1,
            Activation::Linear,
        );
        x = graph.push(name("project"), &[x], Op::Conv(filter), dims);
        if shape.has_residual() {
            let op = Op::Add(Activation::Linear);
            x = graph.push(name("residual"), &[start, x], op, dims);
        }
    }
    dims = strided(dims, 1, config.head_ch);
    let head = conv(net.head.weight.val(), &net.head.norm, 1, 1, act);
    x = graph.push("head".into(), &[x], Op::Conv(head), dims);
    x = graph.push("mean".into(), &[x], Op::Mean, [1, 1, config.head_ch]);
    let classifier = dense(
        net.classifier.val(),
        net.classifier_bias.val(),
        Activation::Linear,
    );
    graph.push(
        "classifier".into(),
        &[x],
        Op::Dense(classifier),
        [1, 1, config.classes],
    );
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;
    use crate::data::batch::Normalization;
    use crate::eval::float::probabilities;
    use crate::eval::metrics::argmax;
    use crate::net::CompoundScaling;
    use crate::net::graph::float;
    use crate::nn::init::Init;
    use crate::nn::noise::{Noise, Pass};
    use crate::util::random::stream;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn the_folded_graph_answers_as_the_net_does() {
        let scaling = CompoundScaling {
            width: 0.5,
            depth: 1.0,
            resolution: 1.0,
        };
        let config = EfficientNetConfig::tiny([14, 14, 1], 4, scaling, 4, Activation::Silu);
        let device = Device::flex().autodiff();
        let mut rng = stream(3, "test", 0);
        let net = config.init(&mut Init {
            device: &device,
            rng: &mut rng,
        });
        let pixels: Vec<u8> = (0..196 * 12).map(|i| (i * 37 % 251) as u8).collect();
        let images = Images::new([14, 14, 1], pixels.clone());
        let n = Normalization::around(120);
        // A few passes in training mode move the running statistics away from 0 and 1.
        let mut noise = Noise::none(0);
        let x: Vec<f32> = pixels.iter().map(|p| n.apply(*p)).collect();
        let x: Tensor<4> = Tensor::from_data(TensorData::new(x, [12, 14, 14, 1]), &device);
        for _ in 0..20 {
            net.forward(x.clone(), &mut Pass::Train(&mut noise));
        }
        let expected = probabilities(&net, &images, &n);
        let graph = fold(&config, &net);
        for i in 0..images.len() {
            let input: Vec<f32> = images.get(i).iter().map(|p| n.apply(*p)).collect();
            let logits = float::run(&graph, &input, &mut |_, _| {});
            let row = &expected[i * 4..][..4];
            assert_eq!(argmax(&logits), argmax(row));
            let sum: f32 = logits.iter().map(|z| z.exp()).sum();
            for (z, p) in logits.iter().zip(row) {
                assert!((z.exp() / sum - p).abs() < 1e-4, "image {i}");
            }
        }
    }
}
