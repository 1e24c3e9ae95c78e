//! Loads a packed model on the host and classifies one frame of raw bytes, as a chip does.
//!
//!     cargo run -p pupil-core --example classify -- runs/quickstart/6-pack/student.pupil frame.raw
//!
//! Without a second argument the frame is black. `cargo run --release -- predict` reads photos.

use std::error::Error;

use pupil_core::classify::{probability, top_k};
use pupil_core::interpreter::Interpreter;
use pupil_core::model::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("give the path of a student.pupil")?;
    let bytes = std::fs::read(path)?;
    let model = Model::parse(&bytes)?;
    let frame = match arguments.next() {
        Some(path) => std::fs::read(path)?,
        None => vec![0; model.input().shape.len()],
    };
    let mut arena = vec![0; model.arena_len()];
    let mut interpreter = Interpreter::new(&model, &mut arena)?;
    let scores = interpreter.classify(&frame, &mut ())?;
    for best in top_k::<3>(scores) {
        let label = model.label(usize::from(best.index)).unwrap_or("");
        println!("{:.2} {label}", probability(best.score));
    }
    Ok(())
}
