//! The choice of a method, and its constants.

use serde::{Deserialize, Serialize};

use super::fixmatch::FixMatchConfig;
use super::meta_pseudo_labels::MetaPseudoLabelsConfig;
use super::pseudo_label::PseudoLabelConfig;
use super::uda::UdaConfig;
use super::{MetaPseudoLabels, NoisyStudent, PseudoLabel, Setup, Supervised};
use crate::methods::selection::PseudoLabels;
use crate::net::Classifier;
use crate::train::fit::Objective;

/// How a net learns from unlabeled images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From labels alone.
    Supervised,
    /// From its own most probable classes, renewed at every step (Lee 2013).
    PseudoLabel,
    /// From an earlier net's answers, under noise (arXiv 1911.04252).
    NoisyStudent,
    /// From agreeing with its own sharpened answers (arXiv 1904.12848).
    Uda,
    /// From agreeing with its own confident answers (arXiv 2001.07685).
    #[serde(rename = "fixmatch")]
    #[value(name = "fixmatch")]
    FixMatch,
    /// From a teacher that learns from how well its student does (arXiv 2003.10580).
    MetaPseudoLabels,
}

impl Method {
    /// All, the simplest first.
    pub const ALL: [Self; 6] = [
        Self::Supervised,
        Self::PseudoLabel,
        Self::NoisyStudent,
        Self::Uda,
        Self::FixMatch,
        Self::MetaPseudoLabels,
    ];

    /// Its word in files and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supervised => "supervised",
            Self::PseudoLabel => "pseudo-label",
            Self::NoisyStudent => "noisy-student",
            Self::Uda => "uda",
            Self::FixMatch => "fixmatch",
            Self::MetaPseudoLabels => "meta-pseudo-labels",
        }
    }

    /// What a net minimizes by this method. `pseudo` is what Noisy Student learns from; `teacher`
    /// makes the one of Meta Pseudo Labels.
    ///
    /// # Errors
    /// Those of `teacher`.
    pub fn objective<'a, N: Classifier + 'a, E>(
        self,
        setup: &Setup<'a>,
        constants: &MethodsConfig,
        pseudo: &'a PseudoLabels,
        teacher: impl FnOnce() -> Result<N, E>,
    ) -> Result<Box<dyn Objective<N> + 'a>, E> {
        Ok(match self {
            Self::Supervised => Box::new(Supervised::new(
                &setup.data.labeled,
                setup.data.classes.len(),
                (setup.strong, setup.normalization),
                setup.fit,
                (setup.seed, setup.first),
                &setup.device,
            )),
            Self::PseudoLabel => Box::new(PseudoLabel::new(setup, constants.pseudo_label)),
            Self::NoisyStudent => Box::new(NoisyStudent::new(setup, pseudo)),
            Self::Uda => Box::new(constants.uda.objective(setup)),
            Self::FixMatch => Box::new(constants.fixmatch.objective(setup)),
            Self::MetaPseudoLabels => {
                let (meta, uda) = (constants.meta_pseudo_labels, constants.uda);
                Box::new(MetaPseudoLabels::new(setup, teacher()?, meta, uda))
            }
        })
    }

    /// Work of training a net of `macs` on a batch of `batch` images of which `labeled` have a
    /// label: forward, and backward at twice its cost.
    pub fn work(self, macs: f64, batch: f64, labeled: f64, constants: &MethodsConfig) -> f64 {
        use super::consistency::TargetPass;
        let unlabeled = batch - labeled;
        let weak = |pass: TargetPass| match pass {
            TargetPass::Batch => 3.0 * unlabeled,
            TargetPass::Running | TargetPass::Average => 0.5 * unlabeled,
        };
        let images = match self {
            Self::Supervised | Self::PseudoLabel | Self::NoisyStudent => 3.0 * batch,
            Self::Uda => 3.0 * batch + weak(constants.uda.target_pass),
            Self::FixMatch => 3.0 * batch + weak(constants.fixmatch.target_pass),
            // A teacher on labels and both views, a student on the strong view, two looks at the
            // labeled images.
            Self::MetaPseudoLabels => 3.0 * (batch + unlabeled) + 3.0 * unlabeled + 2.0 * labeled,
        };
        macs * images
    }
}

/// Constants of the methods that have some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodsConfig {
    /// Pseudo-Label's.
    pub pseudo_label: PseudoLabelConfig,
    /// UDA's; Meta Pseudo Labels' teacher has its weight, temperature and confidence.
    pub uda: UdaConfig,
    /// FixMatch's.
    pub fixmatch: FixMatchConfig,
    /// Meta Pseudo Labels'.
    pub meta_pseudo_labels: MetaPseudoLabelsConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_files_and_commands() {
        use clap::ValueEnum;
        for method in Method::ALL {
            let written = toml::Value::try_from(method).unwrap();
            assert_eq!(written.as_str(), Some(method.word()));
            assert_eq!(Method::from_str(method.word(), false), Ok(method));
        }
        assert_eq!(Method::value_variants().len(), Method::ALL.len());
    }
}
