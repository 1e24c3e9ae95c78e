//! Constants at the ends of their ranges: a layer is refused with its name, or its answer is the
//! reference's.

use proptest::prelude::*;

use super::*;
use pupil_core::kernels::reference::{self, Convolution};
use pupil_core::op::shape::Window;

/// Values around every limit of the layouts: 2^22 and 2^23 of odd channels, 2^30 of even ones.
fn edge(bits: &[u32]) -> impl Strategy<Value = i32> + use<> {
    let mut all = std::vec![0, 1, i32::MAX, i32::MIN];
    for bit in bits {
        let power = 1i32 << bit;
        all.extend([power - 1, power, power.saturating_add(1)]);
    }
    let signed: Vec<i32> = all.iter().flat_map(|n| [*n, n.wrapping_neg()]).collect();
    prop::sample::select(signed)
}

fn any_multiplier() -> impl Strategy<Value = Multiplier> {
    let mantissa = prop_oneof![
        6 => (1i32 << 30)..=i32::MAX,
        3 => prop::sample::select(std::vec![0, 1, 1 << 30, (1 << 30) - 1, i32::MAX]),
        1 => prop::sample::select(std::vec![-1, i32::MIN]),
    ];
    let shift = prop_oneof![
        12 => -23i32..=2,
        6 => -31i32..=30,
        1 => prop::sample::select(std::vec![-33, -32, 31, 32, i32::MIN, i32::MAX, i32::MIN + 1]),
    ];
    (mantissa, shift).prop_map(|(mantissa, shift)| Multiplier { mantissa, shift })
}

fn zero_point() -> impl Strategy<Value = i8> {
    prop_oneof![
        3 => prop::sample::select(std::vec![-128i8, -127, 0, 126, 127]),
        1 => any::<i8>(),
    ]
}

/// A filter layer with such constants.
#[derive(Clone, Debug)]
struct Filter {
    /// 0 convolution, 1 depthwise, 2 dense.
    kind: usize,
    input: Shape,
    kernel: usize,
    stride: usize,
    zero_points: (i8, i8),
    channels: Vec<Channel>,
    act: (i8, i8),
    table: bool,
    weights: Vec<u8>,
    seed: u32,
}

prop_compose! {
    fn filter()(
        kind in 0usize..3, h in 1usize..5, w in 1usize..5,
        in_ch in prop::sample::select(std::vec![1usize, 3, 4, 8]),
        kernel in prop::sample::select(std::vec![1usize, 1, 3, 5]), stride in 1usize..3,
        zero_points in (zero_point(), zero_point()), table: bool,
        act in prop_oneof![
            3 => Just((-128i8, 127i8)),
            1 => prop::sample::select(std::vec![(-128, -128), (127, 127), (-128, 0), (0, 127), (-1, 1)]),
        ],
        channels in prop::collection::vec((edge(&[22, 23, 24, 29, 30]), any_multiplier()), 1..10),
        one: bool, weight in prop::sample::select(std::vec![-128i8, -127, 0, 127]), flat: bool,
        seed: u32,
    ) -> Filter {
        let out_ch = match kind {
            1 => in_ch * (1 + seed as usize % 2),
            _ => channels.len(),
        };
        let taps = match kind {
            0 => kernel * kernel * in_ch,
            1 => kernel * kernel,
            _ => h * w * in_ch,
        };
        let mut r = Random(seed);
        let weights = match flat {
            true => std::vec![weight as u8; taps * out_ch],
            false => r.bytes(taps * out_ch),
        };
        let channels = (0..out_ch).map(|o| {
            let (bias, multiplier) = channels[if one { 0 } else { o % channels.len() }];
            Channel { bias, multiplier }
        });
        Filter {
            kind, input: Shape::new(h, w, in_ch), kernel, stride, zero_points,
            channels: channels.collect(), act, table, weights, seed,
        }
    }
}

impl Filter {
    fn conv(&self) -> Conv {
        Conv {
            kernel: (self.kernel, self.kernel),
            stride: (self.stride, self.stride),
            pad: Pad::Same,
            weights: self.weights.clone(),
            channels: self.channels.clone(),
            out: affine(0.05, self.zero_points.1),
            act: self.act,
            fused: self.table.then(|| Fused {
                table: core::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ 0x5a),
                out: affine(0.04, 3),
            }),
        }
    }

    fn pack(&self) -> Result<Vec<u8>, BuildError> {
        let input = InputSpec {
            shape: self.input,
            format: PixelFormat::Raw8,
            affine: affine(1.0, self.zero_points.0),
        };
        let mut b = ModelBuilder::new(input, &[]);
        let x = b.input();
        let y = match self.kind {
            0 => b.conv(x, self.conv())?,
            1 => b.depthwise(x, self.conv())?,
            _ => b.dense(x, self.conv())?,
        };
        let labels = std::vec![""; b.shape(y).len()];
        b.set_labels(&labels);
        b.finish()
    }

    /// Whether 32-bit sums hold the layer and its factors are ones that exist: then it must be packed.
    fn must_pack(&self) -> bool {
        let taps = self.weights.len() / self.channels.len();
        let zero = i64::from(self.zero_points.0);
        self.channels.iter().enumerate().all(|(o, channel)| {
            let weight = |t: usize| match self.kind {
                1 => self.weights[t * self.channels.len() + o],
                _ => self.weights[o * taps + t],
            };
            let sum: i64 = (0..taps).map(|t| i64::from(weight(t) as i8)).sum();
            let folded = i64::from(channel.bias) - zero * sum;
            let most = folded.abs() + 128 * 128 * taps as i64;
            channel.multiplier.is_valid() && most <= i64::from(i32::MAX)
        })
    }

    fn expected(&self, x: &[i8]) -> Vec<i8> {
        let weights: Vec<i8> = self.weights.iter().map(|w| *w as i8).collect();
        let bias: Vec<i32> = self.channels.iter().map(|c| c.bias).collect();
        let multipliers: Vec<Multiplier> = self.channels.iter().map(|c| c.multiplier).collect();
        let zero_points = (i32::from(self.zero_points.0), i32::from(self.zero_points.1));
        let mut y = if self.kind == 2 {
            reference::dense(x, &weights, &bias, &multipliers, zero_points, self.act)
                .collect::<Vec<_>>()
        } else {
            let side = |n: usize| n.div_ceil(self.stride);
            let (h, w) = (self.input.h, self.input.w);
            let window = Window {
                pad_left: Window::same(h, w, self.kernel, self.stride).pad_left,
                ..Window::same(h, w, self.kernel, self.stride)
            };
            let p = Convolution {
                input: self.input,
                output: Shape::new(side(h), side(w), bias.len()),
                window,
                weights: &weights,
                bias: &bias,
                multipliers: &multipliers,
                zero_points,
                act: self.act,
            };
            reference::convolution(&p, x, self.kind == 1).collect::<Vec<_>>()
        };
        if let Some(fused) = self.conv().fused {
            y.iter_mut()
                .for_each(|q| *q = fused.table[usize::from(*q as u8)] as i8);
        }
        y
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_layer_with_extreme_constants_is_refused_or_right(filter in filter()) {
        match filter.pack() {
            Ok(bytes) => {
                let frame = Random(!filter.seed).bytes(filter.input.len());
                let x: Vec<i8> = frame.iter().map(|p| (p ^ 0x80) as i8).collect();
                prop_assert_eq!(scores(&bytes, &frame), filter.expected(&x));
            }
            Err(error) => {
                prop_assert!(!filter.must_pack(), "{}", error);
                let text = error.to_string();
                prop_assert!(text.starts_with("layer 0: "), "{}", text);
            }
        }
    }

    #[test]
    fn factors_of_other_operators_are_refused_or_run(
        m in prop::collection::vec(any_multiplier(), 3), points: (i8, i8), other: (i8, i8),
        diff_min in edge(&[8, 12, 20]), x: i8,
    ) {
        let spec = InputSpec {
            shape: Shape::new(1, 1, 2),
            format: PixelFormat::Raw8,
            affine: affine(1.0, points.0),
        };
        let build = |kind: usize| -> Result<Vec<u8>, BuildError> {
            let mut b = ModelBuilder::new(spec, &["a", "b"]);
            let (x, mean) = (b.input(), multiplier(1.0));
            let gate = match kind {
                0 | 1 => b.mean_exact(x, affine(1.0, points.1), mean)?,
                _ => x,
            };
            let zero_points = [points.0.into(), points.1.into()];
            let (min, max) = (i32::from(other.0.min(other.1)), i32::from(other.0.max(other.1)));
            match kind {
                0 => b.add_exact(x, gate, &AddParams {
                    zero_points, multipliers: [m[0], m[1]], output_multiplier: m[2],
                    output_zero_point: other.0.into(), min, max, table: None,
                }, 1.0)?,
                1 => b.mul_exact(x, gate, &MulParams {
                    ch: 2, zero_points, multiplier: m[0], output_zero_point: other.0.into(), min, max,
                }, 1.0)?,
                2 => b.mean_exact(x, affine(1.0, other.0), m[0])?,
                _ => b.softmax_exact(x, &SoftmaxParams { multiplier: m[0], diff_min })?,
            };
            b.finish()
        };
        for kind in 0..4 {
            if let Ok(bytes) = build(kind) {
                prop_assert_eq!(scores(&bytes, &[x as u8 ^ 0x80, 7]).len(), 2);
            }
        }
    }
}

#[test]
fn a_bias_that_the_pair_layout_can_not_hold_wraps_nowhere() {
    // 2^23 in an odd channel: its word would hold 256 times as much.
    for bias in [
        (1 << 23) - 1,
        1 << 23,
        (1 << 23) + 5,
        1 << 24,
        1 << 30,
        -(1 << 23),
        -(1 << 30),
    ] {
        for channel in 0..4 {
            let mut channels = std::vec![
                Channel {
                    bias: 0,
                    multiplier: Multiplier {
                        mantissa: 1 << 30,
                        shift: -22,
                    }
                };
                4
            ];
            channels[channel].bias = bias;
            let filter = Filter {
                kind: 0,
                input: Shape::new(2, 2, 4),
                kernel: 1,
                stride: 1,
                zero_points: (0, 0),
                channels,
                act: (-128, 127),
                table: false,
                weights: std::vec![3; 16],
                seed: 1,
            };
            let frame = Random(5).bytes(16);
            let x: Vec<i8> = frame.iter().map(|p| (p ^ 0x80) as i8).collect();
            let bytes = filter.pack().unwrap();
            assert_eq!(
                scores(&bytes, &frame),
                filter.expected(&x),
                "{bias} {channel}"
            );
        }
    }
}

#[test]
fn zero_points_that_are_not_the_tensors_are_refused() {
    let spec = InputSpec {
        shape: Shape::new(1, 1, 2),
        format: PixelFormat::Raw8,
        affine: affine(1.0, 5),
    };
    let mut b = ModelBuilder::new(spec, &["a", "b"]);
    let p = AddParams {
        zero_points: [5, 6],
        ..crate::params::add([affine(1.0, 5); 2], affine(1.0, 0), (-128, 127))
    };
    let x = b.input();
    assert_eq!(
        b.add_exact(x, x, &p, 1.0).unwrap_err().to_string(),
        "layer 0: add: zero points [5, 6], those of its inputs are [5, 5]"
    );
    let m = Multiplier {
        mantissa: 1 << 30,
        shift: i32::MIN,
    };
    assert_eq!(
        b.mean_exact(x, affine(1.0, 0), m).unwrap_err().to_string(),
        "layer 0: mean: multiplier 1073741824 with shift -2147483648; a mantissa is not negative, a \
         shift is -31 to 30"
    );
}

#[test]
fn softmax_takes_the_least_difference_that_tensorflow_lite_computes() {
    // TensorFlow Lite: −⌊31 · 2^26 / 2^shift⌋, below −255 where the scale of the logits is small.
    let logits = [-128i8, -100, 0, 3, 90, 127, 126, -7];
    let frame = logits.map(|q| q as u8 ^ 0x80);
    for shift in [0, 5, 12, 19, 20, 22, 26] {
        let radius = (31i64 << 26) >> shift;
        let diff_min = -(radius.min(i64::from(i32::MAX)) as i32);
        let multiplier = Multiplier {
            mantissa: 1_518_500_250,
            shift,
        };
        let build = |diff_min: i32| {
            let spec = InputSpec {
                shape: Shape::new(1, 1, 8),
                format: PixelFormat::Raw8,
                affine: affine(0.001, 0),
            };
            let mut b = ModelBuilder::new(spec, &[""; 8]);
            let p = SoftmaxParams {
                multiplier,
                diff_min,
            };
            b.softmax_exact(b.input(), &p).unwrap();
            b.finish()
        };
        // No two int8 are further apart than 255.
        let near = build(diff_min.max(-255)).unwrap();
        let far = build(diff_min).unwrap();
        assert_eq!(scores(&far, &frame), scores(&near, &frame), "{shift}");
        assert!(build(1).is_err());
    }
}
