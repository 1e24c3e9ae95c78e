//! Options of `compare`.

use std::path::PathBuf;

use clap::Args;

use super::zoo::AttachOptions;
use crate::experiments::methods::Learner;
use crate::net::zoo::Family;
use crate::train::{OptimizerKind, Schedule};

/// Options of `compare`.
#[derive(Args, Clone, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["se", "methods", "ablation", "recipes"])))]
pub(crate) struct CompareOptions {
    /// Compare nets with and without squeeze-and-excitation.
    #[arg(long)]
    pub se: bool,
    /// Compare these methods, separated by commas, with learning from labels alone: "all", or
    /// words of `method` and `pretext` in run.toml.
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',', value_parser = method)]
    pub methods: Vec<Vec<Learner>>,
    /// Take parts of Noisy Student away, one at a time: augmentation, dropout, stochastic depth
    /// (0.2 where the configuration has none), all three, soft labels, the filter.
    #[arg(long, value_enum)]
    pub ablation: Option<Ablation>,
    /// Run these configurations whole, once a seed, and compare their packed students.
    #[arg(long, value_name = "FILE,…", value_delimiter = ',')]
    pub recipes: Vec<PathBuf>,
    /// Numbers of labeled images to compare the methods on [default: all that there are].
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with_all = ["se", "recipes"])]
    pub labels: Vec<usize>,
    /// Configuration whose small net, student training, changes and constants the methods take
    /// [default: the quickstart's].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["se", "recipes"])]
    pub config: Option<PathBuf>,
    /// Set a key of the configuration: `methods.uda.confidence=0.9`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "se")]
    pub set: Vec<String>,
    /// Nets of the zoo, separated by commas [default: all].
    #[arg(long, value_name = "NET,…", value_delimiter = ',', conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub nets: Vec<Family>,
    /// Trainings of each.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub seeds: u16,
    /// Trainings of methods at a time, each on its share of the cores: they end earlier than one
    /// after the other, with the same outcomes [default: as many as there are cores].
    #[arg(long, value_name = "N", conflicts_with_all = ["se", "recipes"], value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Updates of the weights in one training [default: 400; the configuration's for methods].
    #[arg(long, value_name = "N", conflicts_with = "recipes", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// How nets are trained.
    #[command(flatten)]
    pub training: TrainingOptions,
    /// Pack each net too, beside its outcome, and measure it in int8 by the chip's own code.
    #[arg(long, conflicts_with = "recipes")]
    pub int8: bool,
    /// Changes to each net's usual squeeze-and-excitation.
    #[command(flatten)]
    pub attach: AttachOptions,
    /// Where outcomes are kept [default: runs/compare-se, runs/compare-methods,
    /// runs/compare-ablation or runs/compare-recipes].
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Images, as for `run`.
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Fixes every random choice.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Delete what earlier comparisons left in the directory.
    #[arg(long)]
    pub fresh: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long, short)]
    pub quiet: bool,
}

/// How `compare --se` trains.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrainingOptions {
    /// Images of a step.
    #[arg(long, value_name = "N", default_value_t = 32, conflicts_with_all = ["methods", "ablation", "recipes"], value_parser = clap::value_parser!(u16).range(2..=4096))]
    pub batch: u16,
    /// The optimizer.
    #[arg(long, value_enum, default_value_t = OptimizerKind::AdamW, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub optimizer: OptimizerKind,
    /// Peak learning rate [default: 0.004; 0.05 for sgd].
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub learning_rate: Option<f64>,
    /// How the learning rate falls.
    #[arg(long, value_enum, default_value_t = Schedule::Cosine, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub schedule: Schedule,
    /// Largest norm of all gradients together; 0 for no limit.
    #[arg(long, value_name = "NORM", default_value_t = 0.0, value_parser = not_negative, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub clip: f64,
    /// Whole images mixed with each other: α of Beta(α, α), usually 0.2; 0 for none.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0, value_parser = not_negative, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub mixup: f64,
    /// Rectangles mixed: α, usually 1; 0 for none.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0, value_parser = not_negative, conflicts_with_all = ["methods", "ablation", "recipes"])]
    pub cutmix: f64,
}

/// What `compare --ablation` takes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ablation {
    /// Noisy Student's noise.
    Noise,
}

fn method(text: &str) -> Result<Vec<Learner>, String> {
    if text == "all" {
        return Ok(Learner::all());
    }
    Learner::from_word(text).map(|l| vec![l]).ok_or_else(|| {
        let words: Vec<&str> = Learner::all().into_iter().map(Learner::word).collect();
        format!(
            "there is no such method; known: all, supervised, {}",
            words.join(", ")
        )
    })
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10.0 => Ok(rate),
        _ => Err("must be above 0 and at most 10".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be at least 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{Cli, Command};
    use clap::Parser;

    #[test]
    fn rates_and_what_is_compared_are_checked() {
        assert!(rate("nan").is_err() && not_negative("-1").is_err());
        assert!(Cli::try_parse_from(["pupil", "compare"]).is_err());
        let cli = Cli::try_parse_from(["pupil", "compare", "--se", "--nets", "vgg,resnext"]);
        let Some(Command::Compare(options)) = cli.unwrap().command else {
            panic!("another command");
        };
        assert_eq!(options.nets, [Family::Vgg, Family::ResNeXt]);
    }
}
