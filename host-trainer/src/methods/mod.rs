//! Ways of learning, one a file: each is what [`crate::train::fit()`] is told to minimize.
//!
//! - [`Supervised`]: labels alone
//! - [`PseudoLabel`]: the net's own answers, renewed at every step
//! - [`uda`], [`fixmatch`]: a strong view must agree with a weak one ([`agreement`])
//! - [`NoisyStudent`]: an earlier net's answers, under noise; [`selection`]: which of them
//! - [`MetaPseudoLabels`]: a teacher that learns from how well its student does
//! - [`pretext`]: what images teach by themselves, before any label
//! - [`Distillation`]: a larger net's answers on all images, for the net of the chip
//!
//! [`Method`] chooses. With weight 0 each is supervised learning, to the bit.

pub(crate) mod agreement;
pub(crate) mod annealing;
pub(crate) mod choice;
pub(crate) mod consistency;
pub(crate) mod distillation;
pub(crate) mod fixmatch;
pub(crate) mod labeled;
pub(crate) mod meta_pseudo_labels;
pub(crate) mod noisy_student;
pub(crate) mod one_set;
pub(crate) mod pretext;
pub(crate) mod pseudo_label;
pub(crate) mod selection;
pub(crate) mod supervised;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod two_sets;
pub(crate) mod uda;

pub(crate) use choice::{Method, MethodsConfig};
pub(crate) use distillation::{Answers, Distillation};
pub(crate) use meta_pseudo_labels::MetaPseudoLabels;
pub(crate) use noisy_student::NoisyStudent;
pub(crate) use one_set::OneSet;
pub(crate) use pseudo_label::PseudoLabel;
pub(crate) use supervised::Supervised;
pub(crate) use two_sets::Setup;
