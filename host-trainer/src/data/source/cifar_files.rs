//! The files of CIFAR-10 and CIFAR-100, and the names of their classes.

use std::path::Path;

use super::file::{Reader, SourceFile, file};
use crate::data::formats::cifar::Cifar;
use crate::data::parts::Part;
use crate::util::regular;

const CIFAR_10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// CIFAR's files among those named `top` in the folder `path`, if they are there.
pub(super) fn cifar_files(path: &Path, top: &[&str]) -> Option<Vec<SourceFile>> {
    let has = |name: &str| top.contains(&name);
    let (kind, names): (_, Vec<(String, Part)>) = if has("data_batch_1.bin") {
        let train = (1..=5).map(|i| (format!("data_batch_{i}.bin"), Part::Train));
        let all = train.chain([("test_batch.bin".to_owned(), Part::Test)]);
        (Cifar::Ten, all.filter(|(n, _)| has(n)).collect())
    } else if has("train.bin") {
        let all = [("train.bin", Part::Train), ("test.bin", Part::Test)];
        let found = all.into_iter().filter(|(n, _)| has(n));
        (
            Cifar::Hundred,
            found.map(|(n, p)| (n.to_owned(), p)).collect(),
        )
    } else {
        return None;
    };
    let files = names.into_iter().map(|(name, part)| SourceFile {
        part: Some(part),
        ..file(&path.join(&name), &name, Reader::Cifar(kind))
    });
    Some(files.collect())
}

/// The names of CIFAR's classes, from the folder `path` where it has them.
pub(super) fn cifar_names(path: &Path, hundred: bool) -> Vec<String> {
    let (list, count) = if hundred {
        ("fine_label_names.txt", 100)
    } else {
        ("batches.meta.txt", 10)
    };
    let text = regular::read(&path.join(list), 1 << 20).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let names: Vec<String> = text
        .lines()
        .map(|l| l.trim().to_owned())
        .filter(|l| !l.is_empty())
        .collect();
    match (names.len() == count, hundred) {
        (true, _) => names,
        (false, false) => CIFAR_10.map(str::to_owned).to_vec(),
        (false, true) => (0..count).map(|i| i.to_string()).collect(),
    }
}
