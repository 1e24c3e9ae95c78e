//! `cargo xtask rooms`: the rooms of each crate (its top-level modules), their lines, and which uses
//! which, out of the source. `docs/architecture.md` has the same tables; the test step fails where a
//! room uses one that stands above it, or where the document differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::command::{out, root};

/// A crate and its rooms from the bottom up: each uses only those before it.
struct House {
    name: &'static str,
    source: &'static str,
    rooms: &'static [&'static str],
}

const HOUSES: [House; 3] = [
    House {
        name: "pupil-core",
        source: "core/src",
        rooms: &[
            "error",
            "op",
            "kernels",
            "stream",
            "model",
            "observer",
            "interpreter",
            "preprocess",
            "classify",
        ],
    },
    House {
        name: "pupil-packer",
        source: "core/packer/src",
        rooms: &[
            "quantize", "params", "tables", "layer", "contents", "weights", "plan", "builder",
        ],
    },
    House {
        name: "pupil",
        source: "host-trainer/src",
        rooms: &[
            "util",
            "data",
            "nn",
            "net",
            "eval",
            "train",
            "methods",
            "config",
            "run",
            "report",
            "experiments",
            "cli",
        ],
    },
];

const DOCUMENT: &str = "docs/architecture.md";
const BEGIN: &str = "<!-- rooms: cargo xtask rooms --write -->";
const END: &str = "<!-- end of rooms -->";

/// What the source says of a room.
#[derive(Default)]
struct Room {
    lines: usize,
    uses: BTreeSet<String>,
    /// First line of its documentation.
    what: String,
}

/// Prints the tables, or writes them into the document.
///
/// # Errors
/// Unknown words; a room that uses one above it; a document without the marks.
pub fn main(words: &[&str]) -> anyhow::Result<bool> {
    let tables = tables()?;
    match words {
        [] => out!("{}", tables.trim_end()),
        ["--write"] => {
            let text = document()?;
            let (before, after) = around(&text)?;
            fs::write(root().join(DOCUMENT), format!("{before}{tables}{after}"))?;
        }
        _ => bail!("unknown option\n  do:    cargo xtask rooms [--write]"),
    }
    Ok(true)
}

/// The test step.
///
/// # Errors
/// A room that uses one above it; a document that says otherwise.
pub fn check() -> anyhow::Result<()> {
    let tables = tables()?;
    let text = document()?;
    let (before, after) = around(&text)?;
    let written = &text[before.len()..text.len() - after.len()];
    ensure!(
        says_the_same(written, &tables),
        "{DOCUMENT}: its tables are not those of the source\n  do:    cargo xtask rooms --write"
    );
    Ok(())
}

/// Whether two texts differ in nothing but numbers, and in those by a fifth at most: lines come and go
/// with every change.
fn says_the_same(a: &str, b: &str) -> bool {
    let number = |word: &str| word.replace(',', "").parse::<f64>().ok();
    let near = |(a, b): (&str, &str)| match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 0.2 * a.max(b),
        _ => a == b,
    };
    let words = |text: &str| text.split_whitespace().count();
    words(a) == words(b) && a.split_whitespace().zip(b.split_whitespace()).all(near)
}

fn document() -> anyhow::Result<String> {
    fs::read_to_string(root().join(DOCUMENT)).with_context(|| format!("{DOCUMENT}: can't be read"))
}

/// The document up to the tables, and from their end on.
fn around(text: &str) -> anyhow::Result<(&str, &str)> {
    let begin = text.find(BEGIN).map(|at| at + BEGIN.len());
    let (Some(begin), Some(end)) = (begin, text.find(END)) else {
        bail!("{DOCUMENT}: the lines `{BEGIN}` and `{END}` are missing");
    };
    Ok((&text[..begin], &text[end..]))
}

fn tables() -> anyhow::Result<String> {
    let mut all = String::from("\n\n");
    for house in &HOUSES {
        let rooms = rooms(house)?;
        ordered(house, &rooms)?;
        let lines: usize = rooms.values().map(|r| r.lines).sum();
        let arrows: usize = rooms.values().map(|r| r.uses.len()).sum();
        writeln!(
            all,
            "### {}\n\n{} rooms, about {} lines with tests, {arrows} arrows.\n",
            house.name,
            rooms.len(),
            about(lines)
        )?;
        writeln!(all, "| room | lines | uses | what |\n|---|---|---|---|")?;
        for name in house.rooms {
            let room = &rooms[*name];
            let uses: Vec<&str> = house
                .rooms
                .iter()
                .copied()
                .filter(|r| room.uses.contains(*r))
                .collect();
            let uses = if uses.is_empty() {
                "–".to_owned()
            } else {
                uses.join(", ")
            };
            let lines = about(room.lines);
            writeln!(all, "| `{name}` | {lines} | {uses} | {} |", room.what)?;
        }
        all.push('\n');
    }
    Ok(all)
}

/// Whether every room is declared and uses only those before it.
fn ordered(house: &House, rooms: &BTreeMap<String, Room>) -> anyhow::Result<()> {
    let place = |name: &str| house.rooms.iter().position(|r| *r == name);
    for (name, room) in rooms {
        let Some(own) = place(name) else {
            bail!(
                "{}/{name}: a room that has no place\n  do:    give it one in tests/src/bin/xtask/rooms.rs",
                house.source
            );
        };
        for used in &room.uses {
            ensure!(
                place(used).is_some_and(|at| at < own),
                "{}: the room `{name}` uses `{used}`, which stands above it\n  do:    move what both need into a room below both",
                house.name
            );
        }
    }
    for name in house.rooms {
        ensure!(
            rooms.contains_key(*name),
            "{}: there is no room `{name}`",
            house.name
        );
    }
    Ok(())
}

fn rooms(house: &House) -> anyhow::Result<BTreeMap<String, Room>> {
    let source = root().join(house.source);
    let mut rooms: BTreeMap<String, Room> = BTreeMap::new();
    for path in files(&source)? {
        let inside = path.strip_prefix(&source)?.to_owned();
        let first = inside.components().next().map(|c| c.as_os_str());
        let name = first.unwrap_or_default().to_string_lossy().into_owned();
        let name = name.strip_suffix(".rs").unwrap_or(&name).to_owned();
        // The crate's root and what only its tests share are no rooms.
        if matches!(name.as_str(), "lib" | "main" | "testing" | "tests") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let room = rooms.entry(name.clone()).or_default();
        room.lines += text.lines().count();
        if is_front(&inside, &name) {
            room.what = first_sentence(&text);
        }
        if !is_test(&inside) {
            room.uses.extend(used(&text, &name));
        }
    }
    Ok(rooms)
}

/// Rust files below a folder.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `ROOM.rs` or `ROOM/mod.rs`.
fn is_front(inside: &Path, name: &str) -> bool {
    inside == Path::new(&format!("{name}.rs")) || inside == Path::new(name).join("mod.rs")
}

/// Whether a file is of tests alone, by its name or its folder's.
fn is_test(inside: &Path) -> bool {
    inside.components().any(|c| {
        let word = c.as_os_str().to_string_lossy();
        matches!(
            word.trim_end_matches(".rs"),
            "tests" | "testing" | "parity" | "pairs_tests"
        )
    })
}

/// Rooms that the text names outside comments and test modules.
fn used(text: &str, own: &str) -> BTreeSet<String> {
    let modules = ["mod tests {", "pub(crate) mod tests {", "pub mod tests {"];
    let tests = modules.map(|m| text.find(&format!("#[cfg(test)]\n{m}")));
    let end = tests.into_iter().flatten().min().unwrap_or(text.len());
    let mut found = BTreeSet::new();
    for line in text[..end].lines().map(str::trim_start) {
        if line.starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let name: String = line[at + "crate::".len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // `$crate::item!` and items of the crate's root are no rooms.
            let is_room = HOUSES.iter().any(|h| h.rooms.contains(&name.as_str()));
            let foreign = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if is_room && !foreign && name != own {
                found.insert(name);
            }
        }
    }
    found
}

/// The first sentence of a file's documentation.
fn first_sentence(text: &str) -> String {
    let lines = text.lines().map_while(|l| l.strip_prefix("//!"));
    let paragraph: Vec<&str> = lines.map(str::trim).take_while(|l| !l.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    let end = paragraph.find(". ").unwrap_or(paragraph.len());
    let sentence = paragraph[..end].trim_end_matches(['.', ':']);
    sentence.replace("[`", "`").replace("`]", "`")
}

/// `n` to two digits, so that not every change of a file is one of the document.
fn about(n: usize) -> String {
    let unit = 10usize.pow(n.max(1).ilog10().saturating_sub(1));
    let n = (n + unit / 2) / unit * unit;
    match n / 1000 {
        0 => n.to_string(),
        k => format!("{k},{:03}", n % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_found_outside_comments_and_tests() {
        let text = "#[cfg(test)]\nmod tests;\nuse crate::data::x;\n// crate::nn\nfn f() { crate::net::y(); other_crate::run::z() }\n#[cfg(test)]\nmod tests { use crate::cli::w; }\n";
        let found: Vec<String> = used(text, "data").into_iter().collect();
        assert_eq!(found, ["net"]);
    }

    #[test]
    fn lines_may_differ_a_little_and_arrows_not() {
        let text = "| `net` | 1,900 | util, data | nets |";
        assert!(says_the_same(text, &text.replace("1,900", "2,100")));
        assert!(!says_the_same(text, &text.replace("1,900", "3,000")));
        assert!(!says_the_same(
            text,
            &text.replace("util, data", "util, nn")
        ));
        assert!(!says_the_same(text, &text.replace(", data", "")));
    }

    #[test]
    fn lines_are_told_to_two_digits() {
        assert_eq!(
            [7, 95, 372, 8421, 39_996].map(about),
            ["7", "95", "370", "8,400", "40,000"]
        );
    }

    #[test]
    fn a_room_that_uses_one_above_it_is_refused() {
        let house = House {
            name: "x",
            source: "x",
            rooms: &["low", "high"],
        };
        let room = |uses: &[&str]| Room {
            uses: uses.iter().map(|u| (*u).to_owned()).collect(),
            ..Room::default()
        };
        let mut rooms = BTreeMap::from([
            ("low".to_owned(), room(&[])),
            ("high".to_owned(), room(&["low"])),
        ]);
        assert!(ordered(&house, &rooms).is_ok());
        rooms.insert("low".to_owned(), room(&["high"]));
        let error = ordered(&house, &rooms).unwrap_err().to_string();
        assert!(error.contains("`low` uses `high`"), "{error}");
        rooms.insert("attic".to_owned(), room(&[]));
        assert!(ordered(&house, &rooms).is_err());
    }
}
