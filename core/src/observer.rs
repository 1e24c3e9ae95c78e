//! Looking at a run from outside: profile, dump, range check.

use crate::model::Layer;

/// Sees every layer before and after it runs; layers of streams once for each band of rows. `()` sees nothing and costs nothing.
pub trait Observer {
    /// Layer `index` is about to run, or to make its next rows where it is part of a stream.
    fn before(&mut self, index: usize, layer: &Layer<'_>) {
        let _ = (index, layer);
    }

    /// Layer `index` has written `output`: all of it, or these rows.
    fn after(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]) {
        let _ = (index, layer, output);
    }
}

impl Observer for () {}
