//! The table of `pupil zoo`.

use std::fmt::Write as _;

use crate::model::zoo::table::Row;
use crate::stages::context::thousands;

/// Rows as text.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<19} {:<10} {:>11} {:>14} {:>5} {:>10} {:>11} {:>8} {:>8} {:>9}",
        "net",
        "input",
        "parameters",
        "MACs",
        "SE",
        "+params",
        "= 2C²/r",
        "+ biases",
        "+ round",
        "+MACs"
    );
    for row in rows {
        let [h, w, c] = row.input;
        let added = |n: usize| {
            if row.parts == 0 {
                "–".to_owned()
            } else {
                thousands(n)
            }
        };
        let _ = writeln!(
            text,
            "{:<19} {:<10} {:>11} {:>14} {:>5} {:>10} {:>11} {:>8} {:>8} {:>9}",
            row.net,
            format!("{h}x{w}x{c}"),
            thousands(row.parameters),
            thousands(row.macs),
            added(row.parts),
            added(row.added_parameters),
            added(row.formula.round() as usize),
            added(row.biases),
            if row.parts == 0 {
                "–".to_owned()
            } else {
                format!("{:+.0}", row.rounding())
            },
            added(row.added_macs),
        );
    }
    text.push_str(
        "\nParameters and multiply-accumulates without squeeze-and-excitation (SE), then what it adds.\n\
         Every net packs to int8: grouped convolution and concatenation become several convolutions.\n",
    );
    text
}
