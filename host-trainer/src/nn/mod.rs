//! Neural network parts: burn modules over NHWC maps, with fused training operators.

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
