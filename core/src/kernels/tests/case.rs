//! Random convolution-like layers, run in every layout that holds them.

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::kernels::reference::{self, Convolution};
use crate::kernels::*;
use crate::op::pairs::{Mode, Pairs};
use crate::op::quant::{ChannelQuant, Multiplier};
use crate::op::row_pairs::{Claims, RowPairs};
use crate::op::shape::{Shape, Window};
use crate::op::{Filter, Layout, Operator, Output};

/// A random convolution-like case; bytes come from a linear congruential generator.
#[derive(Clone, Debug)]
pub struct Case {
    pub h: usize,
    pub w: usize,
    pub in_ch: usize,
    pub out_ch: usize,
    pub kernel: (usize, usize),
    pub stride: (usize, usize),
    pub same: bool,
    pub zero_points: (i8, i8),
    pub act: (i8, i8),
    pub shift: i32,
    pub seed: u32,
}

prop_compose! {
    pub fn case()(
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

pub struct Bytes(pub u32);

impl Bytes {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        self.0 >> 8
    }

    pub fn int8(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }
}

impl Case {
    pub fn window(&self) -> (Window, Shape) {
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
            use crate::op::shape::same_padding;
            window.pad_top = same_padding(h, self.kernel.0, self.stride.0).0;
            window.pad_left = same_padding(w, self.kernel.1, self.stride.1).0;
            (oh, ow) = (h.div_ceil(self.stride.0), w.div_ceil(self.stride.1));
        }
        (window, Shape::new(oh, ow, self.out_ch))
    }

    /// Runs kernel and reference, in the pair layout too where it holds the layer;
    /// `depthwise_multiplier` makes it depthwise.
    pub fn compare(
        &self,
        depthwise_multiplier: Option<usize>,
        run: impl Fn(&Filter<'_>, &[i8], &mut [i8], &mut [i8]) -> bool,
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
        )
        .collect::<Vec<_>>();
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
        assert!(run(&f, &x, &mut y, &mut []));
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
            let mut natural = vec![0; weights.len().next_multiple_of(4 * per_channel)];
            for (block, rows) in natural.chunks_mut(4 * per_channel).enumerate() {
                f.pairs().unwrap().unpack(block, rows);
            }
            natural.truncate(weights.len());
            assert!(natural.iter().zip(&weights).all(|(a, b)| *a as u8 == *b));
            assert!((0..output.c).all(|o| {
                let (bias, m) = f.channel(o);
                bias == folded[o].0 && m.mantissa == folded[o].1.mantissa
            }));
            let mut y = vec![0; output.len()];
            let mut scratch = vec![0; crate::op::pairs::conv_scratch(per_channel, false)];
            assert!(run(&f, &x, &mut y, &mut scratch));
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
        assert!(depthwise::<Every>(&f, x, &mut y, &mut scratch));
        assert_eq!(y, expected, "{form:?} {self:?}");
        if Operator::Depthwise(f).works_in_place(0) && f.input == f.output {
            let mut map = x.to_vec();
            assert!(depthwise_in_place::<Every>(&f, &mut map, &mut scratch));
            assert_eq!(map, expected, "in place {form:?} {self:?}");
        }
        for band in 1..5 {
            self.compare_bands(&f, expected, x, band);
        }
    }
    /// Bands of rows, each of them in place, as a stream runs them: by the portable kernel and by the
    /// portable implementation of the chip's.
    fn compare_bands(&self, f: &Filter<'_>, expected: &[i8], x: &[i8], band: usize) {
        let operator = Operator::Depthwise(*f);
        if !operator.works_in_place(0) || f.input.c != f.output.c || f.output.w > f.input.w {
            return;
        }
        let (window, in_row) = (f.window, f.input.w * f.input.c);
        let out_row = f.output.w * f.output.c;
        for y in (0..f.output.h).step_by(band) {
            let n = band.min(f.output.h - y);
            let first = (y * window.stride_h) as isize - window.pad_top as isize;
            let last = first + ((n - 1) * window.stride_h + window.kernel_h) as isize;
            let end = last.min(f.input.h as isize);
            if end - first < n as isize {
                continue;
            }
            // Rows above the image are made, rows below are not.
            let mut map = vec![f.input_zero_point as i8; first.min(0).unsigned_abs() * in_row];
            map.extend(&x[first.max(0) as usize * in_row..end as usize * in_row]);
            let Operator::Depthwise(f) = operator.band((end - first) as usize, n, 0) else {
                return;
            };
            let pairs = f.row_pairs().unwrap();
            let layer = arch::arm_dsp::depthwise::Layer {
                input: f.input,
                output: f.output,
                window: f.window,
                input_zero_point: f.input_zero_point,
                form: pairs.form(),
                params: pairs.words(),
                table: f.out.lookup,
                act: (f.out.min as i8, f.out.max as i8),
            };
            let expected = &expected[y * out_row..(y + n) * out_row];
            let mut chip = map.clone();
            let mut scratch = vec![0x5555_5555; scratch_len(&operator).div_ceil(4)];
            let ran = layer.run(&mut Maps::in_place(&mut chip), &mut scratch);
            assert!(ran, "the chip's kernel refuses {self:?}");
            assert_eq!(
                &chip[..expected.len()],
                expected,
                "the chip's kernel, row {y} {self:?}"
            );
            let mut scratch = vec![0x55; scratch_len(&operator)];
            assert!(depthwise_in_place::<Every>(&f, &mut map, &mut scratch));
            assert_eq!(&map[..expected.len()], expected, "row {y} {self:?}");
        }
    }
}
