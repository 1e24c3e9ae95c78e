//! Stage 2: the teacher's answers for the unlabeled images (Noisy Student step 2).
//!
//! The teacher is not noised and sees unchanged images; [`select`] says what is kept of them.

mod unsure;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::context::{Context, StageError};
use crate::data::Dataset;
use crate::eval::float::probabilities;
use crate::methods::Method;
use crate::methods::selection::{PseudoLabels, Selection, select};
use crate::run::error::RunDirError;
use crate::run::stage::Stage;
use unsure::unsure;

/// What the stage leaves for the next one.
const FILE: &str = "pseudo_labels.safetensors";

/// Work of the stage: a forward pass of each teacher over the unlabeled images.
pub(crate) fn work(config: &crate::config::RunConfig, data: &Dataset) -> f64 {
    let net = config.teacher.net.resolve(data.dims(), data.classes.len());
    (net.macs() * data.unlabeled.len() * config.ensemble) as f64
}

/// Labels the unlabeled images.
///
/// # Errors
/// See [`StageError`]; an unsure teacher ends in [`StageError::NothingKept`].
pub(crate) fn run(ctx: &Context<'_>) -> Result<Selection, StageError> {
    ctx.progress.stage(
        Stage::PseudoLabels,
        &format!(
            "{} unlabeled images",
            crate::util::numbers::thousands(ctx.data.unlabeled.len())
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
pub(crate) fn labels(
    ctx: &Context<'_>,
    all: Vec<f32>,
) -> Result<(PseudoLabels, Selection), StageError> {
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
pub(crate) fn teachable(ctx: &Context<'_>, all: &[f32]) -> Result<(), StageError> {
    let why = unsure(all, &ctx.data.classes, ctx.config.pseudo_labels.threshold);
    why.map_or(Ok(()), |why| Err(StageError::NothingKept(why)))
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
pub(crate) fn load(ctx: &Context<'_>) -> Result<PseudoLabels, StageError> {
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
}
