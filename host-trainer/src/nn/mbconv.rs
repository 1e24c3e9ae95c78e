//! MBConv: the inverted bottleneck of EfficientNet (arXiv 1905.11946; MobileNetV2, 1801.04381).
//!
//! expand 1x1 (not when the ratio is 1) → depthwise k x k → squeeze-and-excitation → project 1x1
//! without activation → residual with stochastic depth where stride is 1 and the widths match.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::conv::{Depthwise, Pointwise, evaluated, frozen, fused};
use super::init::Init;
use super::kernels::depthwise::Window;
use super::noise::Pass;
use super::ops::slot::Slot;
use super::ops::{is_fused, mbconv_block};
use super::squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};
use super::units::folded::{Chain, Folded};
use super::units::mbconv::{Parameters, Shape};
use super::units::{self, ConvNorm};
use super::values::numbers;

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
        if !is_fused(&x.device()) {
            return self.compose(x, pass, index, blocks);
        }
        let shape = self.shape(x.dims());
        if let Pass::Evaluate = pass {
            let (h, w) = shape.window.output;
            let dims = [shape.n, h, w, shape.out_ch];
            return evaluated(&[self.fold(shape)], x, dims);
        }
        let keep = if self.residual {
            pass.drop_path(shape.n, index, blocks)
        } else {
            Vec::new()
        };
        let slot = Slot::new();
        let absent = || Tensor::<1>::zeros([1], &x.device()).into_dispatch();
        let expand = match &self.expand {
            Some(expand) => fused(&expand.weight, &expand.norm),
            None => ConvNorm {
                weight: absent(),
                gamma: absent(),
                beta: absent(),
            },
        };
        let [reduce, reduce_bias, excite, excite_bias] = match &self.squeeze_excite {
            Some(part) => [
                part.reduce.val().into_dispatch(),
                part.reduce_bias().into_dispatch(),
                part.expand.val().into_dispatch(),
                part.expand_bias().into_dispatch(),
            ],
            None => [absent(), absent(), absent(), absent()],
        };
        let parameters = Parameters {
            expand,
            depthwise: fused(&self.depthwise.weight, &self.depthwise.norm),
            reduce,
            reduce_bias,
            excite,
            excite_bias,
            project: fused(&self.project.weight, &self.project.norm),
        };
        let y = mbconv_block(x, parameters, shape, keep, &slot);
        if let (Some(saved), Some(step)) = (slot.get(), pass.step()) {
            if let (Some(expand), Some(norm)) = (&self.expand, &saved.expand_norm) {
                expand.norm.remember(norm, step);
            }
            self.depthwise.norm.remember(&saved.depthwise_norm, step);
            self.project.norm.remember(&saved.project_norm, step);
        }
        y
    }

    /// The same as a composition of small operators: the specification of the fused one, and what
    /// runs on a GPU.
    pub fn compose(
        &self,
        x: Tensor<4>,
        pass: &mut Pass<'_>,
        index: usize,
        blocks: usize,
    ) -> Tensor<4> {
        let mut y = match &self.expand {
            Some(expand) => expand.compose(x.clone(), pass),
            None => x.clone(),
        };
        y = self.depthwise.forward(y, pass);
        if let Some(squeeze_excite) = &self.squeeze_excite {
            y = squeeze_excite.forward(y);
        }
        y = self.project.compose(y, pass);
        if !self.residual {
            return y;
        }
        let n = x.dims()[0];
        let keep = pass.drop_path(n, index, blocks);
        if !keep.is_empty() {
            y = y * Tensor::from_data(TensorData::new(keep, [n, 1, 1, 1]), &x.device());
        }
        y + x
    }

    /// The block by running statistics.
    fn fold(&self, shape: Shape) -> Box<dyn Folded> {
        let (expand, first) = match &self.expand {
            Some(expand) => (frozen(&expand.weight, &expand.norm), expand.norm.running()),
            None => Default::default(),
        };
        let [reduce, reduce_bias, excite, excite_bias] = match &self.squeeze_excite {
            Some(part) => [
                numbers(part.reduce.val()),
                numbers(part.reduce_bias()),
                numbers(part.expand.val()),
                numbers(part.expand_bias()),
            ],
            None => Default::default(),
        };
        let parameters = Parameters {
            expand,
            depthwise: frozen(&self.depthwise.weight, &self.depthwise.norm),
            reduce,
            reduce_bias,
            excite,
            excite_bias,
            project: frozen(&self.project.weight, &self.project.norm),
        }
        .into_array();
        let w = Parameters::from_array(parameters.each_ref().map(Vec::as_slice));
        let running = [
            first,
            self.depthwise.norm.running(),
            self.project.norm.running(),
        ];
        Box::new(units::mbconv::Folded::new(shape, &w, &running))
    }

    /// Adds the block for maps of height and width `size` to a chain of units with folded batch
    /// norm; the output's height and width.
    pub fn fold_onto(&self, chain: &mut Chain, size: (usize, usize)) -> (usize, usize) {
        let in_ch = match &self.expand {
            Some(expand) => expand.weight.dims()[0],
            None => self.depthwise.weight.dims()[1],
        };
        let shape = self.shape([1, size.0, size.1, in_ch]);
        let output = shape.window.output;
        chain.push(self.fold(shape));
        output
    }

    /// The block's shapes for a batch of maps `[n, h, w, in_ch]`.
    fn shape(&self, [n, h, w, in_ch]: [usize; 4]) -> Shape {
        let mid = self.depthwise.weight.dims()[1];
        Shape {
            n,
            in_ch,
            out_ch: self.project.weight.dims()[1],
            squeezed_ch: self
                .squeeze_excite
                .as_ref()
                .map_or(0, |part| part.reduce.dims()[1]),
            expand: self.expand.is_some(),
            window: Window::same((h, w), mid, self.depthwise.kernel, self.depthwise.stride),
            act: self.depthwise.norm.act(),
            residual: self.residual,
        }
    }
}
