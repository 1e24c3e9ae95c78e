//! `pupil zoo` and `pupil compare --se`: from what was typed to what is printed.

use std::path::PathBuf;

use crate::cli::arguments::{AttachOptions, CompareOptions, ZooOptions};
use crate::config::{DataSource, RunConfig};
use crate::data::Augment;
use crate::experiments::run::Changes;
use crate::experiments::{Settings, result};
use crate::net::Variant;
use crate::net::zoo::table::{efficientnet_row, zoo_row};
use crate::net::zoo::{Family, Images, Placement};
use crate::run::{RunDir, load_data};
use crate::train::FitConfig;
use crate::util::console;
use crate::{experiments, report};

impl From<AttachOptions> for Changes {
    fn from(options: AttachOptions) -> Self {
        Self {
            ratio: options.ratio.map(usize::from),
            placement: options.placement,
            act: options.act,
            gate: options.gate,
            bias: options.bias,
        }
    }
}

/// The table of all nets, as text or one JSON object.
///
/// # Errors
/// None; nets that have no place for the part are left out.
pub(crate) fn zoo(options: &ZooOptions) -> anyhow::Result<String> {
    let images = Images::new(options.input, usize::from(options.classes));
    let changes = Changes::from(options.attach);
    let mut rows = Vec::new();
    for family in Family::ALL {
        let attach = changes.attach(family);
        if attach.placement == Placement::Identity && !family.is_residual() {
            continue;
        }
        rows.push(zoo_row(family, &images, &attach).map_err(anyhow::Error::msg)?);
    }
    rows.extend(Variant::ALL.map(efficientnet_row));
    if options.json {
        let object = serde_json::json!({ "nets": rows });
        return Ok(format!("{object}\n"));
    }
    Ok(report::zoo::table(&rows))
}

/// Decay of the moving average for a training of `steps`: a memory of a twentieth of them. A
/// longer one would still hold weights and statistics of the first steps at the end.
fn average(steps: u64) -> f64 {
    (1.0 - 20.0 / steps.max(1) as f64).clamp(0.0, 0.999)
}

/// Trains and compares; returns the table or one JSON object.
///
/// # Errors
/// Everything that a user can mend, in words.
pub(crate) fn compare(options: &CompareOptions) -> anyhow::Result<String> {
    let source = match &options.data {
        Some(text) => DataSource::try_from(text.clone()).map_err(anyhow::Error::msg)?,
        None => DataSource::Auto,
    };
    let config = RunConfig {
        data: source,
        ..RunConfig::default()
    };
    let (data, _) = load_data(&config, &|line| {
        if !options.quiet {
            console::note(line);
        }
    })?;
    let root = options
        .run_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs/compare-se"));
    let (training, steps) = (&options.training, options.steps.unwrap_or(400));
    let (learning_rate, weight_decay) = options.training.optimizer.usual();
    let settings = Settings {
        version: env!("CARGO_PKG_VERSION").into(),
        data_sha256: data.hash(),
        seed: options.seed,
        int8: options.int8,
        attach: options.attach.into(),
        augment: Augment::Weak {
            shift: 2,
            flip: true,
        },
        fit: FitConfig {
            steps,
            batch: usize::from(training.batch),
            learning_rate: training.learning_rate.unwrap_or(learning_rate),
            warmup: 0.05,
            schedule: training.schedule,
            optimizer: training.optimizer,
            momentum: 0.9,
            weight_decay,
            clip: training.clip,
            ema: average(steps),
            label_smoothing: 0.1,
            dropout: 0.1,
            drop_path: 0.0,
            mixup: training.mixup,
            cutmix: training.cutmix,
        },
    };
    let nets = if options.nets.is_empty() {
        Family::ALL.to_vec()
    } else {
        options.nets.clone()
    };
    let seeds = usize::from(options.seeds);
    let dir = RunDir::open(&root, false)?;
    let comparisons = experiments::run(
        &dir,
        options.fresh,
        &settings,
        &data,
        (&nets, seeds),
        options.quiet,
    )?;
    let test_images = data.test.labels.len();
    Ok(if options.json {
        format!("{}\n", result::json(&comparisons, seeds, test_images))
    } else {
        result::table(&comparisons, seeds, test_images)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_forgets_within_the_training() {
        assert_eq!([average(1), average(20), average(200)], [0.0, 0.0, 0.9]);
        assert_eq!(average(1_000_000), 0.999);
    }
}
