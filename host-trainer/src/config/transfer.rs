//! What comes before the labels.

use serde::{Deserialize, Serialize};

use super::defaults::{FIT, WEAK};
use crate::data::Augment;
use crate::train::FitConfig;

/// A pretext task's training, and how its trunk, or another run's, learns the classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TransferConfig {
    /// Whether stage 1 trains the classifier alone and leaves the trunk as it is.
    pub head_only: bool,
    /// Training of the pretext task.
    pub fit: FitConfig,
    /// Changes to its images, before they are turned or cut.
    pub augment: Augment,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            head_only: false,
            // Of its own: the teacher's steps and rate were chosen for few labels.
            fit: FitConfig {
                steps: 1500,
                learning_rate: 4e-3,
                dropout: 0.0,
                label_smoothing: 0.0,
                ..FIT
            },
            augment: WEAK,
        }
    }
}
