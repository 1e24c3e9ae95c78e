//! Methods of learning on the same net, steps and images, for several numbers of labels and seeds.
//!
//! Nothing is chosen by the test images: each training has a fixed number of steps, and its
//! averaged weights are measured once, at the end. The labeled images of a smaller number are part
//! of those of a larger one; the others lose their labels.

pub mod cell;
pub mod grid;
pub mod labels;
pub mod learner;
mod settings;
pub mod table;
mod unfinished;

pub use cell::{Cell, Outcome};
pub use grid::run;
pub use learner::Learner;
pub use settings::GridSettings;
