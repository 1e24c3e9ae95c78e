//! The `pupil` command.

use std::process::ExitCode;

use clap::Parser;
use pupil::cli::{Cli, Command, RunOptions};
use pupil::pipeline::{self, Which};
use pupil::{inspect, report, zoo_command};

/// Freed tensors stay with the process: the training loop allocates the same sizes each step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Every file is written whole or not at all, so stopping needs no more than a last word.
    let handler = ctrlc::set_handler(|| {
        eprintln!("\nstopped; the same command continues at the first unfinished stage");
        std::process::exit(130);
    });
    if let Err(error) = handler {
        eprintln!("warning: Ctrl-C will stop without a word: {error}");
    }
    match execute(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        None => run(None, &cli.options, Which::All),
        Some(Command::Run { config, options }) => run(config.as_deref(), options, Which::All),
        Some(Command::Inspect { file, json }) => {
            print!("{}", inspect::describe(file, *json)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Zoo(options)) => {
            print!("{}", zoo_command::zoo(options)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Compare(options)) => {
            print!("{}", zoo_command::compare(options)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(command) => match command.stage() {
            Some((stage, o)) => run(o.config.as_deref(), &o.options, Which::Only(stage)),
            None => Ok(ExitCode::SUCCESS),
        },
    }
}

fn run(
    config: Option<&std::path::Path>,
    options: &RunOptions,
    which: Which,
) -> anyhow::Result<ExitCode> {
    let Some((root, config, summary)) = pipeline::run(config, options, which)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{}", report::table::final_table(&root, &summary));
    }
    let drop = summary.drop();
    if drop > config.quantize.max_drop {
        eprintln!(
            "target missed: int8 loses {drop:.2} points on the test images, quantize.max_drop is {}",
            config.quantize.max_drop
        );
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
