//! The non-linearities on vectors, each with its slope: what the fused loops are compiled for.

use super::simd::{Simd, sigmoid};

/// One non-linearity as a type, so that a loop over a map is compiled for it.
pub trait Function {
    /// f(z).
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s;
    /// f(z) and f'(z).
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s);
}

/// z.
pub struct Linear;
/// max(z, 0).
pub struct Relu;
/// min(max(z, 0), 6).
pub struct Relu6;
/// z σ(z).
pub struct Silu;
/// z min(max(z + 3, 0), 6) / 6.
pub struct HardSwish;
/// σ(z).
pub struct Sigmoid;
/// min(max(z + 3, 0), 6) / 6.
pub struct HardSigmoid;

impl Function for Linear {
    #[inline(always)]
    fn value<S: Simd>(_: S, z: S::f32s) -> S::f32s {
        z
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        (z, simd.splat_f32s(1.0))
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        simd.max_f32s(z, simd.splat_f32s(0.0))
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
        let above = simd.greater_than_f32s(z, zero);
        (simd.max_f32s(z, zero), simd.select_f32s(above, one, zero))
    }
}

impl Function for Relu6 {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        simd.min_f32s(Relu::value(simd, z), simd.splat_f32s(6.0))
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        let (value, slope) = Relu::both(simd, z);
        let six = simd.splat_f32s(6.0);
        let below = simd.less_than_f32s(z, six);
        let slope = simd.select_f32s(below, slope, simd.splat_f32s(0.0));
        (simd.min_f32s(value, six), slope)
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        simd.mul_f32s(z, sigmoid(simd, z))
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        // (z s)' = s + z s (1 - s) = s + value - value s
        let s = sigmoid(simd, z);
        let value = simd.mul_f32s(z, s);
        let rest = simd.negate_mul_add_e_f32s(value, s, value);
        (value, simd.add_f32s(s, rest))
    }
}

impl Function for HardSwish {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        let gate = Relu6::value(simd, simd.add_f32s(z, simd.splat_f32s(3.0)));
        simd.mul_f32s(simd.mul_f32s(z, gate), simd.splat_f32s(1.0 / 6.0))
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        let k = |v| simd.splat_f32s(v);
        let inside = simd.mul_add_e_f32s(z, k(1.0 / 3.0), k(0.5));
        let slope = simd.select_f32s(simd.less_than_f32s(z, k(3.0)), inside, k(1.0));
        let slope = simd.select_f32s(simd.greater_than_f32s(z, k(-3.0)), slope, k(0.0));
        (Self::value(simd, z), slope)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        sigmoid(simd, z)
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        let s = sigmoid(simd, z);
        (s, simd.negate_mul_add_e_f32s(s, s, s))
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::f32s) -> S::f32s {
        let gate = Relu6::value(simd, simd.add_f32s(z, simd.splat_f32s(3.0)));
        simd.mul_f32s(gate, simd.splat_f32s(1.0 / 6.0))
    }
    #[inline(always)]
    fn both<S: Simd>(simd: S, z: S::f32s) -> (S::f32s, S::f32s) {
        let (gate, slope) = Relu6::both(simd, simd.add_f32s(z, simd.splat_f32s(3.0)));
        let sixth = simd.splat_f32s(1.0 / 6.0);
        (simd.mul_f32s(gate, sixth), simd.mul_f32s(slope, sixth))
    }
}

/// Runs `$body` with the type `$f` of the non-linearity `$activation`.
macro_rules! with_function {
    ($activation:expr, $f:ident => $body:expr) => {{
        use $crate::nn::activation::Activation as A;
        use $crate::nn::kernels::function as f;
        match $activation {
            A::Linear => {
                type $f = f::Linear;
                $body
            }
            A::Relu => {
                type $f = f::Relu;
                $body
            }
            A::Relu6 => {
                type $f = f::Relu6;
                $body
            }
            A::Silu => {
                type $f = f::Silu;
                $body
            }
            A::HardSwish => {
                type $f = f::HardSwish;
                $body
            }
            A::Sigmoid => {
                type $f = f::Sigmoid;
                $body
            }
            A::HardSigmoid => {
                type $f = f::HardSigmoid;
                $body
            }
        }
    }};
}
pub(crate) use with_function;
