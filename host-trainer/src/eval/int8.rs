//! A packed net's answers, by core's interpreter, as on the chip.

use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;
use rayon::prelude::*;

use super::metrics::share_equal;
use crate::data::{Images, Labeled};
use crate::util::limits::{self, Refused};

/// Int8 scores of every image by core's interpreter, row-major `[images, classes]`.
///
/// # Errors
/// A model that this host does not run, or whose frames these images are not.
pub fn scores(model: &Model<'_>, images: &Images) -> Result<Vec<i8>, Refused> {
    limits::check_frames(model, images.dims)?;
    let scores = (0..images.len())
        .into_par_iter()
        .map_init(
            || vec![0i8; model.arena_len()],
            |arena, i| {
                if let Ok(mut interpreter) = Interpreter::new(model, arena)
                    && let Ok(scores) = interpreter.classify(&images.get(i), &mut ())
                {
                    return scores.to_vec();
                }
                // Images of the model's size in an arena of its length: not reached.
                vec![-128; model.class_count()]
            },
        )
        .flatten()
        .collect();
    Ok(scores)
}

/// Class of each row of scores: the greatest, the first of equals, as on the chip.
pub fn classes(scores: &[i8], count: usize) -> Vec<u8> {
    scores
        .chunks_exact(count)
        .map(|row| {
            pupil_core::classify::top_k::<1>(row)
                .first()
                .map_or(0, |c| c.index as u8)
        })
        .collect()
}

/// Classes that a packed net answers.
///
/// # Errors
/// As [`scores`].
pub fn answers(model: &Model<'_>, images: &Images) -> Result<Vec<u8>, Refused> {
    Ok(classes(&scores(model, images)?, model.class_count()))
}

/// Share of the images of `set` that a packed net answers rightly, 0 to 1.
///
/// # Errors
/// As [`scores`].
pub fn accuracy(model: &Model<'_>, set: &Labeled) -> Result<f64, Refused> {
    Ok(share_equal(&answers(model, &set.images)?, &set.labels))
}
