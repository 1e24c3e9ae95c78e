//! Where a packed model's bytes may begin.
//!
//! Portable kernels read weights at any address. The kernels in Arm's DSP instructions load whole words
//! of them at a time, which faults where they do not begin at a multiple of 4. Builds with those kernels
//! take no plain slice, so that a program with a misaligned model does not compile: its bytes come from
//! [`include_model!`](crate::include_model), from an [`Aligned`] array, or, where the address is known
//! only at run time, from [`ModelBytes::new`].

use crate::error::ModelError;
use crate::kernels::arch::at_any_address;
use crate::kernels::arch::current::WORD_ALIGNED;

/// Multiple at which weights must begin for the chip's kernels.
const UNIT: usize = 4;

/// Bytes that begin at a multiple of 16, as every kernel likes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<B: ?Sized>(pub B);

/// A packed model's bytes, where this build's kernels can read them in place.
#[derive(Clone, Copy, Debug)]
pub struct ModelBytes<'a>(&'a [u8]);

impl<'a> ModelBytes<'a> {
    /// Bytes whose address is known only at run time: a slot in flash, a file.
    ///
    /// # Errors
    /// [`ModelError::Misaligned`] where this build's kernels can't read them.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let over = bytes.as_ptr().addr() % UNIT;
        if WORD_ALIGNED && over != 0 {
            return Err(ModelError::Misaligned { over: over as u8 });
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn get(self) -> &'a [u8] {
        self.0
    }
}

/// What [`Model::parse`](super::Model::parse) reads: bytes that begin where this build's kernels can
/// read them.
#[diagnostic::on_unimplemented(
    message = "these bytes may begin at any address, which this chip's kernels can't read",
    label = "not aligned",
    note = "use `include_model!(\"student.pupil\")`, `&Aligned(bytes)` or `ModelBytes::new(bytes)?`"
)]
pub trait IntoModelBytes<'a> {
    /// The bytes.
    fn into_model_bytes(self) -> ModelBytes<'a>;
}

impl<'a> IntoModelBytes<'a> for ModelBytes<'a> {
    fn into_model_bytes(self) -> Self {
        self
    }
}

impl<'a> IntoModelBytes<'a> for &'a Aligned<[u8]> {
    fn into_model_bytes(self) -> ModelBytes<'a> {
        ModelBytes(&self.0)
    }
}

impl<'a, const N: usize> IntoModelBytes<'a> for &'a Aligned<[u8; N]> {
    fn into_model_bytes(self) -> ModelBytes<'a> {
        ModelBytes(&self.0)
    }
}

at_any_address! {
    impl<'a, B: AsRef<[u8]> + ?Sized> IntoModelBytes<'a> for &'a B {
        fn into_model_bytes(self) -> ModelBytes<'a> {
            ModelBytes(self.as_ref())
        }
    }
}

/// The packed model in a file, aligned for every kernel: a `&'static Aligned<[u8]>` for
/// [`Model::parse`](crate::model::Model::parse).
///
/// The path is that of `include_bytes!`.
///
/// ```
/// use pupil_core::{include_model, model::Model};
///
/// let bytes = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/model/tiny.pupil"));
/// assert_eq!(Model::parse(bytes).map(|m| m.class_count()), Ok(10));
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        static BYTES: &$crate::model::Aligned<[u8]> =
            &$crate::model::Aligned(*::core::include_bytes!($path));
        BYTES
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_at_any_address_are_read_where_kernels_can() {
        let bytes = Aligned([7u8; 20]);
        for at in 0..4 {
            let found = ModelBytes::new(&bytes.0[at..]).map(|b| b.get().len());
            let expected = match at {
                0 => Ok(20),
                _ if !WORD_ALIGNED => Ok(20 - at),
                _ => Err(ModelError::Misaligned { over: at as u8 }),
            };
            assert_eq!(found, expected);
        }
        assert_eq!((&bytes).into_model_bytes().get(), [7; 20]);
        let whole: &Aligned<[u8]> = &bytes;
        assert_eq!(whole.into_model_bytes().get(), [7; 20]);
    }
}
