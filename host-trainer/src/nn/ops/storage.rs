//! Between burn-flex tensors and the plain slices that the operators compute on.

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::{Shape, TensorData};

/// A backend whose tensors are slices of this process: what a backward pass needs of the backend
/// under its graph.
pub(crate) trait Host: burn::backend::Backend {
    /// The values of `x`, row-major.
    fn values(x: FloatTensor<Self>) -> Vec<f32>;
    /// Calls `f` with the values of `x`.
    fn with<R>(x: &FloatTensor<Self>, f: impl FnOnce(&[f32]) -> R) -> R;
    /// A tensor of `shape` that takes over `values`.
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

impl Host for Flex {
    fn values(x: FloatTensor<Self>) -> Vec<f32> {
        x.to_contiguous().storage::<f32>().to_vec()
    }

    fn with<R>(x: &FloatTensor<Self>, f: impl FnOnce(&[f32]) -> R) -> R {
        f(x.to_contiguous().storage::<f32>())
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(TensorData::new(values, shape))
    }
}

/// A tensor that takes over `values`.
pub(crate) fn from_vec<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, dims))
}
