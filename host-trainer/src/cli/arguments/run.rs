//! Options of a run, of its stages, and of commands about the student that it has packed.

use std::path::PathBuf;

use clap::Args;

use crate::nn::device::TrainingDevice;
use crate::run::Options;

/// Options of a run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RunOptions {
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
pub(crate) struct StudentOptions {
    /// A student.pupil.
    #[arg(long, value_name = "FILE", conflicts_with = "run_dir")]
    pub model: Option<PathBuf>,
    /// A run directory with a packed student [default: the one under runs/ packed last].
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// Options of one stage's command.
#[derive(Args, Clone, Debug)]
pub(crate) struct StageOptions {
    /// Configuration, as for `run`.
    pub config: Option<PathBuf>,
    /// Options.
    #[command(flatten)]
    pub options: RunOptions,
}

impl RunOptions {
    /// What they say of the run itself.
    pub(crate) fn of_run(&self) -> Options {
        Options {
            run_dir: self.run_dir.clone(),
            data: self.data.clone(),
            set: self.set.clone(),
            seed: self.seed,
            device: self.device,
            fresh: self.fresh,
            quiet: self.quiet,
        }
    }
}
