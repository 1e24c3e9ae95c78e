//! Whole runs compared: each configuration from labeled images to the packed student, once a seed.
//!
//! A recipe's table has a row for each of its nets, as the run's own final table does; the gain is
//! that of the packed student over the same net on labels alone, seed by seed.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Spread;
use super::report::heading;
use crate::config::RunConfig;
use crate::report::svg::{Bar, intervals};
use crate::run::stages::pack::{INT8, LABELS_ONLY, Summary};
use crate::util::numbers::thousands;

/// What is kept of one finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// Its accuracies and sizes.
    pub summary: Summary,
    /// SHA-256 of the images; empty where an earlier version wrote it.
    #[serde(default)]
    pub data_sha256: String,
    /// Wall time in seconds from images to report; none where the run went on after an
    /// interruption.
    pub seconds: Option<f64>,
    /// Threads that it had.
    pub threads: usize,
}

/// A configuration and its runs.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The file's name without ending.
    pub name: String,
    /// What it says, seed left out.
    pub config: RunConfig,
    /// One a seed; at least one.
    pub runs: Vec<Finished>,
}

impl Recipe {
    /// Names of the nets, in the order of the final table.
    fn nets(&self) -> Vec<&str> {
        let first = self.runs.first();
        first.map_or(Vec::new(), |r| {
            r.summary.rows.iter().map(|m| m.name.as_str()).collect()
        })
    }

    /// Accuracies of the net called `name`, one a seed.
    fn accuracies(&self, name: &str) -> Vec<f64> {
        let of = |r: &Finished| r.summary.accuracy(name);
        self.runs.iter().filter_map(of).collect()
    }

    /// What int8 has over the same net on labels alone, seed by seed.
    pub(crate) fn gain(&self) -> Spread {
        let pairs = self
            .accuracies(INT8)
            .into_iter()
            .zip(self.accuracies(LABELS_ONLY));
        Spread::of(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
    }

    /// "2", or "1 to 2" where runs differ.
    fn threads(&self) -> String {
        range(self.runs.iter().map(|r| r.threads))
    }

    /// "10,000", or the least and the greatest number where runs differ.
    fn test_images(&self) -> String {
        range(self.runs.iter().map(|r| r.summary.test_images))
    }

    /// Mean wall time, where every run has one.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let all: Option<Vec<f64>> = self.runs.iter().map(|r| r.seconds).collect();
        all.map(|all| Spread::of(&all).mean)
    }
}

/// The least and the greatest of `numbers`, once where they are equal.
fn range(numbers: impl Iterator<Item = usize> + Clone) -> String {
    let least = thousands(numbers.clone().min().unwrap_or(0));
    let greatest = thousands(numbers.max().unwrap_or(0));
    if least == greatest {
        least
    } else {
        format!("{least} to {greatest}")
    }
}

/// "9 min 41 s", or a dash.
fn time(seconds: Option<f64>) -> String {
    seconds.map_or("-".into(), |s| {
        let whole = s.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    })
}

/// The table.
pub(crate) fn table(recipes: &[Recipe]) -> String {
    let mut text = String::new();
    let Some(first) = recipes.first() else {
        return text;
    };
    let seeds = first.runs.len();
    let _ = writeln!(text, "{}", heading(seeds, None));
    for recipe in recipes {
        let _ = writeln!(
            text,
            "\n{}   {} test images, {} on {} threads",
            recipe.name,
            recipe.test_images(),
            time(recipe.seconds()),
            recipe.threads()
        );
        for name in recipe.nets() {
            let spread = Spread::of(&recipe.accuracies(name));
            let gain = match name {
                INT8 => format!("{} over labels only", recipe.gain().percent(true)),
                _ => String::new(),
            };
            let row = format!("  {name:<32} {:<15} {gain}", spread.percent(false));
            let _ = writeln!(text, "{}", row.trim_end());
        }
    }
    text
}

/// `compare.json`.
pub(crate) fn json(recipes: &[Recipe]) -> Value {
    let of = |recipe: &Recipe| {
        let net = |name: &&str| {
            let all = recipe.accuracies(name);
            json!({ "net": name, "accuracies": all, "accuracy": Spread::of(&all) })
        };
        json!({
            "recipe": recipe.name,
            "test_images": recipe.runs.iter().map(|r| r.summary.test_images).collect::<Vec<_>>(),
            "data_sha256": recipe.runs.iter().map(|r| &r.data_sha256).collect::<Vec<_>>(),
            "nets": recipe.nets().iter().map(net).collect::<Vec<_>>(),
            "int8_over_labels_only": recipe.gain(),
            "seconds": recipe.runs.iter().map(|r| r.seconds).collect::<Vec<_>>(),
            "threads": recipe.runs.iter().map(|r| r.threads).collect::<Vec<_>>(),
            "students": recipe.runs.iter().map(|r| &r.summary.sha256).collect::<Vec<_>>(),
            "flash": recipe.runs.first().map(|r| r.summary.flash),
            "arena": recipe.runs.first().map(|r| r.summary.arena),
            "macs": recipe.runs.first().map(|r| r.summary.macs),
            "settings": recipe.config,
        })
    };
    json!({ "recipes": recipes.iter().map(of).collect::<Vec<_>>() })
}

/// Mean, least and greatest of each net.
pub(crate) fn chart(recipes: &[Recipe]) -> String {
    let mut bars: Vec<Bar> = Vec::new();
    for recipe in recipes {
        for name in recipe.nets() {
            let all = recipe.accuracies(name);
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = all.iter().copied().fold(0.0, f64::max);
            let mean = Spread::of(&all).mean;
            let [mean, least, greatest] = [mean, least, greatest].map(|v| 100.0 * v);
            let title = format!(
                "{}: {}",
                recipe.name,
                name.split(" (").next().unwrap_or(name)
            );
            bars.push((title, mean, least, greatest));
        }
    }
    intervals(
        "% right of the test images: mean, least and greatest",
        &bars,
    )
}

/// An outcome for tests.
#[cfg(test)]
pub(crate) fn finished(labels: f64, int8: f64, seconds: Option<f64>) -> Finished {
    let row = |name: &str, accuracy: f64| crate::run::stages::pack::Measured {
        name: name.into(),
        accuracy,
        interval: (accuracy - 0.01, accuracy + 0.01),
        parameters: 10,
    };
    Finished {
        summary: Summary {
            test_images: 10_000,
            rows: vec![row(LABELS_ONLY, labels), row(INT8, int8)],
            flash: 1,
            arena: 2,
            macs: 3,
            sha256: "00".into(),
            confusion: Vec::new(),
            plan: String::new(),
        },
        data_sha256: String::new(),
        seconds,
        threads: 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use finished as run;

    fn recipe(runs: Vec<Finished>) -> Recipe {
        Recipe {
            name: "ten".into(),
            config: RunConfig::default(),
            runs,
        }
    }

    #[test]
    fn gains_are_paired_by_seed() {
        let r = recipe(vec![
            run(0.80, 0.82, Some(581.0)),
            run(0.84, 0.87, Some(581.0)),
        ]);
        assert!((r.gain().mean - 0.025).abs() < 1e-12);
        assert!((r.gain().std.unwrap() - 0.005 * 2f64.sqrt()).abs() < 1e-12);
        let text = table(core::slice::from_ref(&r));
        assert!(
            text.contains("ten   10,000 test images, 9 min 41 s on 2 threads"),
            "{text}"
        );
        assert!(
            text.contains("84.50 ± 3.54    +2.50 ± 0.71 over labels only"),
            "{text}"
        );
        let object = json(core::slice::from_ref(&r));
        assert_eq!(object["recipes"][0]["nets"][1]["accuracies"][1], 0.87);
        assert!(chart(&[r]).contains("84.50 %"));
    }

    #[test]
    fn an_interrupted_run_has_no_wall_time() {
        let r = recipe(vec![run(0.8, 0.9, Some(1.0)), run(0.8, 0.9, None)]);
        assert_eq!(r.seconds(), None);
        assert!(table(&[r]).contains("10,000 test images, - on 2 threads"));
    }
}
