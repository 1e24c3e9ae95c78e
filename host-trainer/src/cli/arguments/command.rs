//! The commands, and the options of those that have few.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::compare::CompareOptions;
use super::run::{RunOptions, StageOptions, StudentOptions};
use super::zoo::ZooOptions;
use crate::run::Stage;

/// Trains an int8 image classifier for a microcontroller from few labeled and many unlabeled
/// images.
///
/// Without a command: all six stages on the bundled Fashion-MNIST images, ending in
/// runs/quickstart/6-pack/student.pupil. Run again, it continues at the first unfinished stage.
#[derive(Debug, Parser)]
#[command(name = "pupil", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
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
pub(crate) enum Command {
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

impl Command {
    /// The stage that the command is about.
    pub(crate) fn stage(&self) -> Option<(Stage, &StageOptions)> {
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
    fn every_stage_word_is_a_command() {
        for stage in Stage::ALL {
            let cli = Cli::try_parse_from(["pupil", stage.word()]).unwrap();
            assert_eq!(cli.command.unwrap().stage().unwrap().0, stage);
        }
    }
}
