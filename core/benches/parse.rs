//! Time of `Model::parse` by the number of layers: it grows as they do.
//!
//! `cargo bench -p pupil-core`. Layers of one pixel, one by one and as streams of one
//! layer each, so that nothing but the checks of the plan takes time.

use std::time::Instant;

use pupil_core::model::{Aligned, InputSpec, MAX_LAYERS, Model, PixelFormat};
use pupil_core::op::quant::Affine;
use pupil_core::op::shape::Shape;
use pupil_packer::plan::any_schedule;
use pupil_packer::{ModelBuilder, Pad, Pool};

/// A model of `layers` poolings.
fn model(layers: usize) -> Vec<u8> {
    let affine = Affine {
        scale: 1.0,
        zero_point: 0,
    };
    let input = InputSpec {
        shape: Shape::new(2, 1, 1),
        format: PixelFormat::Raw8,
        affine,
    };
    let mut b = ModelBuilder::new(input, &["a", "b"]);
    let pool = Pool {
        kernel: (1, 1),
        stride: (1, 1),
        pad: Pad::Same,
        act: (-128, 127),
    };
    let mut x = b.input();
    for _ in 0..layers {
        x = b.max_pool(x, pool).expect("a pooling of one pixel");
    }
    b.finish().expect("as many layers as the format allows")
}

/// Median time of a parse in microseconds.
fn time(bytes: &[u8]) -> f64 {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            assert!(Model::parse(std::hint::black_box(bytes)).is_ok());
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    assert_eq!(align_of::<Aligned<[u8; 1]>>(), 16);
    println!("layers   one by one, us (a layer)   streams, us (a layer)");
    for layers in [128, 256, 512, MAX_LAYERS] {
        let plain = model(layers);
        // The last of each layer's ways is the longest stream that begins there; the second one the
        // shortest.
        let streams = any_schedule(&plain, false, |n| 1.min(n - 1)).expect("a schedule");
        let (a, b) = (time(&plain), time(&streams));
        let each = |t: f64| t / layers as f64;
        println!(
            "{layers:>6} {a:>13.0} ({:>6.3}) {b:>16.0} ({:>6.3})",
            each(a),
            each(b)
        );
    }
}
