//! All images of a source into the cache: each read and decoded at most once.

mod container;
mod error;
mod reading;
mod sample;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;

use self::error::room_for;
use self::reading::{CHUNK, Collecting, Ready, fitted, member, stamp_of};
use super::cache::{FileRecord, Listing, Member, Shelf};
use super::fingerprint::{Key, of_file};
use super::formats::damage::Damage;
use super::load::{self, Loaded};
use super::parts::Part;
use super::source::{Reader, Source, SourceFile};
pub(crate) use error::CollectError;
pub(crate) use sample::sample;

/// What was read is made lasting this often: what a process that is killed loses. A long reading
/// does it less often, so that its segments stay few: it loses at most a twentieth.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// An image in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Path within the source.
    pub name: String,
    /// Its content.
    pub key: Key,
    /// Segment and row.
    pub place: (u32, u32),
    /// Class by a list, or by the file's own number.
    pub label: Option<String>,
    /// Part by a list or a file's name.
    pub part: Option<Part>,
}

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Damaged {
    /// Path within the source.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// All of a source.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Images, in the source's order.
    pub items: Vec<Item>,
    /// Files that can't be used.
    pub damaged: Vec<Damaged>,
    /// Files that are no images, by extension.
    pub others: BTreeMap<String, usize>,
    /// How many were read and not only remembered.
    pub read: usize,
}

/// Reads what is new into the shelf and returns all images. `tell` hears how many images were
/// read so far.
///
/// # Errors
/// A full disk, a damaged archive, more images than the memory can list.
pub(crate) fn collect(
    source: &Source,
    shelf: &mut Shelf,
    listing: &mut Listing,
    tell: &dyn Fn(usize),
) -> Result<Collected, CollectError> {
    collect_keeping(source, shelf, listing, (tell, KEEP_EVERY))
}

fn collect_keeping(
    source: &Source,
    shelf: &mut Shelf,
    listing: &mut Listing,
    (tell, every): (&dyn Fn(usize), Duration),
) -> Result<Collected, CollectError> {
    room_for(source.files.len() as u64, &source.path)?;
    let mut records: Vec<Option<FileRecord>> = source
        .files
        .iter()
        .map(|f| known(f, listing, shelf))
        .collect();
    let mut collecting = Collecting {
        shelf,
        listing,
        tell,
        read: 0,
        begun: Instant::now(),
        kept: Instant::now(),
        every,
    };
    images(source, &mut records, &mut collecting)?;
    for (file, record) in source.files.iter().zip(&mut records) {
        if record.is_none() {
            *record = Some(container::read(file, &mut collecting)?);
        }
    }
    collecting.keep()?;
    let mut collected = Collected {
        others: source.others.clone(),
        read: collecting.read,
        ..Collected::default()
    };
    for (file, record) in source.files.iter().zip(records.into_iter().flatten()) {
        collected.add(source, file, record, shelf);
    }
    Ok(collected)
}

/// What an unchanged file held, if all of it is in the cache.
fn known(file: &SourceFile, listing: &Listing, shelf: &Shelf) -> Option<FileRecord> {
    let record = listing.get(&file.name, stamp_of(file).ok()?)?;
    let here = |m: &Member| {
        m.image
            .as_ref()
            .map_or(true, |k| key_of(k).is_some_and(|k| shelf.has(&k)))
    };
    record.members.iter().all(here).then(|| record.clone())
}

/// Reads the files that are an image each.
fn images(
    source: &Source,
    records: &mut [Option<FileRecord>],
    collecting: &mut Collecting,
) -> Result<(), CollectError> {
    let new: Vec<usize> = (0..source.files.len())
        .filter(|i| records[*i].is_none() && source.files[*i].reader == Reader::Image)
        .collect();
    for chunk in new.chunks(CHUNK) {
        let shelf: &Shelf = collecting.shelf;
        let ready: Vec<Loaded<Ready>> = chunk
            .par_iter()
            .map(|i| {
                let key = Cell::new([0; 32]);
                let known = |bytes: &[u8]| {
                    key.set(of_file(bytes));
                    let key = key.get();
                    shelf.has(&key).then_some(Ready { key, new: None })
                };
                let work = |_: &[u8], image| fitted(key.get(), &image, shelf);
                load::from_file(&source.files[*i].path, known, work)
            })
            .collect();
        for (i, Loaded { stamp, result }) in chunk.iter().zip(ready) {
            let lasts = result.as_ref().err().is_none_or(Damage::lasts);
            let record = FileRecord {
                stamp: stamp.unwrap_or_default(),
                members: vec![member(String::new(), None, result, collecting.shelf)?],
                others: BTreeMap::new(),
            };
            // An error of the system's is none of the file's: the next time it is read again.
            if lasts && stamp.is_some() {
                let name = &source.files[*i].name;
                collecting.listing.put(name, record.clone());
            }
            records[*i] = Some(record);
        }
        collecting.advance(chunk.len())?;
    }
    Ok(())
}

impl Collected {
    /// Adds what a file held.
    fn add(&mut self, source: &Source, file: &SourceFile, record: FileRecord, shelf: &Shelf) {
        for (extension, count) in record.others {
            *self.others.entry(extension).or_default() += count;
        }
        for (i, member) in record.members.into_iter().enumerate() {
            let name = match (&file.reader, member.name) {
                (Reader::Image, _) => file.name.clone(),
                (Reader::Archive, name) => name,
                (_, _) => format!("{} #{i}", file.name),
            };
            let numbered = member
                .label
                .map(|l| match source.classes.get(usize::from(l)) {
                    Some(class) => class.clone(),
                    None => l.to_string(),
                });
            let place = |key: Key| shelf.place(&key).map(|place| (key, place));
            match member.image.map(|k| key_of(&k).and_then(place)) {
                Ok(Some((key, place))) => {
                    if file.reader == Reader::Image {
                        shelf.set_origin(place, &file.path);
                    }
                    self.items.push(Item {
                        name,
                        key,
                        place,
                        label: file.label.clone().or(numbered),
                        part: file.part,
                    });
                }
                Ok(None) => self.damaged.push(Damaged {
                    file: name,
                    why: "the cache has lost it; the same command reads it again".into(),
                }),
                Err(why) => self.damaged.push(Damaged { file: name, why }),
            }
        }
    }
}

fn key_of(text: &str) -> Option<Key> {
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (text.len() == 64).then_some(key)
}

#[cfg(test)]
mod tests;
