//! The calls that make a part of a run anew, for the advice in messages.

use std::path::Path;

use super::stage::Stage;
use crate::util::call::call;

/// The call that repeats a stage of the run in `root` with that run's own settings.
pub(crate) fn repeat(stage: Stage, root: &Path) -> String {
    let name = root.file_name().unwrap_or_default();
    let (word, root) = (stage.word(), root.display());
    // A run's folder is called as its settings' folder, below `runs`.
    if Path::new("runs").join(name) == Path::new(&root.to_string()) {
        call(&format!("{word} {root} --fresh"))
    } else {
        call(&format!("{word} {root} --run-dir {root} --fresh"))
    }
}

/// How to get a damaged file of a stage's folder anew.
pub(crate) fn repeat_file(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    match Stage::ALL.into_iter().find(|s| s.folder() == name) {
        Some(stage) => {
            let root = folder.parent().unwrap_or(Path::new(""));
            let call = repeat(stage, root);
            format!("repeat its stage: {call}, then the same command")
        }
        None => "delete it and repeat the command, which makes it anew; or start over with --fresh"
            .into(),
    }
}
