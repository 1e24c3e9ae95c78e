//! The table of `pupil zoo`.

use std::fmt::Write as _;

use crate::net::zoo::table::Row;
use crate::util::numbers::thousands;

/// Rows as text.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<19} {:<9} {:>11} {:>11} {:>14} {:>5} {:>11} {:>11} {:>8} {:>7} {:>11}",
        "net",
        "input",
        "parameters",
        "with SE",
        "MACs",
        "parts",
        "added",
        "= 2C²/r",
        "+ biases",
        "+ round",
        "added MACs"
    );
    for row in rows {
        let [h, w, c] = row.input;
        let se = |text: String| if row.parts == 0 { "–".into() } else { text };
        let _ = writeln!(
            text,
            "{:<19} {:<9} {:>11} {:>11} {:>14} {:>5} {:>11} {:>11} {:>8} {:>7} {:>11}",
            row.net,
            format!("{h}x{w}x{c}"),
            thousands(row.parameters),
            se(thousands(row.parameters + row.added_parameters)),
            thousands(row.macs),
            se(row.parts.to_string()),
            se(thousands(row.added_parameters)),
            se(thousands(row.formula.round() as usize)),
            se(thousands(row.biases)),
            se(format!("{:.0}", row.rounding())),
            se(thousands(row.added_macs)),
        );
    }
    text.push_str(
        "\nParameters and multiply-accumulates (MACs) of one image without squeeze-and-excitation (SE), \
         then what its parts add.\n\
         Every net packs to int8; grouped convolution and concatenation become several convolutions.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Variant;
    use crate::net::zoo::table::{efficientnet_row, zoo_row};
    use crate::net::zoo::{Family, Images};

    #[test]
    fn every_number_of_a_row_is_printed() {
        let images = Images::new([28, 28, 1], 10);
        let rows = [
            zoo_row(Family::ResNet, &images, &Family::ResNet.attach()).unwrap(),
            efficientnet_row(Variant::B0),
            efficientnet_row(Variant::Lite0),
        ];
        let text = table(&rows);
        let line = |i: usize| -> Vec<&str> { text.lines().nth(i).unwrap().split(' ').collect() };
        let words = |i| {
            line(i)
                .into_iter()
                .filter(|w| !w.is_empty())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(1),
            [
                "resnet",
                "28x28x1",
                "77,754",
                "79,098",
                "9,345,920",
                "3",
                "1,344",
                "1,344",
                "0",
                "0",
                "1,344"
            ]
        );
        assert_eq!(words(2)[3], "5,288,548");
        assert_eq!(
            words(3)[3..],
            ["–", "385,187,552", "–", "–", "–", "–", "–", "–"]
        );
    }
}
