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

pub mod activate;
pub mod activation;
pub mod conv;
pub mod device;
pub mod grouped;
pub mod init;
pub mod kernels;
pub mod mbconv;
pub mod noise;
pub mod ops;
#[cfg(test)]
mod parity;
pub mod pool;
pub mod squeeze_excite;
pub mod tensor_file;
pub mod units;
pub mod values;

pub use activate::activate;
pub use activation::Activation;
pub use conv::{ConvBnAct, Depthwise, Pointwise};
pub use grouped::GroupedConv;
pub use mbconv::{MbConv, MbConvConfig};
pub use pool::max_pool;
pub use squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};
