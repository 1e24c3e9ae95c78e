//! A camera loop with a scripted camera, on the host: what your own board has to supply.
//!
//!     cargo run -p pupil-firmware --example camera
//!
//! The camera delivers three frames and then ends. The clock counts calls; on a chip it reads a timer.

use std::convert::Infallible;
use std::error::Error;

use pupil_core::model::Model;
use pupil_firmware::app::App;
use pupil_firmware::camera::{Camera, Frame};
use pupil_firmware::clock::Clock;
use pupil_firmware::decision::Policy;

/// Frames of one brightness each.
struct Script {
    brightness: std::vec::IntoIter<u8>,
    frame: Vec<u8>,
}

impl Camera for Script {
    type Error = Infallible;

    fn frame_len(&self) -> usize {
        self.frame.len()
    }

    fn capture(&mut self) -> Result<Option<Frame<'_>>, Infallible> {
        let Some(brightness) = self.brightness.next() else {
            return Ok(None);
        };
        self.frame.fill(brightness);
        Ok(Some(Frame {
            pixels: &self.frame,
            label: None,
        }))
    }
}

struct Calls(u64);

impl Clock for Calls {
    fn ticks(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::parse(include_bytes!("../model/quickstart.pupil"))?;
    let camera = Script {
        brightness: vec![0, 128, 255].into_iter(),
        frame: vec![0; model.input().shape.len()],
    };
    let mut arena = vec![0; model.arena_len()];
    let app = App::new(&model, &mut arena, camera, Calls(0), Policy::default());
    let mut app = app.map_err(|e| e.word())?;
    while let Some(found) = app.classify_next().map_err(|e| e.word())? {
        let best = usize::from(found.verdict.class);
        let label = model.label(best).unwrap_or("");
        let decision = found.verdict.decision.word();
        println!("frame {}: {label}, {decision}", found.index);
    }
    Ok(())
}
