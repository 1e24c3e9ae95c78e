//! Outcomes of single trainings, and what several seeds say together.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::report::heading;
use crate::net::zoo::Family;
use crate::util::numbers::thousands;

/// One training's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Share of right answers on the test images, 0 to 1.
    pub accuracy: f64,
    /// The same of the packed net by core's interpreter, where asked for.
    pub int8: Option<f64>,
    /// Mean training loss of the last tenth of the steps.
    pub loss: f64,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one image.
    pub macs: usize,
    /// Wall time of the training in seconds.
    pub seconds: f64,
}

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Mean.
    pub mean: f64,
    /// √(Σ (x − mean)² / (n − 1)); none for a single value.
    pub std: Option<f64>,
}

impl Spread {
    /// Of `values`; mean 0 of none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let std = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Self { mean, std }
    }

    /// "85.12 ± 0.40" in percent; `signed` writes a plus sign.
    pub(crate) fn percent(&self, signed: bool) -> String {
        let mean = 100.0 * self.mean;
        let mean = if signed {
            format!("{mean:+.2}")
        } else {
            format!("{mean:.2}")
        };
        match self.std {
            Some(std) => format!("{mean} ± {:.2}", 100.0 * std),
            None => mean,
        }
    }
}

/// One net with and without the part, seed by seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The architecture.
    pub family: Family,
    /// Outcomes without and with, one pair a seed.
    pub pairs: Vec<[Outcome; 2]>,
}

impl Comparison {
    /// Accuracy without (0) or with (1).
    pub(crate) fn accuracy(&self, with: usize) -> Spread {
        Spread::of(&self.column(|pair| pair[with].accuracy))
    }

    /// Difference of the two of each seed.
    pub(crate) fn difference(&self) -> Spread {
        Spread::of(&self.column(|pair| pair[1].accuracy - pair[0].accuracy))
    }

    /// Int8 accuracy without (0) or with (1), where measured.
    pub(crate) fn int8(&self, with: usize) -> Option<Spread> {
        let values: Option<Vec<f64>> = self.pairs.iter().map(|p| p[with].int8).collect();
        values.filter(|v| !v.is_empty()).map(|v| Spread::of(&v))
    }

    fn column(&self, value: impl Fn(&[Outcome; 2]) -> f64) -> Vec<f64> {
        self.pairs.iter().map(value).collect()
    }
}

/// The table of a comparison.
pub(crate) fn table(comparisons: &[Comparison], seeds: usize, test_images: usize) -> String {
    let mut text = String::new();
    let int8 = comparisons.iter().any(|c| c.int8(0).is_some());
    let _ = writeln!(text, "{}\n", heading(seeds, Some(test_images)));
    let _ = write!(
        text,
        "{:<13} {:<15} {:<15} {:<15} {:>10} {:>9} {:>10} {:>9}",
        "net", "without SE", "with SE", "difference", "parameters", "added", "MACs", "added"
    );
    text.push_str(if int8 {
        "  int8 without    int8 with\n"
    } else {
        "\n"
    });
    for c in comparisons {
        let Some([without, with]) = c.pairs.first() else {
            continue;
        };
        let _ = write!(
            text,
            "{:<13} {:<15} {:<15} {:<15} {:>10} {:>9} {:>10} {:>9}",
            c.family.word(),
            c.accuracy(0).percent(false),
            c.accuracy(1).percent(false),
            c.difference().percent(true),
            thousands(without.parameters),
            format!("+{}", thousands(with.parameters - without.parameters)),
            thousands(without.macs),
            format!("+{}", thousands(with.macs - without.macs)),
        );
        if let (Some(a), Some(b)) = (c.int8(0), c.int8(1)) {
            let _ = write!(text, "  {:<15} {}", a.percent(false), b.percent(false));
        }
        text.push('\n');
    }
    text
}

/// The same as one JSON object.
pub(crate) fn json(
    comparisons: &[Comparison],
    seeds: usize,
    test_images: usize,
) -> serde_json::Value {
    let nets: Vec<_> = comparisons
        .iter()
        .map(|c| {
            let side = |with: usize| {
                let first = c.pairs.first().map(|p| p[with]);
                serde_json::json!({
                    "accuracies": c.column(|p| p[with].accuracy),
                    "accuracy": c.accuracy(with),
                    "int8": c.int8(with),
                    "parameters": first.map(|o| o.parameters),
                    "macs": first.map(|o| o.macs),
                })
            };
            serde_json::json!({
                "net": c.family.word(),
                "without": side(0),
                "with": side(1),
                "difference": c.difference(),
            })
        })
        .collect();
    serde_json::json!({ "seeds": seeds, "test_images": test_images, "nets": nets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(accuracy: f64, parameters: usize) -> Outcome {
        Outcome {
            accuracy,
            int8: None,
            loss: 0.5,
            parameters,
            macs: 2 * parameters,
            seconds: 1.0,
        }
    }

    #[test]
    fn mean_and_sample_deviation() {
        let spread = Spread::of(&[0.8, 0.9, 0.7]);
        assert!((spread.mean - 0.8).abs() < 1e-12);
        assert!((spread.std.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(Spread::of(&[0.5]).std, None);
        assert_eq!(Spread::of(&[]).mean, 0.0);
    }

    #[test]
    fn differences_are_paired_by_seed() {
        let c = Comparison {
            family: Family::ResNet,
            pairs: vec![
                [outcome(0.70, 1000), outcome(0.72, 1100)],
                [outcome(0.80, 1000), outcome(0.82, 1100)],
            ],
        };
        // Seeds differ by 10 points, the part's gain is the same in both.
        assert!(c.accuracy(0).std.unwrap() > 0.05);
        assert!((c.difference().mean - 0.02).abs() < 1e-12);
        assert!(c.difference().std.unwrap() < 1e-12);
        let text = table(core::slice::from_ref(&c), 2, 2000);
        assert!(text.contains("+2.00 ± 0.00"), "{text}");
        assert!(
            text.contains("75.00 ± 7.07") && text.contains("+100"),
            "{text}"
        );
        let object = json(&[c], 2, 2000);
        assert_eq!(object["nets"][0]["with"]["parameters"], 1100);
        assert_eq!(object["nets"][0]["net"], "resnet");
    }
}
