//! The whole configuration of a run; every default is the quickstart's.

use serde::{Deserialize, Serialize};

use super::images::{DataSource, ImagesConfig};
use super::stages::{
    DistillConfig, PackConfig, PseudoLabelsConfig, QuantizeConfig, StudentConfig, TeacherConfig,
};
use super::transfer::TransferConfig;
use crate::methods::pretext::PretextTask;
use crate::methods::{Method, MethodsConfig};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// Fixes every random choice: the same seed gives the same packed bytes.
    pub seed: u64,
    /// Where the images come from.
    pub data: DataSource,
    /// How stage 3 learns from unlabeled images.
    pub method: Method,
    /// What the net of stage 1 learns from all images before it sees labels.
    pub pretext: PretextTask,
    /// A run directory or checkpoint whose trunk stage 1 begins with; empty for none.
    pub init: String,
    /// Teachers, and students of each round, whose mean answer is learned from.
    pub ensemble: usize,
    /// How the user's own images are read.
    pub images: ImagesConfig,
    /// What comes before the labels.
    pub transfer: TransferConfig,
    /// Stage 1.
    pub teacher: TeacherConfig,
    /// Stage 2.
    pub pseudo_labels: PseudoLabelsConfig,
    /// Stage 3.
    pub student: StudentConfig,
    /// Constants of the methods.
    pub methods: MethodsConfig,
    /// Stage 4.
    pub distill: DistillConfig,
    /// Stage 5.
    pub quantize: QuantizeConfig,
    /// Stage 6.
    pub pack: PackConfig,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            data: DataSource::Auto,
            method: Method::Uda,
            pretext: PretextTask::None,
            init: String::new(),
            ensemble: 1,
            images: ImagesConfig::default(),
            transfer: TransferConfig::default(),
            teacher: TeacherConfig::default(),
            pseudo_labels: PseudoLabelsConfig::default(),
            student: StudentConfig::default(),
            methods: MethodsConfig::default(),
            distill: DistillConfig::default(),
            quantize: QuantizeConfig::default(),
            pack: PackConfig::default(),
        }
    }
}
