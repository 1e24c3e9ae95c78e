//! Files that are no images, by what their names end in.

use std::collections::BTreeMap;

/// ".txt", or the whole name where there is none; lower case.
pub(crate) fn extension(name: &str) -> String {
    let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    match base.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => format!(".{end}"),
        _ => base,
    }
}

/// "3 .txt, 1 .gif".
pub(crate) fn counts(others: &BTreeMap<String, usize>) -> String {
    let all: Vec<String> = others
        .iter()
        .take(6)
        .map(|(e, n)| format!("{n} {e}"))
        .collect();
    all.join(", ") + if others.len() > 6 { ", …" } else { "" }
}
