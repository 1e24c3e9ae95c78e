//! Classes and parts by the names of folders.
//!
//! `CLASS/…/image`, or `train/CLASS/…/image` beside `test/`, `validation/` and `unlabeled/`; a
//! folder around all of it, as archives have, is passed over.

use crate::data::parts::Part;

/// What the folders say of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Class, if it lies in a class folder.
    pub class: Option<String>,
    /// Part, if a folder above the classes is one.
    pub part: Option<Part>,
}

/// Places images by their paths within the source. One without class and part lies outside of
/// all class folders.
pub(crate) fn layout(names: &[&str]) -> Vec<Placement> {
    let mut split: Vec<Vec<&str>> = names
        .iter()
        .map(|n| {
            n.split('/')
                .filter(|s| !s.is_empty() && *s != ".")
                .collect()
        })
        .collect();
    // Folders around everything: each image must keep a class folder.
    while let Some(first) = split.first().and_then(|s| s.first()).copied()
        && Part::of_word(first).is_none()
        && split.iter().all(|s| s.len() >= 3 && s[0] == first)
    {
        for s in &mut split {
            s.remove(0);
        }
    }
    let parted = split
        .iter()
        .any(|s| s.len() >= 3 && matches!(Part::of_word(s[0]), Some(Part::Train | Part::Test)));
    split
        .into_iter()
        .map(|s| {
            let part = s
                .first()
                .filter(|_| s.len() >= 2)
                .and_then(|w| Part::of_word(w));
            match part {
                Some(Part::Unlabeled) => Placement { class: None, part },
                Some(_) if parted => Placement {
                    class: s.get(1).filter(|_| s.len() >= 3).map(|c| (*c).to_owned()),
                    part,
                },
                _ if parted => Placement::default(),
                _ => Placement {
                    class: s.first().filter(|_| s.len() >= 2).map(|c| (*c).to_owned()),
                    part: None,
                },
            }
        })
        .map(|p| {
            // A loose image in train/ or test/ has a part and no class: outside of all classes.
            let loose = p.class.is_none() && p.part != Some(Part::Unlabeled);
            if loose { Placement::default() } else { p }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<(String, Option<Part>)> {
        layout(names)
            .into_iter()
            .map(|p| (p.class.unwrap_or_default(), p.part))
            .collect()
    }

    #[test]
    fn class_folders_at_the_top_or_below_parts() {
        let plain = of(&[
            "cat/1.png",
            "dog/deep/2.png",
            "loose.png",
            "unlabeled/3.png",
        ]);
        assert_eq!(plain[0], ("cat".into(), None));
        assert_eq!(plain[1], ("dog".into(), None));
        assert_eq!(plain[2], (String::new(), None));
        assert_eq!(plain[3], (String::new(), Some(Part::Unlabeled)));
        let parts = of(&[
            "set/train/cat/1.png",
            "set/Test/cat/2.png",
            "set/val/dog/3.png",
            "set/unlabeled/4.png",
            "set/train/loose.png",
            "set/extra/cat/5.png",
        ]);
        assert_eq!(parts[0], ("cat".into(), Some(Part::Train)));
        assert_eq!(parts[1], ("cat".into(), Some(Part::Test)));
        assert_eq!(parts[2], ("dog".into(), Some(Part::Validation)));
        assert_eq!(parts[3], (String::new(), Some(Part::Unlabeled)));
        assert_eq!(parts[4], (String::new(), None));
        assert_eq!(parts[5], (String::new(), None));
    }

    #[test]
    fn a_class_called_test_is_a_class_where_no_classes_lie_below() {
        assert_eq!(of(&["test/1.png", "rest/2.png"])[0], ("test".into(), None));
        assert_eq!(
            of(&["./a/cat/1.png", "./a/dog/2.png"])[1],
            ("dog".into(), None)
        );
        assert!(layout(&[]).is_empty());
    }
}
