//! `pupil completions` and `pupil man`: both from the definition of the command line.

use std::io::{self, Write};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::Cli;

/// Prints a shell's completions.
///
/// # Errors
/// A closed stdout is none; another failure to write is.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pupil", &mut text);
    print(&text)
}

/// Prints the manual page of pupil, or of one of its commands.
///
/// # Errors
/// A command that does not exist.
pub fn manual(command: Option<&str>) -> anyhow::Result<()> {
    let mut root = Cli::command();
    root.build();
    let page = match command {
        None => root,
        Some(name) => root
            .find_subcommand(name)
            .with_context(|| format!("no command `{name}`\n  do:    pupil help lists them"))?
            .clone(),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
