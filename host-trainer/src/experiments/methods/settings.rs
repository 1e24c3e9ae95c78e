//! What every training of a comparison of methods has in common.

use serde::{Deserialize, Serialize};

use crate::config::{NetChoice, PseudoLabelsConfig};
use crate::data::Augment;
use crate::methods::MethodsConfig;
use crate::train::FitConfig;

/// What the outcomes in a directory were made with; methods, numbers of labels and seeds may be
/// added later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GridSettings {
    /// Version that wrote them.
    pub version: String,
    /// SHA-256 of the images.
    pub data_sha256: String,
    /// Fixes every random choice, with the number of the seed.
    pub seed: u64,
    /// Whether the nets are packed and measured in int8 too.
    pub int8: bool,
    /// Unlabeled images of a batch for each labeled one.
    pub unlabeled_ratio: usize,
    /// The net of all.
    pub net: NetChoice,
    /// The training of all. Labels alone fill whole batches; a method of both sets has
    /// `batch / (1 + unlabeled_ratio)` labeled images in each.
    pub fit: FitConfig,
    /// Changes that targets are taken under, and those of the weak baseline.
    pub weak: Augment,
    /// Changes to all other images.
    pub strong: Augment,
    /// Noisy Student's filter.
    pub pseudo_labels: PseudoLabelsConfig,
    /// Constants of the methods.
    pub methods: MethodsConfig,
}
