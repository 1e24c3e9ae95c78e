//! Values out of range, and paths that do not exist.

use std::path::Path;

use crate::config::{DataSource, ImagesConfig, MemorySchedule, RunConfig};
use crate::data::Augment;
use crate::methods::MethodsConfig;
use crate::methods::pretext::PretextTask;
use crate::train::FitConfig;

/// Values out of range, whichever way the configuration came about: each key, and what is wrong with
/// its value.
pub(crate) fn check(config: &RunConfig) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut need = |holds: bool, path: &str, value: String, rule: &str| {
        if !holds {
            problems.push((path.to_owned(), format!("{path} = {value} {rule}")));
        }
    };
    check_images(config, &mut need);
    for (stage, net) in [
        ("teacher", &config.teacher.net),
        ("student", &config.student.net),
        ("distill", &config.distill.net),
    ] {
        need(
            net.stem_stride == 1 || net.stem_stride == 2,
            &format!("{stage}.net.stem_stride"),
            net.stem_stride.to_string(),
            "must be 1 or 2",
        );
        for (key, value) in [("width", net.width), ("depth", net.depth)] {
            need(
                (0.1..=16.0).contains(&value),
                &format!("{stage}.net.{key}"),
                value.to_string(),
                "must lie between 0.1 and 16",
            );
        }
    }
    for (stage, ratio) in [
        ("teacher", config.teacher.net.expand_ratio),
        ("student", config.student.net.expand_ratio),
        ("distill", config.distill.net.expand_ratio),
    ] {
        need(
            (1..=16).contains(&ratio),
            &format!("{stage}.net.expand_ratio"),
            ratio.to_string(),
            "must lie between 1 and 16",
        );
    }
    for (path, fit) in [
        ("transfer.fit", &config.transfer.fit),
        ("teacher.fit", &config.teacher.fit),
        ("student.fit", &config.student.fit),
        ("distill.fit", &config.distill.fit),
        ("distill.labels_only", &config.distill.labels_only),
    ] {
        check_fit(path, fit, &mut need);
    }
    for (path, augment) in [
        ("transfer.augment", &config.transfer.augment),
        ("teacher.augment", &config.teacher.augment),
        ("student.augment", &config.student.augment),
        ("student.weak", &config.student.weak),
        ("distill.augment", &config.distill.augment),
        (
            "distill.labels_only_augment",
            &config.distill.labels_only_augment,
        ),
    ] {
        let (shift, cutout) = match augment {
            Augment::None => (0, 0),
            Augment::Weak { shift, .. } => (*shift, 0),
            Augment::Strong { shift, cutout, .. } => (*shift, *cutout),
        };
        for (key, pixels) in [("shift", shift), ("cutout", cutout)] {
            need(
                pixels <= 1024,
                &format!("{path}.{key}"),
                pixels.to_string(),
                "must be at most 1024 pixels",
            );
        }
        if let Augment::Strong { rand_augment, .. } = augment {
            need(
                rand_augment.operations <= 20,
                &format!("{path}.rand_augment.operations"),
                rand_augment.operations.to_string(),
                "must be at most 20",
            );
            let (least, most) = rand_augment.magnitude;
            need(
                (0.0..=30.0).contains(&least) && (least..=30.0).contains(&most),
                &format!("{path}.rand_augment.magnitude"),
                format!("[{least}, {most}]"),
                "must be ascending, within 0 and 30",
            );
        }
    }
    let threshold = config.pseudo_labels.threshold;
    need(
        (0.0..1.0).contains(&threshold),
        "pseudo_labels.threshold",
        threshold.to_string(),
        "is a probability: at least 0, below 1",
    );
    let ratio = config.student.unlabeled_ratio;
    need(
        (1..config.student.fit.batch).contains(&ratio),
        "student.unlabeled_ratio",
        ratio.to_string(),
        "must be at least 1, and below student.fit.batch: a batch has images of both kinds",
    );
    need(
        (1..=16).contains(&config.ensemble),
        "ensemble",
        config.ensemble.to_string(),
        "must lie between 1 and 16",
    );
    let rounds = config.student.rounds;
    need(
        (1..=20).contains(&rounds),
        "student.rounds",
        rounds.to_string(),
        "must lie between 1 and 20",
    );
    let (student, teacher) = (&config.student.net, &config.teacher.net);
    need(
        student.family != teacher.family
            || (student.width >= teacher.width && student.depth >= teacher.depth),
        "student.net",
        // Both, even where the title leaves one out: either may be too small.
        format!(
            "{}, width {}, depth {}",
            String::from(student.family),
            student.width,
            student.depth
        ),
        "is smaller than teacher.net; the net for the chip is distill.net",
    );
    need(
        !config.student.warm_start || config.student.net == config.teacher.net,
        "student.warm_start",
        "true".into(),
        "needs student.net to be teacher.net; set it to false for a student that begins anew",
    );
    need(
        config.init.is_empty() || Path::new(&config.init).exists(),
        "init",
        format!("{:?}", config.init),
        "does not exist",
    );
    need(
        !config.transfer.head_only
            || !config.init.is_empty()
            || config.pretext != PretextTask::None,
        "transfer.head_only",
        "true".into(),
        "needs a trunk that has learned something: set init or pretext",
    );
    check_methods(&config.methods, &mut need);
    let temperature = config.distill.temperature;
    need(
        (0.01..=100.0).contains(&temperature),
        "distill.temperature",
        temperature.to_string(),
        "must lie between 0.01 and 100",
    );
    need(
        config.distill.views <= 1000,
        "distill.views",
        config.distill.views.to_string(),
        "must be at most 1000",
    );
    let quantize = &config.quantize;
    need(
        quantize.calibration_images > 0,
        "quantize.calibration_images",
        quantize.calibration_images.to_string(),
        "must be at least 1",
    );
    need(
        (0.0..0.5).contains(&quantize.clip),
        "quantize.clip",
        quantize.clip.to_string(),
        "is a share at either end: at least 0, below 0.5",
    );
    need(
        quantize.max_drop >= 0.0 && quantize.max_drop.is_finite(),
        "quantize.max_drop",
        quantize.max_drop.to_string(),
        "is a number of points: 0 or more",
    );
    let pack = &config.pack;
    need(
        pack.schedule != MemorySchedule::Within || pack.arena > 0,
        "pack.arena",
        pack.arena.to_string(),
        "must be at least 1 where pack.schedule is \"within\"",
    );
    problems
}

/// Constants of the methods.
fn check_methods(methods: &MethodsConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let (own, uda) = (&methods.pseudo_label, &methods.uda);
    let (fixmatch, meta) = (&methods.fixmatch, &methods.meta_pseudo_labels);
    for (key, weight) in [
        ("pseudo_label.alpha", own.alpha),
        ("uda.weight", uda.weight),
        ("fixmatch.weight", fixmatch.weight),
        ("meta_pseudo_labels.weight", meta.weight),
        ("meta_pseudo_labels.clip", meta.clip),
    ] {
        need(
            (0.0..=1000.0).contains(&weight),
            &format!("methods.{key}"),
            weight.to_string(),
            "must lie between 0 and 1000",
        );
    }
    for (key, share) in [
        ("uda.confidence", f64::from(uda.confidence)),
        ("fixmatch.confidence", f64::from(fixmatch.confidence)),
        ("meta_pseudo_labels.baseline", meta.baseline),
        ("meta_pseudo_labels.uda_ramp", meta.uda_ramp),
        ("meta_pseudo_labels.fine_tune", meta.fine_tune),
    ] {
        need(
            (0.0..1.0).contains(&share),
            &format!("methods.{key}"),
            share.to_string(),
            "must be at least 0, below 1",
        );
    }
    let (from, to) = own.ramp;
    need(
        (0.0..=1.0).contains(&from) && (from..=1.0).contains(&to),
        "methods.pseudo_label.ramp",
        format!("[{from}, {to}]"),
        "must be ascending, within 0 and 1",
    );
    need(
        (0.01..=100.0).contains(&uda.temperature),
        "methods.uda.temperature",
        uda.temperature.to_string(),
        "must lie between 0.01 and 100",
    );
}

/// Sizes, shares, and whether the paths are there.
fn check_images(config: &RunConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let images = &config.images;
    for (key, value) in [("height", images.height), ("width", images.width)] {
        need(
            value == 0 || (8..=512).contains(&value),
            &format!("images.{key}"),
            value.to_string(),
            "must lie between 8 and 512, or be 0 to choose by the images",
        );
    }
    need(
        [0, 1, 3].contains(&images.channels),
        "images.channels",
        images.channels.to_string(),
        "must be 1 (grey), 3 (RGB), or 0 to choose by the images",
    );
    for (key, value) in [("validation", images.validation), ("test", images.test)] {
        need(
            value > 0.0 && value <= 0.4,
            &format!("images.{key}"),
            value.to_string(),
            "is a share of the labeled images: above 0, at most 0.4",
        );
    }
    let unlabeled = Path::new(&images.unlabeled);
    let missing = "does not exist";
    if let DataSource::Path(path) = &config.data {
        let text = format!("{:?}", path.display().to_string());
        need(path.exists(), "data", text, missing);
        need(
            images.unlabeled.is_empty() || unlabeled.exists(),
            "images.unlabeled",
            format!("{:?}", images.unlabeled),
            missing,
        );
    } else {
        need(
            *images == ImagesConfig::default(),
            "images",
            "…".into(),
            "is about images of your own; set data to their folder",
        );
    }
}

fn check_fit(path: &str, fit: &FitConfig, need: &mut impl FnMut(bool, &str, String, &str)) {
    let mut field = |holds, key: &str, value: String, rule: &str| {
        need(holds, &format!("{path}.{key}"), value, rule);
    };
    field(
        (1..=1_000_000_000).contains(&fit.steps),
        "steps",
        fit.steps.to_string(),
        "must lie between 1 and a billion",
    );
    field(
        (2..=4096).contains(&fit.batch),
        "batch",
        fit.batch.to_string(),
        "must lie between 2 (batch norm needs two images) and 4096",
    );
    let rate = fit.learning_rate;
    field(
        rate > 0.0 && rate <= 10.0,
        "learning_rate",
        rate.to_string(),
        "must be above 0 and at most 10",
    );
    for (key, value) in [
        ("warmup", fit.warmup),
        ("momentum", f64::from(fit.momentum)),
        ("weight_decay", fit.weight_decay),
        ("ema", fit.ema),
        ("label_smoothing", f64::from(fit.label_smoothing)),
        ("dropout", f64::from(fit.dropout)),
        ("drop_path", f64::from(fit.drop_path)),
    ] {
        field(
            (0.0..1.0).contains(&value),
            key,
            value.to_string(),
            "must be at least 0, below 1",
        );
    }
    for (key, value) in [
        ("clip", fit.clip),
        ("mixup", fit.mixup),
        ("cutmix", fit.cutmix),
    ] {
        field(
            (0.0..=1000.0).contains(&value),
            key,
            value.to_string(),
            "must lie between 0 (none) and 1000",
        );
    }
}
