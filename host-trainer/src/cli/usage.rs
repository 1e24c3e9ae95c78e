//! What is said to wrong arguments and to `--help`.

use std::io::{self, Write as _};

use crate::util::console::{accept_gone_reader, is_unsafe, note};

/// Prints what clap says to wrong arguments or `--help`; returns the exit code. Its colors are
/// clap's own, so a message about arguments with control characters is printed without any.
pub(super) fn usage(error: &clap::Error) -> u8 {
    let exit_code = u8::try_from(error.exit_code()).unwrap_or(2);
    if error.use_stderr() {
        // The message can't be asked: as text it lacks the codes that a terminal would get.
        if std::env::args_os().any(|a| a.to_string_lossy().contains(is_unsafe)) {
            note(error.render().to_string().trim_end());
        } else {
            let _ = error.print();
        }
        return exit_code;
    }
    let written = error.print().and_then(|()| io::stdout().flush());
    match accept_gone_reader(written) {
        Ok(()) => exit_code,
        Err(error) => {
            note(&format!("error: {error}"));
            2
        }
    }
}
