//! Rotation prediction (Gidaris et al., arXiv 1803.07728).
//!
//! Every image of a step is seen in all four orientations in the same batch; the net says which is
//! which. Turns are exchanges of pixels, without interpolation or empty corners that would give
//! the answer away. Images must be square.

use burn::tensor::TensorData;

use crate::methods::pretext::questions::Questions;

/// Classes of the task.
pub(crate) const CLASSES: usize = 4;

/// A square image `[side, side, c]` turned by a quarter, counterclockwise.
pub(crate) fn quarter(image: &[f32], side: usize, c: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(image.len());
    for y in 0..side {
        for x in 0..side {
            let from = (x * side + side - 1 - y) * c;
            turned.extend_from_slice(&image[from..from + c]);
        }
    }
    turned
}

/// All of `values [n, side, side, c]` upright, then all turned once, and so on.
pub(crate) fn ask(values: Vec<f32>, [side, _, c]: [usize; 3]) -> Questions {
    let n = values.len() / (side * side * c).max(1);
    let mut all = values.clone();
    let mut turned = values;
    for _ in 1..CLASSES {
        turned = turned
            .chunks_exact(side * side * c)
            .flat_map(|image| quarter(image, side, c))
            .collect();
        all.extend_from_slice(&turned);
    }
    Questions {
        x: TensorData::new(all, [CLASSES * n, side, side, c]),
        labels: (0..CLASSES * n).map(|i| (i / n) as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_quarters_are_none_and_a_corner_goes_around() {
        let image: Vec<f32> = (0..5 * 5 * 2).map(|i| i as f32).collect();
        let mut turned = image.clone();
        let mut corners = Vec::new();
        for _ in 0..4 {
            turned = quarter(&turned, 5, 2);
            let at = |y: usize, x: usize| turned[(y * 5 + x) * 2];
            let corner = [(0, 0), (4, 0), (4, 4), (0, 4)];
            corners.push(corner.iter().position(|(y, x)| at(*y, *x) == 0.0).unwrap());
        }
        assert_eq!(turned, image);
        // From the upper left down, then right, then up.
        assert_eq!(corners, [1, 2, 3, 0]);
    }
}
