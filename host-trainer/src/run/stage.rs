//! The six stages by name.

/// The six stages in order; their words are the same in commands, folders and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A net on the labeled images.
    Teacher,
    /// The teacher's answers for the unlabeled images.
    PseudoLabels,
    /// A net of the teacher's size on labels and unlabeled images.
    Student,
    /// The net for the chip, taught by the student.
    Distill,
    /// Ranges and int8 accuracy.
    Quantize,
    /// `student.pupil`.
    Pack,
}

impl Stage {
    /// All six, in order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Teacher,
        Self::PseudoLabels,
        Self::Student,
        Self::Distill,
        Self::Quantize,
        Self::Pack,
    ];

    /// The stage's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::PseudoLabels => "pseudo-labels",
            Self::Student => "student",
            Self::Distill => "distill",
            Self::Quantize => "quantize",
            Self::Pack => "pack",
        }
    }

    /// 1 to 6.
    pub(crate) fn number(self) -> usize {
        self as usize + 1
    }

    /// The stage's folder: `1-teacher` to `6-pack`.
    pub(crate) fn folder(self) -> String {
        format!("{}-{}", self.number(), self.word())
    }
}

/// Which stages to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All that are not done.
    All,
    /// This one; those before it must be done.
    Only(Stage),
}
