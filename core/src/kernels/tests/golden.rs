//! Golden values of TensorFlow Lite's operators.

use super::*;
use crate::kernels::*;
use crate::op::quant::{ChannelQuant, Multiplier};
use crate::op::shape::{Shape, Window};
use crate::op::*;
use crate::testing::mean_multiplier;

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
        assert!(add(&p, &[a], &[b], &mut y));
        assert_eq!(y, [expected], "{a} {b}");
        let (mut first, mut second) = ([a], [b]);
        assert!(add_in_place(&p, 0, &mut first, &[b]));
        assert!(add_in_place(&p, 1, &mut second, &[a]));
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
        assert!(mul(&p, &[a], &[b], &mut y));
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
        assert!(average_pool(&p, x, &mut y));
        assert_eq!(y, [expected], "{x:?}");
    }
}

#[test]
fn golden_softmax() {
    let mut y = [0; 10];
    let x = [-128, -20, 0, 5, 60, 60, 127, 100, -1, 12];
    assert!(softmax(&SoftmaxParams::new(0.1), &x, &mut y));
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
        let p = MeanParams {
            input,
            input_zero_point: -128,
            multiplier,
            out,
        };
        assert!(mean(&p, x, &mut y));
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
fn a_kernel_that_did_not_run_says_so_and_leaves_the_output_alone() {
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
    assert!(!conv::<Every>(&f, &[1; 3], &mut y, &mut []));
    assert!(!depthwise::<Every>(&f, &[1; 3], &mut y, &mut []));
    assert!(!conv::<Every>(&f, &[1; 4], &mut y[..3], &mut []));
    let point = Filter {
        window: Window::same(2, 2, 1, 1),
        output: Shape::new(2, 1, 1),
        taps: 1,
        ..f
    };
    assert!(!pointwise(&point, &[1; 4], &mut y, &mut []));
    let pool = PoolParams {
        input: f.input,
        output: f.output,
        window: f.window,
        min: -128,
        max: 127,
    };
    assert!(!average_pool(&pool, &[1; 3], &mut y));
    assert!(!max_pool(&pool, &[1; 4], &mut y[..3]));
    assert!(!lookup(&[0; 256], &[1; 3], &mut y));
    assert!(!softmax(&SoftmaxParams::new(0.1), &[1; 3], &mut y));
    let affines = [affine(0.1, 0), affine(0.1, 0)];
    let sum = AddParams::new(affines, affine(0.1, 0), (-128, 127));
    assert!(!add(&sum, &[1; 3], &[1; 4], &mut y));
    assert!(!add(&sum, &[1; 4], &[1; 3], &mut y));
    assert!(!add_in_place(&sum, 0, &mut y, &[1; 3]));
    let product = MulParams::new(2, affines, affine(0.1, 0), (-128, 127));
    assert!(!mul(&product, &[1; 4], &[1; 1], &mut y));
    assert!(!mul(&product, &[1; 3], &[1; 2], &mut y));
    assert!(!mul_in_place(&product, &mut y[..3], &[1; 2]));
    assert_eq!(y, [5; 4]);
    // And by the way in that all operators share.
    let operator = Operator::Conv(f);
    assert_eq!(
        run(&operator, &[1; 3], &[], &mut y, &mut []),
        Err(KernelError)
    );
    assert_eq!(
        run_in_place(&operator, 0, &mut y, &[], &mut []),
        Err(KernelError)
    );
    assert_eq!(y, [5; 4]);
}
