//! Fused training operators on NHWC maps, attached to burn's autodiff.
//!
//! Burn's stock operators are complete but slow where MBConv nets spend their time: depthwise
//! weight gradients run channel by channel, batch norm is about ten passes over the map. Each
//! operator here is one node of the graph: it takes slices out of tensors, calls
//! [`crate::nn::units`] or [`crate::nn::kernels`], and says which gradient belongs to which parent.
//! All are tested against the same function composed of stock operators ([`stock`]), which is what
//! runs where tensors are not slices of this process ([`choice`]). Dense layers and losses are stock
//! burn.

pub(crate) mod batch_norm_act;
pub(crate) mod choice;
pub(crate) mod conv_unit;
pub(crate) mod convolution;
pub(crate) mod depthwise;
pub(crate) mod gate;
pub(crate) mod global_pool;
pub(crate) mod mbconv;
pub(crate) mod patches;
pub(crate) mod slot;
pub(crate) mod stock;
pub(crate) mod storage;
#[cfg(test)]
mod tests;

pub(crate) use batch_norm_act::{batch_norm_act, scale_shift_act};
pub(crate) use choice::is_fused;
pub(crate) use conv_unit::conv_unit;
pub(crate) use convolution::convolution;
pub(crate) use depthwise::depthwise;
pub(crate) use gate::gate;
pub(crate) use global_pool::global_pool;
pub(crate) use mbconv::mbconv_block;
