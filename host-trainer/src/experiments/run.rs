//! All trainings of a comparison, each done once: what an earlier run has finished is read back.

use anyhow::Context as _;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::kept;
use super::packed::{pack, packed_accuracy};
use super::result::{Comparison, Outcome};
use super::train::{Lesson, train};
use crate::data::batch::Normalization;
use crate::data::{Augment, Dataset};
use crate::eval::accuracy;
use crate::net::blueprint::Blueprint;
use crate::net::graph::fold_net::fold_net;
use crate::net::graph::lower::lower;
use crate::net::zoo::{Attach, Family, Images};
use crate::nn::init::Init;
use crate::run::progress::Progress;
use crate::run::{RunDir, RunDirError};
use crate::train::FitConfig;
use crate::util::random::stream;

/// What the outcomes in a directory were made with; nets and seeds may be added later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Version that wrote them.
    pub version: String,
    /// SHA-256 of the images.
    pub data_sha256: String,
    /// Fixes every random choice, with the number of the seed.
    pub seed: u64,
    /// Whether the nets are packed and measured in int8 too.
    pub int8: bool,
    /// Changes to each net's usual squeeze-and-excitation.
    pub attach: Changes,
    /// Changes to the images.
    pub augment: Augment,
    /// The trainings.
    pub fit: FitConfig,
}

/// What differs from a net's usual squeeze-and-excitation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    /// Channels over bottleneck channels.
    pub ratio: Option<usize>,
    /// Where.
    pub placement: Option<crate::net::zoo::Placement>,
    /// Between the dense layers.
    pub act: Option<crate::nn::Activation>,
    /// Behind them.
    pub gate: Option<crate::nn::Activation>,
    /// Whether they have biases.
    pub bias: Option<bool>,
}

impl Changes {
    /// `family`'s part with these changes.
    pub(crate) fn attach(&self, family: Family) -> Attach {
        let usual = family.attach();
        Attach {
            ratio: self.ratio.unwrap_or(usual.ratio),
            placement: self.placement.unwrap_or(usual.placement),
            act: self.act.unwrap_or(usual.act),
            gate: self.gate.unwrap_or(usual.gate),
            bias: self.bias.unwrap_or(usual.bias),
        }
    }
}

/// Trains every net of `families` with and without the part, `seeds` times, in `dir`.
///
/// # Errors
/// A directory of other settings, an unwritable or damaged file, a training that diverges.
pub(crate) fn run(
    dir: &RunDir,
    fresh: bool,
    settings: &Settings,
    data: &Dataset,
    (families, seeds): (&[Family], usize),
    quiet: bool,
) -> anyhow::Result<Vec<Comparison>> {
    let images = Images::new(data.dims(), data.classes.len());
    let mut jobs = Vec::new();
    for family in families {
        let with = settings.attach.attach(*family);
        let nets = [None, Some(&with)].map(|a| family.blueprint(&images, a));
        let [without, with] = nets;
        let nets = [
            without.map_err(anyhow::Error::msg)?,
            with.map_err(anyhow::Error::msg)?,
        ];
        jobs.push((*family, nets));
    }
    // Only now that nothing else can be wrong.
    if fresh {
        forget(dir)?;
    }
    let text = toml::to_string_pretty(settings).context("compare.toml can't be written")?;
    dir.keep_settings(SETTINGS, (&text, settings), "comparison")?;
    let total: f64 = jobs
        .iter()
        .flat_map(|(_, nets)| nets.iter().map(|net| work(net, &settings.fit)))
        .sum();
    let progress = Progress::new(total * seeds as f64, quiet);
    let mut comparisons = Vec::new();
    for (family, nets) in jobs {
        let mut pairs = Vec::new();
        for number in 0..seeds {
            let mut pair = Vec::new();
            for (net, side) in nets.iter().zip(["without", "with"]) {
                let folder = format!("{family}/seed-{number}");
                let outcome = once(dir, &folder, side, net, settings, data, number, &progress);
                pair.push(outcome.inspect_err(|_| progress.clear())?);
            }
            pairs.push([pair[0], pair[1]]);
        }
        comparisons.push(Comparison { family, pairs });
    }
    progress.clear();
    Ok(comparisons)
}

/// Work of one training.
fn work(net: &Blueprint, fit: &FitConfig) -> f64 {
    3.0 * net.macs() as f64 * fit.batch as f64 * fit.steps as f64
}

/// One training, or its outcome if an earlier run has finished it.
#[expect(clippy::too_many_arguments, reason = "one call, each of another type")]
fn once(
    dir: &RunDir,
    folder: &str,
    side: &str,
    net: &Blueprint,
    settings: &Settings,
    data: &Dataset,
    number: usize,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let path = dir.root().join(folder);
    let file = path.join(format!("{side}.json"));
    if let Some(outcome) = kept::found(dir, &file)? {
        progress.skip(work(net, &settings.fit));
        return Ok(outcome);
    }
    kept::folder(&path)?;
    let start = std::time::Instant::now();
    let step_work = work(net, &settings.fit) / settings.fit.steps.max(1) as f64;
    let (outcome, packed) = measure(net, settings, data, number, || progress.advance(step_work))
        .with_context(|| format!("{folder}, {side} squeeze-and-excitation"))?;
    let outcome = Outcome {
        seconds: start.elapsed().as_secs_f64(),
        ..outcome
    };
    if let Some(packed) = packed {
        dir.write(&file.with_extension("pupil"), &packed)?;
    }
    let outcome: Outcome = kept::keep(dir, &file, &outcome)?;
    let int8 = outcome
        .int8
        .map_or(String::new(), |a| format!(", int8 {:.2} %", 100.0 * a));
    progress.say(&format!(
        "  {folder} {side:<7} {:.2} %{int8}, loss {:.3}, {:.0} s",
        100.0 * outcome.accuracy,
        outcome.loss,
        outcome.seconds
    ));
    Ok(outcome)
}

/// Trains one net and measures it on the test images; with the packed net where it is asked for.
fn measure(
    blueprint: &Blueprint,
    settings: &Settings,
    data: &Dataset,
    number: usize,
    tick: impl FnMut(),
) -> anyhow::Result<(Outcome, Option<Vec<u8>>)> {
    use rand::Rng;
    // Both nets of a pair see the same images in the same order.
    let seed = stream(settings.seed, "compare seed", number as u64).next_u64();
    let device = Device::flex().autodiff();
    let net = blueprint.init(&mut Init {
        device: &device,
        rng: &mut stream(seed, "initial weights", 0),
    });
    let lesson = Lesson {
        set: &data.labeled,
        augment: settings.augment,
        normalization: Normalization::around(data.mean_pixel()),
        classes: data.classes.len(),
    };
    let (net, loss) = train(net, &settings.fit, lesson, seed, tick)?;
    let packed = settings
        .int8
        .then(|| pack(&lower(&fold_net(&net)), data, &lesson.normalization))
        .transpose()?;
    let int8 = packed
        .as_ref()
        .map(|bytes| packed_accuracy(bytes, data))
        .transpose()?;
    let outcome = Outcome {
        accuracy: accuracy(&net, &data.test, &lesson.normalization),
        int8,
        loss,
        parameters: blueprint.parameters(),
        macs: blueprint.macs(),
        seconds: 0.0,
    };
    Ok((outcome, packed))
}

const SETTINGS: &str = "compare.toml";

/// Deletes what earlier comparisons left.
fn forget(dir: &RunDir) -> Result<(), RunDirError> {
    Family::ALL.iter().try_for_each(|f| dir.remove(f.word()))?;
    dir.remove(SETTINGS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Images, Labeled};
    use crate::train::{OptimizerKind, Schedule};
    use pupil_core::model::Model;

    fn data() -> Dataset {
        let set = |count: usize, from: usize| {
            // Upper or lower half bright.
            let pixel = |i: usize, p: usize| {
                let bright = usize::from(p / 72 == i % 2);
                (60 + 120 * bright + (i + from) * 31 * (p + 1) % 53) as u8
            };
            Labeled {
                images: Images::new(
                    [12, 12, 1],
                    (0..count * 144).map(|k| pixel(k / 144, k % 144)).collect(),
                ),
                labels: (0..count).map(|i| (i % 2) as u8).collect(),
            }
        };
        Dataset {
            source: "halves".into(),
            classes: vec!["upper".into(), "lower".into()],
            labeled: set(32, 0),
            validation: set(2, 50),
            unlabeled: Images::default(),
            test: set(20, 100),
        }
    }

    fn settings(data: &Dataset, steps: u64) -> Settings {
        let (learning_rate, weight_decay) = OptimizerKind::Sgd.usual();
        Settings {
            version: "test".into(),
            data_sha256: data.hash(),
            seed: 1,
            int8: true,
            attach: Changes {
                ratio: Some(4),
                ..Changes::default()
            },
            augment: Augment::Weak {
                shift: 1,
                flip: true,
            },
            fit: FitConfig {
                steps,
                batch: 8,
                learning_rate,
                warmup: 0.05,
                schedule: Schedule::ExponentialStaircase,
                optimizer: OptimizerKind::Sgd,
                momentum: 0.9,
                weight_decay,
                clip: 1.0,
                ema: 0.9,
                label_smoothing: 0.1,
                dropout: 0.1,
                drop_path: 0.0,
                mixup: 0.0,
                cutmix: 1.0,
            },
        }
    }

    /// Everything but the time.
    fn outcomes(comparisons: &[Comparison]) -> Vec<Outcome> {
        comparisons
            .iter()
            .flat_map(|c| c.pairs.iter().flatten())
            .map(|o| Outcome { seconds: 0.0, ..*o })
            .collect()
    }

    #[test]
    fn what_is_lost_is_trained_again_to_the_same_outcome_and_nothing_else_is() {
        let (data, root) = (data(), tempfile::tempdir().unwrap());
        let dir = RunDir::open(root.path(), false).unwrap();
        let settings = settings(&data, 6);
        let nets = [Family::ResNet, Family::Inception];
        let all = |seeds| run(&dir, false, &settings, &data, (&nets, seeds), true).unwrap();
        let first = all(2);
        assert_eq!(first.len(), 2);
        assert_eq!(first[0].pairs.len(), 2);
        let file = root.path().join("resnet/seed-1/with.json");
        std::fs::remove_file(&file).unwrap();
        let kept = root.path().join("resnet/seed-0/with.json");
        let before = std::fs::read(&kept).unwrap();
        let second = all(2);
        assert_eq!(outcomes(&first), outcomes(&second));
        assert_eq!(std::fs::read(&kept).unwrap(), before);
        assert!(file.is_file());
        let packed = std::fs::read(file.with_extension("pupil")).unwrap();
        assert_eq!(Model::parse(&packed).unwrap().class_count(), 2);
        // A third seed adds to the first two.
        let third = all(3);
        assert_eq!(third[1].pairs[..2], second[1].pairs[..]);
        assert!(third[0].pairs[2][0].int8.is_some());
    }

    #[test]
    fn other_settings_and_damaged_outcomes_are_told() {
        let (data, root) = (data(), tempfile::tempdir().unwrap());
        let dir = RunDir::open(root.path(), false).unwrap();
        let nets: &[Family] = &[Family::MobileNetV1];
        let go = |steps, fresh| {
            let settings = settings(&data, steps);
            run(&dir, fresh, &settings, &data, (nets, 1), true)
        };
        go(2, false).unwrap();
        let text = format!("{:#}", go(3, false).unwrap_err());
        assert!(
            text.contains("steps = 2") && text.contains("--fresh"),
            "{text}"
        );
        let file = root.path().join("mobilenet-v1/seed-0/without.json");
        std::fs::write(&file, b"{").unwrap();
        let text = format!("{:#}", go(2, false).unwrap_err());
        assert!(
            text.contains("damaged") && text.contains("--fresh"),
            "{text}"
        );
        assert_eq!(go(3, true).unwrap().len(), 1);
    }
}
