//! What every comparison says in the same words and leaves in the same files.

use serde_json::Value;

use crate::report::svg::escape;
use crate::run::{RunDir, RunDirError};
use crate::util::numbers::thousands;

/// What the numbers of a table are, without an end of line.
pub(crate) fn heading(seeds: usize, test_images: Option<usize>) -> String {
    let plural = if seeds == 1 { "seed" } else { "seeds" };
    let images = test_images.map_or("the".into(), thousands);
    format!("% right of {images} test images, mean ± standard deviation of {seeds} {plural}")
}

/// Writes `compare.json`, `compare.svg` and `compare.html`, a page that needs nothing else: the
/// chart and the table under `title`.
///
/// # Errors
/// An unwritable directory.
pub(crate) fn write(
    dir: &RunDir,
    object: &Value,
    title: &str,
    chart: &str,
    table: &str,
) -> Result<(), RunDirError> {
    let file = |name: &str| dir.root().join(name);
    dir.write_json(&file("compare.json"), object)?;
    dir.write(&file("compare.svg"), chart.as_bytes())?;
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:15px sans-serif;max-width:52em;margin:2em auto}}pre{{font-size:13px}}</style>\
         <h1>{title}</h1>{chart}<pre>{}</pre></html>\n",
        escape(table)
    );
    dir.write(&file("compare.html"), page.as_bytes())
}
