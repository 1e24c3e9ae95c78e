//! Options of `zoo`, and those of squeeze-and-excitation that `compare` has too.

use clap::Args;

use crate::net::zoo::Placement;
use crate::nn::Activation;

/// Options of `zoo`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ZooOptions {
    /// Height, width and channels of the small nets' images; EfficientNets are counted at their
    /// published resolution.
    #[arg(long, value_name = "HxWxC", default_value = "28x28x1", value_parser = dims)]
    pub input: [usize; 3],
    /// Classes of the small nets.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub classes: u16,
    /// Changes to each net's usual squeeze-and-excitation.
    #[command(flatten)]
    pub attach: AttachOptions,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// How squeeze-and-excitation is attached.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct AttachOptions {
    /// Channels over channels of the bottleneck [default: 8; 16 in the paper].
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub ratio: Option<u16>,
    /// Where it goes in a residual unit [default: standard].
    #[arg(long)]
    pub placement: Option<Placement>,
    /// Between its dense layers [default: relu; silu in mbconv].
    #[arg(long)]
    pub act: Option<Activation>,
    /// Behind them: sigmoid or hard-sigmoid [default: sigmoid].
    #[arg(long, value_parser = gate)]
    pub gate: Option<Activation>,
    /// Whether they have biases [default: false; true in mbconv].
    #[arg(long)]
    pub bias: Option<bool>,
}

/// "28x28x1".
fn dims(text: &str) -> Result<[usize; 3], String> {
    let sides: Vec<usize> = text.split('x').filter_map(|s| s.parse().ok()).collect();
    match sides[..] {
        [h, w, c] if text.split('x').count() == 3 => {
            if !(8..=1024).contains(&h) || !(8..=1024).contains(&w) {
                return Err("height and width must lie between 8 and 1024".into());
            }
            if c != 1 && c != 3 {
                return Err("channels must be 1 (grey) or 3 (RGB)".into());
            }
            Ok([h, w, c])
        }
        _ => Err("write height, width and channels like 28x28x1".into()),
    }
}

fn gate(text: &str) -> Result<Activation, String> {
    match text {
        "sigmoid" => Ok(Activation::Sigmoid),
        "hard-sigmoid" => Ok(Activation::HardSigmoid),
        _ => Err("a gate lies between 0 and 1: sigmoid or hard-sigmoid".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_gates_are_checked() {
        assert_eq!(dims("96x64x3"), Ok([96, 64, 3]));
        for wrong in [
            "",
            "28x28",
            "28x28x2",
            "4x28x1",
            "28x28x1x1",
            "ax28x1",
            "28xx1",
        ] {
            assert!(dims(wrong).is_err(), "{wrong}");
        }
        assert!(gate("tanh").is_err());
    }
}
