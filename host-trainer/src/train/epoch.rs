//! What is kept of each epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// Steps done.
    pub step: u64,
    /// Mean training loss since the last epoch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Accuracy of the averaged weights on the validation images, 0 to 1.
    pub validation: f64,
    /// What the method watches.
    #[serde(flatten)]
    pub figures: BTreeMap<String, f64>,
}
