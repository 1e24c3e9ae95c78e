//! MBConv: the inverted bottleneck of EfficientNet (arXiv 1905.11946; MobileNetV2, 1801.04381).
//!
//! expand 1x1 (not when the ratio is 1) → depthwise k x k → squeeze-and-excitation → project 1x1
//! without activation → residual with stochastic depth where stride is 1 and the widths match.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::conv::{Depthwise, Pointwise};
use super::init::Init;
use super::noise::Pass;
use super::squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};

/// Shape of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MbConvConfig {
    /// Channels in.
    pub in_ch: usize,
    /// Channels out.
    pub out_ch: usize,
    /// Depthwise kernel, 3 or 5.
    pub kernel: usize,
    /// Depthwise stride, 1 or 2.
    pub stride: usize,
    /// Expanded over input channels.
    pub expand_ratio: usize,
    /// Width of the squeeze-and-excitation bottleneck; 0 for none. EfficientNet: in_ch / 4.
    pub squeezed_ch: usize,
    /// After expand and depthwise, and inside squeeze-and-excitation.
    pub act: Activation,
}

impl MbConvConfig {
    /// Channels between expand and project.
    pub fn expanded_ch(&self) -> usize {
        self.in_ch * self.expand_ratio
    }

    /// Whether the block's input is added to its output.
    pub fn has_residual(&self) -> bool {
        self.stride == 1 && self.in_ch == self.out_ch
    }

    /// A block with weights from `init`.
    pub fn init(&self, init: &mut Init<'_>) -> MbConv {
        let expanded = self.expanded_ch();
        MbConv {
            expand: (self.expand_ratio > 1)
                .then(|| Pointwise::new((self.in_ch, expanded), self.act, init)),
            depthwise: Depthwise::new(expanded, self.kernel, self.stride, self.act, init),
            squeeze_excite: (self.squeezed_ch > 0).then(|| {
                let (ch, squeezed_ch, act) = (expanded, self.squeezed_ch, self.act);
                SqueezeExciteConfig {
                    ch,
                    squeezed_ch,
                    act,
                    gate: Activation::Sigmoid,
                    bias: true,
                }
                .init(init)
            }),
            project: Pointwise::new((expanded, self.out_ch), Activation::Linear, init),
            residual: self.has_residual(),
        }
    }
}

/// One block.
#[derive(Module, Debug)]
pub struct MbConv {
    /// 1x1 to the expanded width.
    pub expand: Option<Pointwise>,
    /// k x k on each channel.
    pub depthwise: Depthwise,
    /// Gate between depthwise and project.
    pub squeeze_excite: Option<SqueezeExcite>,
    /// 1x1 to the output width, linear.
    pub project: Pointwise,
    residual: bool,
}

impl MbConv {
    /// `x [n, h, w, in_ch]` to `[n, ceil(h/stride), ceil(w/stride), out_ch]`; block `index` of
    /// `blocks` for stochastic depth.
    pub fn forward(
        &self,
        x: Tensor<4>,
        pass: &mut Pass<'_>,
        index: usize,
        blocks: usize,
    ) -> Tensor<4> {
        let mut y = match &self.expand {
            Some(expand) => expand.forward(x.clone(), pass),
            None => x.clone(),
        };
        y = self.depthwise.forward(y, pass);
        if let Some(squeeze_excite) = &self.squeeze_excite {
            y = squeeze_excite.forward(y);
        }
        y = self.project.forward(y, pass);
        if self.residual {
            pass.drop_path(y, index, blocks) + x
        } else {
            y
        }
    }
}
