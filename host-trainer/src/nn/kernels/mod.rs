//! The numeric kernels of training, over plain slices of NHWC maps: no tensors, no graph.
//!
//! Each is single-threaded and works on a few samples that fit the cache; the operators beside
//! this folder cut a batch into groups, run them on all cores and add up partial sums in order.

pub mod buffers;
pub mod depthwise;
pub mod function;
pub mod gram;
pub mod matmul;
pub mod normalize;
pub(crate) mod patches;
pub(crate) mod pooling;
pub(crate) mod simd;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
