//! Stage 6: `student.pupil`, and every net measured on the test images, once.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::context::{Context, StageError, Trained};
use super::{distill, quantize};
use crate::config::RunConfig;
use crate::data::batch::Normalization;
use crate::data::{Dataset, Labeled};
use crate::eval;
use crate::eval::float::probabilities;
use crate::eval::metrics::{argmax, share_equal};
use crate::net::Ensemble;
use crate::net::graph::calibrate::Range;
use crate::net::graph::float::Place;
use crate::net::graph::fold::fold;
use crate::net::graph::int8;
use crate::nn::init::Init;
use crate::run::stage::Stage;
use crate::util::limits;
use crate::util::random::stream;
use crate::util::statistics::wilson;
use pupil_core::model::Model;
use pupil_packer::plan::{Plan, schedule};

/// Test accuracy of one net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// "labels only", "distilled, int8", …
    pub name: String,
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// 95 % interval (Wilson).
    pub interval: (f64, f64),
    /// Parameters of the net.
    pub parameters: usize,
}

/// The run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Test images.
    pub test_images: usize,
    /// One row a net, in the order of the table.
    pub rows: Vec<Measured>,
    /// Bytes of `student.pupil`: flash.
    pub flash: usize,
    /// Bytes of the arena: RAM.
    pub arena: usize,
    /// Multiply-accumulates of one image.
    pub macs: u32,
    /// SHA-256 of `student.pupil`.
    pub sha256: String,
    /// Rows: true class; columns: class that int8 answers.
    pub confusion: Vec<Vec<usize>>,
    /// Memory map of the arena.
    pub plan: String,
}

impl Summary {
    /// Accuracy of a row, 0 to 1.
    pub(crate) fn accuracy(&self, name: &str) -> Option<f64> {
        self.rows
            .iter()
            .find(|r| r.name == name)
            .map(|r| r.accuracy)
    }

    /// Points of test accuracy that int8 loses; negative where it gains.
    pub(crate) fn drop(&self) -> f64 {
        match (self.accuracy(FLOAT), self.accuracy(INT8)) {
            (Some(float), Some(int8)) => 100.0 * (float - int8),
            _ => 0.0,
        }
    }
}

/// The packed net's twin on labels alone.
pub(crate) const LABELS_ONLY: &str = "labels only, same net";
/// The packed student.
pub(crate) const INT8: &str = "distilled, int8 (host = chip)";
/// The float net that was packed.
pub(crate) const FLOAT: &str = "distilled, float";

/// Work of the stage: all nets on the test images.
pub(crate) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let resolve = |net: &crate::config::NetChoice| net.resolve(data.dims(), data.classes.len());
    let wide = resolve(&config.teacher.net).macs() + resolve(&config.student.net).macs();
    let small = resolve(&config.distill.net).macs();
    data.test.labels.len() as f64 * (config.ensemble * wide + 6 * small) as f64
}

/// Packs and measures.
///
/// # Errors
/// See [`StageError`].
pub(crate) fn run(ctx: &Context<'_>) -> Result<Summary, StageError> {
    let (net_config, net) = ctx.load(Stage::Distill, "distilled")?;
    let graph = fold(&net_config, &net);
    let ranges = quantize::load(ctx)?;
    let bytes = int8::build(&graph, &ranges, &ctx.normalization, &ctx.data.classes)
        .and_then(|plain| schedule(&plain, ctx.config.pack.memory()))
        .map_err(|e| StageError::Build(e.to_string()))?;
    let model = Model::parse(&bytes).map_err(|e| StageError::Build(e.to_string()))?;
    ctx.dir
        .write(&ctx.dir.file(Stage::Pack, "student.pupil")?, &bytes)?;
    let images = firmware_images(&ctx.data.test);
    ctx.dir
        .write(&ctx.dir.file(Stage::Pack, "images.bin")?, &images)?;
    ctx.progress.stage(
        Stage::Pack,
        &format!("student.pupil, {} bytes", bytes.len()),
    );

    let test = &ctx.data.test;
    let answers =
        eval::int8::answers(&model, &test.images).map_err(|e| StageError::Build(e.to_string()))?;
    let trained: distill::Summary = ctx.dir.summary(Stage::Distill)?;
    let mut rows = Vec::new();
    let one = |name| -> Result<_, StageError> {
        let (_, net) = ctx.load(Stage::Distill, name)?;
        Ok(Ensemble { nets: vec![net] })
    };
    let all = |stage, name| -> Result<_, StageError> {
        let parameters = ctx.dir.summary::<Trained>(stage)?.parameters;
        Ok((ctx.ensemble(stage, name)?, parameters))
    };
    let (teacher, teacher_parameters) = all(Stage::Teacher, "teacher")?;
    let (student, student_parameters) = all(Stage::Student, "student")?;
    let parameters = trained.distilled.parameters;
    for (name, net, parameters) in [
        (LABELS_ONLY, one("labels-only")?, parameters),
        ("teacher, labels only", teacher, teacher_parameters),
        ("student, with unlabeled", student, student_parameters),
        (FLOAT, one("distilled")?, parameters),
    ] {
        let p = probabilities(&net, &test.images, &ctx.normalization);
        let found: Vec<u8> = p
            .chunks_exact(ctx.classes())
            .map(|r| argmax(r) as u8)
            .collect();
        rows.push(measured(name, &found, &test.labels, parameters));
    }
    rows.push(measured(INT8, &answers, &test.labels, parameters));
    let mut confusion = vec![vec![0; ctx.classes()]; ctx.classes()];
    for (truth, answer) in test.labels.iter().zip(&answers) {
        confusion[usize::from(*truth)][usize::from(*answer)] += 1;
    }
    let summary = Summary {
        test_images: test.labels.len(),
        rows,
        flash: bytes.len(),
        arena: model.arena_len(),
        macs: model.macs(),
        sha256: crate::util::hash::sha256(&bytes),
        confusion,
        plan: Plan::of(&model).to_string(),
    };
    ctx.progress.advance(work(ctx.config, ctx.data));
    ctx.dir.finish(Stage::Pack, &summary)?;
    Ok(summary)
}

/// Whether the student will be packed, as far as its shape and the names of its classes decide:
/// the whole of stage 6 with random weights. Told before hours of training.
///
/// # Errors
/// What the packer says.
pub(crate) fn check(
    config: &RunConfig,
    data: &Dataset,
    normalization: Normalization,
) -> Result<(), StageError> {
    let net_config = config.distill.net.resolve(data.dims(), data.classes.len());
    let net = net_config.init(&mut Init {
        device: &Device::flex(),
        rng: &mut stream(0, "shape only", 0),
    });
    let graph = fold(&net_config, &net);
    let range = Range {
        min: -1.0,
        max: 1.0,
    };
    let places = (0..graph.nodes.len()).flat_map(Place::all_of);
    let ranges = places.map(|place| (place, range)).collect();
    let packed = int8::build(&graph, &ranges, &normalization, &data.classes)
        .and_then(|plain| schedule(&plain, config.pack.memory()))
        .map_err(|e| e.to_string());
    let runs = packed.and_then(|bytes| {
        let model = Model::parse(&bytes).map_err(|e| e.to_string())?;
        limits::check(&model).map_err(|e| e.to_string())
    });
    runs.map_err(|why| {
        StageError::Build(format!(
            "{why}\n  where: distill.net, the images' size and [pack] decide it, whatever is learned\n  do:    change one of them in run.toml"
        ))
    })
}

/// The first 32 test images as the firmware embeds them: `PIMG`, count, height, width, channels
/// (u16, little endian), then for each image its class and its pixels.
pub(crate) fn firmware_images(test: &Labeled) -> Vec<u8> {
    let count = test.labels.len().min(32);
    let mut bytes = b"PIMG".to_vec();
    for n in [
        count,
        test.images.dims[0],
        test.images.dims[1],
        test.images.dims[2],
    ] {
        bytes.extend((n as u16).to_le_bytes());
    }
    for i in 0..count {
        bytes.push(test.labels[i]);
        bytes.extend_from_slice(&test.images.get(i));
    }
    bytes
}

fn measured(name: &str, found: &[u8], labels: &[u8], parameters: usize) -> Measured {
    let accuracy = share_equal(found, labels);
    Measured {
        name: name.to_owned(),
        accuracy,
        interval: wilson(accuracy, labels.len()),
        parameters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_firmware_images_are_the_first_test_images() {
        let data = crate::data::fashion_mnist::bundled().unwrap();
        let committed = include_bytes!("../../../../firmware/model/images.bin");
        assert!(firmware_images(&data.test) == committed);
    }
}
