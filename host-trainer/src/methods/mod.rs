//! Ways of learning, one a file: each is what [`crate::train::fit()`] is told to minimize.
//!
//! - [`Supervised`]: labels alone
//! - [`PseudoLabel`]: the net's own answers, renewed at every step
//! - [`uda`], [`fixmatch`]: a strong view must agree with a weak one ([`Agreement`])
//! - [`NoisyStudent`]: an earlier net's answers, under noise; [`selection`]: which of them
//! - [`MetaPseudoLabels`]: a teacher that learns from how well its student does
//! - [`pretext`]: what images teach by themselves, before any label
//! - [`Distillation`]: a larger net's answers on all images, for the net of the chip
//!
//! [`Method`] chooses. With weight 0 each is supervised learning, to the bit.

pub mod agreement;
pub mod annealing;
pub mod choice;
pub mod consistency;
pub mod distillation;
pub mod fixmatch;
pub mod labeled;
pub mod meta_pseudo_labels;
pub mod noisy_student;
pub mod one_set;
pub mod pretext;
pub mod pseudo_label;
pub mod selection;
pub mod supervised;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod two_sets;
pub mod uda;

pub use choice::{Method, MethodsConfig};
pub use distillation::{Answers, Distillation};
pub use meta_pseudo_labels::MetaPseudoLabels;
pub use noisy_student::NoisyStudent;
pub use one_set::OneSet;
pub use pseudo_label::PseudoLabel;
pub use supervised::Supervised;
pub use two_sets::Setup;
