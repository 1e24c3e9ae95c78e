//! Stage 3: a net of at least the teacher's size, noised, on labels and pseudo-labels together
//! (Noisy Student step 3, arXiv 1911.04252).
//!
//! Loss: mean cross-entropy of the labeled images plus mean cross-entropy of the unlabeled ones
//! against the teacher's soft labels (not smoothed). Both go through the net as one batch.

use burn::tensor::Tensor;

use super::context::{Context, StageError, Trained, thousands, training_work};
use super::pseudo_labels;
use crate::config::RunConfig;
use crate::data::{BatchSampler, Dataset, Feed, Loader};
use crate::model::EfficientNet;
use crate::nn::noise::Pass;
use crate::run_dir::Stage;
use crate::train::loss::{one_hot, rows, soft_cross_entropy};

/// Work of the whole stage.
pub fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.student.net.resolve(data.dims(), data.classes.len());
    training_work(&net) * config.student.fit.batch as f64 * config.student.fit.steps as f64
}

/// Trains the student.
///
/// # Errors
/// See [`StageError`].
pub fn run(ctx: &Context<'_>) -> Result<Trained, StageError> {
    let config = &ctx.config.student;
    let net_config = config.net.resolve(ctx.data.dims(), ctx.classes());
    let pseudo = pseudo_labels::load(ctx)?;
    ctx.progress.stage(
        Stage::Student,
        &format!(
            "{}, {} parameters, on labels and {} pseudo-labels, with noise",
            config.net.title(),
            thousands(net_config.parameters()),
            thousands(pseudo.indices.len())
        ),
    );
    let device = ctx.device();
    let seed = ctx.seed("student");
    let labeled_count = (config.fit.batch / (1 + config.unlabeled_ratio)).max(1);
    let unlabeled_count = config.fit.batch - labeled_count;
    let set = &ctx.data.labeled;
    let feeds = vec![
        Feed {
            images: set.images.clone(),
            sampler: BatchSampler::new(seed, "labeled", set.labels.len()),
            count: labeled_count,
            entries: None,
            seed,
        },
        Feed {
            images: ctx.data.unlabeled.clone(),
            sampler: BatchSampler::new(seed, "unlabeled", pseudo.indices.len()),
            count: unlabeled_count,
            entries: Some(pseudo.indices.clone()),
            seed: seed.wrapping_add(1),
        },
    ];
    let start = ctx.start(Stage::Student, "student")?;
    let mut loader = Loader::new(feeds, config.augment, ctx.normalization, start.step());
    let objective = |net: &EfficientNet, _, pass: &mut Pass<'_>| {
        let loaded = loader.next_batch();
        let indices: Vec<Vec<usize>> = loaded.iter().map(|l| l.indices.clone()).collect();
        let (with_label, without) = (&indices[0], &indices[1]);
        let x = Tensor::cat(loaded.into_iter().map(|l| l.tensor(&device)).collect(), 0);
        let logits = net.forward(x, pass);
        let labels: Vec<u8> = with_label.iter().map(|i| set.labels[*i]).collect();
        let targets = one_hot(&labels, ctx.classes(), config.fit.label_smoothing, &device);
        let soft = rows(&pseudo.probabilities, without, ctx.classes(), &device);
        let n = with_label.len();
        let all = n + without.len();
        let classes = ctx.classes();
        soft_cross_entropy(logits.clone().slice([0..n, 0..classes]), targets)
            + soft_cross_entropy(logits.slice([n..all, 0..classes]), soft)
    };
    let (_, trained) = ctx.train(
        Stage::Student,
        start,
        &net_config,
        &config.fit,
        training_work(&net_config),
        objective,
    )?;
    ctx.waited(&loader);
    ctx.dir.finish(Stage::Student, &trained)?;
    Ok(trained)
}
