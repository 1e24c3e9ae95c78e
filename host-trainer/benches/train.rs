//! Training speed on synthetic images: `cargo bench -p pupil --bench train -- NET [STEPS]`.
//!
//! Net A: 32x32x3 input, stem 3x3 stride 2 to 16 channels, four MBConv blocks with expansion 4,
//! head to 160 channels, ten classes; 46,946 parameters, 1.85 MMAC. H: its stem with stride 1
//! (7.4 MMAC). G: H with every width doubled (26 MMAC). Batch 64. A step is forward pass,
//! cross-entropy, backward pass, SGD with momentum 0.9 and the moving average; the images are in memory before. Prints one JSON
//! object: samples a second over the timed steps, of the forward pass in training alone, and of
//! evaluation; peak memory is the training's.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pupil::net::{CompoundScaling, EfficientNet, EfficientNetConfig};
use pupil::nn::Activation;
use pupil::nn::init::Init;
use pupil::nn::noise::{Noise, Pass};
use pupil::nn::values::collect;
use pupil::train::Ema;
use pupil::train::loss::{one_hot, soft_cross_entropy};
use pupil::train::optimizer::{ModuleOptimizer, OptimizerConfig, Sgd};
use pupil::util::random::stream;

const BATCH: usize = 64;
const SIDE: usize = 32;
const CLASSES: usize = 10;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    pupil::util::threads::inside(bench);
}

fn bench() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let name = words.first().map_or("A", String::as_str);
    let steps: usize = words.get(1).and_then(|s| s.parse().ok()).unwrap_or(100);
    let (width, stem_stride) = match name {
        "H" => (1.0, 1),
        "G" => (2.0, 1),
        _ => (1.0, 2),
    };
    let scaling = CompoundScaling {
        width,
        depth: 1.0,
        resolution: 1.0,
    };
    let mut config =
        EfficientNetConfig::tiny([SIDE, SIDE, 3], CLASSES, scaling, 4, Activation::Silu);
    config.stem_stride = stem_stride;
    let device = Device::flex().autodiff();
    let mut rng = stream(0, "bench", 0);
    let mut net = config.init(&mut Init {
        device: &device,
        rng: &mut rng,
    });
    let mut noise = Noise::none(0);
    let images: Vec<Vec<f32>> = (0..4).map(image_batch).collect();
    let labels: Vec<u8> = (0..BATCH).map(|i| (i % CLASSES) as u8).collect();
    let sgd = Sgd {
        nesterov: false,
        ..Sgd::default()
    };
    let mut optimizer = ModuleOptimizer::new(OptimizerConfig::Sgd(sgd), None);
    let mut ema = Ema::new(0.99, collect(&net));
    let mut last = 0.0;
    let warm = steps.div_ceil(10).min(10);
    let mut start = Instant::now();
    for step in 0..warm + steps {
        if step == warm {
            start = Instant::now();
        }
        let x = batch(&images[step % images.len()], &device);
        let logits = net.forward(x, &mut Pass::Train(&mut noise));
        let loss = soft_cross_entropy(logits, one_hot(&labels, CLASSES, 0.0, &device));
        last = loss.clone().into_scalar::<f32>();
        net = optimizer.step(net, &loss.backward(), 0.05, Some(&mut ema));
    }
    let trained = start.elapsed().as_secs_f64();
    let peak = peak_kib();
    let mut forward = 0.0;
    for step in 0..steps {
        let x = batch(&images[step % images.len()], &device);
        let start = Instant::now();
        let logits = net.forward(x, &mut Pass::Train(&mut noise));
        assert_eq!(logits.dims(), [BATCH, CLASSES]);
        forward += start.elapsed().as_secs_f64();
        // Only a backward pass lets burn forget the graph.
        drop(logits.sum().backward());
    }
    let evaluated = evaluate(&net, &images, steps);
    let rate = |seconds: f64| (steps * BATCH) as f64 / seconds;
    println!(
        "{{\"net\": \"{name}\", \"samples_per_s\": {:.1}, \"forward_samples_per_s\": {:.1}, \"evaluation_samples_per_s\": {:.1}, \"loss\": {last:.4}, \"peak_kib\": {}, \"macs\": {}}}",
        rate(trained),
        rate(forward),
        rate(evaluated),
        peak,
        config.macs(),
    );
}

fn evaluate(net: &EfficientNet, images: &[Vec<f32>], steps: usize) -> f64 {
    let net = net.valid();
    let device = Device::flex();
    let mut seconds = 0.0;
    for step in 0..steps {
        let x = batch(&images[step % images.len()], &device);
        let start = Instant::now();
        let logits = net.forward(x, &mut Pass::Evaluate);
        assert_eq!(logits.dims(), [BATCH, CLASSES]);
        seconds += start.elapsed().as_secs_f64();
    }
    seconds
}

fn batch(values: &[f32], device: &Device) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), [BATCH, SIDE, SIDE, 3]),
        device,
    )
}

fn image_batch(index: usize) -> Vec<f32> {
    let mut state = index as u32 * 7_919 + 1;
    (0..BATCH * SIDE * SIDE * 3)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5;
            let class = (i / (SIDE * SIDE * 3)) % CLASSES;
            noise + 0.5 * (class as f32 * 0.3 * (i / 96 % SIDE) as f32).sin()
        })
        .collect()
}

/// Peak resident memory of this process; 0 where the system does not tell.
fn peak_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| {
            let line = s.lines().find(|l| l.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}
