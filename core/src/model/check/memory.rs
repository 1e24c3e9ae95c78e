//! What a layer reads and where its scratch memory lies, without a look at its weights.

use core::ops::Range;

use crate::model::header::Model;

/// What layer `i` reads.
pub fn inputs(model: &Model<'_>, i: usize) -> [Option<usize>; 2] {
    model.record(i).unwrap_or_default().inputs()
}

/// Scratch memory of layer `i`, whose record has been checked.
pub fn scratch(model: &Model<'_>, i: usize) -> Range<usize> {
    let record = model.record(i).unwrap_or_default();
    let (offset, len) = (record.scratch_at as usize, record.scratch_len as usize);
    offset..offset.saturating_add(len)
}

/// Whether no byte is in both.
pub fn apart(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start
}
