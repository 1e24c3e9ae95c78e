//! A model at any address: compiles where portable kernels run, and does not where the DSP kernels do,
//! which read weights at multiples of 4 only. The test command tries both.

use pupil_core::model::Model;

/// Whether these bytes are a packed model.
pub fn is_model() -> bool {
    let bytes = include_bytes!("../../../../firmware/model/tiny.pupil");
    Model::parse(bytes).is_ok()
}
