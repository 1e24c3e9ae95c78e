//! The table that ends the main job.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::Stage;
use crate::run::stages::pack::Summary;
use crate::util::numbers::thousands;

/// Accuracies with intervals, sizes, and where the files are.
pub(crate) fn final_table(root: &Path, summary: &Summary) -> String {
    let mut text = String::new();
    let title = format!("on {} test images", thousands(summary.test_images));
    let _ = writeln!(text, "{title:<32} accuracy   95 % interval   parameters");
    for row in &summary.rows {
        let (low, high) = row.interval;
        let interval = format!("{:.1}-{:.1} %", 100.0 * low, 100.0 * high);
        let (accuracy, parameters) = (100.0 * row.accuracy, thousands(row.parameters));
        let _ = writeln!(
            text,
            "{:<32} {accuracy:>6.2} %   {interval:<13}   {parameters:>10}",
            row.name
        );
    }
    let _ = writeln!(
        text,
        "\nflash {:>10} bytes   student.pupil, without code\n\
         RAM   {:>10} bytes   arena, without stack and frame\n\
         work  {:>10} multiply-accumulates an image\n",
        thousands(summary.flash),
        thousands(summary.arena),
        thousands(summary.macs as usize)
    );
    let student = root.join(Stage::Pack.folder()).join("student.pupil");
    let _ = writeln!(text, "student {}", student.display());
    let _ = writeln!(text, "report  {}", root.join("report.html").display());
    text
}
