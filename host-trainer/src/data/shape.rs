//! Which size the net sees, when the configuration leaves it open.

/// Largest side that is taken as it is when all images have one size.
const MOST_SAME: usize = 96;
/// Largest and least side otherwise.
const MOST: usize = 64;
const LEAST: usize = 16;

/// A size and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Height, width, channels.
    pub dims: [usize; 3],
    /// In words.
    pub why: String,
}

/// Chooses by the sizes of `images` (height, width, channels each); what `wanted` sets (not 0)
/// stands.
///
/// The rule: images of one size of at most 96 pixels a side keep it. Otherwise a square whose
/// side is the shorter side of the median image, at most 64, a multiple of 4. Grey if every
/// image is stored as grey, else RGB.
pub(crate) fn choose(images: &[[usize; 3]], wanted: [usize; 3]) -> Option<Shape> {
    let first = *images.first()?;
    let same = images.iter().all(|i| i[..2] == first[..2]);
    let keep = same && first[..2].iter().all(|s| (8..=MOST_SAME).contains(s));
    let (side, mut why) = if keep {
        (first, format!("all images are {}x{}", first[1], first[0]))
    } else {
        let mut sides: Vec<usize> = images.iter().map(|i| i[0].min(i[1])).collect();
        sides.sort_unstable();
        let median = sides[sides.len() / 2];
        let side = median.clamp(LEAST, MOST) / 4 * 4;
        let why =
            format!("the shorter side of the median image is {median}, at most {MOST} are used");
        ([side, side, 0], why)
    };
    let colored = images.iter().filter(|i| i[2] == 3).count();
    let channels = if colored == 0 { 1 } else { 3 };
    why += &match colored {
        0 => "; grey as all images".to_owned(),
        n => format!("; RGB as {n} of {} images", images.len()),
    };
    let chosen = [side[0], side[1], channels];
    let mut dims = wanted;
    for (d, c) in dims.iter_mut().zip(chosen) {
        if *d == 0 {
            *d = c;
        }
    }
    if wanted != [0; 3] {
        why = "by the configuration".to_owned();
    }
    Some(Shape { dims, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(images: &[[usize; 3]]) -> [usize; 3] {
        choose(images, [0; 3]).unwrap().dims
    }

    #[test]
    fn the_rule() {
        assert_eq!(dims(&[[28, 28, 1]; 5]), [28, 28, 1]);
        assert_eq!(dims(&[[32, 32, 3]; 5]), [32, 32, 3]);
        assert_eq!(dims(&[[96, 64, 1]; 2]), [96, 64, 1]);
        assert_eq!(dims(&[[3024, 4032, 3], [480, 640, 1]]), [64, 64, 3]);
        assert_eq!(dims(&[[50, 70, 1], [47, 90, 1], [60, 51, 1]]), [48, 48, 1]);
        assert_eq!(dims(&[[5, 5, 1]; 2]), [16, 16, 1]);
        assert_eq!(choose(&[], [0; 3]), None);
    }

    #[test]
    fn what_is_set_stands() {
        let shape = choose(&[[480, 640, 3]], [0, 80, 1]).unwrap();
        assert_eq!(
            (shape.dims, shape.why.as_str()),
            ([64, 80, 1], "by the configuration")
        );
    }
}
