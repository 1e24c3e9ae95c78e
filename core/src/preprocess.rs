//! From camera frames to model frames, integers only: the host uses the same code.

use crate::op::shape::Shape;

/// Why a frame can't be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PreprocessError {
    /// The source has another length than its size says.
    Source {
        /// Bytes of its height, width and pixel size.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// The target has another length than its size says.
    Target {
        /// Bytes of its height, width and channels.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// Enlarging, another channel count, or an empty side.
    Size,
}

/// Box average of `source` (`from`, u8, channels interleaved) down to `target` (`to`, the same
/// channels). Each target pixel is the rounded mean of the source pixels whose place falls into
/// it; sides need not divide.
///
/// # Errors
/// Slices that do not fit their sizes, or a target larger than the source.
pub fn shrink(
    source: &[u8],
    from: Shape,
    target: &mut [u8],
    to: Shape,
) -> Result<(), PreprocessError> {
    check(source.len(), from.volume(), target.len(), to)?;
    if to.h > from.h || to.w > from.w || to.c != from.c {
        return Err(PreprocessError::Size);
    }
    for (i, pixel) in target.chunks_exact_mut(to.c).enumerate() {
        let rows = span(i / to.w, from.h, to.h);
        let columns = span(i % to.w, from.w, to.w);
        let count = rows.len() as u64 * columns.len() as u64;
        for (k, out) in pixel.iter_mut().enumerate() {
            // Of a large photo a single pixel may be the mean of 2^24 and more.
            let mut sum = count / 2;
            for y in rows.clone() {
                for x in columns.clone() {
                    sum += source
                        .get((y * from.w + x) * from.c + k)
                        .copied()
                        .map_or(0, u64::from);
                }
            }
            *out = (sum / count.max(1)) as u8;
        }
    }
    Ok(())
}

/// RGB565, two bytes a pixel, high byte first, to grey: (77 r + 150 g + 29 b) / 256.
///
/// # Errors
/// Slices that do not fit `h * w` pixels.
pub fn rgb565_to_grey(
    source: &[u8],
    target: &mut [u8],
    h: usize,
    w: usize,
) -> Result<(), PreprocessError> {
    let pixels = Shape::new(h, w, 1);
    check(
        source.len(),
        pixels.volume().saturating_mul(2),
        target.len(),
        pixels,
    )?;
    for (bytes, out) in source.as_chunks::<2>().0.iter().zip(target) {
        let word = u32::from(u16::from_be_bytes(*bytes));
        let (r, g, b) = (word >> 11, word >> 5 & 63, word & 31);
        // Five and six bits to eight: the upper bits fill the lower ones.
        let (r, g, b) = (r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2);
        *out = ((77 * r + 150 * g + 29 * b + 128) >> 8) as u8;
    }
    Ok(())
}

fn check(got: usize, needed: u64, target: usize, to: Shape) -> Result<(), PreprocessError> {
    if to.is_empty() {
        return Err(PreprocessError::Size);
    }
    // No slice is longer than a usize says: a size beyond that is one that no slice has.
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if got as u64 != needed {
        let needed = bytes(needed);
        return Err(PreprocessError::Source { needed, got });
    }
    if target as u64 != to.volume() {
        return Err(PreprocessError::Target {
            needed: bytes(to.volume()),
            got: target,
        });
    }
    Ok(())
}

/// The source positions of target position `i`; never empty when the target is not larger.
fn span(i: usize, from: usize, to: usize) -> core::ops::Range<usize> {
    i * from / to..(i + 1) * from / to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_four_pixels() {
        let mut out = [0; 2];
        let source = [0, 4, 10, 10, 2, 3, 10, 11];
        shrink(&source, Shape::new(2, 4, 1), &mut out, Shape::new(1, 2, 1)).unwrap();
        assert_eq!(out, [2, 10]);
    }

    #[test]
    fn same_size_copies_and_odd_ratios_cover_every_pixel() {
        let source: [u8; 35] = core::array::from_fn(|i| i as u8);
        let mut out = [0; 35];
        shrink(&source, Shape::new(5, 7, 1), &mut out, Shape::new(5, 7, 1)).unwrap();
        assert_eq!(out, source);
        let mut out = [0; 6];
        shrink(&[9; 35], Shape::new(5, 7, 1), &mut out, Shape::new(2, 3, 1)).unwrap();
        assert_eq!(out, [9; 6]);
    }

    #[test]
    fn sizes_are_checked() {
        let mut out = [0; 4];
        let two = Shape::new(2, 2, 1);
        assert_eq!(
            shrink(&[0; 3], two, &mut out, two),
            Err(PreprocessError::Source { needed: 4, got: 3 })
        );
        assert_eq!(
            shrink(&[0], Shape::new(1, 1, 1), &mut out, two),
            Err(PreprocessError::Size)
        );
        assert!(rgb565_to_grey(&[0; 8], &mut out[..3], 2, 2).is_err());
    }

    #[test]
    fn sizes_near_the_greatest_number_are_refused() {
        let huge = [
            usize::MAX,
            usize::MAX / 2 + 1,
            usize::MAX / 2,
            1 << (usize::BITS - 1),
        ];
        let mut out = [0; 4];
        for h in huge {
            for w in [1, 2, 3, usize::MAX] {
                for (h, w) in [(h, w), (w, h)] {
                    assert!(rgb565_to_grey(&[0; 8], &mut out, h, w).is_err());
                    let (large, two) = (Shape::new(h, w, 1), Shape::new(2, 2, 1));
                    assert!(shrink(&[0; 4], large, &mut out, two).is_err());
                    assert!(shrink(&[0; 4], two, &mut out, large).is_err());
                    let channels = Shape::new(1, 1, h);
                    assert!(shrink(&[0; 4], channels, &mut out, channels).is_err());
                }
            }
        }
        // An empty side and huge ones: no bytes, no pixels.
        assert!(rgb565_to_grey(&[], &mut [], usize::MAX, 0).is_err());
    }

    #[test]
    fn the_mean_of_a_large_photo_is_right() {
        // 20 million white pixels: their sum exceeds 32 bits.
        let (source, from) = (std::vec![255; 4000 * 5000], Shape::new(4000, 5000, 1));
        let mut out = [0];
        shrink(&source, from, &mut out, Shape::new(1, 1, 1)).unwrap();
        assert_eq!(out, [255]);
    }

    #[test]
    fn rgb565_reaches_black_and_white() {
        let mut out = [7; 3];
        rgb565_to_grey(&[0, 0, 0xff, 0xff, 0x07, 0xe0], &mut out, 1, 3).unwrap();
        assert_eq!(out, [0, 255, 149]);
    }
}
