//! What a net's numbers are called and how many there are, known without building the net: a file
//! from elsewhere is compared with this before memory is reserved for what it says.

use super::EfficientNetConfig;
use crate::nn::mbconv::MbConvConfig;

/// Most channels of a map: the packed format counts them in 16 bits.
const MOST_CHANNELS: usize = 65_535;
/// Most blocks: a packed net has 1,024 layers.
const MOST_BLOCKS: usize = 1000;
/// Longest side of an image.
const LONGEST_SIDE: usize = 4096;

/// Name and dimensions of one parameter or running statistic.
pub(crate) type Entry = (String, Vec<usize>);

impl EfficientNetConfig {
    /// Whether such a net can be built: every count lies in its range, and each block takes what
    /// the one before it gives.
    ///
    /// # Errors
    /// The first count that is out of range.
    pub fn check(&self) -> Result<(), String> {
        let within = |what: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!(
                "its net has {what} {value}; {least} to {most} can be built"
            ))
        };
        let [h, w, c] = self.input;
        within("an image height of", h, 1, LONGEST_SIDE)?;
        within("an image width of", w, 1, LONGEST_SIDE)?;
        within("image channels:", c, 1, 64)?;
        within("classes:", self.classes, 1, MOST_CHANNELS)?;
        within("stem channels:", self.stem_ch, 1, MOST_CHANNELS)?;
        within("a stem stride of", self.stem_stride, 1, 2)?;
        within("head channels:", self.head_ch, 1, MOST_CHANNELS)?;
        within("blocks:", self.blocks.len(), 0, MOST_BLOCKS)?;
        let mut channels = self.stem_ch;
        for block in &self.blocks {
            within("block input channels:", block.in_ch, channels, channels)?;
            within("block output channels:", block.out_ch, 1, MOST_CHANNELS)?;
            within("an expand ratio of", block.expand_ratio, 1, 64)?;
            let expanded = block.expanded_ch();
            within("expanded channels:", expanded, 1, MOST_CHANNELS)?;
            within("a stride of", block.stride, 1, 2)?;
            within("squeezed channels:", block.squeezed_ch, 0, MOST_CHANNELS)?;
            if !matches!(block.kernel, 3 | 5) {
                let kernel = block.kernel;
                return Err(format!(
                    "its net has a kernel of {kernel}; 3 and 5 can be built"
                ));
            }
            channels = block.out_ch;
        }
        Ok(())
    }

    /// The net's parameters and running statistics in field order, which is that of
    /// [`collect`](crate::nn::values::collect). Call [`Self::check`] before.
    pub fn entries(&self) -> Vec<Entry> {
        let mut list = Vec::new();
        let last = self.blocks.last().map_or(self.stem_ch, |b| b.out_ch);
        convolution(&mut list, "stem", [9 * self.input[2], self.stem_ch]);
        for (i, block) in self.blocks.iter().enumerate() {
            mbconv(&mut list, &format!("blocks.{i}"), block);
        }
        convolution(&mut list, "head", [last, self.head_ch]);
        list.push(("classifier".into(), vec![self.head_ch, self.classes]));
        list.push(("classifier_bias".into(), vec![self.classes]));
        list
    }
}

/// A convolution's weights and its normalization.
fn convolution(list: &mut Vec<Entry>, name: &str, [rows, channels]: [usize; 2]) {
    list.push((format!("{name}.weight"), vec![rows, channels]));
    for part in ["gamma", "beta", "mean", "variance"] {
        list.push((format!("{name}.norm.{part}"), vec![channels]));
    }
}

fn mbconv(list: &mut Vec<Entry>, name: &str, block: &MbConvConfig) {
    let (expanded, squeezed) = (block.expanded_ch(), block.squeezed_ch);
    if block.expand_ratio > 1 {
        convolution(list, &format!("{name}.expand"), [block.in_ch, expanded]);
    }
    let taps = block.kernel * block.kernel;
    convolution(list, &format!("{name}.depthwise"), [taps, expanded]);
    if squeezed > 0 {
        for (part, dims) in [
            ("reduce", vec![expanded, squeezed]),
            ("reduce_bias", vec![squeezed]),
            ("expand", vec![squeezed, expanded]),
            ("expand_bias", vec![expanded]),
        ] {
            list.push((format!("{name}.squeeze_excite.{part}"), dims));
        }
    }
    convolution(list, &format!("{name}.project"), [expanded, block.out_ch]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{CompoundScaling, ImageNet, Variant};
    use crate::nn::Activation;
    use crate::nn::init::Init;
    use crate::nn::values::collect;
    use crate::util::random::stream;
    use burn::tensor::Device;

    fn tiny(expand: usize) -> EfficientNetConfig {
        let scaling = CompoundScaling {
            width: 0.5,
            depth: 1.5,
            resolution: 1.0,
        };
        EfficientNetConfig::tiny([12, 12, 3], 3, scaling, expand, Activation::Silu)
    }

    #[test]
    fn entries_are_those_of_the_net() {
        let lite = Variant::Lite0.config(ImageNet {
            input: [32, 32, 1],
            classes: 2,
            stem_stride: 1,
            small_images: true,
        });
        for config in [tiny(4), tiny(1), lite] {
            config.check().unwrap();
            let net = config.init(&mut Init {
                device: &Device::flex(),
                rng: &mut stream(0, "test", 0),
            });
            let own: Vec<Entry> = collect(&net)
                .into_iter()
                .map(|n| (n.name, n.dims))
                .collect();
            assert_eq!(config.entries(), own);
        }
    }

    #[test]
    fn published_nets_pass_and_impossible_ones_are_told() {
        for variant in Variant::ALL {
            let side = variant.resolution();
            let input = [side, side, 3];
            let config = variant.config(ImageNet {
                input,
                classes: 1000,
                stem_stride: 2,
                small_images: false,
            });
            config.check().unwrap();
        }
        let wrong: [fn(&mut EfficientNetConfig); 9] = [
            |c| c.stem_ch = 1_000_000_000,
            |c| c.input[2] = 0,
            |c| c.classes = 0,
            |c| c.stem_stride = 0,
            |c| c.blocks[0].kernel = 4,
            |c| c.blocks[1].stride = 0,
            |c| c.blocks[1].in_ch += 1,
            |c| c.blocks[0].expand_ratio = usize::MAX,
            |c| c.blocks = vec![c.blocks[0]; 1001],
        ];
        for change in wrong {
            let mut config = tiny(4);
            change(&mut config);
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
