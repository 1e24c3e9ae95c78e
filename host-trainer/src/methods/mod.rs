//! Ways of learning, one a file: each is what [`crate::train::fit`] is told to minimize.
//!
//! [`Supervised`] learns from labels alone. [`NoisyStudent`] adds an earlier net's answers for
//! unlabeled images, and [`Distillation`] follows a larger net's answers on all of them.

pub mod distillation;
pub mod labeled;
pub mod noisy_student;
pub mod supervised;

pub use distillation::Distillation;
pub use noisy_student::NoisyStudent;
pub use supervised::Supervised;
