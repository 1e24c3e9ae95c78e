//! A net's answers without noise, gradients or random numbers.

use burn::tensor::Device;
use burn::tensor::activation::softmax;

use crate::data::augment::Augment;
use crate::data::batch::{AugmentStream, Normalization, batch};
use crate::data::{Images, Labeled};
use crate::model::Classifier;
use crate::nn::noise::Pass;

/// Images of one forward pass.
const BATCH: usize = 250;

/// Class probabilities of each image, row-major `[len, classes]`, by running statistics, on the
/// device of `net`.
pub fn probabilities(
    net: &impl Classifier,
    images: &Images,
    normalization: &Normalization,
) -> Vec<f32> {
    let net = net.valid();
    let device = net
        .devices()
        .first()
        .map_or_else(Device::flex, Clone::clone);
    let device = device.inner();
    let nowhere = AugmentStream { seed: 0, step: 0 };
    let mut all = Vec::new();
    let indices: Vec<usize> = (0..images.len()).collect();
    for chunk in indices.chunks(BATCH) {
        let x = batch(
            images,
            chunk,
            &Augment::None,
            normalization,
            nowhere,
            &device,
        );
        let p = softmax(net.forward(x, &mut Pass::Evaluate), 1);
        all.extend(
            p.into_data()
                .try_to_vec::<f32>()
                .expect("probabilities are f32"),
        );
    }
    all
}

/// Index of the greatest value; the first of equals.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best
}

/// Share of images whose most probable class is their label.
pub fn accuracy(net: &impl Classifier, set: &Labeled, normalization: &Normalization) -> f64 {
    share_right(&probabilities(net, &set.images, normalization), &set.labels)
}

/// Share of rows of `probabilities` whose greatest entry is the label's.
pub fn share_right(probabilities: &[f32], labels: &[u8]) -> f64 {
    let classes = probabilities
        .len()
        .checked_div(labels.len())
        .unwrap_or(1)
        .max(1);
    let right = probabilities
        .chunks_exact(classes)
        .zip(labels)
        .filter(|(row, label)| argmax(row) == usize::from(**label))
        .count();
    right as f64 / labels.len().max(1) as f64
}
