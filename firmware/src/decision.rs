//! From scores to an answer that an application acts on.
//!
//! One frame is little evidence: a hand before the lens, motion blur, a class in between. So a
//! frame counts only where its best score reaches a threshold, and an answer is given only after
//! several such frames in a row agree. Frames below the threshold are worth keeping: labeled,
//! they are what the next training learns most from.

use pupil_core::classify::top_k;

/// When an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Least score of a sure frame. After a softmax the probability is (score + 128) / 256: 51
    /// is 0.70, 77 is 0.80, 102 is 0.90.
    pub threshold: i8,
    /// Sure frames in a row that must agree; 0 counts as 1.
    pub agree: u8,
}

impl Default for Policy {
    /// Probability 0.70, every sure frame by itself.
    fn default() -> Self {
        Self {
            threshold: 51,
            agree: 1,
        }
    }
}

/// What one more frame has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Enough sure frames agree: act on the class.
    Answer,
    /// Sure, but not enough frames in a row yet.
    Waiting,
    /// Below the threshold: keep the frame for labeling.
    Unsure,
}

impl Decision {
    /// The word in the protocol.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Waiting => "waiting",
            Self::Unsure => "unsure",
        }
    }

    /// The decision of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Answer, Self::Waiting, Self::Unsure]
            .into_iter()
            .find(|d| d.word() == word)
    }
}

/// A frame's best class and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class with the greatest score; of equal ones the first.
    pub class: u16,
    /// Its score.
    pub score: i8,
    /// What to do.
    pub decision: Decision,
}

/// Applies a policy to a stream of scores.
#[derive(Clone, Debug)]
pub struct Decider {
    policy: Policy,
    class: u16,
    streak: u8,
}

impl Decider {
    /// Starts without any evidence.
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            class: 0,
            streak: 0,
        }
    }

    /// Takes the scores of the next frame; without scores it is unsure.
    pub fn update(&mut self, scores: &[i8]) -> Verdict {
        let best = top_k::<1>(scores);
        let (class, score) = best
            .first()
            .map_or((0, i8::MIN), |best| (best.index, best.score));
        if scores.is_empty() || score < self.policy.threshold {
            self.streak = 0;
            return Verdict {
                class,
                score,
                decision: Decision::Unsure,
            };
        }
        let same = self.streak > 0 && self.class == class;
        self.streak = if same {
            self.streak.saturating_add(1)
        } else {
            1
        };
        self.class = class;
        let enough = self.streak >= self.policy.agree;
        let decision = if enough {
            Decision::Answer
        } else {
            Decision::Waiting
        };
        Verdict {
            class,
            score,
            decision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(policy: Policy, frames: &[[i8; 2]]) -> Vec<Decision> {
        let mut decider = Decider::new(policy);
        frames
            .iter()
            .map(|scores| decider.update(scores).decision)
            .collect()
    }

    #[test]
    fn agreeing_frames_in_a_row_make_an_answer() {
        use Decision::{Answer, Unsure, Waiting};
        let policy = Policy {
            threshold: 50,
            agree: 2,
        };
        let (a, b, weak) = ([90, -90], [-90, 90], [20, -20]);
        assert_eq!(decisions(policy, &[a, a, a]), [Waiting, Answer, Answer]);
        assert_eq!(decisions(policy, &[a, b, a]), [Waiting; 3]);
        assert_eq!(
            decisions(policy, &[a, weak, a, a]),
            [Waiting, Unsure, Waiting, Answer]
        );
    }

    #[test]
    fn the_threshold_itself_is_sure() {
        let policy = Policy {
            threshold: 50,
            agree: 0,
        };
        assert_eq!(
            decisions(policy, &[[50, 0], [49, 0]]),
            [Decision::Answer, Decision::Unsure]
        );
    }

    #[test]
    fn the_best_class_is_named_even_if_unsure() {
        let mut decider = Decider::new(Policy::default());
        let verdict = decider.update(&[-100, 3, 3]);
        assert_eq!((verdict.class, verdict.score), (1, 3));
        assert_eq!(decider.update(&[]).decision, Decision::Unsure);
    }

    #[test]
    fn long_streaks_do_not_overflow() {
        let mut decider = Decider::new(Policy {
            threshold: 0,
            agree: 255,
        });
        let last = (0..1000).map(|_| decider.update(&[9, 1]).decision).last();
        assert_eq!(last, Some(Decision::Answer));
    }

    #[test]
    fn words_are_read_back() {
        for decision in [Decision::Answer, Decision::Waiting, Decision::Unsure] {
            assert_eq!(Decision::from_word(decision.word()), Some(decision));
        }
        assert_eq!(Decision::from_word("sure"), None);
    }
}
