//! What to say of a teacher that is too unsure to teach every class.

use std::fmt::Write as _;

use crate::eval::metrics::argmax;
use crate::util::numbers::thousands;

/// Bars of the histogram.
const BINS: usize = 10;

/// Why the filter keeps too little of the answers `all` `[images, classes]`; none where every
/// class has images, or where a threshold of 0 says that everything was wanted.
///
/// Shows how sure the teacher is, names the threshold that would keep a tenth of the images, and
/// the one from which on every class has some.
pub(super) fn unsure(all: &[f32], classes: &[String], threshold: f32) -> Option<String> {
    let best: Vec<(usize, f32)> = all
        .chunks_exact(classes.len())
        .map(|row| {
            let class = argmax(row);
            (class, row[class])
        })
        .collect();
    let missing: Vec<usize> = (0..classes.len())
        .filter(|class| !best.iter().any(|(c, p)| c == class && *p >= threshold))
        .collect();
    if missing.is_empty() || (threshold <= 0.0 && missing.len() < classes.len()) {
        return None;
    }
    let images = thousands(best.len());
    let mut text = if missing.len() == classes.len() {
        format!(
            "no pseudo-label is kept: of {images} unlabeled images none has a class with probability ≥ {threshold}"
        )
    } else {
        let names: Vec<&str> = missing.iter().map(|c| classes[*c].as_str()).collect();
        format!(
            "pseudo-labels for {} of {} classes only: of {images} unlabeled images none is {} with probability ≥ {threshold}",
            classes.len() - missing.len(),
            classes.len(),
            names.join(" or ")
        )
    };
    let _ = write!(
        text,
        "\n  why:   how probable the answers are:{}",
        histogram(&best)
    );
    let _ = write!(
        text,
        "\n  do:    {}",
        advice(&best, classes, &missing, threshold)
    );
    Some(text)
}

/// A line a tenth of the probabilities, from the first that has images on.
fn histogram(best: &[(usize, f32)]) -> String {
    let mut counts = [0usize; BINS];
    for (_, p) in best {
        counts[((p * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let first = counts.iter().position(|n| *n > 0).unwrap_or(BINS);
    let mut text = String::new();
    for (bin, count) in counts.iter().enumerate().skip(first) {
        let bar = "#".repeat((40 * count).div_ceil(most));
        let (low, high) = (bin as f32 / BINS as f32, (bin + 1) as f32 / BINS as f32);
        let _ = write!(
            text,
            "\n           {low:.1}-{high:.1} {:>7} {bar}",
            thousands(*count)
        );
    }
    text
}

fn advice(best: &[(usize, f32)], classes: &[String], missing: &[usize], threshold: f32) -> String {
    let mut sure: Vec<f32> = best.iter().map(|(_, p)| *p).collect();
    sure.sort_by(|a, b| b.total_cmp(a));
    // The surest answer of each class that has none yet.
    let surest = |class: &usize| {
        let of_class = best.iter().filter(|(c, _)| c == class);
        of_class.map(|(_, p)| *p).reduce(f32::max)
    };
    let mut ways = Vec::new();
    let mut lower = |p: f32, what: &str| {
        // Three decimals, never more than `p`.
        let value = (p * 1000.0).floor() / 1000.0;
        if value < threshold {
            ways.push(format!(
                "set pseudo_labels.threshold = {value} in run.toml, which keeps {what}"
            ));
        }
    };
    if let Some(tenth) = sure.get((sure.len() / 10).max(1) - 1) {
        lower(*tenth, "a tenth of the images");
    }
    let all: Option<Vec<f32>> = missing.iter().map(surest).collect();
    if let Some(least) = all.and_then(|a| a.into_iter().reduce(f32::min)) {
        lower(least, "some of each class");
    }
    let never: Vec<&str> = missing
        .iter()
        .filter(|class| surest(class).is_none())
        .map(|class| classes[*class].as_str())
        .collect();
    ways.push(if never.is_empty() {
        "label more images".into()
    } else {
        format!(
            "label more images of {}: no image is taken for one; a threshold of 0 goes on without",
            never.join(" and ")
        )
    });
    ways.join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["cat", "dog", "owl"].map(String::from).to_vec()
    }

    fn rows(answers: &[(usize, f32)]) -> Vec<f32> {
        let others = |p: f32| (1.0 - p) / 2.0;
        let value = |class, p, c| if c == class { p } else { others(p) };
        let row = |(class, p): &(usize, f32)| [0, 1, 2].map(|c| value(*class, *p, c));
        answers.iter().flat_map(row).collect()
    }

    #[test]
    fn every_class_kept_is_no_reason_to_stop() {
        let all = rows(&[(0, 0.9), (1, 0.8), (2, 0.7), (2, 0.4)]);
        assert_eq!(unsure(&all, &names(), 0.7), None);
    }

    #[test]
    fn nothing_kept_is_told_with_the_histogram_and_a_threshold() {
        let mut answers = vec![(0, 0.52); 9];
        answers.extend([(1, 0.45), (2, 0.41)]);
        let text = unsure(&rows(&answers), &names(), 0.6).unwrap();
        assert!(text.starts_with("no pseudo-label is kept: of 11"), "{text}");
        assert!(text.contains("0.4-0.5       2 #"), "{text}");
        assert!(text.contains("0.5-0.6       9 ####"), "{text}");
        assert!(
            text.contains("threshold = 0.52 in run.toml, which keeps a tenth"),
            "{text}"
        );
        assert!(
            text.contains("threshold = 0.41 in run.toml, which keeps some of each"),
            "{text}"
        );
    }

    #[test]
    fn classes_without_a_pseudo_label_are_named() {
        let all = rows(&[(0, 0.9), (0, 0.8), (1, 0.55)]);
        let text = unsure(&all, &names(), 0.7).unwrap();
        assert!(text.contains("for 1 of 3 classes only"), "{text}");
        assert!(text.contains("none is dog or owl with"), "{text}");
        // No image is an owl at any threshold: no number is promised.
        assert!(!text.contains("some of each class"), "{text}");
        assert!(text.contains("label more images of owl"), "{text}");
        // A tenth is kept already: nothing to lower.
        let all = rows(&[(0, 0.99), (0, 0.98), (1, 0.97)]);
        let text = unsure(&all, &names(), 0.3).unwrap();
        assert!(!text.contains("threshold = "), "{text}");
        // Everything was wanted: the run goes on.
        assert_eq!(unsure(&all, &names(), 0.0), None);
    }
}
