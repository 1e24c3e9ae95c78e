//! Neural network parts: burn modules over NHWC maps, with fused training operators.

pub mod activation;
pub mod conv;
pub mod init;
pub mod kernels;
pub mod mbconv;
pub mod noise;
pub mod ops;
pub mod squeeze_excite;
pub mod units;
pub mod values;

pub use activation::Activation;
pub use conv::{ConvBnAct, Pointwise};
pub use mbconv::{MbConv, MbConvConfig};
pub use squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};
