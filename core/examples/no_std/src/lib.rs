//! Loads a packed model and classifies one frame: everything that a program on a chip needs.
#![no_std]

#[cfg(feature = "unaligned")]
pub mod unaligned;

use pupil_core::error::FrameError;
use pupil_core::interpreter::{Arena, Interpreter};
use pupil_core::{classify, include_model, model::Model};

/// The most probable class of a frame of u8 pixels in the model's size.
pub fn classify(frame: &[u8], arena: &mut Arena<8192>) -> Result<Option<u16>, FrameError> {
    let bytes = include_model!("../../../../firmware/model/tiny.pupil"); // aligned, in flash
    let Ok(model) = Model::parse(bytes) else {
        return Ok(None); // damaged: everything is checked here, once
    };
    let Ok(mut interpreter) = Interpreter::new(&model, &mut arena.0) else {
        return Ok(None); // the arena is too small: the error has both sizes
    };
    let scores = interpreter.classify(frame, &mut ())?; // step() runs one layer, or a few rows
    Ok(classify::top_k::<1>(scores).first().map(|best| best.index))
}
