//! Methods of learning on the same net, steps and images, for several numbers of labels and seeds.
//!
//! Nothing is chosen by the test images: each training has a fixed number of steps, and its
//! averaged weights are measured once, at the end. The labeled images of a smaller number are part
//! of those of a larger one; the others lose their labels.
//!
//! - [`learner`], [`labels`]: the methods, and which images keep their label
//! - `settings`, `unfinished`: what all trainings have in common, and how one resumes
//! - [`cell`], [`grid`]: one training, and all of them
//! - [`table`]: the result

pub mod cell;
pub mod grid;
pub mod labels;
pub mod learner;
mod settings;
pub mod table;
mod unfinished;

pub use grid::run;
pub use learner::Learner;
pub use settings::GridSettings;
