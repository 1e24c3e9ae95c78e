//! The packed forms against the reference on random shapes, windows, paddings, zero points,
//! clamps, tables and shifts.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::kernels::reference::{self, Convolution};
use crate::op::quant::Multiplier;
use crate::op::row_pairs::{Claims, RowPairs};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    input: Shape,
    multiplier: usize,
    window: Window,
    zero_points: (i8, i8),
    act: (i8, i8),
    table: bool,
    /// Shift of the first channel, and how far others are from it.
    shift: (i32, i32),
    seed: u32,
}

struct Bytes(u32);

impl Bytes {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        self.0 >> 8
    }
}

impl Case {
    fn output(&self) -> Shape {
        let (w, i) = (&self.window, self.input);
        Shape::new(
            i.h.div_ceil(w.stride_h),
            i.w.div_ceil(w.stride_w),
            i.c * self.multiplier,
        )
    }

    /// Packs for `form`, or for the fastest one, runs it and compares; false if it can't be packed.
    fn check(&self, form: Option<Form>) -> Option<Form> {
        let (output, window) = (self.output(), self.window);
        let mut bytes = Bytes(self.seed);
        let x: Vec<i8> = (0..self.input.len()).map(|_| bytes.next() as i8).collect();
        let taps = window.kernel_h * window.kernel_w;
        let weights: Vec<i8> = (0..taps * output.c)
            .map(|_| (bytes.next() as i8).max(-127))
            .collect();
        let bias: Vec<i32> = (0..output.c)
            .map(|_| bytes.next() as i32 % 40000 - 20000)
            .collect();
        let multipliers: Vec<Multiplier> = (0..output.c)
            .map(|_| Multiplier {
                mantissa: if bytes.next().is_multiple_of(40) {
                    0
                } else {
                    (1 << 30) + (bytes.next() as i32 & 0xff_ffff) * 63
                },
                shift: (self.shift.0 - (bytes.next() as i32 % (self.shift.1 + 1))).max(-31),
            })
            .collect();
        let table: [u8; 256] = core::array::from_fn(|_| bytes.next() as u8);
        let act = if self.table { (-128, 127) } else { self.act };
        let mut expected = reference::convolution(
            &Convolution {
                input: self.input,
                output,
                window,
                weights: &weights,
                bias: &bias,
                multipliers: &multipliers,
                zero_points: (self.zero_points.0.into(), self.zero_points.1.into()),
                act,
            },
            &x,
            true,
        )
        .collect::<Vec<_>>();
        if self.table {
            expected
                .iter_mut()
                .for_each(|q| *q = table[(i32::from(*q) + 128) as usize] as i8);
        }
        let zero_point = i32::from(self.zero_points.0);
        let channels: Vec<(i32, Multiplier)> = (0..output.c)
            .map(|o| {
                let sum: i32 = (0..taps)
                    .map(|t| i32::from(weights[t * output.c + o]))
                    .sum();
                (bias[o] - zero_point * sum, multipliers[o])
            })
            .collect();
        let bytes: Vec<u8> = weights.iter().map(|w| *w as u8).collect();
        let claims = Claims {
            window,
            zero_point: self.zero_points.1.into(),
        };
        let (form, words) = match form {
            Some(form) => (form, RowPairs::encode_as(form, &claims, &bytes, &channels)?),
            None => RowPairs::encode(&claims, &bytes, &channels, act.0, self.table)?,
        };
        let packed = RowPairs::new(&words, form, claims);
        assert_eq!(packed.check(output.c), Ok(()));
        let layer = Layer {
            input: self.input,
            output,
            window,
            input_zero_point: zero_point,
            form,
            params: packed.words(),
            table: self.table.then_some(&table),
            act,
        };
        let words = scratch_words(form, &window, output);
        let mut scratch = vec![0xdead_beefu32; words];
        let mut y = vec![0x55; output.len()];
        assert!(layer.run(&mut Maps::apart(&x, &mut y), &mut scratch));
        assert_eq!(y, expected, "{form:?} {self:?}");
        if works_in_place(form, self.input, output) {
            let mut map = x.clone();
            assert!(layer.run(&mut Maps::in_place(&mut map), &mut scratch));
            assert_eq!(map[..output.len()], expected, "in place {form:?} {self:?}");
        }
        // Too little of anything leaves the output alone.
        let mut y = vec![0x55; output.len()];
        assert!(!layer.run(&mut Maps::apart(&x, &mut y), &mut scratch[1..]));
        assert!(!layer.run(&mut Maps::apart(&x[1..], &mut y), &mut scratch));
        assert!(y.iter().all(|q| *q == 0x55));
        assert!(!layer.run(&mut Maps::apart(&x, &mut y[1..]), &mut scratch));
        Some(form)
    }
}

prop_compose! {
    fn case()(
        side in (1usize..22, 1usize..14), c in 1usize..11, multiplier in 1usize..4,
        kernel in (1usize..8, 1usize..8), stride in (1usize..4, 1usize..4), pad in (0usize..7, 0usize..7),
        zero_points: (i8, i8), relu: bool, act: (i8, i8), full: bool, table: bool,
        shift in (-15i32..6, 0i32..4), seed: u32,
    ) -> Case {
        let act = if full { (-128, 127) } else { (act.0.min(act.1), act.0.max(act.1)) };
        let window = Window {
            kernel_h: kernel.0, kernel_w: kernel.1, stride_h: stride.0, stride_w: stride.1,
            pad_top: pad.0 % kernel.0, pad_left: pad.1 % kernel.1,
        };
        let (zero_points, act) = if relu { ((zero_points.0, -128), (-128, 127)) } else { (zero_points, act) };
        let input = Shape::new(side.0, side.1, c);
        Case { input, multiplier, window, zero_points, act, table: table && !relu, shift, seed }
    }
}

/// The case with the window of a block kernel, multiplier 1 three times in four.
fn with_kernel(case: &Case, side: usize, stride: usize) -> Case {
    let mut case = case.clone();
    if !case.seed.is_multiple_of(4) {
        case.multiplier = 1;
    }
    let w = &mut case.window;
    (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w) = (side, side, stride, stride);
    (w.pad_top, w.pad_left) = (w.pad_top % side, w.pad_left % side);
    if !case.seed.is_multiple_of(3) {
        let i = case.input;
        (w.pad_top, w.pad_left) = (
            crate::op::shape::same_padding(i.h, side, stride).0,
            crate::op::shape::same_padding(i.w, side, stride).0,
        );
    }
    case
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn block_kernels_equal_the_reference(case in case()) {
        for (side, stride) in [(3, 1), (3, 2), (5, 1)] {
            let mut case = with_kernel(&case, side, stride);
            case.shift.0 = case.shift.0.min(-1) - 3;
            let form = case.check(None);
            prop_assert!(form.is_some());
            for fast in [false, true] {
                if case.table || case.zero_points.1 != -128 || case.act.0 != -128 {
                    continue;
                }
                let kernel = Kernel::of(&case.window, fast).unwrap();
                case.check(Some(Form::Blocks(kernel)));
            }
        }
    }

    #[test]
    fn any_window_equals_the_reference(case in case()) {
        prop_assert!(case.check(Some(Form::Any)).is_some());
        case.check(None);
    }
}

#[test]
fn the_fast_form_is_chosen_for_relu_and_its_shifts() {
    let case = Case {
        input: Shape::new(6, 6, 8),
        multiplier: 1,
        window: Window::same(6, 6, 3, 1),
        zero_points: (-128, -128),
        act: (-128, 127),
        table: false,
        shift: (-5, 6),
        seed: 5,
    };
    let fast = |fast| Some(Form::Blocks(Kernel::K3S1 { fast }));
    assert_eq!(case.check(None), fast(true));
    let table = Case {
        table: true,
        ..case.clone()
    };
    assert_eq!(table.check(None), fast(false));
    let other = Case {
        zero_points: (-128, -127),
        ..case.clone()
    };
    assert_eq!(other.check(None), fast(false));
    let left = Case {
        shift: (3, 0),
        ..case.clone()
    };
    assert_eq!(left.check(None), Some(Form::Any));
    let far = Case {
        shift: (9, 0),
        ..case
    };
    assert_eq!(far.check(None), None);
}

#[test]
fn tall_maps_move_their_pair_rows_back() {
    for (side, stride) in [(3, 1), (3, 2), (5, 1)] {
        for h in [15, 16, 17, 18, 31, 33, 64, 65] {
            let case = Case {
                input: Shape::new(h, 5, 5),
                multiplier: 1,
                window: Window::same(h, 5, side, stride),
                zero_points: (7, -20),
                act: (-128, 127),
                table: false,
                shift: (-9, 2),
                seed: h as u32,
            };
            assert!(case.check(None).is_some());
        }
    }
}
