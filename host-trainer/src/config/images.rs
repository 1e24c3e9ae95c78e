//! Where images come from, and how they are read.

use serde::{Deserialize, Serialize};

use crate::data::fit::Fit;

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DataSource {
    /// The full Fashion-MNIST where Debian's package has installed it, else the bundled part.
    Auto,
    /// The bundled 10,000 images.
    Bundled,
    /// The user's own: class folders, a list, an archive, IDX or CIFAR files.
    Path(std::path::PathBuf),
}

impl TryFrom<String> for DataSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "" => Err("data is empty; say \"auto\", \"bundled\" or a path".into()),
            "auto" => Ok(Self::Auto),
            "bundled" => Ok(Self::Bundled),
            path => Ok(Self::Path(path.into())),
        }
    }
}

impl From<DataSource> for String {
    fn from(source: DataSource) -> Self {
        match source {
            DataSource::Auto => "auto".into(),
            DataSource::Bundled => "bundled".into(),
            DataSource::Path(path) => path.display().to_string(),
        }
    }
}

/// How the user's own images are read. The bundled set has its own size and split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImagesConfig {
    /// More images, without labels; empty for none.
    pub unlabeled: String,
    /// Height in pixels that the net sees; 0: chosen by the images.
    pub height: usize,
    /// Width in pixels; 0: chosen.
    pub width: usize,
    /// 1 grey, 3 RGB; 0: chosen.
    pub channels: usize,
    /// What to do with another aspect ratio.
    pub fit: Fit,
    /// Share of the labeled images that is watched, where the set brings no validation part.
    pub validation: f64,
    /// Share of the labeled images that is measured, where the set brings no test part.
    pub test: f64,
    /// Training images of a class that keep their label; 0 for all.
    pub labels_per_class: usize,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            unlabeled: String::new(),
            height: 0,
            width: 0,
            channels: 0,
            fit: Fit::Crop,
            validation: 0.2,
            test: 0.2,
            labels_per_class: 0,
        }
    }
}
