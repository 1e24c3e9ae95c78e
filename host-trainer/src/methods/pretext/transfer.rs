//! A trunk that has learned something goes into a net of other classes.

use crate::net::EfficientNet;
use crate::nn::values::{Named, assign, collect};

/// `to` with the trunk of `from`: everything but the classifier.
///
/// # Errors
/// The first entry of another shape.
pub(crate) fn transfer(from: &EfficientNet, to: EfficientNet) -> Result<EfficientNet, String> {
    transfer_numbers(collect(from), to)
}

/// [`transfer`] of a net's numbers, in field order.
///
/// # Errors
/// As [`transfer`].
pub(crate) fn transfer_numbers(
    learned: Vec<Named>,
    to: EfficientNet,
) -> Result<EfficientNet, String> {
    let classifier = |entry: &Named| entry.name.starts_with("classifier");
    let own = collect(&to);
    if learned.len() != own.len() {
        return Err(format!(
            "the nets have {} and {} parts",
            learned.len(),
            own.len()
        ));
    }
    let both: Vec<Named> = own
        .into_iter()
        .zip(learned)
        .map(|(own, learned)| if classifier(&own) { own } else { learned })
        .collect();
    assign(to, &both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{CompoundScaling, EfficientNetConfig};
    use crate::nn::Activation;
    use crate::nn::init::Init;
    use crate::util::random::stream;
    use burn::tensor::Device;

    fn net(classes: usize, width: f64, seed: u64) -> EfficientNet {
        let scaling = CompoundScaling {
            width,
            depth: 1.0,
            resolution: 1.0,
        };
        let config = EfficientNetConfig::tiny([12, 12, 1], classes, scaling, 2, Activation::Relu);
        config.init(&mut Init {
            device: &Device::flex().autodiff(),
            rng: &mut stream(seed, "test", 0),
        })
    }

    #[test]
    fn everything_but_the_classifier_goes_over() {
        let (from, to) = (net(4, 0.5, 1), net(10, 0.5, 2));
        let (a, b) = (collect(&from), collect(&to));
        let moved = collect(&transfer(&from, to).unwrap());
        for ((from, to), moved) in a.iter().zip(&b).zip(&moved) {
            let expected = if from.name.starts_with("classifier") {
                to
            } else {
                from
            };
            assert_eq!(moved, expected);
        }
        assert!(transfer(&from, net(10, 1.0, 2)).is_err());
    }
}
