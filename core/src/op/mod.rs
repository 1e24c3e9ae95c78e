//! Operators: what a layer computes, its parameters, shapes, weights and quantization. The packed
//! format stores them and the kernels run them.

pub mod add;
mod filter;
pub mod fixed_point;
mod mean;
mod mul;
mod operator;
pub mod pairs;
mod pool;
pub mod quant;
pub mod row_pairs;
pub mod shape;
mod softmax;

pub use add::AddParams;
pub use filter::{Filter, Layout, Output};
pub use mean::MeanParams;
pub use mul::MulParams;
pub use operator::Operator;
pub use pool::PoolParams;
pub use softmax::SoftmaxParams;
