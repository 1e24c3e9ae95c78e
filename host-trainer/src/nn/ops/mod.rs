//! Fused training operators on NHWC maps, attached to burn's autodiff.
//!
//! Burn's stock operators are complete but slow where MBConv nets spend their time: depthwise
//! weight gradients run channel by channel, batch norm is about ten passes over the map. Each
//! operator here is one file with its forward, its hand-written backward and its tests against
//! the same function composed of stock operators. Everything else (pointwise convolution as a
//! matrix product, dense layers, losses) is stock burn.
//!
//! Parallelism: a batch is cut into [`CHUNKS`] pieces of whole rows or samples, whatever the
//! number of threads, and partial sums are added in order, so results do not depend on it.

pub mod batch_norm_act;
pub mod conv_unit;
pub mod depthwise;
pub mod gate;
pub mod global_pool;
pub(crate) mod lanes;
pub mod mbconv;
pub mod patches;
pub mod slot;
pub(crate) mod storage;
#[cfg(test)]
mod tests;

pub use batch_norm_act::{batch_norm_act, scale_shift_act};
pub use conv_unit::conv_unit;
pub use depthwise::depthwise;
pub use gate::gate;
pub use global_pool::global_pool;
pub use mbconv::mbconv_block;
pub use patches::patches;

/// Number of pieces that a batch is cut into for parallel work; fixed, so that sums are too.
pub const CHUNKS: usize = 8;
