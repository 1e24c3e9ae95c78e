//! EfficientNet (arXiv 1905.11946): stem, MBConv blocks, 1x1 head, pooling, classifier.
//!
//! One configuration type describes teacher, student and the student for the chip. Maps are
//! NHWC, padding is TensorFlow's SAME.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::scaling::CompoundScaling;
use crate::nn::activation::Activation;
use crate::nn::conv::{ConvBnAct, Pointwise, evaluated};
use crate::nn::init::Init;
use crate::nn::mbconv::{MbConv, MbConvConfig};
use crate::nn::noise::Pass;
use crate::nn::ops::is_fused;
use crate::nn::units::folded::Chain;

/// A whole net, resolved to channel counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfficientNetConfig {
    /// Input height, width and channels.
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// Channels of the stem.
    pub stem_ch: usize,
    /// Stride of the 3x3 stem.
    pub stem_stride: usize,
    /// The MBConv blocks in order.
    pub blocks: Vec<MbConvConfig>,
    /// Channels of the 1x1 head.
    pub head_ch: usize,
    /// Everywhere but after projections.
    pub act: Activation,
}

/// A stage of the tiny family at width 1: repeats, kernel, stride, channels.
const TINY_STAGES: [(usize, usize, usize, usize); 4] =
    [(1, 3, 1, 16), (1, 5, 2, 24), (1, 3, 2, 40), (1, 5, 1, 40)];

impl EfficientNetConfig {
    /// The tiny family for inputs of 28 to 96 pixels: a stride-2 stem and four stages; at width
    /// 1, depth 1 and expand ratio 4, 46,658 parameters and 1.46 MMAC at 28x28x1 with ten classes.
    pub fn tiny(
        input: [usize; 3],
        classes: usize,
        scaling: CompoundScaling,
        expand_ratio: usize,
        act: Activation,
    ) -> Self {
        let channels = |ch| scaling.channels(ch, 8);
        let stem_ch = channels(16);
        let mut in_ch = stem_ch;
        let mut blocks = Vec::new();
        for (repeats, kernel, stride, ch) in TINY_STAGES {
            for i in 0..scaling.repeats(repeats) {
                let out_ch = channels(ch);
                blocks.push(MbConvConfig {
                    in_ch,
                    out_ch,
                    kernel,
                    stride: if i == 0 { stride } else { 1 },
                    expand_ratio,
                    squeezed_ch: (in_ch / 4).max(1),
                    act,
                });
                in_ch = out_ch;
            }
        }
        Self {
            input,
            classes,
            stem_ch,
            stem_stride: 2,
            blocks,
            head_ch: channels(160),
            act,
        }
    }

    /// A net with weights from `init`.
    pub fn init(&self, init: &mut Init<'_>) -> EfficientNet {
        let last = self.blocks.last().map_or(self.stem_ch, |b| b.out_ch);
        EfficientNet {
            stem: ConvBnAct::new(
                (self.input[2], self.stem_ch),
                3,
                self.stem_stride,
                self.act,
                init,
            ),
            blocks: self.blocks.iter().map(|b| b.init(init)).collect(),
            head: Pointwise::new((last, self.head_ch), self.act, init),
            classifier: init.uniform([self.head_ch, self.classes], self.classes),
            classifier_bias: init.constant([self.classes], 0.0),
        }
    }

    /// Trained parameters: weights, biases, γ and β; running statistics are not counted.
    pub fn parameters(&self) -> usize {
        let norm = |ch: usize| 2 * ch;
        let blocks: usize = self
            .blocks
            .iter()
            .map(|b| {
                let e = b.expanded_ch();
                let expand = if b.expand_ratio > 1 {
                    b.in_ch * e + norm(e)
                } else {
                    0
                };
                let s = b.squeezed_ch;
                let squeeze = if s > 0 { 2 * e * s + e + s } else { 0 };
                expand + b.kernel * b.kernel * e + norm(e) + squeeze + e * b.out_ch + norm(b.out_ch)
            })
            .sum();
        let last = self.blocks.last().map_or(self.stem_ch, |b| b.out_ch);
        9 * self.input[2] * self.stem_ch
            + norm(self.stem_ch)
            + blocks
            + last * self.head_ch
            + norm(self.head_ch)
            + self.head_ch * self.classes
            + self.classes
    }

    /// Multiply-accumulates of one image: convolutions, squeeze-and-excitation and classifier.
    pub fn macs(&self) -> usize {
        let [mut h, mut w, c] = self.input;
        (h, w) = (h.div_ceil(self.stem_stride), w.div_ceil(self.stem_stride));
        let mut macs = h * w * 9 * c * self.stem_ch;
        for b in &self.blocks {
            let e = b.expanded_ch();
            if b.expand_ratio > 1 {
                macs += h * w * b.in_ch * e;
            }
            (h, w) = (h.div_ceil(b.stride), w.div_ceil(b.stride));
            macs += h * w * (b.kernel * b.kernel * e + e * b.out_ch) + 2 * e * b.squeezed_ch;
        }
        let last = self.blocks.last().map_or(self.stem_ch, |b| b.out_ch);
        macs + h * w * last * self.head_ch + self.head_ch * self.classes
    }
}

/// The net.
#[derive(Module, Debug)]
pub struct EfficientNet {
    /// 3x3 convolution on the image.
    pub stem: ConvBnAct,
    /// MBConv blocks.
    pub blocks: Vec<MbConv>,
    /// 1x1 convolution before pooling.
    pub head: Pointwise,
    /// `[head_ch, classes]`.
    pub classifier: Param<Tensor<2>>,
    /// `[classes]`.
    pub classifier_bias: Param<Tensor<1>>,
}

impl EfficientNet {
    /// Images `[n, h, w, c]` to logits `[n, classes]`.
    pub fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        let features = self.features(x, pass);
        self.classify(features, pass)
    }

    /// Images `[n, h, w, c]` to what the classifier sees, `[n, head_ch]`: the trunk.
    pub fn features(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        if matches!(pass, Pass::Evaluate) && is_fused(&x.device()) {
            return self.evaluate(x);
        }
        let mut x = self.stem.forward(x, pass);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, pass, i, self.blocks.len());
        }
        self.head.forward_pooled(x, pass)
    }

    /// The trunk by running statistics: each image through all of it while its maps are in the
    /// cache.
    fn evaluate(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, h, w, c] = x.dims();
        let mut chain = Chain::with_capacity(self.blocks.len() + 2);
        let mut size = self.stem.fold_onto(&mut chain, [h, w, c]);
        for block in &self.blocks {
            size = block.fold_onto(&mut chain, size);
        }
        self.head.fold_pooled_onto(&mut chain, size);
        let head_ch = self.head.weight.dims()[1];
        evaluated(&chain, x, [n, head_ch])
    }

    /// Features `[n, head_ch]` to logits `[n, classes]`.
    pub fn classify(&self, features: Tensor<2>, pass: &mut Pass<'_>) -> Tensor<2> {
        let features = pass.dropout(features);
        features.matmul(self.classifier.val()) + self.classifier_bias.val().unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::values;
    use crate::util::random::stream;
    use burn::module::Module;
    use burn::tensor::{Device, TensorData};

    fn tiny(input: [usize; 3], width: f64) -> EfficientNetConfig {
        let scaling = CompoundScaling {
            width,
            depth: 1.0,
            resolution: 1.0,
        };
        EfficientNetConfig::tiny(input, 10, scaling, 4, Activation::Silu)
    }

    #[test]
    fn counts_of_the_base_net_are_exact() {
        let rgb = tiny([32, 32, 3], 1.0);
        assert_eq!((rgb.parameters(), rgb.macs()), (46_946, 1_846_080));
        let grey = tiny([28, 28, 1], 1.0);
        assert_eq!((grey.parameters(), grey.macs()), (46_658, 1_463_232));
    }

    /// The quickstart's student depends on every bit of its initial weights.
    #[test]
    fn a_seed_gives_the_weights_that_it_always_gave() {
        use sha2::{Digest, Sha256};
        let mut rng = stream(0, "test", 0);
        let net = tiny([28, 28, 1], 1.0).init(&mut Init {
            device: &Device::flex(),
            rng: &mut rng,
        });
        let mut sha = Sha256::new();
        for entry in crate::nn::values::collect(&net) {
            sha.update(entry.name.as_bytes());
            for v in &entry.values {
                sha.update(v.to_le_bytes());
            }
        }
        assert_eq!(
            crate::util::hash::hex(&sha.finalize()),
            "7533188e6a6b55350781c140f37008b8dc9e803a2a1ee77477bca91a84741120"
        );
    }

    #[test]
    fn the_formula_counts_what_the_net_has() {
        for width in [0.5, 1.0, 1.4, 2.0] {
            let config = tiny([28, 28, 1], width);
            let mut rng = stream(0, "test", 0);
            let net = config.init(&mut Init {
                device: &Device::flex(),
                rng: &mut rng,
            });
            // Running means and variances are as many as betas and gammas: not trained.
            let norms: usize = crate::nn::values::collect(&net)
                .iter()
                .filter(|n| n.name.ends_with("mean") || n.name.ends_with("variance"))
                .map(|n| n.values.len())
                .sum();
            assert_eq!(
                net.num_params() - norms,
                config.parameters(),
                "width {width}"
            );
        }
    }

    #[test]
    fn evaluation_is_deterministic_and_independent_of_the_batch() {
        let config = tiny([12, 12, 1], 0.5);
        let mut rng = stream(0, "test", 0);
        let net = config.init(&mut Init {
            device: &Device::flex(),
            rng: &mut rng,
        });
        let x: Tensor<4> = Tensor::ones([3, 12, 12, 1], &Device::flex());
        let run = |x| -> Vec<f32> {
            net.forward(x, &mut Pass::Evaluate)
                .into_data()
                .try_to_vec()
                .unwrap()
        };
        let three = run(x.clone());
        assert_eq!(three, run(x.clone()));
        assert_eq!(three[..10], run(x.narrow(0, 0, 1))[..]);
    }

    #[test]
    fn evaluation_in_one_go_is_that_of_one_unit_after_the_other() {
        let config = tiny([15, 13, 3], 1.4);
        let mut rng = stream(0, "test", 0);
        let device = Device::flex();
        let net = config.init(&mut Init {
            device: &device,
            rng: &mut rng,
        });
        let pixels = crate::nn::kernels::testing::numbers(5 * 15 * 13 * 3, 1);
        let x = Tensor::from_data(TensorData::new(pixels, [5, 15, 13, 3]), &device);
        let mut pass = Pass::Evaluate;
        let mut map = net.stem.forward(x.clone(), &pass);
        for (i, block) in net.blocks.iter().enumerate() {
            map = block.forward(map, &mut pass, i, net.blocks.len());
        }
        let steps = net.head.forward_pooled(map, &pass);
        let at_once = net.features(x, &mut pass);
        assert_eq!(at_once.dims(), [5, config.head_ch]);
        assert_eq!(values::numbers(at_once), values::numbers(steps));
    }
}
