//! Files of many images: archives, CIFAR's binary files, IDX files. None is read as a whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use rayon::prelude::*;

use super::error::{CollectError, room_for};
use super::reading::{CHUNK, Collecting, Ready, fitted, member, stamp_of};
use crate::data::cache::{FileRecord, Member, Shelf};
use crate::data::fingerprint::{of_file, of_pixels};
use crate::data::formats::archive::{self, Entry};
use crate::data::formats::cifar::{Cifar, CifarError};
use crate::data::formats::damage::{Damage, MOST_PIXELS};
use crate::data::formats::decode::{self, Decoded};
use crate::data::idx::{self, IdxError};
use crate::data::load;
use crate::data::memory::{Budget, TooLarge};
use crate::data::source::{Reader, SourceFile, extension};
use crate::util::regular;

/// Images without a file of their own that are fitted side by side.
const RAW_CHUNK: usize = 16 * CHUNK;

/// Bytes of images that wait in memory to be decoded.
fn waiting_bytes() -> u64 {
    (Budget::shared().limit() / 8).min(64 << 20)
}

/// What a file holds.
struct Contents {
    members: Vec<Member>,
    others: BTreeMap<String, usize>,
    /// Whether all of it is about the file's content.
    lasts: bool,
}

fn damaged(path: &Path, why: impl ToString) -> CollectError {
    CollectError::Container {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn unreadable(path: &Path, why: impl ToString) -> CollectError {
    CollectError::Unreadable {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// Reads a file of many images, and remembers it.
pub(super) fn read(
    file: &SourceFile,
    collecting: &mut Collecting,
) -> Result<FileRecord, CollectError> {
    let stamp = stamp_of(file).map_err(|e| unreadable(&file.path, e))?;
    let settled = stamp.is_settled();
    let (open, data) = regular::open(&file.path).map_err(|e| unreadable(&file.path, e))?;
    let length = data.len();
    let mut contents = Contents {
        members: Vec::new(),
        others: BTreeMap::new(),
        lasts: true,
    };
    match &file.reader {
        Reader::Image => {}
        Reader::Archive => of_archive(&file.path, open, length, collecting, &mut contents)?,
        Reader::Cifar(kind) => {
            let members = &mut contents.members;
            of_cifar(&file.path, (open, length), *kind, collecting, members)?;
        }
        Reader::Idx(labels) => of_idx(&file.path, labels, collecting, &mut contents.members)?,
    }
    let record = FileRecord {
        stamp,
        members: contents.members,
        others: contents.others,
    };
    let same = stamp_of(file).is_ok_and(|now| now == stamp);
    if contents.lasts && settled && same {
        collecting.listing.put(&file.name, record.clone());
    }
    Ok(record)
}

fn of_archive(
    path: &Path,
    file: File,
    packed: u64,
    collecting: &mut Collecting,
    contents: &mut Contents,
) -> Result<(), CollectError> {
    let (mut chunk, mut size) = (Vec::new(), 0);
    let mut outcome = Ok(());
    let mut each = |entry: &mut Entry| -> std::io::Result<bool> {
        let base = entry.name.rsplit('/').next().unwrap_or(&entry.name);
        if base.starts_with('.') || entry.name.contains("__MACOSX/") {
            return Ok(true);
        }
        if !decode::is_image_name(&entry.name) {
            *contents.others.entry(extension(&entry.name)).or_default() += 1;
            return Ok(true);
        }
        let large = entry.size > waiting_bytes();
        if large || chunk.len() >= CHUNK || size + entry.size > waiting_bytes() {
            size = 0;
            outcome = add(std::mem::take(&mut chunk), collecting, contents);
            let all = contents.members.len() as u64;
            outcome = std::mem::replace(&mut outcome, Ok(())).and_then(|()| room_for(all, path));
            if outcome.is_err() {
                return Ok(false);
            }
        }
        if large {
            let ready = large_member(entry, collecting.shelf)?;
            outcome = push(entry.name.clone(), ready, collecting, contents);
            return Ok(outcome.is_ok());
        }
        size += entry.size;
        chunk.push((entry.name.clone(), entry.read()?));
        Ok(true)
    };
    let walked = archive::for_each(file, packed, &mut each);
    outcome?;
    walked.map_err(|e| damaged(path, e))?;
    add(chunk, collecting, contents)
}

/// An image too large to wait with others: alone, so that its bytes and pixels have the whole
/// budget.
fn large_member(entry: &mut Entry, shelf: &Shelf) -> std::io::Result<Result<Ready, Damage>> {
    if entry.size > load::MOST_FILE {
        let why = format!("{} bytes are too many for an image", entry.size);
        return Ok(Err(Damage::Decoder(why)));
    }
    let mut memory = match Budget::shared().reserve(entry.size) {
        Ok(memory) => memory,
        Err(e) => return Ok(Err(Damage::Memory(e))),
    };
    let bytes = entry.read()?;
    let key = of_file(&bytes);
    if shelf.has(&key) {
        return Ok(Ok(Ready { key, new: None }));
    }
    let work = |_: &[u8], image| fitted(key, &image, shelf);
    let made = load::within(&mut memory, 0, &bytes, work);
    Ok(made.and_then(|made| {
        made.map_err(|needed| {
            let limit = Budget::shared().limit();
            Damage::Memory(TooLarge { needed, limit })
        })
    }))
}

/// Decodes members that are in memory.
fn add(
    chunk: Vec<(String, Vec<u8>)>,
    collecting: &mut Collecting,
    contents: &mut Contents,
) -> Result<(), CollectError> {
    let shelf: &Shelf = collecting.shelf;
    let ready: Vec<Result<Ready, Damage>> = chunk
        .par_iter()
        .map(|(_, bytes)| {
            let key = of_file(bytes);
            if shelf.has(&key) {
                return Ok(Ready { key, new: None });
            }
            load::from_bytes(bytes, |_, image| fitted(key, &image, shelf))
        })
        .collect();
    for ((name, _), ready) in chunk.into_iter().zip(ready) {
        push(name, ready, collecting, contents)?;
    }
    Ok(())
}

fn push(
    name: String,
    ready: Result<Ready, Damage>,
    collecting: &mut Collecting,
    contents: &mut Contents,
) -> Result<(), CollectError> {
    contents.lasts &= ready.as_ref().err().is_none_or(Damage::lasts);
    let member = member(name, None, ready, collecting.shelf)?;
    contents.members.push(member);
    Ok(collecting.advance(1)?)
}

fn of_cifar(
    path: &Path,
    (file, length): (File, u64),
    kind: Cifar,
    collecting: &mut Collecting,
    members: &mut Vec<Member>,
) -> Result<(), CollectError> {
    let count = kind.count(length).map_err(|e| damaged(path, e))?;
    room_for(count, path)?;
    let images = kind.records(BufReader::with_capacity(1 << 16, file), count);
    let images = images.map(|image| {
        image.map_err(|e| match e {
            CifarError::Io(why) => unreadable(path, why),
            other => damaged(path, other),
        })
    });
    raw(images, (path, 32 * 32 * 3), collecting, members)
}

fn of_idx(
    path: &Path,
    labels: &Path,
    collecting: &mut Collecting,
    members: &mut Vec<Member>,
) -> Result<(), CollectError> {
    let told = |path: &Path, e: IdxError| match e {
        IdxError::Io(why) => unreadable(path, why),
        other => damaged(path, other),
    };
    let mut images = idx::open(path, 3, "images").map_err(|e| told(path, e))?;
    let classes = idx::open(labels, 1, "labels").map_err(|e| told(labels, e))?;
    let [count, h, w] = [images.dims[0], images.dims[1], images.dims[2]];
    if classes.dims[0] != count {
        let found = classes.dims[0];
        return Err(damaged(path, format!("{count} images but {found} labels")));
    }
    room_for(count as u64, path)?;
    if (h * w) as u64 > MOST_PIXELS {
        let [w, h] = [w, h].map(|s| s as u32);
        return Err(damaged(path, Damage::Pixels { w, h }));
    }
    let classes = classes.all().map_err(|e| told(labels, e))?;
    let all = classes.values.into_iter().map(|label| {
        let mut pixels = vec![0; h * w];
        images.fill(&mut pixels).map_err(|e| told(path, e))?;
        let dims = [h, w, 1];
        Ok((label, Decoded { dims, pixels }))
    });
    raw(all, (path, h * w), collecting, members)
}

/// Adds images of the file at `path`, of `bytes` pixels each, that need no decoder.
fn raw(
    mut images: impl Iterator<Item = Result<(u8, Decoded), CollectError>>,
    (path, bytes): (&Path, usize),
    collecting: &mut Collecting,
    members: &mut Vec<Member>,
) -> Result<(), CollectError> {
    let most = (waiting_bytes() as usize / bytes.max(1)).clamp(1, RAW_CHUNK);
    let told = |why| CollectError::Many {
        path: path.to_owned(),
        count: most as u64,
        why,
    };
    loop {
        // The pixels, and what fitting copies of each.
        let _memory = Budget::shared()
            .reserve(3 * (most * bytes) as u64)
            .map_err(told)?;
        let chunk: Vec<(u8, Decoded)> = images.by_ref().take(most).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let shelf: &Shelf = collecting.shelf;
        let ready: Vec<Ready> = chunk
            .par_iter()
            .map(|(_, image)| fitted(of_pixels(image), image, shelf))
            .collect();
        for ((label, _), ready) in chunk.iter().zip(ready) {
            members.push(member(
                String::new(),
                Some(*label),
                Ok(ready),
                collecting.shelf,
            )?);
        }
        collecting.advance(chunk.len())?;
    }
}
