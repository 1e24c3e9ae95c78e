//! Stage 2: the teacher's answers for the unlabeled images (Noisy Student step 2).
//!
//! The teacher is not noised and sees unchanged images. Images below the confidence threshold
//! are left out; then each class gets the same number: the most confident ones where there are
//! too many, repeated ones where there are too few (arXiv 1911.04252, section 3.2; repeats by
//! largest remainder, so that the result does not depend on a draw).

mod unsure;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::context::{Context, StageError};
use crate::data::Dataset;
use crate::methods::Method;
use crate::run_dir::RunDirError;
use crate::run_dir::Stage;
use crate::train::evaluate::{argmax, probabilities};
use unsure::unsure;

/// What the stage leaves for the next one.
const FILE: &str = "pseudo_labels.safetensors";

/// Numbers of the stage, per class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Unlabeled images.
    pub images: usize,
    /// Images whose most probable class passes the threshold.
    pub confident: usize,
    /// Confident images of each class.
    pub before: Vec<usize>,
    /// Entries of each class after balancing, repeats counted.
    pub after: Vec<usize>,
    /// Different images that remain.
    pub unique: usize,
}

/// Images to train on, with the teacher's probabilities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PseudoLabels {
    /// Index of the unlabeled image; repeated where balancing repeats.
    pub indices: Vec<usize>,
    /// Soft labels of all unlabeled images, `[images, classes]`.
    pub probabilities: Vec<f32>,
}

/// Work of the stage: a forward pass of each teacher over the unlabeled images.
pub fn work(config: &crate::config::RunConfig, data: &Dataset) -> f64 {
    let net = config.teacher.net.resolve(data.dims(), data.classes.len());
    (net.macs() * data.unlabeled.len() * config.ensemble) as f64
}

/// Labels the unlabeled images.
///
/// # Errors
/// See [`StageError`]; an unsure teacher ends in [`StageError::NothingKept`].
pub fn run(ctx: &Context<'_>) -> Result<Summary, StageError> {
    ctx.progress.stage(
        Stage::PseudoLabels,
        &format!(
            "{} unlabeled images",
            super::context::thousands(ctx.data.unlabeled.len())
        ),
    );
    let teacher = ctx.ensemble(Stage::Teacher, "teacher")?;
    let all = probabilities(&teacher, &ctx.data.unlabeled, &ctx.normalization);
    ctx.progress.advance(work(ctx.config, ctx.data));
    let (labels, summary) = labels(ctx, all)?;
    save(ctx, &labels)?;
    ctx.dir.finish(Stage::PseudoLabels, &summary)?;
    Ok(summary)
}

/// What is learned from a net's answers `all` `[images, classes]` for the unlabeled images.
///
/// # Errors
/// [`StageError::NothingKept`] where Noisy Student would learn nothing of some classes.
pub fn labels(ctx: &Context<'_>, all: Vec<f32>) -> Result<(PseudoLabels, Summary), StageError> {
    let config = &ctx.config.pseudo_labels;
    let (indices, summary) = select(&all, ctx.classes(), config.threshold, config.balance);
    if ctx.config.method == Method::NoisyStudent || ctx.config.student.rounds > 1 {
        teachable(ctx, &all)?;
    }
    let labels = PseudoLabels {
        indices,
        probabilities: all,
    };
    Ok((labels, summary))
}

/// Whether a net's answers `all` teach every class.
///
/// # Errors
/// [`StageError::NothingKept`].
pub fn teachable(ctx: &Context<'_>, all: &[f32]) -> Result<(), StageError> {
    let why = unsure(all, &ctx.data.classes, ctx.config.pseudo_labels.threshold);
    why.map_or(Ok(()), |why| Err(StageError::NothingKept(why)))
}

/// Filters by confidence and balances; deterministic, without random numbers.
pub fn select(all: &[f32], classes: usize, threshold: f32, balance: bool) -> (Vec<usize>, Summary) {
    let mut members: Vec<Vec<(f32, usize)>> = vec![Vec::new(); classes];
    for (i, row) in all.chunks_exact(classes).enumerate() {
        let class = argmax(row);
        if row[class] >= threshold {
            members[class].push((row[class], i));
        }
    }
    let before: Vec<usize> = members.iter().map(Vec::len).collect();
    let confident: usize = before.iter().sum();
    let target = confident.div_ceil(classes);
    let mut indices = Vec::new();
    let mut after = vec![0; classes];
    for (class, list) in members.iter_mut().enumerate() {
        // Most confident first; equal confidence in image order.
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let wanted = if balance && !list.is_empty() {
            target
        } else {
            list.len()
        };
        // Copies by largest remainder: the first (most confident) images get one more.
        indices.extend((0..wanted).map(|k| list[k % list.len()].1));
        after[class] = wanted;
    }
    indices.sort_unstable();
    let mut unique = indices.clone();
    unique.dedup();
    let summary = Summary {
        images: all.len() / classes,
        confident,
        before,
        after,
        unique: unique.len(),
    };
    (indices, summary)
}

fn save(ctx: &Context<'_>, labels: &PseudoLabels) -> Result<(), StageError> {
    let path = ctx.dir.file(Stage::PseudoLabels, FILE)?;
    let damaged = |why: String| RunDirError::Damaged {
        path: path.clone(),
        why,
    };
    let indices: Vec<u8> = labels
        .indices
        .iter()
        .flat_map(|i| (*i as u32).to_le_bytes())
        .collect();
    let values: Vec<u8> = labels
        .probabilities
        .iter()
        .flat_map(|p| p.to_le_bytes())
        .collect();
    let rows = labels.probabilities.len() / ctx.classes();
    let view = |dtype, dims, bytes| {
        TensorView::new(dtype, dims, bytes).map_err(|e| damaged(e.to_string()))
    };
    let file = safetensors::serialize(
        [
            (
                "indices",
                view(Dtype::U32, vec![labels.indices.len()], &indices)?,
            ),
            (
                "probabilities",
                view(Dtype::F32, vec![rows, ctx.classes()], &values)?,
            ),
        ],
        None,
    )
    .map_err(|e| damaged(e.to_string()))?;
    Ok(ctx.dir.write(&path, &file)?)
}

/// What the stage has saved.
///
/// # Errors
/// A missing or damaged file.
pub fn load(ctx: &Context<'_>) -> Result<PseudoLabels, StageError> {
    let bytes = ctx.dir.read(Stage::PseudoLabels, FILE)?;
    match parse(&bytes, [ctx.data.unlabeled.len(), ctx.classes()]) {
        Ok(labels) => Ok(labels),
        Err(why) => {
            let path = ctx.dir.file(Stage::PseudoLabels, FILE)?;
            Err(RunDirError::Damaged { path, why }.into())
        }
    }
}

/// The labels in a file about `[images, classes]`.
fn parse(bytes: &[u8], dims: [usize; 2]) -> Result<PseudoLabels, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let words = |name: &str, dtype: Dtype| -> Result<(Vec<usize>, Vec<[u8; 4]>), String> {
        let tensor = tensors.tensor(name).map_err(|e| e.to_string())?;
        if tensor.dtype() != dtype {
            let found = tensor.dtype();
            return Err(format!(
                "{name} has values of type {found:?}, not {dtype:?}"
            ));
        }
        Ok((
            tensor.shape().to_vec(),
            tensor.data().as_chunks().0.to_vec(),
        ))
    };
    let (_, indices) = words("indices", Dtype::U32)?;
    let (found, probabilities) = words("probabilities", Dtype::F32)?;
    let indices = indices.into_iter().map(|b| u32::from_le_bytes(b) as usize);
    let probabilities = probabilities.into_iter().map(f32::from_le_bytes);
    let labels = PseudoLabels {
        indices: indices.collect(),
        probabilities: probabilities.collect(),
    };
    if found != dims || labels.indices.iter().any(|i| *i >= dims[0]) {
        return Err(format!("it is not about these {} images", dims[0]));
    }
    match labels
        .probabilities
        .iter()
        .find(|p| !(0.0..=1.001).contains(*p))
    {
        Some(p) => Err(format!("{p} is no probability")),
        None => Ok(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two classes with the given probability of class 1.
    fn rows(p: &[f32]) -> Vec<f32> {
        p.iter().flat_map(|p| [1.0 - p, *p]).collect()
    }

    #[test]
    fn kept_images_reach_the_threshold_and_classes_get_equally_many() {
        let all = rows(&[0.1, 0.2, 0.45, 0.05, 0.3, 0.9, 0.8]);
        let (indices, summary) = select(&all, 2, 0.7, true);
        // Class 0: images 0, 1, 3, 4 confident; class 1: 5, 6; three each.
        assert_eq!(summary.before, [4, 2]);
        assert_eq!(summary.after, [3, 3]);
        // The most confident three of class 0; both of class 1, the surer one twice.
        assert_eq!(indices, [0, 1, 3, 5, 5, 6]);
        assert_eq!(summary.unique, 5);
    }

    #[test]
    fn without_balancing_every_confident_image_stays_once() {
        let all = rows(&[0.1, 0.9, 0.2, 0.5]);
        assert_eq!(select(&all, 2, 0.7, false).0, [0, 1, 2]);
        assert_eq!(select(&all, 2, 0.0, false).0, [0, 1, 2, 3]);
    }

    /// A file with `indices` of type `dtype` and these probabilities `[rows, 2]`.
    fn file(dtype: Dtype, indices: &[u32], probabilities: &[f32]) -> Vec<u8> {
        let indices: Vec<u8> = indices.iter().flat_map(|i| i.to_le_bytes()).collect();
        let values: Vec<u8> = probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
        let rows = probabilities.len() / 2;
        let size = if dtype == Dtype::U32 { 4 } else { 8 };
        let views = [
            (
                "indices",
                TensorView::new(dtype, vec![indices.len() / size], &indices),
            ),
            (
                "probabilities",
                TensorView::new(Dtype::F32, vec![rows, 2], &values),
            ),
        ];
        safetensors::serialize(views.map(|(name, view)| (name, view.unwrap())), None).unwrap()
    }

    #[test]
    fn crafted_labels_are_told() {
        let good = rows(&[0.1, 0.9]);
        let labels = parse(&file(Dtype::U32, &[1, 1], &good), [2, 2]).unwrap();
        assert_eq!(
            (labels.indices, labels.probabilities),
            (vec![1, 1], good.clone())
        );
        for (bytes, word) in [
            (file(Dtype::U64, &[1, 1], &good), "U64"),
            (file(Dtype::U32, &[1, 2], &good), "these 2 images"),
            (file(Dtype::U32, &[1], &good[..2]), "these 2 images"),
            (
                file(Dtype::U32, &[1], &[0.5, 0.5, f32::NAN, 0.5]),
                "no probability",
            ),
            (b"{}".to_vec(), ""),
        ] {
            let why = parse(&bytes, [2, 2]).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_class_nobody_belongs_to_stays_empty() {
        let (indices, summary) = select(&rows(&[0.1, 0.2]), 2, 0.5, true);
        assert_eq!((indices, summary.after), (vec![0], vec![1, 0]));
    }
}
