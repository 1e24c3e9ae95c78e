//! Between burn-flex tensors and the plain slices that the operators compute on.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::TensorData;

/// The dimensions of a tensor whose rank the operator's contract fixes.
pub fn to_dims<const D: usize>(x: &FloatTensor<Flex>) -> [usize; D] {
    x.shape().dims()
}

/// Calls `f` with the contiguous values of `x`, row-major.
pub fn with_slice<R>(x: FloatTensor<Flex>, f: impl FnOnce(&[f32]) -> R) -> R {
    f(x.to_contiguous().storage::<f32>())
}

/// A tensor that takes over `values`.
pub fn from_vec<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, dims))
}
