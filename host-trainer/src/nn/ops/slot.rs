//! Where a fused operator's forward pass leaves what is not a tensor.
//!
//! burn's operators exchange tensors only. A [`Slot`] travels with the call: the forward pass
//! puts its normalizations and kept maps there, the module reads the batch's statistics, and the
//! backward pass reads the rest when the graph reaches it.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Filled once, by the forward pass.
pub(crate) struct Slot<T>(Arc<OnceLock<T>>);

impl<T> Slot<T> {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self(Arc::new(OnceLock::new()))
    }

    /// Keeps `value`; a second value is dropped: one call, one slot.
    pub(crate) fn fill(&self, value: T) {
        let _ = self.0.set(value);
    }

    /// What the forward pass left.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() {
            "Slot(full)"
        } else {
            "Slot(empty)"
        })
    }
}
