//! Images on their way into the cache.

use std::time::{Duration, Instant};

use crate::data::cache::{CacheError, Listing, Member, Shelf, Stamp};
use crate::data::fingerprint::{Key, difference_hash};
use crate::data::fit::fit;
use crate::data::formats::damage::Damage;
use crate::data::formats::decode::Decoded;
use crate::data::source::{Reader, SourceFile};
use crate::util::hash::hex;

/// Images decoded side by side.
pub(super) const CHUNK: usize = 64;

/// An image on its way into the cache.
pub(super) struct Ready {
    /// Its content.
    pub key: Key,
    /// Nothing if it is there already.
    pub new: Option<(u128, [usize; 3], Vec<u8>)>,
}

/// A source being read.
pub(super) struct Collecting<'a> {
    /// Where images go.
    pub shelf: &'a mut Shelf,
    /// What is known of files.
    pub listing: &'a mut Listing,
    /// Hears how many images were read so far.
    pub tell: &'a dyn Fn(usize),
    /// Images read so far.
    pub read: usize,
    /// Since when.
    pub begun: Instant,
    /// When they were made lasting last.
    pub kept: Instant,
    /// How often that is done.
    pub every: Duration,
}

impl Collecting<'_> {
    /// `count` more images were read; now and then all of them are made lasting.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), CacheError> {
        self.read += count;
        (self.tell)(self.read);
        if self.kept.elapsed() >= self.every.max(self.begun.elapsed() / 20) {
            self.keep()?;
        }
        Ok(())
    }

    /// Makes lasting what was read.
    pub(super) fn keep(&mut self) -> Result<(), CacheError> {
        self.shelf.commit()?;
        self.listing.save();
        self.kept = Instant::now();
        Ok(())
    }
}

/// Of a file, and of the one with its labels.
pub(super) fn stamp_of(file: &SourceFile) -> std::io::Result<Stamp> {
    let stamp = Stamp::at(&file.path)?;
    match &file.reader {
        Reader::Idx(labels) => Ok(stamp.and(Stamp::at(labels)?)),
        _ => Ok(stamp),
    }
}

/// An image as the shelf keeps it.
pub(super) fn fitted(key: Key, image: &Decoded, shelf: &Shelf) -> Ready {
    let new = (!shelf.has(&key)).then(|| {
        let pixels = fit(image, shelf.dims(), shelf.fit());
        (difference_hash(image), image.dims, pixels)
    });
    Ready { key, new }
}

/// Puts an image on the shelf; what the listing remembers of it.
pub(super) fn member(
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
