//! What a set of images is like, and what was left out of it: nothing is lost in silence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::collect::Damaged;
use super::source::counts;
use crate::util::numbers::thousands;
use crate::util::statistics::wilson;

/// Images of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClassCount {
    /// Its name.
    pub name: String,
    /// Trained on.
    pub train: usize,
    /// Watched.
    pub validation: usize,
    /// Measured.
    pub test: usize,
}

impl ClassCount {
    fn all(&self) -> usize {
        self.train + self.validation + self.test
    }
}

/// An image that is not used because of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pair {
    /// The image that is not used.
    pub left_out: String,
    /// The one that it equals.
    pub because_of: String,
}

/// Width and height of original images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sizes {
    /// Of the least area.
    pub smallest: [usize; 2],
    /// Of the median area.
    pub median: [usize; 2],
    /// Of the largest area.
    pub largest: [usize; 2],
}

/// Everything that is known of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DataReport {
    /// What it is and where.
    pub source: String,
    /// Height, width and channels that the net sees.
    pub shape: [usize; 3],
    /// Why this shape.
    pub shape_why: String,
    /// Labeled images by class.
    pub classes: Vec<ClassCount>,
    /// Images without label.
    pub unlabeled: usize,
    /// There are none: the training images stand in, without their labels.
    pub stand_in: bool,
    /// Original sizes.
    pub sizes: Sizes,
    /// Originals stored as grey.
    pub grey: usize,
    /// Readable images, before anything is left out.
    pub images: usize,
    /// How many were read now; the others were in the cache.
    pub read: usize,
    /// Files that can't be used.
    pub damaged: Vec<Damaged>,
    /// Files that are no images, by extension.
    pub other_files: BTreeMap<String, usize>,
    /// Folders of the labeled set without any file.
    pub empty_folders: Vec<String>,
    /// Images outside of all class folders.
    pub outside: Vec<String>,
    /// Exact copies of images that stay.
    pub copies: Vec<Pair>,
    /// Equal images with different classes: none of them is used.
    pub contradictions: Vec<Vec<String>>,
    /// Near copies of validation or test images, left out of what is trained on.
    pub near_copies: Vec<Pair>,
    /// Labeled images found among the unlabeled ones.
    pub labeled_among_unlabeled: Vec<Pair>,
    /// Classes so small that an image was moved to fill a part.
    pub small_classes: Vec<String>,
    /// Files of the cache that were damaged and made anew.
    pub cache_damaged: Vec<String>,
}

/// "`count` `what`" and at most `most` of the `lines` about them; nothing where there are none.
fn finding(count: usize, what: &str, lines: &[String], most: usize) -> Option<String> {
    if count == 0 {
        return None;
    }
    let mut text = format!("{} {}", thousands(count), one_or_more(count, what));
    for line in lines.iter().take(most) {
        let _ = write!(text, "\n    {line}");
    }
    if lines.len() > most {
        let _ = write!(text, "\n    and {} more", thousands(lines.len() - most));
    }
    Some(text)
}

/// "classes without …" of one is "class without …".
fn one_or_more(count: usize, what: &str) -> String {
    let (first, rest) = what.split_at(what.find([' ', ':', ',']).unwrap_or(what.len()));
    let one = match first {
        "classes" => "class",
        "images" => "image",
        "files" => "file",
        "folders" => "folder",
        "copies" => "copy",
        other => match (other, rest.split_once(' ')) {
            // "damaged files", "exact copies", "near copies", "labeled images", "empty folders".
            ("damaged" | "exact" | "near" | "labeled" | "empty", Some((_, rest))) => {
                return format!("{other} {}", one_or_more(count, rest));
            }
            _ => other,
        },
    };
    if count == 1 {
        format!("{one}{rest}")
    } else {
        what.to_owned()
    }
}

impl DataReport {
    /// Sums of training, validation and test images.
    pub(crate) fn totals(&self) -> [usize; 3] {
        self.classes.iter().fold([0; 3], |[a, b, c], k| {
            [a + k.train, b + k.validation, c + k.test]
        })
    }

    /// What a user should know before a run, one finding a paragraph, at most `most` names each.
    pub(crate) fn findings(&self, most: usize) -> Vec<String> {
        let mut all = self.left_out(most);
        all.extend(self.of_classes(most));
        all.extend(self.of_files(most));
        if self.stand_in {
            all.push(
                "no unlabeled images: the training images stand in, without their labels".into(),
            );
        }
        let [_, validation, test] = self.totals();
        for (name, n) in [("validation", validation), ("test", test)] {
            if n > 0 && n < 200 {
                let (low, high) = wilson(0.85, n);
                all.push(format!(
                    "{n} {name} images: a measured 85 % means {:.0} to {:.0} %; label more before trusting small differences",
                    100.0 * low,
                    100.0 * high
                ));
            }
        }
        all
    }

    /// Images that are left out.
    fn left_out(&self, most: usize) -> Vec<String> {
        let pairs = |pairs: &[Pair], word: &str| -> Vec<String> {
            pairs
                .iter()
                .map(|p| format!("{} {word} {}", p.left_out, p.because_of))
                .collect()
        };
        let damaged = self.damaged.iter();
        let contradictions = self.contradictions.iter();
        let all = [
            (
                "damaged files, left out",
                damaged.map(|d| format!("{}: {}", d.file, d.why)).collect(),
            ),
            (
                "images with several classes, all left out: remove the wrong ones",
                contradictions.map(|c| c.join(" = ")).collect(),
            ),
            ("exact copies, left out", pairs(&self.copies, "=")),
            (
                "near copies of validation or test images, left out of training",
                pairs(&self.near_copies, "~"),
            ),
            (
                "labeled images among the unlabeled ones, left out there",
                pairs(&self.labeled_among_unlabeled, "="),
            ),
            (
                "images outside of all class folders, left out",
                self.outside.clone(),
            ),
        ];
        let found = all
            .into_iter()
            .filter_map(|(what, lines)| finding(lines.len(), what, &lines, most));
        found.collect()
    }

    /// Classes without images, or with too few.
    fn of_classes(&self, most: usize) -> Vec<String> {
        fn strings(names: &[String]) -> Vec<&str> {
            names.iter().map(String::as_str).collect()
        }
        let mut all = Vec::new();
        let mut list = |names: Vec<&str>, what: &str| {
            all.extend(finding(names.len(), what, &[names.join(", ")], most));
        };
        list(strings(&self.empty_folders), "empty folders: no class");
        for (part, of) in [
            ("validation", (|c| c.validation) as fn(&ClassCount) -> usize),
            ("test", |c| c.test),
        ] {
            let none = self.classes.iter().filter(|c| of(c) == 0);
            let none = none.map(|c| c.name.as_str()).collect();
            let what = format!("classes without a {part} image: nothing measures them there");
            list(none, &what);
        }
        list(
            strings(&self.small_classes),
            "classes with so few images that the split of the others was not enough",
        );
        all
    }

    /// Files that are no images.
    fn of_files(&self, most: usize) -> Vec<String> {
        let (cache, others) = (&self.cache_damaged, self.other_files.values().sum());
        let made_anew = "damaged files of the image cache, made anew";
        let passed_over = "files of other kinds, passed over";
        [
            finding(cache.len(), made_anew, cache, most),
            finding(others, passed_over, &[counts(&self.other_files)], most),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// For `pupil data`.
    pub(crate) fn text(&self, most: usize) -> String {
        let mut text = format!("{}\n\n", self.source);
        let wide = self.classes.iter().map(|c| c.name.chars().count()).max();
        let wide = wide.unwrap_or(0).max(9);
        let _ = writeln!(
            text,
            "{:<wide$}  images   train  validation    test",
            "class"
        );
        let [train, validation, test] = self.totals();
        let total = ClassCount {
            name: "all".into(),
            train,
            validation,
            test,
        };
        for c in self.classes.iter().chain([&total]) {
            let _ = writeln!(
                text,
                "{:<wide$} {:>7} {:>7} {:>11} {:>7}",
                c.name,
                thousands(c.all()),
                thousands(c.train),
                thousands(c.validation),
                thousands(c.test)
            );
        }
        let _ = writeln!(
            text,
            "{:<wide$} {:>7}",
            "unlabeled",
            thousands(self.unlabeled)
        );
        let sizes = self.classes.iter().map(ClassCount::all);
        let (least, largest) = (sizes.clone().min(), sizes.max());
        let ratio = largest.unwrap_or(0) as f64 / least.unwrap_or(0).max(1) as f64;
        let [small, median, large] = [self.sizes.smallest, self.sizes.median, self.sizes.largest]
            .map(|[w, h]| format!("{w}x{h}"));
        let [h, w, c] = self.shape;
        let _ = writeln!(
            text,
            "\nbalance   the largest class has {ratio:.1} times the images of the smallest\n\
             sizes     {small} to {large}, median {median}; {} of {} stored as grey\n\
             net       {w}x{h} {}: {}",
            thousands(self.grey),
            thousands(self.images),
            if c == 1 { "grey" } else { "RGB" },
            self.shape_why
        );
        let findings = self.findings(most);
        for finding in &findings {
            let _ = writeln!(text, "\n{finding}");
        }
        text
    }
}
