//! A run directory in which stage 4 comes next, for its tests.

use burn::tensor::Device;

use crate::config::{NetChoice, RunConfig};
use crate::data::batch::Normalization;
use crate::methods::testing::{STRONG, data, training};
use crate::net::checkpoint;
use crate::run::dir::{RunDir, SETTINGS};
use crate::run::progress::Progress;
use crate::run::stage::Stage;
use crate::run::stages::Context;
use crate::run::stages::members::member;

/// Calls `test` with two students that have learned nothing, and short trainings from `views` views.
pub(super) fn run_with<T>(views: usize, test: impl FnOnce(&Context<'_>) -> T) -> T {
    let mut config = RunConfig {
        seed: 3,
        ensemble: 2,
        ..RunConfig::default()
    };
    let net = NetChoice {
        width: 0.25,
        ..config.distill.net
    };
    (config.student.net, config.distill.net) = (net, net);
    config.distill.views = views;
    (config.distill.fit, config.distill.labels_only) = (training(6), training(4));
    (config.distill.augment, config.distill.labels_only_augment) = (STRONG, STRONG);
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::open(folder.path(), false).unwrap();
    for name in SETTINGS {
        dir.keep(name, "seed = 3\n", "run").unwrap();
    }
    let (data, progress) = (data(), Progress::new(1.0, true));
    let ctx = Context {
        config: &config,
        dir: &dir,
        data: &data,
        normalization: Normalization::around(data.mean_pixel()),
        device: Device::flex(),
        progress: &progress,
    };
    let net = net.resolve(data.dims(), data.classes.len());
    for name in (0..config.ensemble).map(|i| member("student", i)) {
        let path = dir.file(Stage::Student, &format!("{name}.safetensors"));
        let bytes = checkpoint::to_bytes(&net, &ctx.new_net(&net, &name)).unwrap();
        std::fs::write(path.unwrap(), bytes).unwrap();
    }
    test(&ctx)
}
