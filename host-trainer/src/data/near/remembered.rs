//! What a search for near copies has found, so that an unchanged set is not searched again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::cache::Shelf;
use crate::util::hash::hex;

/// A change of how near copies are told makes another name of all.
const VERSION: &[u8] = b"near copies 2";
/// Smaller searches take no longer than remembering.
const LEAST_PAIRS: usize = 10_000_000;

/// One search in the cache.
pub(super) struct Remembered {
    name: Option<String>,
    images: usize,
    others: usize,
}

impl Remembered {
    /// The search for copies of `others` among `images`, by what they are.
    pub(super) fn of(images: &[(u32, u32)], others: &[(u32, u32)], shelf: &Shelf) -> Self {
        let name = (images.len().saturating_mul(others.len()) >= LEAST_PAIRS).then(|| {
            let mut sha = Sha256::new();
            sha.update(VERSION);
            for set in [images, others] {
                sha.update((set.len() as u64).to_le_bytes());
                for place in set {
                    sha.update(shelf.entry(*place).key);
                }
            }
            hex(&sha.finalize()[..16])
        });
        Self {
            name,
            images: images.len(),
            others: others.len(),
        }
    }

    /// What it found, if it was made before. A file that is about another search, or names images that
    /// are not there, says nothing.
    pub(super) fn found(&self, shelf: &Shelf) -> Option<Vec<Option<usize>>> {
        let name = self.name.as_deref()?;
        let kept: Kept = serde_json::from_slice(&shelf.remembered(name)?).ok()?;
        if (kept.search.as_str(), kept.images, kept.others) != (name, self.images, self.others) {
            return None;
        }
        let mut found = vec![None; self.images];
        for (image, other) in kept.pairs {
            *found.get_mut(image)? = Some(Some(other).filter(|o| *o < self.others)?);
        }
        Some(found)
    }

    /// Keeps what it found. Failure is silent: it is only made again.
    pub(super) fn keep(&self, found: &[Option<usize>], shelf: &Shelf) {
        let Some(name) = &self.name else {
            return;
        };
        let pairs = found.iter().enumerate();
        let kept = Kept {
            search: name.clone(),
            images: self.images,
            others: self.others,
            pairs: pairs.filter_map(|(i, o)| Some((i, (*o)?))).collect(),
        };
        if let Ok(json) = serde_json::to_vec(&kept) {
            shelf.remember(name, &json);
        }
    }
}

/// A search in its file.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Its name: a digest of both sets.
    search: String,
    images: usize,
    others: usize,
    /// An image and what it is a copy of.
    pairs: Vec<(usize, usize)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cache::Cache;
    use crate::data::fit::Fit;

    #[test]
    fn a_search_is_remembered_until_an_image_changes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let mut shelf = cache.shelf([1, 1, 1], Fit::Crop).unwrap();
        for i in 0..9 {
            shelf.add([i; 32], 0, [1, 1, 1], &[i]).unwrap();
        }
        shelf.commit().unwrap();
        let places: Vec<_> = (0..9).map(|i| shelf.place(&[i; 32]).unwrap()).collect();
        let many: Vec<_> = (0..5000).map(|i| places[i % 7]).collect();
        let search = |last| {
            let mut others = many.clone();
            others[4999] = places[last];
            Remembered::of(&many, &others, &shelf)
        };
        let mut found = vec![None; 5000];
        found[77] = Some(3);
        assert_eq!(search(7).found(&shelf), None);
        search(7).keep(&found, &shelf);
        assert_eq!(search(7).found(&shelf), Some(found));
        assert_eq!(search(8).found(&shelf), None);
        // A file under another one's name.
        let (seven, eight) = (search(7).name.unwrap(), search(8).name.unwrap());
        let json = shelf.remembered(&seven).unwrap();
        shelf.remember(&eight, &json);
        assert_eq!(search(8).found(&shelf), None);
        // A small one is made each time.
        let small = Remembered::of(&places, &places, &shelf);
        small.keep(&[None; 9], &shelf);
        assert_eq!(small.found(&shelf), None);
    }
}
