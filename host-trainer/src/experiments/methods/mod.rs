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

pub(crate) mod cell;
pub(crate) mod grid;
pub(crate) mod labels;
pub(crate) mod learner;
mod settings;
pub(crate) mod table;
mod unfinished;

pub(crate) use grid::run;
pub(crate) use learner::Learner;
pub(crate) use settings::GridSettings;
