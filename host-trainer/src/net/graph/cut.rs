//! Filters cut by their channels.

use super::nodes::Filter;

/// The pieces that make up each group of `own` channels, if no piece crosses a border.
pub(super) fn groups_of(widths: &[usize], own: usize) -> Option<Vec<core::ops::Range<usize>>> {
    let (mut groups, mut start, mut sum) = (Vec::new(), 0, 0);
    for (p, width) in widths.iter().enumerate() {
        sum += width;
        if sum > own {
            return None;
        }
        if sum == own {
            groups.push(start..p + 1);
            (start, sum) = (p + 1, 0);
        }
    }
    (sum == 0).then_some(groups)
}

/// `count` output channels of a filter, from `first` on.
pub(super) fn rows_of(f: &Filter, first: usize, count: usize) -> Filter {
    let taps = f.weights.len() / f.bias.len();
    Filter {
        weights: f.weights[first * taps..][..count * taps].to_vec(),
        bias: f.bias[first..][..count].to_vec(),
        ..*f
    }
}

/// `count` of a filter's `in_ch` input channels, from `first` on.
pub(super) fn columns_of(f: &Filter, in_ch: usize, first: usize, count: usize) -> Filter {
    Filter {
        weights: f
            .weights
            .chunks_exact(in_ch)
            .flat_map(|tap| tap[first..][..count].iter().copied())
            .collect(),
        bias: f.bias.clone(),
        ..*f
    }
}

/// The plain convolution that a grouped one is: zeros for the channels of other groups.
pub(super) fn with_zeros(f: &Filter, in_ch: usize, groups: usize) -> Filter {
    let (own, share) = (in_ch / groups, f.bias.len() / groups);
    let mut weights = Vec::with_capacity(f.weights.len() * groups);
    for (t, tap) in f.weights.chunks_exact(own).enumerate() {
        let group = t / (f.kernel * f.kernel) / share;
        let start = weights.len();
        weights.resize(start + in_ch, 0.0);
        weights[start + group * own..][..own].copy_from_slice(tap);
    }
    Filter {
        weights,
        bias: f.bias.clone(),
        ..*f
    }
}
