//! Golden values of TensorFlow Lite's operators, and every kernel against the reference on
//! random shapes, strides, paddings, zero points, clamps and shifts.

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::reference::{self, Convolution};
use super::*;
use crate::quant::Affine;

fn affine(scale: f32, zero_point: i8) -> Affine {
    Affine { scale, zero_point }
}

#[test]
fn golden_additions() {
    // The golden values come from f64 scales; f32 ones move one of them by a step.
    let real = Multiplier::from_real;
    let p = AddParams {
        zero_points: [-3, 10],
        multipliers: [real(0.02 / 0.1), real(0.05 / 0.1)],
        output_multiplier: real(0.1 / (f64::from(1 << 20) * 0.06)),
        output_zero_point: -7,
        min: -128,
        max: 127,
        table: None,
    };
    for (a, b, expected) in [
        (-128, -128, -128),
        (127, 127, 127),
        (0, 0, -14),
        (5, -90, -88),
        (-77, 33, -13),
    ] {
        let mut y = [0];
        add(&p, &[a], &[b], &mut y);
        assert_eq!(y, [expected], "{a} {b}");
        let (mut first, mut second) = ([a], [b]);
        add_in_place(&p, 0, &mut first, &[b]);
        add_in_place(&p, 1, &mut second, &[a]);
        assert_eq!((first, second), ([expected], [expected]));
    }
}

#[test]
fn golden_multiplications() {
    let inputs = [affine(0.02, -3), affine(1.0 / 256.0, -128)];
    let p = MulParams::new(1, inputs, affine(0.015, 4), (-128, 127));
    for (a, b, expected) in [
        (-128, -128, 4),
        (127, 127, 127),
        (0, 0, 6),
        (5, -90, 6),
        (-77, 33, -58),
    ] {
        let mut y = [0];
        mul(&p, &[a], &[b], &mut y, &mut []);
        assert_eq!(y, [expected], "{a} {b}");
    }
}

#[test]
fn golden_averages() {
    for (x, expected) in [
        (&[1, 2][..], 2),
        (&[-1, -2], -2),
        (&[127; 64], 127),
        (&[-128, 127], -1),
        (&[3, 4, 4, 4], 4),
        (&[-3, -4, -4, -4], -4),
    ] {
        let input = Shape::new(1, x.len(), 1);
        let window = Window::global(1, x.len());
        let p = PoolParams {
            input,
            output: Shape::new(1, 1, 1),
            window,
            min: -128,
            max: 127,
        };
        let mut y = [0];
        average_pool(&p, x, &mut y);
        assert_eq!(y, [expected], "{x:?}");
    }
}

#[test]
fn golden_softmax() {
    let mut y = [0; 10];
    softmax(
        &SoftmaxParams::new(0.1),
        &[-128, -20, 0, 5, 60, 60, 127, 100, -1, 12],
        &mut y,
    );
    assert_eq!(
        y,
        [-128, -128, -128, -128, -128, -128, 111, -112, -128, -128]
    );
}

#[test]
fn golden_means() {
    // Scale 0.05 to 0.031, zero points −128 and −128.
    for (x, expected) in [
        (&[1i8, 2, 3, 4][..], 83),
        (&[127; 64], 127),
        (&[-128; 49], -128),
        (&[-100, 20, 127, 5, 9], 98),
    ] {
        let multiplier = mean_multiplier(f64::from(0.05f32) / f64::from(0.031f32), x.len());
        let out = Output {
            zero_point: -128,
            min: -128,
            max: 127,
            lookup: None,
        };
        let input = Shape::new(1, x.len(), 1);
        let mut y = [0];
        mean(
            &MeanParams {
                input,
                input_zero_point: -128,
                multiplier,
                out,
            },
            x,
            &mut y,
        );
        assert_eq!(y, [expected], "{x:?}");
    }
}

#[test]
fn mean_multipliers_divide_as_integers() {
    // 0.5 over 49 pixels: five more bits, then an integer division.
    let m = mean_multiplier(0.5, 49);
    assert_eq!(
        m,
        Multiplier {
            mantissa: ((1i64 << 35) / 49) as i32,
            shift: -5
        }
    );
}

#[test]
fn short_slices_leave_the_output_alone() {
    let channels = [0u8; 12];
    let f = Filter {
        input: Shape::new(2, 2, 1),
        output: Shape::new(2, 2, 1),
        window: Window::same(2, 2, 3, 1),
        input_zero_point: 0,
        taps: 9,
        layout: Layout::Natural,
        weights: &[1; 9],
        channels: ChannelQuant::new(&channels),
        out: Output {
            zero_point: 0,
            min: -128,
            max: 127,
            lookup: None,
        },
    };
    let mut y = [5; 4];
    conv(&f, &[1; 3], &mut y, &mut []);
    depthwise(&f, &[1; 3], &mut y, &mut []);
    conv(&f, &[1; 4], &mut y[..3], &mut []);
    assert_eq!(y, [5; 4]);
}

/// A random convolution-like case; bytes come from a linear congruential generator.
#[derive(Clone, Debug)]
struct Case {
    h: usize,
    w: usize,
    in_ch: usize,
    out_ch: usize,
    kernel: (usize, usize),
    stride: (usize, usize),
    same: bool,
    zero_points: (i8, i8),
    act: (i8, i8),
    shift: i32,
    seed: u32,
}

prop_compose! {
    fn case()(
        h in 1usize..9, w in 1usize..9, in_ch in 1usize..13, out_ch in 1usize..13,
        kernel in (1usize..6, 1usize..6), stride in (1usize..4, 1usize..4), same: bool,
        zero_points: (i8, i8), act: (i8, i8), shift in -14i32..4, seed: u32,
    ) -> Case {
        let mut act = (act.0.min(act.1), act.0.max(act.1));
        let mut zero_points = zero_points;
        if seed % 3 > 0 {
            act = (-128, 127);
            if seed % 2 > 0 {
                zero_points.1 = -128;
            }
        }
        // Without padding the kernel must fit into the image.
        let kernel = if same { kernel } else { (kernel.0.min(h), kernel.1.min(w)) };
        Case { h, w, in_ch, out_ch, kernel, stride, same, zero_points, act, shift, seed }
    }
}

struct Bytes(u32);

impl Bytes {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        self.0 >> 8
    }

    fn int8(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }
}

impl Case {
    fn window(&self) -> (Window, Shape) {
        let (h, w) = (self.h, self.w);
        let mut window = Window {
            kernel_h: self.kernel.0,
            kernel_w: self.kernel.1,
            stride_h: self.stride.0,
            stride_w: self.stride.1,
            pad_top: 0,
            pad_left: 0,
        };
        let (mut oh, mut ow) = (
            (h - self.kernel.0.min(h)) / self.stride.0 + 1,
            (w - self.kernel.1.min(w)) / self.stride.1 + 1,
        );
        if self.same {
            use crate::shape::same_padding;
            window.pad_top = same_padding(h, self.kernel.0, self.stride.0).0;
            window.pad_left = same_padding(w, self.kernel.1, self.stride.1).0;
            (oh, ow) = (h.div_ceil(self.stride.0), w.div_ceil(self.stride.1));
        }
        (window, Shape::new(oh, ow, self.out_ch))
    }

    /// Runs kernel and reference, in the pair layout too where it holds the layer;
    /// `depthwise_multiplier` makes it depthwise.
    fn compare(
        &self,
        depthwise_multiplier: Option<usize>,
        run: impl Fn(&Filter<'_>, &[i8], &mut [i8], &mut [i8]),
    ) {
        let (window, mut output) = self.window();
        let input = Shape::new(self.h, self.w, self.in_ch);
        let taps = self.kernel.0 * self.kernel.1;
        let per_channel = if depthwise_multiplier.is_some() {
            taps
        } else {
            taps * self.in_ch
        };
        if let Some(m) = depthwise_multiplier {
            output.c = self.in_ch * m;
        }
        let mut bytes = Bytes(self.seed);
        let x = bytes.int8(input.len());
        let mut weights = bytes.int8(per_channel * output.c);
        if !self.seed.is_multiple_of(4) {
            // As trainers make them: the pair layout needs it.
            for w in &mut weights {
                *w = (*w).max(-127);
            }
        }
        let bias: Vec<i32> = (0..output.c)
            .map(|_| (bytes.next() as i32 % 20000) - 10000)
            .collect();
        let multipliers: Vec<Multiplier> = (0..output.c)
            .map(|_| Multiplier {
                mantissa: (1 << 30) + (bytes.next() as i32 & 0xff_ffff) * 63,
                shift: self.shift - (bytes.next() % 3) as i32,
            })
            .collect();
        let expected = reference::convolution(
            &Convolution {
                input,
                output,
                window,
                weights: &weights,
                bias: &bias,
                multipliers: &multipliers,
                zero_points: (i32::from(self.zero_points.0), i32::from(self.zero_points.1)),
                act: self.act,
            },
            &x,
            depthwise_multiplier.is_some(),
        );
        let zero_point = i32::from(self.zero_points.0);
        let folded: Vec<(i32, Multiplier)> = (0..output.c)
            .map(|o| {
                let sum: i32 = if depthwise_multiplier.is_some() {
                    (0..taps)
                        .map(|t| i32::from(weights[t * output.c + o]))
                        .sum()
                } else {
                    weights[o * per_channel..][..per_channel]
                        .iter()
                        .map(|w| i32::from(*w))
                        .sum()
                };
                (bias[o] - zero_point * sum, multipliers[o])
            })
            .collect();
        let records: Vec<u8> = folded
            .iter()
            .flat_map(|(bias, m)| [*bias, m.mantissa, m.shift])
            .flat_map(i32::to_le_bytes)
            .collect();
        let weights: Vec<u8> = weights.iter().map(|w| *w as u8).collect();
        let f = Filter {
            input,
            output,
            window,
            input_zero_point: zero_point,
            taps: per_channel,
            layout: Layout::Natural,
            weights: &weights,
            channels: ChannelQuant::new(&records),
            out: Output {
                zero_point: i32::from(self.zero_points.1),
                min: i32::from(self.act.0),
                max: i32::from(self.act.1),
                lookup: None,
            },
        };
        let mut y = vec![0; output.len()];
        run(&f, &x, &mut y, &mut []);
        assert_eq!(y, expected, "{self:?}");
        if depthwise_multiplier.is_some() {
            self.compare_row_pairs(&f, &folded, &x, &expected);
            return;
        }
        // The clamps become a table; without clamps the other modes apply.
        let table = core::array::from_fn(|i| {
            { (i as u8 ^ 0x80) as i8 }.clamp(self.act.0, self.act.1) as u8
        });
        let clamped = self.act != (-128, 127);
        let zero = i32::from(self.zero_points.1);
        let modes: &[Mode] = match (clamped, zero) {
            (true, _) => &[Mode::Table],
            (false, -128) => &[Mode::Table, Mode::Relu, Mode::ReluDoubled],
            (false, _) => &[Mode::Table, Mode::General],
        };
        for mode in modes {
            let Ok(stream) = Pairs::encode(&weights, per_channel, &folded, *mode, zero) else {
                continue;
            };
            let f = Filter {
                layout: if *mode == Mode::ReluDoubled {
                    Layout::PairsDoubled
                } else {
                    Layout::Pairs
                },
                weights: &stream,
                channels: ChannelQuant::new(&[]),
                out: Output {
                    zero_point: zero,
                    min: -128,
                    max: 127,
                    lookup: (*mode == Mode::Table).then_some(&table),
                },
                ..f
            };
            assert_eq!(f.natural_weights(), weights);
            assert!((0..output.c).all(|o| {
                let (bias, m) = f.channel(o);
                bias == folded[o].0 && m.mantissa == folded[o].1.mantissa
            }));
            let mut y = vec![0; output.len()];
            run(
                &f,
                &x,
                &mut y,
                &mut vec![0; pairs::conv_scratch(per_channel, false)],
            );
            assert_eq!(y, expected, "{mode:?} {self:?}");
        }
    }
}

impl Case {
    /// Depthwise in the row-pair layout, also in place where that is allowed.
    fn compare_row_pairs(
        &self,
        f: &Filter<'_>,
        channels: &[(i32, Multiplier)],
        x: &[i8],
        expected: &[i8],
    ) {
        let claims = Claims {
            window: f.window,
            zero_point: f.out.zero_point,
        };
        let packed = RowPairs::encode(&claims, f.weights, channels, self.act.0, false);
        let Some((form, words)) = packed else {
            return;
        };
        let f = Filter {
            layout: Layout::RowPairs(form),
            weights: &words,
            channels: ChannelQuant::new(&[]),
            ..*f
        };
        assert_eq!(f.row_pairs().unwrap().check(f.output.c), Ok(()));
        let mut scratch = vec![0x55; scratch_len(&Operator::Depthwise(f))];
        let mut y = vec![0; expected.len()];
        depthwise(&f, x, &mut y, &mut scratch);
        assert_eq!(y, expected, "{form:?} {self:?}");
        if Operator::Depthwise(f).works_in_place(0) && f.input == f.output {
            let mut map = x.to_vec();
            depthwise_in_place(&f, &mut map, &mut scratch);
            assert_eq!(map, expected, "in place {form:?} {self:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn conv_equals_the_reference(case in case()) {
        case.compare(None, conv);
    }

    #[test]
    fn pointwise_equals_the_reference(case in case()) {
        let case = Case { kernel: (1, 1), stride: (1, 1), ..case };
        case.compare(None, pointwise);
        case.compare(None, conv);
    }

    #[test]
    fn dense_equals_the_reference(case in case()) {
        let one = Case { h: 1, w: 1, in_ch: case.h * case.in_ch, kernel: (1, 1), stride: (1, 1), ..case };
        one.compare(None, dense);
    }

    #[test]
    fn depthwise_equals_the_reference(case in case(), multiplier in 1usize..4) {
        case.compare(Some(1), depthwise);
        case.compare(Some(multiplier), depthwise);
    }

    #[test]
    fn pools_equal_the_reference(case in case()) {
        // A window smaller than its stride may see no pixel under SAME padding: not a pooling.
        let stride = (case.stride.0.min(case.kernel.0), case.stride.1.min(case.kernel.1));
        let case = Case { stride, ..case };
        let (window, mut output) = case.window();
        let input = Shape::new(case.h, case.w, case.in_ch);
        output.c = input.c;
        let x = Bytes(case.seed).int8(input.len());
        let (min, max) = (i32::from(case.act.0), i32::from(case.act.1));
        let p = PoolParams { input, output, window, min, max };
        for (run, is_max) in [(average_pool as fn(&PoolParams, &[i8], &mut [i8]), false), (max_pool, true)] {
            let mut y = vec![0; output.len()];
            run(&p, &x, &mut y);
            prop_assert_eq!(y, reference::pool(input, output, &window, case.act, &x, is_max));
        }
    }

    #[test]
    fn mean_equals_the_reference(case in case(), real in 0.01f64..4.0) {
        let input = Shape::new(case.h, case.w, case.in_ch);
        let x = Bytes(case.seed).int8(input.len());
        let multiplier = mean_multiplier(real, case.h * case.w);
        let zero_points = (i32::from(case.zero_points.0), i32::from(case.zero_points.1));
        let out = Output { zero_point: zero_points.1, min: -128, max: 127, lookup: None };
        let p = MeanParams { input, input_zero_point: zero_points.0, multiplier, out };
        let mut y = vec![0; input.c];
        mean(&p, &x, &mut y);
        let expected = reference::mean(input, &x, multiplier, zero_points);
        prop_assert_eq!(&y, &expected);
        // Within one step of the real mean.
        for (c, q) in y.iter().enumerate() {
            let n = (case.h * case.w) as f64;
            let sum: f64 = x.iter().skip(c).step_by(input.c).map(|v| f64::from(*v)).sum();
            let exact = (sum / n - f64::from(zero_points.0)) * real + f64::from(zero_points.1);
            prop_assert!((f64::from(*q) - exact.clamp(-128.0, 127.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn add_and_mul_equal_the_reference(
        values in prop::collection::vec(any::<(i8, i8)>(), 1..50),
        scales in (0.001f32..1.0, 0.001f32..1.0, 0.001f32..1.0),
        zero: (i8, i8, i8), act: (i8, i8),
    ) {
        let act = (act.0.min(act.1), act.0.max(act.1));
        let inputs = [affine(scales.0, zero.0), affine(scales.1, zero.1)];
        let out = affine(scales.2, zero.2);
        let points = [i32::from(zero.0), i32::from(zero.1), i32::from(zero.2)];
        let p = AddParams::new(inputs, out, act);
        let m = MulParams::new(1, inputs, out, act);
        for (a, b) in values {
            let multipliers = [p.multipliers[0], p.multipliers[1], p.output_multiplier];
            let mut y = [0];
            add(&p, &[a], &[b], &mut y);
            prop_assert_eq!(y[0], reference::add((a, b), points, multipliers, act));
            mul(&m, &[a], &[b], &mut y, &mut []);
            prop_assert_eq!(y[0], reference::mul((a, b), points, m.multiplier, act));
        }
    }
}
