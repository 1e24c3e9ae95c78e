//! Sizes of images by their headers, before any is decoded.

use std::io::Read;
use std::path::Path;

use rayon::prelude::*;

use crate::data::formats::cifar::Cifar;
use crate::data::formats::{archive, decode};
use crate::data::memory::Budget;
use crate::data::source::{Reader, Source, SourceFile};
use crate::data::{idx, load};
use crate::util::regular;

/// Bytes that have the header of most images.
const START: u64 = 1 << 16;
/// Longer members of archives are not looked at as a whole.
const MOST_MEMBER: u64 = 8 << 20;

/// Height, width and channels of up to `most` images, by their headers: evenly chosen among
/// files, the first ones of an archive. What can't be read is left out: reading the set tells
/// why.
pub(crate) fn sample(source: &Source, most: usize) -> Vec<[usize; 3]> {
    let count = source.files.len();
    let picked: Vec<&SourceFile> = (0..count.min(most))
        .map(|i| &source.files[i * count / count.min(most)])
        .collect();
    picked
        .par_iter()
        .map(|file| match &file.reader {
            Reader::Image => of_file(&file.path).into_iter().collect(),
            Reader::Archive => of_archive(&file.path, most),
            Reader::Cifar(Cifar::Ten | Cifar::Hundred) => vec![[32, 32, 3]],
            Reader::Idx(_) => match idx::open(&file.path, 3, "images") {
                Ok(images) => vec![[images.dims[1], images.dims[2], 1]],
                Err(_) => Vec::new(),
            },
        })
        .flatten()
        .collect()
}

fn of_archive(path: &Path, most: usize) -> Vec<[usize; 3]> {
    let mut found = Vec::new();
    if let Ok((file, data)) = regular::open(path) {
        let _ = archive::for_each(file, data.len(), |entry| {
            if decode::is_image_name(&entry.name) {
                let size = entry.size;
                let mut bytes = entry.start(START)?;
                let mut header = decode::header(&bytes, size);
                if header.is_err() && size <= MOST_MEMBER {
                    bytes.extend(entry.start(MOST_MEMBER)?);
                    header = decode::header(&bytes, size);
                }
                found.extend(header);
            }
            Ok(found.len() < most)
        });
    }
    found
}

/// By the file's first bytes; by the whole where headers are long.
fn of_file(path: &Path) -> Option<[usize; 3]> {
    let (mut file, data) = regular::open(path).ok()?;
    let size = data.len();
    let mut bytes = Vec::new();
    file.by_ref()
        .take(START.min(size))
        .read_to_end(&mut bytes)
        .ok()?;
    if let Ok(found) = decode::header(&bytes, size) {
        return Some(found);
    }
    if size <= START || size > load::MOST_FILE {
        return None;
    }
    // The decoder's copies too.
    let _memory = Budget::shared().reserve(size * 4).ok()?;
    let rest = regular::read_open(&file, size - START).ok()?;
    bytes.extend(rest);
    decode::header(&bytes, size).ok()
}
