//! Fused training operators on NHWC maps, attached to burn's autodiff.
//!
//! Burn's stock operators are complete but slow where MBConv nets spend their time: depthwise
//! weight gradients run channel by channel, batch norm is about ten passes over the map. Each
//! operator here is one node of the graph: it takes slices out of tensors, calls
//! [`crate::nn::units`] or [`crate::nn::kernels`], and says which gradient belongs to which parent.
//! All are tested against the same function composed of stock operators ([`stock`]), which is what
//! runs where tensors are not slices of this process ([`choice`]). Dense layers and losses are stock
//! burn.

pub mod batch_norm_act;
pub mod choice;
pub mod conv_unit;
pub mod convolution;
pub mod depthwise;
pub mod gate;
pub mod global_pool;
pub mod mbconv;
pub mod patches;
pub mod slot;
pub mod stock;
pub(crate) mod storage;
#[cfg(test)]
mod tests;

pub use batch_norm_act::{batch_norm_act, scale_shift_act};
pub use choice::is_fused;
pub use conv_unit::conv_unit;
pub use convolution::convolution;
pub use depthwise::depthwise;
pub use gate::gate;
pub use global_pool::global_pool;
pub use mbconv::mbconv_block;
