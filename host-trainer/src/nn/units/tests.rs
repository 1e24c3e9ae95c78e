//! Threads and results. Modules are compared with their compositions in [`crate::nn::parity`].

use burn::tensor::Device;

use crate::nn::activation::Activation;
use crate::nn::mbconv::MbConvConfig;
use crate::nn::parity::{build, trained};

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let config = MbConvConfig {
        in_ch: 8,
        out_ch: 8,
        kernel: 5,
        stride: 1,
        expand_ratio: 4,
        squeezed_ch: 2,
        act: Activation::Silu,
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let device = Device::flex();
        let block = build(|init| config.init(init), &device);
        let dims = [19, 6, 6, 8];
        pool.install(|| {
            trained(&block, dims, &device, &|m, x, pass| {
                m.forward(x, pass, 0, 1)
            })
        })
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}
