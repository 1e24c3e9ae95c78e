//! stub
/// SAME
pub fn same_padding(i: usize, k: usize, s: usize) -> (usize, usize) { let o = i.div_ceil(s); let t = ((o - 1) * s + k).saturating_sub(i); (t / 2, t - t / 2) }
