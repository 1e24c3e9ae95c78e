//! The nearest of many hashes, without comparing with each of them.
//!
//! Multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012): hashes are cut into m bands, and
//! each band has a table. Of two hashes that differ in at most r bits, some band differs in at
//! most r/m. So the tables are asked for all keys that near, and only what they name is compared.

use std::ops::Range;

use pulp::Arch;

/// Below this many different hashes all are compared.
const FEW: usize = 512;
/// Above this many, bands are longer, so that tables name fewer.
const MANY: usize = 1 << 18;
/// Following a table takes so many times as long as comparing the next hash of all.
const DEAR: usize = 4;

/// Hashes that can be searched.
#[derive(Debug)]
pub(super) struct HashIndex {
    most_bits: u32,
    most: usize,
    /// Different ones, scattered.
    hashes: Vec<u128>,
    /// Where each one's owners begin; one more at the end.
    starts: Vec<u32>,
    /// The first owners of each, ascending: no search gives more.
    owners: Vec<u32>,
    bands: Vec<Band>,
    /// For each radius what a key within it differs in.
    masks: Vec<Vec<u32>>,
}

/// A part of every hash, and a table of the hashes by it.
#[derive(Debug)]
struct Band {
    shift: u32,
    bits: u32,
    starts: Vec<u32>,
    ids: Vec<u32>,
    /// The hash of each of `ids`: what is compared lies side by side.
    hashes: Vec<u128>,
}

/// The same bits in another order, in which neighbors come from far apart. Bits of neighboring
/// pixels are much alike, and tables by them would be filled unevenly.
fn scattered(hash: u128) -> u128 {
    // 37 is odd, so every bit comes once.
    (0..128).fold(0, |all, i| all | (hash >> (i * 37 % 128) & 1) << i)
}

impl HashIndex {
    /// Of `hashes`, for searches for at most `most` that differ in at most `most_bits`.
    pub(super) fn new(hashes: &[u128], most_bits: u32, most: usize) -> Self {
        let hashes = hashes.iter().map(|h| scattered(*h));
        let mut pairs: Vec<(u128, u32)> = hashes.zip(0u32..).collect();
        pairs.sort_unstable();
        let (mut different, mut starts, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            different.push(group[0].0);
            starts.push(owners.len() as u32);
            owners.extend(group.iter().take(most).map(|p| p.1));
        }
        starts.push(owners.len() as u32);
        let bands = match different.len() {
            n if n < FEW => Vec::new(),
            n if n < MANY => Band::cut(&different, &[16; 8]),
            _ => Band::cut(&different, &[22, 22, 21, 21, 21, 21]),
        };
        let mut index = Self {
            most_bits,
            most,
            hashes: different,
            starts,
            owners,
            bands: Vec::new(),
            masks: Vec::new(),
        };
        index.set_bands(bands);
        index
    }

    fn set_bands(&mut self, bands: Vec<Band>) {
        let longest = bands.iter().map(|b| b.bits).max().unwrap_or(0);
        let radius = self.most_bits.checked_div(bands.len() as u32);
        let radii = radius.map(|most| 0..=most).into_iter().flatten();
        self.masks = radii.map(|ones| masks(longest, ones).collect()).collect();
        self.bands = bands;
    }

    /// Owners of the nearest hashes, in ascending order of bits that differ, then of owners.
    pub(super) fn nearest(&self, hash: u128) -> Vec<usize> {
        let hash = scattered(hash);
        // With the processor's own count of bits.
        let mut found = Arch::new().dispatch(Search { index: self, hash });
        found.sort_unstable();
        let mut all: Vec<(u32, u32)> = Vec::new();
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            if all.len() >= self.most {
                break;
            }
            all.extend(
                same.iter()
                    .flat_map(|(bits, id)| self.owners_of(*id).iter().map(|o| (*bits, *o))),
            );
        }
        all.sort_unstable();
        all.truncate(self.most);
        all.into_iter().map(|(_, owner)| owner as usize).collect()
    }

    fn owners_of(&self, id: u32) -> &[u32] {
        let id = id as usize;
        &self.owners[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    /// Different bits and number of every hash that is near, or of enough nearest ones.
    #[inline(always)]
    fn near(&self, hash: u128) -> Vec<(u32, u32)> {
        if self.bands.is_empty() {
            return self.compare_all(hash);
        }
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut compared = 0;
        // All hashes nearer than `bands * radius` are found by bands that differ in less than
        // `radius`.
        for (radius, masks) in (1u32..).zip(&self.masks) {
            for band in &self.bands {
                let own = band.key(hash);
                // Ascending: those of a shorter band come first.
                for mask in masks.iter().take_while(|m| **m < 1 << band.bits) {
                    let bucket = band.bucket(own ^ mask);
                    compared += bucket.len();
                    // Hashes that are much alike: no table is of use.
                    if compared > self.hashes.len() / DEAR {
                        return self.compare_all(hash);
                    }
                    for (at, other) in bucket.clone().zip(&band.hashes[bucket]) {
                        let bits = (other ^ hash).count_ones();
                        if bits <= self.most_bits {
                            found.push((bits, band.ids[at]));
                        }
                    }
                }
            }
            found.sort_unstable();
            found.dedup();
            let complete = self.bands.len() as u32 * radius;
            let sure = found.iter().take_while(|(bits, _)| *bits < complete);
            let owners: usize = sure.map(|(_, id)| self.owners_of(*id).len()).sum();
            if owners >= self.most {
                break;
            }
        }
        found
    }

    #[inline(always)]
    fn compare_all(&self, hash: u128) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for (id, other) in self.hashes.iter().enumerate() {
            let bits = (other ^ hash).count_ones();
            if bits <= self.most_bits {
                found.push((bits, id as u32));
            }
        }
        found
    }
}

/// One search, for the instruction set that is there.
struct Search<'a> {
    index: &'a HashIndex,
    hash: u128,
}

impl pulp::NullaryFnOnce for Search<'_> {
    type Output = Vec<(u32, u32)>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.index.near(self.hash)
    }
}

impl Band {
    /// Tables of parts of the given numbers of bits, which are 128 together.
    fn cut(hashes: &[u128], lengths: &[u32]) -> Vec<Self> {
        let mut shift = 0;
        let bands = lengths.iter().map(|bits| {
            shift += bits;
            Self::new(hashes, shift - bits, *bits)
        });
        bands.collect()
    }

    fn new(hashes: &[u128], shift: u32, bits: u32) -> Self {
        let mut band = Self {
            shift,
            bits,
            starts: vec![0; (1 << bits) + 1],
            ids: vec![0; hashes.len()],
            hashes: vec![0; hashes.len()],
        };
        for hash in hashes {
            let key = band.key(*hash) as usize;
            band.starts[key + 1] += 1;
        }
        for key in 0..1 << bits {
            band.starts[key + 1] += band.starts[key];
        }
        let mut next = band.starts.clone();
        for (hash, id) in hashes.iter().zip(0u32..) {
            let place = &mut next[band.key(*hash) as usize];
            band.ids[*place as usize] = id;
            band.hashes[*place as usize] = *hash;
            *place += 1;
        }
        band
    }

    fn key(&self, hash: u128) -> u32 {
        (hash >> self.shift) as u32 & ((1 << self.bits) - 1)
    }

    fn bucket(&self, key: u32) -> Range<usize> {
        self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize
    }
}

/// All numbers of `bits` bits of which `ones` are 1, ascending (Gosper's way from one to the
/// next).
fn masks(bits: u32, ones: u32) -> impl Iterator<Item = u32> {
    let first = (1u64 << ones) - 1;
    std::iter::successors(Some(first), move |mask| {
        if *mask == 0 {
            return None;
        }
        let low = mask & mask.wrapping_neg();
        let carried = mask + low;
        Some((((carried ^ mask) >> 2) / low) | carried)
    })
    .take_while(move |mask| *mask < 1 << bits)
    .map(|mask| mask as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;

    /// The definition: all compared, sorted, cut.
    fn quadratic(hashes: &[u128], hash: u128, most_bits: u32, most: usize) -> Vec<usize> {
        let mut all: Vec<(u32, usize)> = hashes
            .iter()
            .enumerate()
            .map(|(i, h)| ((h ^ hash).count_ones(), i))
            .filter(|(bits, _)| *bits <= most_bits)
            .collect();
        all.sort_unstable();
        all.truncate(most);
        all.into_iter().map(|(_, i)| i).collect()
    }

    #[test]
    fn scattering_keeps_distances() {
        for (a, b) in [(0, u128::MAX), (1 << 77, 1 << 3), (12_345, 77)] {
            let far = (scattered(a) ^ scattered(b)).count_ones();
            assert_eq!(far, (a ^ b).count_ones());
        }
    }

    #[test]
    fn masks_are_all_that_have_so_many_ones() {
        for (bits, ones, count) in [(16, 0, 1), (16, 1, 16), (16, 2, 120), (22, 2, 231)] {
            let all: Vec<u32> = masks(bits, ones).collect();
            assert_eq!(all.len(), count);
            assert!(all.iter().all(|m| m.count_ones() == ones && *m < 1 << bits));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Hashes around `centers`, `spread` bits off: from all alike to none.
        #[test]
        fn the_index_finds_what_comparing_all_finds(
            seed in any::<u64>(),
            count in 1usize..3000,
            centers in 1usize..3000,
            spread in 0u32..24,
            long in any::<bool>(),
        ) {
            let mut rng = crate::util::random::stream(seed, "hashes", 0);
            let centers: Vec<u128> = (0..centers).map(|_| rng.random()).collect();
            let mut draw = || {
                let mut hash = centers[rng.random_range(0..centers.len())];
                for _ in 0..rng.random_range(0..=spread) {
                    hash ^= 1 << rng.random_range(0..128);
                }
                hash
            };
            let hashes: Vec<u128> = (0..count).map(|_| draw()).collect();
            let mut index = HashIndex::new(&hashes, 16, 64);
            if long {
                let bands = Band::cut(&index.hashes, &[22, 22, 21, 21, 21, 21]);
                index.set_bands(bands);
            }
            for _ in 0..20 {
                let hash = draw();
                prop_assert_eq!(index.nearest(hash), quadratic(&hashes, hash, 16, 64));
            }
        }
    }
}
