//! Sets of one's own, whole and damaged.

use super::*;
use crate::data::formats::archive::tests::{tar, xz};
use image::{ImageFormat, Rgb, RgbImage};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::{Duration, SystemTime};

/// A scene that its number fixes; different numbers are no near copies.
fn scene(n: u32) -> RgbImage {
    let wave = |k: u32| f64::from(n.wrapping_mul(2_654_435_761).rotate_left(k) % 97) / 97.0;
    RgbImage::from_fn(48, 40, |x, y| {
        let (x, y) = (f64::from(x) / 48.0, f64::from(y) / 40.0);
        let a = (6.3 * (wave(3) * 3.0 * x + wave(9) * 3.0 * y + wave(17))).sin();
        let b = (6.3 * (wave(5) * 3.0 * x - wave(13) * 3.0 * y + wave(23))).sin();
        let v = |f: f64| (128.0 + 60.0 * f * a + 60.0 * (1.0 - f) * b) as u8;
        Rgb([v(0.2), v(0.5), v(0.8)])
    })
}

fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(n: u32) -> Vec<u8> {
    encoded(&scene(n), ImageFormat::Png)
}

/// Writes a file that looks an hour old.
fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(old)
        .unwrap();
}

/// Until files that were written may be remembered.
fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

/// `each` images of every class, numbered on from `first`.
fn classes(root: &Path, each: u32, first: u32) {
    for (i, class) in ["ant", "bee", "cat"].into_iter().enumerate() {
        for k in first..first + each {
            put(root, &format!("{class}/{k}.png"), &png(1000 * i as u32 + k));
        }
    }
}

fn request(labeled: &Path) -> Request {
    Request {
        labeled: labeled.to_owned(),
        unlabeled: None,
        wanted: [0; 3],
        fit: Fit::Crop,
        cut: Cut {
            validation: 0.2,
            test: 0.2,
            labels_per_class: 0,
        },
    }
}

fn opened(request: &Request, cache: &Path) -> (Dataset, DataReport) {
    settle();
    open(request, &Cache::at(cache), &|_| {}).unwrap()
}

/// Part of each image by its name.
fn parts(data: &Dataset) -> BTreeMap<String, &'static str> {
    let mut all = BTreeMap::new();
    for (word, images) in [
        ("train", &data.labeled.images),
        ("validation", &data.validation.images),
        ("test", &data.test.images),
        ("unlabeled", &data.unlabeled),
    ] {
        for i in 0..images.len() {
            all.entry(images.name(i)).or_insert(word);
        }
    }
    all
}

#[test]
fn photos_that_are_added_move_no_other() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(set.path(), 40, 0);
    let (data, report) = opened(&request(set.path()), cache.path());
    assert_eq!(report.totals().iter().sum::<usize>(), 120, "{report:?}");
    assert!(
        report.totals().iter().all(|n| *n >= 12),
        "{:?}",
        report.totals()
    );
    assert_eq!((report.read, report.shape), (120, [40, 48, 3]));
    let before = parts(&data);
    classes(set.path(), 15, 40);
    let (data, report) = opened(&request(set.path()), cache.path());
    assert_eq!(report.read, 45, "known photos are not read again");
    let after = parts(&data);
    assert_eq!(after.len(), 165);
    for (name, part) in &before {
        assert_eq!(after[name], *part, "{name}");
    }
    // Unchanged, nothing is read, and the set is the same to the bit.
    let (again, report) = opened(&request(set.path()), cache.path());
    assert_eq!((report.read, &again), (0, &data));
    assert_eq!(again.hash(), data.hash());
    assert!(report.stand_in && again.unlabeled == again.labeled.images);
}

#[test]
fn a_folder_an_archive_and_a_list_are_the_same_set() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = set.path().join("folder");
    classes(&folder, 12, 0);
    put(&folder, "unlabeled/9.png", &png(9999));
    let (data, _) = opened(&request(&folder), cache.path());
    assert_eq!((data.classes.len(), data.unlabeled.len()), (3, 1));

    let (mut members, mut rows) = (Vec::new(), "path,label\n".to_owned());
    let source = Source::open(&folder).unwrap();
    for file in &source.files {
        let class = file.name.split('/').next().unwrap();
        let label = if class == "unlabeled" { "" } else { class };
        rows += &format!("folder/{},{label}\n", file.name);
        members.push((
            format!("set-1/{}", file.name),
            std::fs::read(&file.path).unwrap(),
        ));
    }
    members.push(("set-1/readme.txt".into(), b"hello".to_vec()));
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(n, b)| (n.as_str(), b.as_slice()))
        .collect();
    put(set.path(), "set.tar.xz", &xz(&tar(&members)));
    put(set.path(), "list.csv", rows.as_bytes());
    for name in ["set.tar.xz", "list.csv"] {
        let fresh = tempfile::tempdir().unwrap();
        let (found, report) = opened(&request(&set.path().join(name)), fresh.path());
        assert_eq!(found.hash(), data.hash(), "{name}");
        assert_eq!(
            (found.labeled, found.test),
            (data.labeled.clone(), data.test.clone())
        );
        assert_eq!(report.other_files.len(), usize::from(name.ends_with("xz")));
        let (_, report) = opened(&request(&set.path().join(name)), fresh.path());
        assert_eq!(report.read, 0, "{name}");
    }
}

#[test]
fn copies_contradictions_and_leaks_are_found_and_left_out() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = set.path();
    for part in ["train", "test"] {
        classes(
            &root.join("set").join(part),
            10,
            if part == "train" { 0 } else { 50 },
        );
    }
    // A copy, the same photo in two classes, a test photo in training, and recompressed.
    put(root, "set/train/ant/copy.png", &png(3));
    put(root, "set/train/bee/wrong.png", &png(4));
    put(root, "set/train/ant/leak.png", &png(52));
    put(
        root,
        "set/train/ant/near.jpg",
        &encoded(&scene(53), ImageFormat::Jpeg),
    );
    put(root, "new/1.png", &png(5000));
    put(root, "new/1 copy.png", &png(5000));
    put(root, "new/labeled.png", &png(1002));
    put(root, "new/tested.png", &png(55));
    put(
        root,
        "new/near.jpg",
        &encoded(&scene(56), ImageFormat::Jpeg),
    );
    let mut request = request(&root.join("set"));
    request.unlabeled = Some(root.join("new"));
    let (data, report) = opened(&request, cache.path());
    let left = |pairs: &[super::super::report::Pair]| -> Vec<String> {
        let mut names: Vec<String> = pairs.iter().map(|p| p.left_out.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(
        left(&report.copies),
        ["1.png", "train/ant/copy.png", "train/ant/leak.png"]
    );
    assert_eq!(
        report.contradictions,
        [["train/ant/4.png", "train/bee/wrong.png"]]
    );
    assert_eq!(
        left(&report.near_copies),
        ["near.jpg", "train/ant/near.jpg"]
    );
    assert_eq!(
        left(&report.labeled_among_unlabeled),
        ["labeled.png", "tested.png"]
    );
    assert_eq!(report.totals()[2], 30, "test images stay");
    assert_eq!(report.totals().iter().sum::<usize>(), 59);
    assert_eq!(
        (data.unlabeled.len(), data.unlabeled.name(0)),
        (1, "1 copy.png".into())
    );
    let text = report.findings(1).join("\n");
    assert!(
        text.contains("3 exact copies, left out") && text.contains("and 2 more"),
        "{text}"
    );
}

#[test]
fn damaged_files_are_named_and_the_others_used() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(set.path(), 10, 0);
    put(
        set.path(),
        "ant/cut.jpg",
        &encoded(&scene(7), ImageFormat::Jpeg)[..700],
    );
    put(set.path(), "bee/empty.png", b"");
    put(set.path(), "cat/page.png", b"<html>");
    put(set.path(), "cat/notes.txt", b"x");
    put(set.path(), "loose.png", &png(77));
    for _ in 0..2 {
        let (_, report) = opened(&request(set.path()), cache.path());
        let why: Vec<&str> = report.damaged.iter().map(|d| d.why.as_str()).collect();
        assert_eq!(report.damaged[0].file, "ant/cut.jpg");
        assert_eq!(
            why[0],
            "JPEG data ends after 700 bytes, before the image does"
        );
        assert_eq!(why[1], "the file is empty");
        assert!(why[2].starts_with("not a PNG"), "{why:?}");
        assert_eq!(report.outside, ["loose.png"]);
        assert_eq!(report.other_files[".txt"], 1);
        assert_eq!(report.totals().iter().sum::<usize>(), 30);
    }
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(set.path(), 8, 0);
    let (data, _) = opened(&request(set.path()), cache.path());
    let hash = data.hash();
    let folder = cache.path().join("images/40x48x3-crop");
    let path = std::fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (again, report) = opened(&request(set.path()), cache.path());
    assert_eq!((report.cache_damaged.len(), report.read), (1, 1));
    assert_eq!(again.hash(), hash);
    assert_eq!(
        opened(&request(set.path()), cache.path())
            .1
            .cache_damaged
            .len(),
        0
    );
}

#[test]
fn few_labels_leave_the_rest_unlabeled() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(set.path(), 20, 0);
    let mut request = request(set.path());
    request.cut.labels_per_class = 4;
    let (data, report) = opened(&request, cache.path());
    assert_eq!(report.totals()[0], 12);
    assert_eq!(
        data.unlabeled.len() + report.totals().iter().sum::<usize>(),
        60
    );
    assert!(!report.stand_in);
}

#[test]
fn unlabeled_photos_may_lie_inside_and_their_folders_mean_nothing() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    classes(set.path(), 8, 0);
    put(set.path(), "new/ant/1.png", &png(7001));
    put(set.path(), "new/2.png", &png(7002));
    let mut request = request(set.path());
    request.unlabeled = Some(set.path().join("new"));
    let (data, report) = opened(&request, cache.path());
    assert_eq!((data.classes.len(), data.unlabeled.len()), (3, 2));
    std::fs::rename(set.path().join("new/ant"), set.path().join("new/bee")).unwrap();
    let (renamed, _) = opened(&request, cache.path());
    assert_eq!(renamed.hash(), data.hash());
    assert_eq!(report.totals().iter().sum::<usize>(), 24);
}

#[test]
fn cifar_and_idx_files_are_sets() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let noise = |seed: u32, n: u32| {
        (0..n).map(move |i| {
            let mixed = (i + 1).wrapping_mul(seed + 1).wrapping_mul(2_654_435_761);
            (mixed ^ mixed >> 15)
                .wrapping_mul(0x2c1b_3c6d)
                .to_le_bytes()[3]
        })
    };
    let record = |label: u8, seed: u32| std::iter::once(label).chain(noise(seed, 3072));
    let batch: Vec<u8> = (0..40).flat_map(|i| record(i as u8 % 10, i)).collect();
    let test: Vec<u8> = (0..20)
        .flat_map(|i| record(i as u8 % 10, i + 500))
        .collect();
    put(set.path(), "cifar/data_batch_1.bin", &batch);
    put(set.path(), "cifar/test_batch.bin", &test);
    let (data, report) = opened(&request(&set.path().join("cifar")), cache.path());
    assert_eq!((report.totals()[2], data.dims()), (20, [32, 32, 3]));
    assert_eq!(data.classes[9], "truck");
    put(set.path(), "cifar/test_batch.bin", &test[..5000]);
    let error = open(
        &request(&set.path().join("cifar")),
        &Cache::at(cache.path()),
        &|_| {},
    );
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("test_batch.bin: 5000 bytes") && text.contains("do:"),
        "{text}"
    );

    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 9, 0, 0, 0, 12];
    images.extend((0..30).flat_map(|i| noise(i, 108)));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 30];
    labels.extend((0..30).map(|i| i % 3 + 9));
    put(set.path(), "idx/train-images-idx3-ubyte", &images);
    put(set.path(), "idx/train-labels-idx1-ubyte", &labels);
    let (data, report) = opened(&request(&set.path().join("idx")), cache.path());
    assert_eq!(
        (data.classes, data.labeled.images.dims),
        (vec!["9".into(), "10".into(), "11".into()], [9, 12, 1])
    );
    assert_eq!(report.totals().iter().sum::<usize>(), 30);
}

#[test]
fn sets_that_cannot_be_trained_on_are_told() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let refused = |request: &Request| {
        let error = open(request, &Cache::at(cache.path()), &|_| {});
        error.unwrap_err().to_string()
    };
    put(set.path(), "one/cat/1.png", &png(1));
    let text = refused(&request(&set.path().join("one")));
    assert!(
        text.contains("one class, `cat`") && text.contains("do:"),
        "{text}"
    );
    put(set.path(), "flat/1.png", &png(1));
    let text = refused(&request(&set.path().join("flat")));
    assert!(text.contains("outside of all class folders"), "{text}");
    put(set.path(), "bad/cat/1.png", b"x");
    put(set.path(), "bad/dog/1.png", b"y");
    let text = refused(&request(&set.path().join("bad")));
    assert!(
        text.contains("no usable image") && text.contains("cat/1.png"),
        "{text}"
    );
    let mut both = request(&set.path().join("nowhere"));
    both.unlabeled = Some(set.path().join("neither"));
    let text = refused(&both);
    assert!(
        text.contains("nowhere") && text.contains("neither"),
        "{text}"
    );
    put(
        set.path(),
        "cut.tar",
        &tar(&[("a/1.png", &png(1)), ("b/2.png", &png(2))])[..3000],
    );
    let text = refused(&request(&set.path().join("cut.tar")));
    assert!(text.contains("archive is damaged after"), "{text}");
}
