//! Which operators run: the fused ones on the CPU, burn's stock ones elsewhere.

use burn::tensor::Device;

/// Whether tensors on `device` go through the fused operators, which compute on slices of this
/// process; a GPU's go through the compositions of [`super::stock`].
pub(crate) fn is_fused(device: &Device) -> bool {
    #[cfg(test)]
    if testing::is_stock() {
        return false;
    }
    *device == Device::flex()
}

/// The compositions on the CPU, where a machine without GPU can test them.
#[cfg(test)]
pub(crate) mod testing {
    use std::cell::Cell;

    thread_local! {
        static STOCK: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn is_stock() -> bool {
        STOCK.get()
    }

    /// Runs `f` with stock operators on every device; choices are made by the calling thread.
    pub(crate) fn with_stock<R>(f: impl FnOnce() -> R) -> R {
        STOCK.set(true);
        let result = f();
        STOCK.set(false);
        result
    }
}
