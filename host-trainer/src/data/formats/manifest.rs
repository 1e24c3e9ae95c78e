//! Lists of images: CSV with a header, or JSON lines.
//!
//! Columns or keys: `path` (also `file`, `image`, `filename`), relative to the list's folder;
//! `label` (also `class`), empty or absent for an unlabeled image; `split` (also `part`, `set`):
//! train, validation, test or unlabeled. Others are ignored.

use std::collections::BTreeMap;

use pupil_packer::check_label;
use serde_json::Value;

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Line of the list, from 1.
    pub line: u64,
    /// As written.
    pub path: String,
    /// Name of the class.
    pub label: Option<String>,
    /// Word of the split.
    pub split: Option<String>,
}

const PATH: [&str; 4] = ["path", "file", "image", "filename"];
const LABEL: [&str; 2] = ["label", "class"];
const SPLIT: [&str; 3] = ["split", "part", "set"];

/// Reads a CSV list.
///
/// # Errors
/// All wrong lines at once, each with its number.
pub(crate) fn csv(bytes: &[u8]) -> Result<Vec<Row>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(e) => return Err(vec![format!("line 1: {e}")]),
    };
    let column = |names: &[&str]| {
        header.iter().position(|h| {
            let h = h.trim_start_matches('\u{feff}').to_ascii_lowercase();
            names.contains(&h.as_str())
        })
    };
    let Some(path) = column(&PATH) else {
        let found: Vec<&str> = header.iter().collect();
        return Err(vec![format!(
            "line 1: no column `path` (or file, image, filename) in the header `{}`",
            found.join(",")
        )]);
    };
    let (label, split) = (column(&LABEL), column(&SPLIT));
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let text = |i: Option<usize>| {
                    let value = i.and_then(|i| record.get(i)).unwrap_or_default();
                    (!value.is_empty()).then(|| value.to_owned())
                };
                match text(Some(path)) {
                    Some(path) => rows.push(Row {
                        line,
                        path,
                        label: text(label),
                        split: text(split),
                    }),
                    None => problems.push(format!("line {line}: the path is empty")),
                }
            }
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                problems.push(format!("line {line}: {}", kind(&e)));
            }
        }
    }
    finish(rows, problems)
}

fn kind(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} fields, the header has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// Reads JSON lines: one object a line, empty lines skipped. A label may be a number.
///
/// # Errors
/// All wrong lines at once, each with its number.
pub(crate) fn json_lines(bytes: &[u8]) -> Result<Vec<Row>, Vec<String>> {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = i as u64 + 1;
        match serde_json::from_slice::<Value>(line) {
            Ok(Value::Object(object)) => {
                let text = |names: &[&str]| {
                    let value = names.iter().find_map(|n| object.get(*n))?;
                    match value {
                        Value::String(s) if !s.is_empty() => Some(s.clone()),
                        Value::Number(n) => Some(n.to_string()),
                        _ => None,
                    }
                };
                match text(&PATH) {
                    Some(path) => rows.push(Row {
                        line: number,
                        path,
                        label: text(&LABEL),
                        split: text(&SPLIT),
                    }),
                    None => problems.push(format!("line {number}: no key `path`")),
                }
            }
            Ok(_) => problems.push(format!("line {number}: not a JSON object")),
            Err(e) => problems.push(format!("line {number}: {e}")),
        }
    }
    finish(rows, problems)
}

/// Labels that the packer would refuse after all trainings: each once, with its first line.
fn wrong_labels(rows: &[Row]) -> Vec<String> {
    let mut found: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for row in rows {
        if let Some(label) = row.label.as_deref().filter(|l| check_label(l).is_err()) {
            found.entry(label).or_insert((row.line, 0)).1 += 1;
        }
    }
    let mut found: Vec<_> = found
        .into_iter()
        .map(|(l, (line, n))| (line, n, l))
        .collect();
    found.sort_unstable();
    let told = |(line, count, label): (u64, usize, &str)| {
        let why = check_label(label).err()?;
        let more = match count {
            1 => String::new(),
            n => format!(" (and {} more lines)", n - 1),
        };
        Some(format!("line {line}: {why}{more}; rename the class"))
    };
    found.into_iter().filter_map(told).collect()
}

fn finish(rows: Vec<Row>, mut problems: Vec<String>) -> Result<Vec<Row>, Vec<String>> {
    problems.extend(wrong_labels(&rows));
    if !problems.is_empty() {
        return Err(problems);
    }
    if rows.is_empty() {
        return Err(vec!["it lists no image".into()]);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_say_the_same() {
        let a = csv(b"\xef\xbb\xbfFile, label ,note,split\na.png,cat,x,train\n\"b, c.jpg\",,,\n");
        let b = json_lines(
            b"{\"path\":\"a.png\",\"label\":\"cat\",\"split\":\"train\"}\n\n{\"image\":\"b, c.jpg\"}\n",
        );
        let rows = a.unwrap();
        assert_eq!(rows[0].label.as_deref(), Some("cat"));
        assert_eq!((rows[1].path.as_str(), &rows[1].label), ("b, c.jpg", &None));
        assert_eq!(rows[0].line, 2);
        let strip = |rows: Vec<Row>| {
            rows.into_iter()
                .map(|r| Row { line: 0, ..r })
                .collect::<Vec<_>>()
        };
        assert_eq!(strip(rows), strip(b.unwrap()));
    }

    #[test]
    fn all_wrong_lines_are_told_at_once() {
        let problems = csv(b"path,label\na.png,cat\nb.png\n,dog\n").unwrap_err();
        assert_eq!(
            problems,
            [
                "line 3: 1 fields, the header has 2",
                "line 4: the path is empty"
            ]
        );
        assert!(csv(b"name,label\nx,y\n").unwrap_err()[0].contains("no column `path`"));
        assert!(csv(b"").is_err() && json_lines(b"\n\n").is_err());
        let long = "x".repeat(256);
        let list = format!("path,label\na.png,cat\nb.png,\"a\nb\"\nc.png,{long}\n");
        let problems = csv(list.as_bytes()).unwrap_err();
        assert!(problems[0].contains("line 3: label \"a\\nb\" has control characters"));
        assert!(problems[1].contains("line 5: label") && problems[1].contains("256 bytes"));
        let problems = json_lines(b"{\"path\":1\n[]\n{\"label\":\"x\"}\n").unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems[2].starts_with("line 3: no key `path`"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut list = b"path,label\n".to_vec();
            list.extend(&bytes);
            for rows in [csv(&bytes), csv(&list), json_lines(&bytes)].into_iter().flatten() {
                prop_assert!(rows.iter().all(|r| !r.path.is_empty()));
            }
        }
    }
}
