//! The command line: what was typed, nothing more.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::compare::methods::Learner;
use crate::device::TrainingDevice;
use crate::model::zoo::{Family, Placement};
use crate::nn::Activation;
use crate::run_dir::Stage;
use crate::train::{OptimizerKind, Schedule};

/// Trains an int8 image classifier for a microcontroller from few labeled and many unlabeled
/// images.
///
/// Without a command: all six stages on the bundled Fashion-MNIST images, ending in
/// runs/quickstart/6-pack/student.pupil. Run again, it continues at the first unfinished stage.
#[derive(Debug, Parser)]
#[command(name = "pupil", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the main job, when no command is given.
    #[command(flatten)]
    pub options: RunOptions,
}

const EXIT_CODES: &str = "Results go to stdout, progress to stderr.\n\
    Exit codes: 0 done, 1 a stated target was missed, 2 usage or I/O error.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// All six stages, continuing where an earlier run stopped.
    Run {
        /// Configuration, or the folder that has it as run.toml; what it leaves out takes its
        /// default. None: the quickstart's.
        config: Option<PathBuf>,
        /// Options.
        #[command(flatten)]
        options: RunOptions,
    },
    /// Stage 1: a net on the labeled images.
    Teacher(StageOptions),
    /// Stage 2: the teacher's answers for the unlabeled images.
    PseudoLabels(StageOptions),
    /// Stage 3: a net of the teacher's size on labels and unlabeled images.
    Student(StageOptions),
    /// Stage 4: the net for the chip, taught by the student.
    Distill(StageOptions),
    /// Stage 5: int8 ranges and accuracy.
    Quantize(StageOptions),
    /// Stage 6: student.pupil and the final table.
    Pack(StageOptions),
    /// Starts a project for your own images: checks them and writes NAME/run.toml.
    New {
        /// Folder to make, and name of the run.
        name: PathBuf,
        /// Labeled images: class folders, a .csv or .jsonl list, a .tar, .tar.xz or .tar.gz, a
        /// folder with IDX or CIFAR binary files.
        #[arg(long, value_name = "PATH")]
        labeled: PathBuf,
        /// Images without labels: a folder, list or archive.
        #[arg(long, value_name = "PATH")]
        unlabeled: Option<PathBuf>,
        /// No progress on stderr.
        #[arg(long, short)]
        quiet: bool,
    },
    /// What a set of images is like: counts, sizes, damaged files, balance, duplicates, split.
    Data {
        /// The set, as for `new --labeled`, or the run.toml of a project.
        path: PathBuf,
        /// Images without labels.
        #[arg(long, value_name = "PATH")]
        unlabeled: Option<PathBuf>,
        /// One JSON object that names everything.
        #[arg(long)]
        json: bool,
        /// No progress on stderr.
        #[arg(long, short)]
        quiet: bool,
    },
    /// What a packed student says to images.
    Predict {
        /// Images: PNG, JPEG, BMP, PGM, PPM.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Which student.
        #[command(flatten)]
        student: StudentOptions,
        /// One JSON object with all probabilities.
        #[arg(long)]
        json: bool,
    },
    /// Measures a packed student on the images of its run, or on others.
    Eval {
        /// Which student.
        #[command(flatten)]
        student: StudentOptions,
        /// Measure on all labeled images here instead of the run's test images; classes by name.
        #[arg(long, value_name = "PATH")]
        data: Option<PathBuf>,
        /// Measure on the run's validation images.
        #[arg(long, conflicts_with = "data")]
        validation: bool,
        /// Exit code 1 if fewer percent are right.
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        target: Option<f64>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// What a packed student holds: input, layers, flash, memory map.
    Inspect {
        /// A student.pupil.
        file: PathBuf,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// The built-in nets: parameters, multiply-accumulates, and what squeeze-and-excitation adds.
    Zoo(ZooOptions),
    /// Trains over several seeds: nets on equal budgets by each method, by Noisy Student without its
    /// parts, or with and without squeeze-and-excitation; or whole runs of recipes. Run again, it
    /// continues at the first unfinished training.
    Compare(CompareOptions),
    /// Completions for a shell, on stdout.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
    /// The manual page, on stdout; without --command, of pupil itself.
    Man {
        /// A command's page instead.
        #[arg(long, value_name = "NAME")]
        command: Option<String>,
    },
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a number of percent is wanted, 0 or more".into()),
    }
}

/// Options of `zoo`.
#[derive(Args, Clone, Debug)]
pub struct ZooOptions {
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
pub struct AttachOptions {
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

/// Options of `compare`.
#[derive(Args, Clone, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["se", "methods", "ablation", "recipes"])))]
pub struct CompareOptions {
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
pub struct TrainingOptions {
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
pub enum Ablation {
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

/// How a user calls this program with `words`: as `cargo run` where cargo has started it.
pub fn call(words: &str) -> String {
    // Cargo sets it for what it runs.
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(_) => format!("cargo run --release -- {words}"),
        None => format!("pupil {words}"),
    }
}

/// The call that repeats a stage of the run in `root` with that run's own settings.
pub fn repeat(stage: Stage, root: &Path) -> String {
    let name = root.file_name().unwrap_or_default();
    let (word, root) = (stage.word(), root.display());
    // A run's folder is called as its settings' folder, below `runs`.
    if Path::new("runs").join(name) == Path::new(&root.to_string()) {
        call(&format!("{word} {root} --fresh"))
    } else {
        call(&format!("{word} {root} --run-dir {root} --fresh"))
    }
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

/// Options of a run.
#[derive(Args, Clone, Debug, Default)]
pub struct RunOptions {
    /// Where stages leave their results [default: runs/NAME for NAME.toml or NAME/run.toml, else
    /// runs/quickstart].
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// "bundled", or labeled images: class folders, a .csv or .jsonl list, an archive, a folder
    /// with IDX or CIFAR binary files [default: the full Fashion-MNIST where Debian's
    /// dataset-fashion-mnist is installed, else the bundled part].
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,
    /// Set a key of the configuration: `teacher.fit.steps=500`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Fixes every random choice.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where nets are trained and asked. A run may go on on another device.
    #[arg(long, value_enum, default_value_t = TrainingDevice::Cpu)]
    pub device: TrainingDevice,
    /// Start over: delete what earlier runs left in the run directory. A command of one stage deletes
    /// that stage and those after it.
    #[arg(long)]
    pub fresh: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which packed student to use.
#[derive(Args, Clone, Debug, Default)]
pub struct StudentOptions {
    /// A student.pupil.
    #[arg(long, value_name = "FILE", conflicts_with = "run_dir")]
    pub model: Option<PathBuf>,
    /// A run directory with a packed student [default: the one under runs/ packed last].
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// Options of one stage's command.
#[derive(Args, Clone, Debug)]
pub struct StageOptions {
    /// Configuration, as for `run`.
    pub config: Option<PathBuf>,
    /// Options.
    #[command(flatten)]
    pub options: RunOptions,
}

impl Command {
    /// The stage that the command is about.
    pub fn stage(&self) -> Option<(Stage, &StageOptions)> {
        match self {
            Self::Teacher(o) => Some((Stage::Teacher, o)),
            Self::PseudoLabels(o) => Some((Stage::PseudoLabels, o)),
            Self::Student(o) => Some((Stage::Student, o)),
            Self::Distill(o) => Some((Stage::Distill, o)),
            Self::Quantize(o) => Some((Stage::Quantize, o)),
            Self::Pack(o) => Some((Stage::Pack, o)),
            Self::Run { .. }
            | Self::New { .. }
            | Self::Data { .. }
            | Self::Predict { .. }
            | Self::Eval { .. }
            | Self::Inspect { .. }
            | Self::Zoo(_)
            | Self::Compare(_)
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_gates_and_rates_are_checked() {
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
        assert!(gate("tanh").is_err() && rate("nan").is_err() && not_negative("-1").is_err());
        assert!(Cli::try_parse_from(["pupil", "compare"]).is_err());
        let cli = Cli::try_parse_from(["pupil", "compare", "--se", "--nets", "vgg,resnext"]);
        let Some(Command::Compare(options)) = cli.unwrap().command else {
            panic!("another command");
        };
        assert_eq!(options.nets, [Family::Vgg, Family::ResNeXt]);
    }

    #[test]
    fn every_stage_word_is_a_command() {
        for stage in Stage::ALL {
            let cli = Cli::try_parse_from(["pupil", stage.word()]).unwrap();
            assert_eq!(cli.command.unwrap().stage().unwrap().0, stage);
        }
    }
}
