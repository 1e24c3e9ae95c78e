//! What squeeze-and-excitation costs in each net, in numbers.

use serde::Serialize;

use super::attach::Attach;
use super::family::Family;
use crate::net::efficientnet::EfficientNetConfig;
use crate::net::variant::Variant;
use crate::net::zoo::images::Images;

/// One net without and with squeeze-and-excitation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The architecture's word.
    pub net: String,
    /// Height, width and channels that the work is counted for.
    pub input: [usize; 3],
    /// Trained parameters without the part.
    pub parameters: usize,
    /// Multiply-accumulates of one image without it.
    pub macs: usize,
    /// Squeeze-and-excitation parts; 0 for nets that are made without.
    pub parts: usize,
    /// Trained parameters that they add.
    pub added_parameters: usize,
    /// Multiply-accumulates that they add.
    pub added_macs: usize,
    /// Σ 2C²/r over the parts (SENet, arXiv 1709.01507, equation 5).
    pub formula: f64,
    /// Biases among the added parameters, which the formula leaves out.
    pub biases: usize,
}

impl Row {
    /// Added weights over what the formula says: from rounding C / r to whole channels.
    pub(crate) fn rounding(&self) -> f64 {
        self.added_parameters as f64 - self.biases as f64 - self.formula
    }
}

/// The row of a zoo net with the given squeeze-and-excitation.
///
/// # Errors
/// The identity placement in a net without identity branches.
pub(crate) fn zoo_row(family: Family, images: &Images, attach: &Attach) -> Result<Row, String> {
    let without = family.blueprint(images, None)?;
    let with = family.blueprint(images, Some(attach))?;
    let parts = with.squeeze_excites();
    Ok(Row {
        net: family.word().into(),
        input: images.input,
        parameters: without.parameters(),
        macs: without.macs(),
        parts: parts.len(),
        added_parameters: with.parameters() - without.parameters(),
        added_macs: with.macs() - without.macs(),
        formula: parts.iter().map(|p| attach.formula(p.ch)).sum(),
        biases: parts
            .iter()
            .filter(|p| p.bias)
            .map(|p| p.ch + p.squeezed_ch)
            .sum(),
    })
}

/// The row of a published EfficientNet; its r is expanded over squeezed channels.
pub(crate) fn efficientnet_row(variant: Variant) -> Row {
    let with = variant.published();
    let mut without: EfficientNetConfig = with.clone();
    without.blocks.iter_mut().for_each(|b| b.squeezed_ch = 0);
    let gated = || with.blocks.iter().filter(|b| b.squeezed_ch > 0);
    Row {
        net: format!("efficientnet-{variant}"),
        input: with.input,
        parameters: without.parameters(),
        macs: without.macs(),
        parts: gated().count(),
        added_parameters: with.parameters() - without.parameters(),
        added_macs: with.macs() - without.macs(),
        formula: gated()
            .map(|b| {
                let ch = b.expanded_ch() as f64;
                2.0 * ch * ch / (ch / b.squeezed_ch as f64)
            })
            .sum(),
        biases: gated().map(|b| b.expanded_ch() + b.squeezed_ch).sum(),
    }
}
