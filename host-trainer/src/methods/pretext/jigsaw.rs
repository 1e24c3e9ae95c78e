//! Jigsaw puzzles (Noroozi and Favaro, arXiv 1603.09246), for small images.
//!
//! An image's four quarters go through one shared trunk, each on its own; a layer over all four
//! says in which of the 24 orders they lie. Each tile is cut at random out of its quarter, so that
//! lines across a border do not give the answer away, and has its own mean and deviation taken
//! off, so that brightness does not.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::methods::pretext::questions::Questions;
use crate::net::{Classifier, EfficientNet, EfficientNetConfig};
use crate::nn::init::Init;
use crate::nn::noise::Pass;

/// Tiles of an image.
pub(crate) const TILES: usize = 4;

/// Orders of four tiles.
pub(crate) const ORDERS: [[usize; TILES]; 24] = orders();

/// All permutations in lexicographic order.
const fn orders() -> [[usize; TILES]; 24] {
    let mut all = [[0; TILES]; 24];
    let mut found = 0;
    let mut code = 0;
    while code < 256 {
        let p = [code / 64, code / 16 % 4, code / 4 % 4, code % 4];
        let distinct = p[0] != p[1]
            && p[0] != p[2]
            && p[0] != p[3]
            && p[1] != p[2]
            && p[1] != p[3]
            && p[2] != p[3];
        if distinct {
            all[found] = p;
            found += 1;
        }
        code += 1;
    }
    all
}

/// A trunk that sees tiles, and a layer over all four.
#[derive(Module, Debug)]
pub(crate) struct JigsawNet {
    /// The net whose trunk learns; its classifier is not used.
    pub net: EfficientNet,
    /// `[tiles * head_ch, orders]`.
    pub weight: Param<Tensor<2>>,
    /// `[orders]`.
    pub bias: Param<Tensor<1>>,
}

impl JigsawNet {
    /// Around a new net of `config`.
    pub(crate) fn new(config: &EfficientNetConfig, init: &mut Init<'_>) -> Self {
        let net = config.init(init);
        let rows = TILES * config.head_ch;
        Self {
            net,
            weight: init.uniform([rows, ORDERS.len()], rows),
            bias: init.constant([ORDERS.len()], 0.0),
        }
    }
}

impl Classifier for JigsawNet {
    /// Tiles `[tiles * n, h, w, c]`, all first ones before all second ones.
    fn forward(&self, x: Tensor<4>, pass: &mut Pass<'_>) -> Tensor<2> {
        let n = x.dims()[0] / TILES;
        let features = self.net.features(x, pass);
        let ch = features.dims()[1];
        let tiles = (0..TILES)
            .map(|t| features.clone().slice([t * n..(t + 1) * n, 0..ch]))
            .collect();
        let all: Tensor<2> = Tensor::cat(tiles, 1);
        all.matmul(self.weight.val()) + self.bias.val().unsqueeze()
    }
}

/// Height and width of a tile: an eighth less than half the image, for the gap.
pub(crate) fn tile_dims([h, w, _]: [usize; 3]) -> (usize, usize) {
    let side = |len: usize| (len / 2 - len / 16).max(1);
    (side(h), side(w))
}

/// Tile `quarter` (row-major) of `image [h, w, c]`, at random within its quarter, without its
/// mean and at unit deviation.
fn tile(image: &[f32], dims: [usize; 3], quarter: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let [h, w, c] = dims;
    let (th, tw) = tile_dims(dims);
    let top = quarter / 2 * (h / 2) + rng.random_range(0..=h / 2 - th);
    let left = quarter % 2 * (w / 2) + rng.random_range(0..=w / 2 - tw);
    let mut tile = Vec::with_capacity(th * tw * c);
    for y in top..top + th {
        tile.extend_from_slice(&image[(y * w + left) * c..][..tw * c]);
    }
    let count = tile.len() as f32;
    let mean = tile.iter().sum::<f32>() / count;
    let variance = tile.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
    let scale = (variance + 1e-3).sqrt().recip();
    tile.iter_mut().for_each(|v| *v = (*v - mean) * scale);
    tile
}

/// The tiles of `values [n, h, w, c]`, all first ones before all second ones, each image's in an
/// order of its own.
pub(crate) fn ask(values: &[f32], dims: [usize; 3], rng: &mut ChaCha8Rng) -> Questions {
    let images = values.chunks_exact(dims.iter().product());
    let labels: Vec<u8> = (0..images.len())
        .map(|_| rng.random_range(0..ORDERS.len()) as u8)
        .collect();
    let mut cut: Vec<Vec<f32>> = Vec::with_capacity(images.len() * TILES);
    for image in images {
        cut.extend((0..TILES).map(|quarter| tile(image, dims, quarter, rng)));
    }
    let (th, tw) = tile_dims(dims);
    let mut x = Vec::with_capacity(cut.len() * th * tw * dims[2]);
    for place in 0..TILES {
        for (label, tiles) in labels.iter().zip(cut.chunks_exact(TILES)) {
            x.extend_from_slice(&tiles[ORDERS[usize::from(*label)][place]]);
        }
    }
    Questions {
        x: TensorData::new(x, [cut.len(), th, tw, dims[2]]),
        labels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn orders_are_all_permutations_each_once() {
        for (i, a) in ORDERS.iter().enumerate() {
            let mut sorted = *a;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            for b in &ORDERS[..i] {
                // Two permutations that differ do so in at least two places.
                assert!(a.iter().zip(b).filter(|(a, b)| a != b).count() >= 2);
            }
        }
    }

    #[test]
    fn tiles_lie_in_their_quarter_and_have_no_brightness() {
        let dims = [16, 12, 1];
        // Each quarter has values of its own.
        let image: Vec<f32> = (0..16 * 12)
            .map(|p| {
                let (y, x) = (p / 12, p % 12);
                (y / 8 * 2 + x / 6) as f32 * 100.0 + ((y * 5 + x * 3) % 7) as f32
            })
            .collect();
        let (th, tw) = tile_dims(dims);
        assert_eq!((th, tw), (7, 6));
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for quarter in 0..TILES {
                let t = tile(&image, dims, quarter, &mut rng);
                assert_eq!(t.len(), th * tw);
                let mean = t.iter().sum::<f32>() / t.len() as f32;
                let deviation = (t.iter().map(|v| v * v).sum::<f32>() / t.len() as f32).sqrt();
                // A tile over a border would have a deviation of tens before it is scaled: few
                // values would differ from two.
                assert!(mean.abs() < 1e-4 && (deviation - 1.0).abs() < 0.01);
                assert!(t.iter().all(|v| v.abs() < 2.5), "quarter {quarter}: {t:?}");
            }
        }
    }
}
