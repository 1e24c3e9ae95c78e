//! `pupil completions` and `pupil man`: both from the definition of the command line.

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::arguments::Cli;

/// A shell's completions.
///
/// # Errors
/// Text that is not UTF-8, which the generator does not write.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pupil", &mut text);
    Ok(String::from_utf8(text)?)
}

/// The manual page of pupil, or of one of its commands.
///
/// # Errors
/// A command that does not exist.
pub(crate) fn manual(command: Option<&str>) -> anyhow::Result<String> {
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
    Ok(String::from_utf8(text)?)
}
