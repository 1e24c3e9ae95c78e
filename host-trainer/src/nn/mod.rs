//! Building blocks of nets: burn modules over NHWC maps, with training operators of our own where
//! burn's are slow.
//!
//! - [`conv`], [`grouped`], [`mbconv`], [`squeeze_excite`], [`pool`](mod@pool): the layers
//! - [`activation`], [`activate`](mod@activate), [`init`], [`noise`]: non-linearities, initial
//!   weights, dropout and stochastic depth
//! - [`ops`], [`units`], [`kernels`]: the operators on tensors, their passes over a batch, and the
//!   loops inside them; each level uses only the next
//! - [`device`]: the CPU or a GPU
//! - [`values`], [`tensor_file`]: a module's numbers as a list, and on disk

pub(crate) mod activate;
pub(crate) mod activation;
pub(crate) mod conv;
pub(crate) mod device;
pub(crate) mod grouped;
pub mod init;
pub mod kernels;
pub(crate) mod mbconv;
pub mod noise;
pub(crate) mod ops;
#[cfg(test)]
mod parity;
pub(crate) mod pool;
pub(crate) mod squeeze_excite;
pub mod tensor_file;
pub(crate) mod units;
pub mod values;

pub(crate) use activate::activate;
pub use activation::Activation;
pub(crate) use conv::{ConvBnAct, Depthwise, Pointwise};
pub(crate) use grouped::GroupedConv;
pub(crate) use pool::max_pool;
pub(crate) use squeeze_excite::SqueezeExcite;
