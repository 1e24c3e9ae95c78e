//! All images of a source into the cache: each read and decoded at most once.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use super::cache::{CacheError, FileRecord, Listing, Member, Shelf, Stamp};
use super::dataset::hex;
use super::fingerprint::{Key, difference_hash, of_file, of_pixels};
use super::fit::fit;
use super::formats::archive;
use super::formats::cifar::Cifar;
use super::formats::decode::{self, Damage, Decoded};
use super::idx;
use super::parts::Part;
use super::source::{Reader, Source, SourceFile, extension};

/// Images decoded side by side, in memory at once.
const CHUNK: usize = 64;
/// Bytes of archive members in memory at once.
const CHUNK_BYTES: usize = 64 << 20;
/// Larger files are not read.
const MOST_FILE: u64 = 1 << 30;

/// An image in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
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
pub struct Damaged {
    /// Path within the source.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// All of a source.
#[derive(Debug, Default)]
pub struct Collected {
    /// Images, in the source's order.
    pub items: Vec<Item>,
    /// Files that can't be used.
    pub damaged: Vec<Damaged>,
    /// Files that are no images, by extension.
    pub others: BTreeMap<String, usize>,
    /// How many were read and not only remembered.
    pub read: usize,
}

/// A source that can't be read to its end.
#[derive(Debug, Error)]
pub enum CollectError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file of many images is damaged: a part of it must not pass for the whole.
    #[error("{path}: {why}\n  do:    replace the file by a whole one")]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// An image on its way into the cache.
struct Ready {
    key: Key,
    /// Nothing if it is there already.
    new: Option<(u128, [usize; 3], Vec<u8>)>,
}

/// Reads what is new into the shelf and returns all images. `tell` hears how many images were
/// read so far.
///
/// # Errors
/// A full disk, a damaged archive.
pub fn collect(
    source: &Source,
    shelf: &mut Shelf,
    listing: &mut Listing,
    tell: &dyn Fn(usize),
) -> Result<Collected, CollectError> {
    let mut collected = Collected {
        others: source.others.clone(),
        ..Collected::default()
    };
    let known = |file: &SourceFile, listing: &Listing, shelf: &Shelf| {
        let record = listing.get(&file.name, Stamp::of(&file.path).ok()?)?;
        let here = |m: &Member| {
            m.image
                .as_ref()
                .map_or(true, |k| key_of(k).is_some_and(|k| shelf.has(&k)))
        };
        record.members.iter().all(here).then(|| record.clone())
    };
    let mut records: Vec<Option<FileRecord>> = source
        .files
        .iter()
        .map(|f| known(f, listing, shelf))
        .collect();

    let images: Vec<usize> = (0..source.files.len())
        .filter(|i| records[*i].is_none() && source.files[*i].reader == Reader::Image)
        .collect();
    for chunk in images.chunks(CHUNK) {
        let ready: Vec<_> = chunk
            .par_iter()
            .map(|i| {
                let path = &source.files[*i].path;
                let bytes = read(path);
                (Stamp::of(path), bytes.and_then(|b| prepare(&b, shelf)))
            })
            .collect();
        for (i, (stamp, ready)) in chunk.iter().zip(ready) {
            let record = FileRecord {
                // A file that can't be looked at is never remembered: its time is now.
                stamp: stamp.unwrap_or(Stamp {
                    size: 0,
                    changed: u64::MAX,
                }),
                members: vec![member(String::new(), None, ready, shelf)?],
                others: BTreeMap::new(),
            };
            listing.put(&source.files[*i].name, record.clone());
            records[*i] = Some(record);
        }
        collected.read += chunk.len();
        tell(collected.read);
    }
    for (i, file) in source.files.iter().enumerate() {
        if records[i].is_none() {
            let record = container(file, shelf, &mut collected.read, tell)?;
            listing.put(&file.name, record.clone());
            records[i] = Some(record);
        }
    }
    shelf.commit()?;
    listing.save();
    for (file, record) in source.files.iter().zip(records.into_iter().flatten()) {
        for (extension, count) in record.others {
            *collected.others.entry(extension).or_default() += count;
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
                Ok(Some((key, place))) => collected.items.push(Item {
                    name,
                    key,
                    place,
                    label: file.label.clone().or(numbered),
                    part: file.part,
                }),
                Ok(None) => collected.damaged.push(Damaged {
                    file: name,
                    why: "the cache has lost it; the same command reads it again".into(),
                }),
                Err(why) => collected.damaged.push(Damaged { file: name, why }),
            }
        }
    }
    Ok(collected)
}

/// Reads a file of many images.
fn container(
    file: &SourceFile,
    shelf: &mut Shelf,
    read: &mut usize,
    tell: &dyn Fn(usize),
) -> Result<FileRecord, CollectError> {
    let wrong = |why: String| CollectError::Container {
        path: file.path.clone(),
        why,
    };
    let stamp = Stamp::of(&file.path).map_err(|e| wrong(e.to_string()))?;
    let (mut members, mut others) = (Vec::new(), BTreeMap::new());
    let bytes = || std::fs::read(&file.path).map_err(|e| wrong(e.to_string()));
    match &file.reader {
        Reader::Image => {}
        Reader::Archive => {
            let open = File::open(&file.path).map_err(|e| wrong(e.to_string()))?;
            let (mut chunk, mut size) = (Vec::new(), 0);
            let mut outcome = Ok(());
            archive::for_each(open, |name, bytes| {
                let base = name.rsplit('/').next().unwrap_or(&name);
                if base.starts_with('.') || name.contains("__MACOSX/") {
                    return true;
                }
                if !decode::is_image_name(&name) {
                    *others.entry(extension(&name)).or_default() += 1;
                    return true;
                }
                size += bytes.len();
                chunk.push((name, bytes));
                if chunk.len() >= CHUNK || size >= CHUNK_BYTES {
                    *read += chunk.len();
                    outcome = add(std::mem::take(&mut chunk), shelf, &mut members);
                    size = 0;
                    tell(*read);
                }
                outcome.is_ok()
            })
            .map_err(|e| wrong(e.to_string()))?;
            outcome?;
            *read += chunk.len();
            add(chunk, shelf, &mut members)?;
        }
        Reader::Cifar(kind) => {
            let bytes = bytes()?;
            let images = kind.records(&bytes).map_err(|e| wrong(e.to_string()))?;
            raw(images, shelf, &mut members, read, tell)?;
        }
        Reader::Idx(labels) => {
            let images = idx::read(&file.path, 3, "images").map_err(|e| wrong(e.to_string()))?;
            let labels = idx::read(labels, 1, "labels").map_err(|e| CollectError::Container {
                path: labels.clone(),
                why: e.to_string(),
            })?;
            let [count, h, w] = [images.dims[0], images.dims[1], images.dims[2]];
            if labels.values.len() != count {
                return Err(wrong(format!(
                    "{count} images but {} labels",
                    labels.values.len()
                )));
            }
            let all = images.values.chunks_exact(h * w).zip(labels.values);
            let all = all.map(|(p, label)| {
                (
                    label,
                    Decoded {
                        dims: [h, w, 1],
                        pixels: p.to_vec(),
                    },
                )
            });
            raw(all, shelf, &mut members, read, tell)?;
        }
    }
    tell(*read);
    Ok(FileRecord {
        stamp,
        members,
        others,
    })
}

fn add(
    chunk: Vec<(String, Vec<u8>)>,
    shelf: &mut Shelf,
    members: &mut Vec<Member>,
) -> Result<(), CacheError> {
    let here: &Shelf = shelf;
    let ready: Vec<_> = chunk.par_iter().map(|(_, b)| prepare(b, here)).collect();
    for ((name, _), ready) in chunk.into_iter().zip(ready) {
        members.push(member(name, None, ready, shelf)?);
    }
    Ok(())
}

/// Adds images that need no decoder.
fn raw(
    mut images: impl Iterator<Item = (u8, Decoded)>,
    shelf: &mut Shelf,
    members: &mut Vec<Member>,
    read: &mut usize,
    tell: &dyn Fn(usize),
) -> Result<(), CacheError> {
    loop {
        let chunk: Vec<(u8, Decoded)> = images.by_ref().take(16 * CHUNK).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        let here: &Shelf = shelf;
        let ready: Vec<Ready> = chunk
            .par_iter()
            .map(|(_, image)| fitted(of_pixels(image), image, here))
            .collect();
        for ((label, _), ready) in chunk.iter().zip(ready) {
            members.push(member(String::new(), Some(*label), Ok(ready), shelf)?);
        }
        *read += chunk.len();
        tell(*read);
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Damage> {
    let io = |e: std::io::Error| Damage::Io(e.to_string());
    let size = path.metadata().map_err(io)?.len();
    if size > MOST_FILE {
        return Err(Damage::Decoder(format!(
            "{size} bytes are too many for an image"
        )));
    }
    std::fs::read(path).map_err(io)
}

fn prepare(bytes: &[u8], shelf: &Shelf) -> Result<Ready, Damage> {
    let key = of_file(bytes);
    if shelf.has(&key) {
        return Ok(Ready { key, new: None });
    }
    Ok(fitted(key, &decode::decode(bytes)?, shelf))
}

fn fitted(key: Key, image: &Decoded, shelf: &Shelf) -> Ready {
    let new = (!shelf.has(&key)).then(|| {
        let pixels = fit(image, shelf.dims(), shelf.fit());
        (difference_hash(image), image.dims, pixels)
    });
    Ready { key, new }
}

fn member(
    name: String,
    label: Option<u8>,
    ready: Result<Ready, Damage>,
    shelf: &mut Shelf,
) -> Result<Member, CacheError> {
    let image = match ready {
        Ok(Ready { key, new }) => {
            if let Some((hash, dims, pixels)) = new {
                shelf.add(key, hash, dims, &pixels)?;
            }
            Ok(hex(&key))
        }
        Err(damage) => Err(damage.to_string()),
    };
    Ok(Member { name, image, label })
}

fn key_of(text: &str) -> Option<Key> {
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (text.len() == 64).then_some(key)
}

/// Height, width and channels of up to `most` images, by their headers: evenly chosen among
/// files, the first ones of an archive. What can't be read is left out.
pub fn sample(source: &Source, most: usize) -> Vec<[usize; 3]> {
    let count = source.files.len();
    let picked: Vec<&SourceFile> = (0..count.min(most))
        .map(|i| &source.files[i * count / count.min(most)])
        .collect();
    picked
        .par_iter()
        .map(|file| match &file.reader {
            Reader::Image => read_header(&file.path).into_iter().collect(),
            Reader::Archive => {
                let mut found = Vec::new();
                if let Ok(open) = File::open(&file.path) {
                    // Damage is told by `collect`, which reads to the end.
                    let _ = archive::for_each(open, |name, bytes| {
                        if decode::is_image_name(&name) {
                            found.extend(decode::header(&bytes));
                        }
                        found.len() < most
                    });
                }
                found
            }
            Reader::Cifar(Cifar::Ten | Cifar::Hundred) => vec![[32, 32, 3]],
            Reader::Idx(_) => match idx::read(&file.path, 3, "images") {
                Ok(images) => vec![[images.dims[1], images.dims[2], 1]],
                Err(_) => Vec::new(),
            },
        })
        .flatten()
        .collect()
}

/// By the file's first bytes; by the whole where headers are long.
fn read_header(path: &Path) -> Option<[usize; 3]> {
    use std::io::Read;
    let mut start = Vec::new();
    File::open(path)
        .ok()?
        .take(1 << 16)
        .read_to_end(&mut start)
        .ok()?;
    decode::header(&start)
        .or_else(|_| read(path).and_then(|bytes| decode::header(&bytes)))
        .ok()
}
