//! From the arguments to the exit code.

use std::process::ExitCode;

use clap::Parser;

use super::arguments::{Cli, Command, RunOptions};
use super::commands::{self, eval::Evaluation};
use super::usage::usage;
use crate::report::{self, inspect};
use crate::run::{Which, pipeline};
use crate::util::console::{self, result as show};
use crate::util::threads;

/// The last word of what was stopped and can go on.
const GOES_ON: &str = "stopped; the same command continues from here, unless it has --fresh";

/// The program, from its arguments to its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error)),
    };
    let last_word = match &cli.command {
        None | Some(Command::Run { .. } | Command::Compare(_)) => GOES_ON,
        Some(command) if command.stage().is_some() => GOES_ON,
        Some(_) => "stopped",
    };
    // Every file is written whole or not at all, so stopping needs no more than a last word.
    let handler = ctrlc::set_handler(move || {
        console::note(&format!("\n{last_word}"));
        std::process::exit(130);
    });
    if let Err(error) = handler {
        console::note(&format!(
            "warning: Ctrl-C will stop without a word: {error}"
        ));
    }
    match threads::inside(|| execute(&cli)) {
        Ok(code) => code,
        Err(error) => {
            console::note(&format!("error: {}", explained(&error)));
            ExitCode::from(2)
        }
    }
}

/// An error with the causes that its own words leave out, before what to do.
fn explained(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        match text.find("\n  do:") {
            Some(at) => text.insert_str(at, &format!("\n  why:   {cause}")),
            None => text += &format!(": {cause}"),
        }
    }
    text
}

fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        None => run(None, &cli.options, Which::All),
        Some(Command::Run { config, options }) => run(config.as_deref(), options, Which::All),
        Some(Command::Inspect { file, json }) => print(&inspect::describe(file, *json)?),
        Some(Command::Zoo(options)) => print(&commands::zoo::zoo(options)?),
        Some(Command::Compare(options)) => print(&if options.se {
            commands::zoo::compare(options)?
        } else if !options.recipes.is_empty() {
            commands::recipes::compare(options)?
        } else {
            commands::methods::compare(options)?
        }),
        Some(Command::Completions { shell }) => print(&commands::pages::completions(*shell)?),
        Some(Command::Man { command }) => print(&commands::pages::manual(command.as_deref())?),
        Some(Command::New {
            name,
            labeled,
            unlabeled,
            quiet,
        }) => {
            let unlabeled = unlabeled.as_deref();
            print(&commands::new::create(name, labeled, unlabeled, *quiet)?)
        }
        Some(Command::Data {
            path,
            unlabeled,
            json,
            quiet,
        }) => {
            let unlabeled = unlabeled.as_deref();
            print(&commands::data::describe(path, unlabeled, *json, *quiet)?)
        }
        Some(Command::Predict {
            files,
            student,
            json,
        }) => {
            let (text, failed) = commands::predict::predict(files, student, *json)?;
            show(&text)?;
            Ok(ExitCode::from(if failed == 0 { 0 } else { 2 }))
        }
        Some(Command::Eval {
            student,
            data,
            validation,
            target,
            json,
        }) => {
            let result = commands::eval::measure(student, data.as_deref(), *validation)?;
            evaluated(&result, *target, *json)
        }
        Some(command) => match command.stage() {
            Some((stage, o)) => run(o.config.as_deref(), &o.options, Which::Only(stage)),
            None => Ok(ExitCode::SUCCESS),
        },
    }
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    show(text)?;
    Ok(ExitCode::SUCCESS)
}

fn evaluated(result: &Evaluation, target: Option<f64>, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        show(&format!("{}\n", serde_json::to_string(result)?))?;
    } else {
        show(&result.text())?;
    }
    let percent = 100.0 * result.accuracy;
    if let Some(target) = target.filter(|t| percent < *t) {
        console::note(&format!(
            "target missed: {percent:.2} % are right, --target is {target}"
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn run(
    config: Option<&std::path::Path>,
    options: &RunOptions,
    which: Which,
) -> anyhow::Result<ExitCode> {
    let Some((root, config, summary)) =
        pipeline::run(config, &options.of_run(), which, report::html::page)?
    else {
        return Ok(ExitCode::SUCCESS);
    };
    if options.json {
        show(&format!("{}\n", serde_json::to_string(&summary)?))?;
    } else {
        show(&report::table::final_table(&root, &summary))?;
    }
    let drop = summary.drop();
    if drop > config.quantize.max_drop {
        console::note(&format!(
            "target missed: int8 loses {drop:.2} points on the test images, quantize.max_drop is {}",
            config.quantize.max_drop
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
