//! Images of one size, wherever their bytes lie: in memory, or in files of the image cache.
//!
//! A set is a list of rows in stores, so a part of a set, or two sets together, copy no pixels,
//! and a set may be larger than the memory. Cached pixels are read where they are needed, by
//! positioned reads: the operating system's page cache keeps the recent ones, which is the cache
//! that a memory map would use too, without a map's undefined behavior when the file changes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::Segment;

/// Where pixels lie.
enum Store {
    Memory(Vec<u8>),
    Cached(Segment),
}

/// Images of one size, u8, NHWC.
#[derive(Clone, Default)]
pub struct Images {
    /// Height, width, channels (1 grey, 3 RGB).
    pub dims: [usize; 3],
    stores: Vec<Arc<Store>>,
    /// Store and row of each image.
    rows: Vec<(u32, u32)>,
    /// File of each image; empty where the set has no files.
    names: Vec<Arc<str>>,
}

impl Images {
    /// In memory: `len * h * w * c` bytes.
    pub fn new(dims: [usize; 3], pixels: Vec<u8>) -> Self {
        let stride = dims.iter().product::<usize>().max(1);
        Self {
            dims,
            rows: (0..(pixels.len() / stride) as u32)
                .map(|i| (0, i))
                .collect(),
            stores: vec![Arc::new(Store::Memory(pixels))],
            names: Vec::new(),
        }
    }

    /// Rows of cached segments of the same size: for each image segment, row and file name.
    pub fn cached(
        dims: [usize; 3],
        segments: Vec<Segment>,
        places: impl IntoIterator<Item = ((u32, u32), Arc<str>)>,
    ) -> Self {
        let (rows, names) = places.into_iter().unzip();
        let stores = segments.into_iter().map(|s| Arc::new(Store::Cached(s)));
        Self {
            dims,
            stores: stores.collect(),
            rows,
            names,
        }
    }

    /// Bytes of one image.
    pub fn stride(&self) -> usize {
        self.dims.iter().product()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Image `i`, row-major. One that can't be read any more is black, and [`Self::failure`]
    /// says so.
    pub fn get(&self, i: usize) -> Cow<'_, [u8]> {
        let (store, row) = self.rows[i];
        match &*self.stores[store as usize] {
            Store::Memory(pixels) => {
                Cow::Borrowed(&pixels[row as usize * self.stride()..][..self.stride()])
            }
            Store::Cached(segment) => Cow::Owned(segment.pixels(row as usize)),
        }
    }

    /// The file of image `i`, or its number.
    pub fn name(&self, i: usize) -> String {
        match self.names.get(i) {
            Some(name) => name.to_string(),
            None => format!("image {i}"),
        }
    }

    /// The images at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let names = if self.names.is_empty() {
            Vec::new()
        } else {
            indices.iter().map(|i| self.names[*i].clone()).collect()
        };
        Self {
            dims: self.dims,
            stores: self.stores.clone(),
            rows: indices.iter().map(|i| self.rows[*i]).collect(),
            names,
        }
    }

    /// These images, then `others` of the same size.
    pub fn and(&self, others: &Self) -> Self {
        let mut both = self.clone();
        let shift = both.stores.len() as u32;
        both.stores.extend(others.stores.iter().cloned());
        both.rows
            .extend(others.rows.iter().map(|(s, r)| (s + shift, *r)));
        if !(self.names.is_empty() && others.names.is_empty()) {
            both.names = (0..self.len())
                .map(|i| self.name(i))
                .chain((0..others.len()).map(|i| others.name(i)))
                .map(Arc::from)
                .collect();
        }
        both
    }

    /// Sum of all bytes.
    pub fn sum(&self) -> u64 {
        (0..self.len())
            .into_par_iter()
            .map(|i| {
                let (store, row) = self.rows[i];
                match &*self.stores[store as usize] {
                    Store::Memory(_) => self.get(i).iter().map(|p| u64::from(*p)).sum(),
                    Store::Cached(segment) => u64::from(segment.entry(row as usize).sum),
                }
            })
            .sum()
    }

    /// Feeds what the images are into a hash: pixels in memory; of cached ones the file's
    /// SHA-256, which with the size fixes the pixels.
    pub fn digest(&self, sha: &mut Sha256) {
        for (i, (store, row)) in self.rows.iter().enumerate() {
            match &*self.stores[*store as usize] {
                Store::Memory(_) => sha.update(self.get(i)),
                Store::Cached(segment) => sha.update(segment.entry(*row as usize).key),
            }
        }
        if self.stores.iter().any(|s| matches!(**s, Store::Cached(_))) {
            for d in self.dims {
                sha.update((d as u64).to_le_bytes());
            }
        }
    }

    /// Why an image could not be read, once that has happened.
    pub fn failure(&self) -> Option<String> {
        self.stores.iter().find_map(|s| match &**s {
            Store::Memory(_) => None,
            Store::Cached(segment) => segment.failure(),
        })
    }
}

impl PartialEq for Images {
    fn eq(&self, other: &Self) -> bool {
        self.dims == other.dims
            && self.len() == other.len()
            && (0..self.len()).all(|i| self.get(i) == other.get(i))
    }
}

impl Eq for Images {}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images of {:?}", self.len(), self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_unions_show_the_same_pixels() {
        let all = Images::new([1, 2, 1], vec![0, 1, 10, 11, 20, 21]);
        let part = all.select(&[2, 0]);
        assert_eq!(*part.get(0), [20, 21]);
        let both = part.and(&Images::new([1, 2, 1], vec![7, 8]));
        let pixels: Vec<u8> = (0..both.len()).flat_map(|i| both.get(i).to_vec()).collect();
        assert_eq!(pixels, [20, 21, 0, 1, 7, 8]);
        assert_eq!(both.sum(), 57);
        assert_eq!(part, Images::new([1, 2, 1], vec![20, 21, 0, 1]));
        assert_ne!(part, Images::new([1, 2, 1], vec![20, 21, 0, 2]));
        assert_eq!(both.name(2), "image 2");
        assert!(both.failure().is_none());
    }
}
