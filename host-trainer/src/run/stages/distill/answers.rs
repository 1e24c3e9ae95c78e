//! The student's answers that stage 4 keeps.
//!
//! They are made once: a stop finds them again in the stage's folder, which holds them until both
//! nets are done.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::RunConfig;
use crate::data::{Dataset, Images};
use crate::eval::float::{Views, mean_probabilities};
use crate::nn::tensor_file;
use crate::nn::values::Named;
use crate::run::dir::SETTINGS;
use crate::run::error::RunDirError;
use crate::run::stage::Stage;
use crate::run::stages::{Context, StageError};

/// The file in the stage's folder.
pub(super) const NAME: &str = "answers.safetensors";

/// Work of the answers: forward passes of each student over all views.
pub(super) fn work(config: &RunConfig, data: &Dataset) -> f64 {
    let net = config.student.net.resolve(data.dims(), data.classes.len());
    let images = data.labeled.labels.len() + data.unlabeled.len();
    (net.macs() * images * config.distill.views * config.ensemble) as f64
}

/// The students' mean answers to `distill.views` views of each image, probabilities at the
/// temperature `[images, classes]`: those of an earlier run, or new ones.
///
/// # Errors
/// A missing or damaged student, an unwritable directory.
pub(super) fn kept(ctx: &Context<'_>, images: &Images) -> Result<Vec<f32>, StageError> {
    let path = ctx.dir.file(Stage::Distill, NAME)?;
    // As for a training: the directory refuses other settings and images, and a student that is
    // trained anew forgets this stage.
    let key = ctx.dir.identity(&SETTINGS)?;
    let dims = [images.len(), ctx.classes()];
    match read(&path, &key, dims) {
        Ok(Some(answers)) => {
            ctx.progress.skip(work(ctx.config, ctx.data));
            ctx.progress.say("  the student's answers made before");
            return Ok(answers);
        }
        Ok(None) => {}
        Err(why) => ctx.progress.say(&format!(
            "  {}: damaged ({why}); the student answers again",
            path.display()
        )),
    }
    let values = make(ctx, images)?;
    // Images that could not be read end the run; a stop before that shall not keep their answers.
    if ctx.data.failure().is_some() {
        return Ok(values);
    }
    let answers = Named {
        name: "answers".into(),
        dims: dims.to_vec(),
        values,
    };
    let tensors = [answers];
    let file = tensor_file::to_bytes(&tensors, &key).map_err(|why| RunDirError::Damaged {
        path: path.clone(),
        why,
    })?;
    ctx.dir.write(&path, &file)?;
    let [answers] = tensors;
    Ok(answers.values)
}

/// Deletes the file, if it is there.
///
/// # Errors
/// A file that can't be deleted.
pub(super) fn remove(ctx: &Context<'_>) -> Result<(), StageError> {
    let name = format!("{}/{NAME}", Stage::Distill.folder());
    Ok(ctx.dir.remove(&name)?)
}

/// Asks the students.
fn make(ctx: &Context<'_>, images: &Images) -> Result<Vec<f32>, StageError> {
    let config = &ctx.config.distill;
    let students = ctx.ensemble(Stage::Student, "student")?;
    ctx.progress.say(&format!(
        "  the student answers {} views of each image",
        config.views
    ));
    let views = Views {
        count: config.views,
        augment: config.augment,
        // Not the changes that are trained on.
        seed: !ctx.seed("distill"),
    };
    let one = work(ctx.config, ctx.data) / (images.len() * config.views).max(1) as f64;
    Ok(mean_probabilities(
        &students,
        images,
        &ctx.normalization,
        views,
        config.temperature,
        &mut |n| ctx.progress.advance(one * n as f64),
    ))
}

/// The answers in the file; none where there is no file, or that of other settings.
fn read(path: &Path, key: &str, dims: [usize; 2]) -> Result<Option<Vec<f32>>, String> {
    let bytes = match crate::util::files::read_file(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let (about, mut tensors) = tensor_file::from_bytes(&bytes)?;
    if about != key {
        return Ok(None);
    }
    match tensors.pop() {
        Some(answers) if answers.dims == dims => Ok(Some(answers.values)),
        _ => Err(format!("it is not about these {} images", dims[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run_with;
    use super::*;

    #[test]
    fn answers_are_found_again_and_damage_or_other_settings_make_them_anew() {
        run_with(2, |ctx| {
            let images = ctx.data.pool();
            let dims = [images.len(), ctx.classes()];
            let path = ctx.dir.file(Stage::Distill, NAME).unwrap();
            let key = || ctx.dir.identity(&SETTINGS).unwrap();
            let made = kept(ctx, &images).unwrap();
            let good = std::fs::read(&path).unwrap();
            assert_eq!(read(&path, &key(), dims), Ok(Some(made.clone())));
            let other = read(&path, &key(), [3, 3]).unwrap_err();
            assert!(other.contains("3 images"), "{other}");
            // Cut, a flipped bit among the values, and none of pupil's files.
            let mut flipped = good.clone();
            flipped[good.len() - 2] ^= 4;
            for bad in [&good[..good.len() / 2], &flipped, b"answers"] {
                std::fs::write(&path, bad).unwrap();
                assert!(read(&path, &key(), dims).is_err());
                assert!(kept(ctx, &images).unwrap() == made);
                assert!(std::fs::read(&path).unwrap() == good);
            }
            let settings = ctx.dir.root().join(SETTINGS[0]);
            ctx.dir.write(&settings, b"seed = 4\n").unwrap();
            assert_eq!(read(&path, &key(), dims), Ok(None));
            // Where they are good, no student is asked.
            kept(ctx, &images).unwrap();
            ctx.dir.remove(&Stage::Student.folder()).unwrap();
            assert!(kept(ctx, &images).unwrap() == made);
            remove(ctx).unwrap();
            assert!(!path.exists() && kept(ctx, &images).is_err());
        });
    }
}
