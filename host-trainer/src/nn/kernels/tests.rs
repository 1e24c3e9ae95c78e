//! Every kind of vectors gives what plain numbers give, for channels that are no multiple of any.

use super::depthwise::{self, Window};
use super::function::{HardSwish, Silu};
use super::normalize::{
    Backward, Forward, Runs, Sums, apply, apply_both, blend, moments, through, through_slope,
};
use super::pooling;
use super::testing::{numbers, with_every_vector};

/// Fewer than one vector, one of AVX-512 and a bit, two and a bit, two of AVX2 for each of three.
const CHANNELS: [usize; 4] = [3, 19, 40, 48];
const ROWS: usize = 9;

/// `run` with plain numbers and with each kind of vectors: within rounding of each other.
fn same(what: &str, run: impl Fn() -> Vec<f32>) {
    let first = std::cell::RefCell::new(Vec::new());
    let kinds = std::cell::Cell::new(0);
    with_every_vector(|| {
        let values = run();
        let mut first = first.borrow_mut();
        if kinds.replace(kinds.get() + 1) == 0 {
            *first = values;
            return;
        }
        assert_eq!(values.len(), first.len());
        for (i, (got, plain)) in values.iter().zip(first.iter()).enumerate() {
            assert!((got - plain).abs() < 1e-5, "{what} {i}: {got} {plain}");
        }
    });
    assert!(kinds.get() > 1 || cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))));
    assert!(first.borrow().iter().any(|v| *v != 0.0), "{what}");
}

fn sums(s: &Sums) -> impl Iterator<Item = f32> {
    let means = s.first.iter().chain(&s.second).map(|v| (v / s.rows) as f32);
    means.collect::<Vec<_>>().into_iter()
}

#[test]
fn passes_of_the_normalization_are_the_same() {
    for c in CHANNELS {
        let [x, dy, slope] = [1, 2, 3].map(|seed| numbers(ROWS * c, seed));
        let [mean, gamma, beta] = [4, 5, 6].map(|seed| numbers(c, seed));
        let variance: Vec<f32> = numbers(c, 7).iter().map(|v| v.abs() + 0.5).collect();
        let norm = Forward::frozen(&mean, &variance, &gamma, &beta);
        let whole = Runs::whole(x.len());
        same("moments", || {
            let mut all = Sums::new(c);
            moments(&x, &mean, &mut all);
            sums(&all).collect()
        });
        same("apply", || {
            let mut y = vec![0.0; x.len()];
            apply::<Silu>(&x, &norm.a, &norm.b, &mut y, whole);
            y
        });
        same("apply_both", || {
            let (mut y, mut d) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            apply_both::<Silu>(&x, &norm.a, &norm.b, &mut y, whole, &mut d);
            y.extend(d);
            y
        });
        same("through_slope", || {
            let (mut g, mut all) = (dy.clone(), Sums::new(c));
            through_slope(&mut g, &slope, &x, &mean, &mut all);
            g.extend(sums(&all));
            g
        });
        same("through", || {
            let (mut g, mut all) = (dy.clone(), Sums::new(c));
            through::<HardSwish>(&mut g, &x, &norm, &mut all);
            g.extend(sums(&all));
            g
        });
        same("blend", || {
            let mut all = Sums::new(c);
            through::<Silu>(&mut dy.clone(), &x, &norm, &mut all);
            let mut dx = vec![0.0; x.len()];
            blend(&dy, &x, &Backward::new(&norm, &all), &mut dx, whole);
            dx
        });
    }
}

#[test]
fn pooling_and_gates_are_the_same() {
    for c in CHANNELS {
        let [x, dy] = [1, 2].map(|seed| numbers(ROWS * c, seed));
        let s = numbers(c, 3);
        same("mean", || {
            let mut mean = vec![0.0; c];
            pooling::mean(&x, &mut mean);
            mean
        });
        same("scale, add_row, add, multiply", || {
            let mut y = x.clone();
            pooling::scale(&mut y, &s);
            pooling::add_row(&mut y, &s);
            pooling::add(&mut y, &dy);
            pooling::multiply(&mut y, 0.7);
            y
        });
        same("scale_backward", || {
            let (mut dy, mut x, mut ds) = (dy.clone(), x.clone(), vec![0.0; c]);
            pooling::scale_backward(&mut dy, &mut x, &s, &mut ds);
            [dy, x, ds].concat()
        });
    }
}

#[test]
fn depthwise_convolution_with_its_activation_is_the_same_as_one_after_the_other() {
    for c in CHANNELS {
        for (kernel, stride) in [(3, 1), (5, 2), (4, 1)] {
            let g = Window::same((6, 7), c, kernel, stride);
            let (x, w) = (numbers(g.input_len(), 1), numbers(kernel * kernel * c, 2));
            let (ones, b) = (vec![1.0; c], numbers(c, 3));
            let mut padded = vec![0.0; g.padded_len()];
            g.padded_runs().copy_in(&x, &mut padded);
            same("forward_activated", || {
                let (mut raw, mut y) = (vec![0.0; g.output_len()], vec![0.0; g.output_len()]);
                depthwise::forward(&g, &padded, &w, &mut raw);
                apply::<Silu>(&raw, &ones, &b, &mut y, Runs::whole(raw.len()));
                let mut at_once = vec![0.0; g.output_len()];
                depthwise::forward_activated::<Silu>(&g, &padded, &w, &b, &mut at_once);
                for (got, wanted) in at_once.iter().zip(&y) {
                    assert!((got - wanted).abs() < 1e-5, "{g:?}: {got} {wanted}");
                }
                at_once
            });
        }
    }
}
