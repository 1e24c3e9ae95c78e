//! What this host runs of a packed model from outside.
//!
//! `Model::parse` proves that a model is safe to run, not that it is reasonable: a small file may
//! declare an arena of gigabytes, hours of work, or frames that no photo can become.

use pupil_core::model::{Model, PixelFormat};
use thiserror::Error;

/// Most bytes of an arena; there is one for each thread. EfficientNet-B7 at 600 pixels takes less
/// than 64 MiB.
pub(crate) const MOST_ARENA: usize = 256 << 20;

/// Most bytes of a frame.
pub(crate) const MOST_FRAME: usize = 64 << 20;

/// Most values that operators read for one image: just above EfficientNet-B7's at 600 pixels, which has
/// 37 billion multiply-accumulates.
pub(crate) const MOST_WORK: u64 = 40_000_000_000;

/// Why the host does not run a model.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Too large an arena.
    #[error(
        "it declares an arena of {arena} bytes; this program runs models of up to {MOST_ARENA}"
    )]
    Arena {
        /// Declared bytes.
        arena: usize,
    },
    /// Too large a frame.
    #[error("its frame has {frame} bytes; this program makes frames of up to {MOST_FRAME}")]
    Frame {
        /// Bytes of a frame.
        frame: u64,
    },
    /// Too long a run.
    #[error("it reads {work} values for one image; this program runs models of up to {MOST_WORK}")]
    Work {
        /// Values read.
        work: u64,
    },
    /// No photo can become its frame.
    #[error(
        "it reads raw sensor frames of {channels} channels; this program makes grey and RGB frames from images"
    )]
    Sensor {
        /// Channels of a frame.
        channels: usize,
    },
    /// Frames of another size than the images given.
    #[error("it reads frames of {wanted:?} (height, width, channels); the images have {found:?}")]
    Size {
        /// The model's.
        wanted: [usize; 3],
        /// The images'.
        found: [usize; 3],
    },
}

/// Whether this host runs `model`.
///
/// # Errors
/// The first limit that it exceeds.
pub(crate) fn check(model: &Model<'_>) -> Result<(), Refused> {
    let arena = model.arena_len();
    if arena > MOST_ARENA {
        return Err(Refused::Arena { arena });
    }
    let input = model.input();
    let shape = input.shape;
    let frame = shape.volume();
    if frame > MOST_FRAME as u64 {
        return Err(Refused::Frame { frame });
    }
    let work = model.work();
    if work > MOST_WORK {
        return Err(Refused::Work { work });
    }
    match (input.format, shape.c) {
        (PixelFormat::Grey8, 1) | (PixelFormat::Rgb888, 3) => Ok(()),
        (_, channels) => Err(Refused::Sensor { channels }),
    }
}

/// [`check`], and whether images of `dims` are its frames.
///
/// # Errors
/// As [`check`]; another size.
pub(crate) fn check_frames(model: &Model<'_>, found: [usize; 3]) -> Result<(), Refused> {
    check(model)?;
    let shape = model.input().shape;
    let wanted = [shape.h, shape.w, shape.c];
    if wanted == found {
        Ok(())
    } else {
        Err(Refused::Size { wanted, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pupil_core::model::InputSpec;
    use pupil_core::op::quant::Affine;
    use pupil_core::op::shape::Shape;
    use pupil_packer::{ModelBuilder, Pad, Pool};

    /// Frames of `[h, w, c]` in `format`, and their mean's softmax.
    fn packed([h, w, c]: [usize; 3], format: PixelFormat) -> Vec<u8> {
        let affine = Affine {
            scale: 0.1,
            zero_point: 0,
        };
        let labels: Vec<String> = (0..c).map(|i| i.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let shape = Shape::new(h, w, c);
        let input = InputSpec {
            shape,
            format,
            affine,
        };
        let mut builder = ModelBuilder::new(input, &labels);
        let all = builder.input();
        // A mean takes up to 2^23 pixels.
        let side = if h > 255 { 255 } else { 2 };
        let pool = Pool {
            kernel: (side, side),
            stride: (side, side),
            pad: Pad::Same,
            act: (-128, 127),
        };
        let map = builder.max_pool(all, pool).unwrap();
        let mean = builder.mean(map, affine).unwrap();
        builder.softmax(mean).unwrap();
        builder.finish().unwrap()
    }

    #[test]
    fn frames_that_no_photo_can_become_are_refused() {
        let refused = |dims, format| check(&Model::parse(&packed(dims, format)).unwrap());
        assert_eq!(refused([8, 8, 1], PixelFormat::Grey8), Ok(()));
        assert_eq!(refused([8, 8, 3], PixelFormat::Rgb888), Ok(()));
        for channels in [1, 3, 4] {
            let found = refused([8, 8, channels], PixelFormat::Raw8);
            assert_eq!(found, Err(Refused::Sensor { channels }));
        }
        let bytes = packed([8, 8, 1], PixelFormat::Grey8);
        let model = Model::parse(&bytes).unwrap();
        assert_eq!(check_frames(&model, [8, 8, 1]), Ok(()));
        assert!(check_frames(&model, [8, 9, 1]).is_err());
    }

    #[test]
    fn an_arena_of_gigabytes_is_refused_and_not_reserved() {
        let bytes = packed([20_000, 30_000, 1], PixelFormat::Grey8);
        assert!(bytes.len() < 1000);
        let model = Model::parse(&bytes).unwrap();
        assert!(matches!(check(&model), Err(Refused::Arena { .. })));
    }

    #[test]
    fn a_small_file_that_asks_for_minutes_of_work_is_refused() {
        let affine = Affine {
            scale: 0.1,
            zero_point: 0,
        };
        let input = InputSpec {
            shape: Shape::new(255, 255, 1),
            format: PixelFormat::Grey8,
            affine,
        };
        let mut builder = ModelBuilder::new(input, &["a"]);
        let pool = Pool {
            kernel: (255, 255),
            stride: (1, 1),
            pad: Pad::Same,
            act: (-128, 127),
        };
        let mut map = builder.input();
        for _ in 0..1000 {
            map = builder.average_pool(map, pool).unwrap();
        }
        builder.mean(map, affine).unwrap();
        let bytes = builder.finish().unwrap();
        assert!(bytes.len() < 60_000, "{}", bytes.len());
        let model = Model::parse(&bytes).unwrap();
        let work = 1000 * 255u64.pow(4) + 255 * 255;
        assert_eq!(
            (model.macs(), check(&model)),
            (0, Err(Refused::Work { work }))
        );
    }
}
