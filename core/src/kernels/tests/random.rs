//! Every kernel against the reference.

use proptest::prelude::*;
use std::vec;

use super::case::{Bytes, Case, case};
use super::*;
use crate::kernels::*;
use crate::op::shape::Shape;
use crate::op::*;
use crate::testing::mean_multiplier;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn conv_equals_the_reference(case in case()) {
        case.compare(None, conv::<Every>);
    }

    #[test]
    fn pointwise_equals_the_reference(case in case()) {
        let case = Case { kernel: (1, 1), stride: (1, 1), ..case };
        case.compare(None, pointwise);
        case.compare(None, conv::<Every>);
    }

    #[test]
    fn dense_equals_the_reference(case in case()) {
        let one = Case { h: 1, w: 1, in_ch: case.h * case.in_ch, kernel: (1, 1), stride: (1, 1), ..case };
        one.compare(None, |f, x, y, _| dense::<Every>(f, x, y));
    }

    #[test]
    fn depthwise_equals_the_reference(case in case(), multiplier in 1usize..4) {
        case.compare(Some(1), depthwise::<Every>);
        case.compare(Some(multiplier), depthwise::<Every>);
    }

    /// Whole maps, maps in place, and bands of rows in place.
    #[test]
    fn block_kernels_equal_the_reference(case in case(), kind in 0usize..3, act: bool) {
        let (kernel, stride) = [(3, 1), (3, 2), (5, 1)][kind];
        let (kernel, stride) = ((kernel, kernel), (stride, stride));
        let case = Case { kernel, stride, same: true, shift: case.shift.min(-3), ..case };
        let case = if act { case } else { Case { act: (-128, 127), ..case } };
        case.compare(Some(1), depthwise::<Every>);
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
        for (run, is_max) in [(average_pool as fn(&PoolParams, &[i8], &mut [i8]) -> bool, false), (max_pool, true)] {
            let mut y = vec![0; output.len()];
            prop_assert!(run(&p, &x, &mut y));
            prop_assert_eq!(y, reference::pool(input, output, &window, case.act, &x, is_max).collect::<Vec<_>>());
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
        prop_assert!(mean(&p, &x, &mut y));
        let expected = reference::mean(input, &x, multiplier, zero_points).collect::<Vec<_>>();
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
            prop_assert!(add(&p, &[a], &[b], &mut y));
            prop_assert_eq!(y[0], reference::add((a, b), points, multipliers, act));
            prop_assert!(mul(&m, &[a], &[b], &mut y));
            prop_assert_eq!(y[0], reference::mul((a, b), points, m.multiplier, act));
        }
    }
}
