//! What is remembered of files, and what is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::*;
use crate::data::cache::Cache;
use crate::data::fit::Fit;
use crate::data::formats::archive::tests::{gz, tar};

/// A plain image of its own: number `n`.
fn image(n: usize) -> Vec<u8> {
    let mut bytes = b"P5 4 4 255\n".to_vec();
    bytes.extend((0..16).map(|i| (i * 7 + n * 13 + n * n * i) as u8));
    bytes.extend(n.to_string().bytes());
    bytes
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Until what was written may be remembered.
fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

fn collected(set: &Path, cache: &Path) -> Collected {
    let cache = Cache::at(cache);
    let source = Source::open(set).unwrap();
    let mut shelf = cache.shelf([4, 4, 1], Fit::Crop).unwrap();
    collect(&source, &mut shelf, &mut cache.listing(set), &|_| {}).unwrap()
}

#[cfg(unix)]
#[test]
fn an_io_error_is_not_remembered() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = set.path();
    put(root, "cat/1.pgm", &image(1));
    put(root, "cat/broken.pgm", b"P5 4");
    // As a missing permission is to all but a superuser: the system's error, not the file's.
    let target = root.join("elsewhere");
    std::os::unix::fs::symlink(&target, root.join("cat/2.pgm")).unwrap();
    settle();
    let found = collected(root, cache.path());
    assert_eq!(
        (found.items.len(), found.damaged.len(), found.read),
        (1, 2, 3)
    );
    assert!(found.damaged[0].why.contains("can't be read"));
    // Only the one that could not be read is tried again.
    let found = collected(root, cache.path());
    assert_eq!(
        (found.items.len(), found.damaged.len(), found.read),
        (1, 2, 1)
    );
    put(root, "elsewhere", &image(2));
    let found = collected(root, cache.path());
    assert_eq!(
        (found.items.len(), found.damaged.len(), found.read),
        (2, 1, 1)
    );
}

#[test]
fn files_that_are_swapped_with_their_times_are_read_again() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = set.path();
    for (name, n) in [("cat/1.pgm", 1), ("cat/2.pgm", 2), ("dog/1.pgm", 3)] {
        put(root, name, &image(n));
        let file = std::fs::File::options()
            .write(true)
            .open(root.join(name))
            .unwrap();
        let day = Duration::from_secs(1_700_000_000);
        file.set_modified(std::time::UNIX_EPOCH + day).unwrap();
    }
    settle();
    let before = collected(root, cache.path());
    assert_eq!(before.read, 3);
    assert_eq!(collected(root, cache.path()).read, 0);
    for (from, to) in [
        ("cat/1.pgm", "x"),
        ("dog/1.pgm", "cat/1.pgm"),
        ("x", "dog/1.pgm"),
    ] {
        std::fs::rename(root.join(from), root.join(to)).unwrap();
    }
    settle();
    let after = collected(root, cache.path());
    assert_eq!(after.read, 2);
    assert_eq!(after.items[0].key, before.items[2].key);
    assert_eq!(after.items[2].key, before.items[0].key);
}

#[test]
fn labels_of_an_idx_file_that_change_are_seen() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = set.path();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
    images.extend(1..=6);
    let labels = |a, b| [0, 0, 8, 1, 0, 0, 0, 2, a, b];
    put(root, "train-images-idx3-ubyte", &images);
    put(root, "train-labels-idx1-ubyte", &labels(0, 1));
    settle();
    let of = |found: &Collected| -> Vec<Option<String>> {
        found.items.iter().map(|i| i.label.clone()).collect()
    };
    let first = of(&collected(root, cache.path()));
    put(root, "train-labels-idx1-ubyte", &labels(1, 0));
    settle();
    let second = of(&collected(root, cache.path()));
    assert_eq!((&first[0], &first[1]), (&second[1], &second[0]));
    assert_ne!(first, second);
}

#[test]
fn a_first_reading_that_is_killed_goes_on_from_what_was_kept() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..600 {
        put(set.path(), &format!("cat/{n}.pgm"), &image(n));
    }
    settle();
    let files = Cache::at(cache.path());
    let source = Source::open(set.path()).unwrap();
    let killed = catch_unwind(AssertUnwindSafe(|| {
        let mut shelf = files.shelf([4, 4, 1], Fit::Crop).unwrap();
        let mut listing = files.listing(set.path());
        let tell = |n| assert!(n < 300, "killed");
        collect_keeping(&source, &mut shelf, &mut listing, (&tell, Duration::ZERO)).is_ok()
    }));
    assert!(killed.is_err());
    let found = collected(set.path(), cache.path());
    assert_eq!(found.items.len(), 600);
    assert!(found.read <= 600 - 256, "{} are read again", found.read);
}

#[test]
fn one_image_of_the_cache_that_is_damaged_is_decoded_again_alone() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..20 {
        put(set.path(), &format!("cat/{n}.pgm"), &image(n));
    }
    settle();
    let before = collected(set.path(), cache.path());
    let folder = cache.path().join("images/4x4x1-crop");
    let path = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[64 + 16 * 7 + 3] ^= 0x20;
    std::fs::write(&path, bytes).unwrap();
    let after = collected(set.path(), cache.path());
    assert_eq!(after.read, 1);
    let keys = |c: &Collected| c.items.iter().map(|i| i.key).collect::<Vec<_>>();
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(collected(set.path(), cache.path()).read, 0);
}

#[test]
fn an_archive_with_a_crafted_image_is_read_and_the_image_named() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (image(1), image(2));
    let bytes = tar(&[
        ("cat/1.pgm", &one),
        ("cat/bomb.pgm", b"P5 16000 16000 255\nx"),
        ("notes.txt", b"x"),
        ("dog/2.pgm", &two),
    ]);
    let path = set.path().join("set.tar.gz");
    std::fs::write(&path, gz(&bytes)).unwrap();
    settle();
    for read in [3, 0] {
        let found = collected(&path, cache.path());
        assert_eq!((found.items.len(), found.read), (2, read));
        assert_eq!(found.damaged[0].file, "cat/bomb.pgm");
        assert!(
            found.damaged[0].why.contains("cannot hold"),
            "{:?}",
            found.damaged
        );
        assert_eq!(found.others[".txt"], 1);
    }
}

#[cfg(unix)]
#[test]
fn a_fifo_among_the_photos_is_named_and_waits_for_nobody() {
    let (set, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(set.path(), "cat/1.pgm", &image(1));
    let fifo = set.path().join("cat/2.pgm");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", set.path().join("cat/3.pgm")).unwrap();
    let found = collected(set.path(), cache.path());
    assert_eq!(found.items.len(), 1);
    let why: Vec<&str> = found.damaged.iter().map(|d| d.why.as_str()).collect();
    assert_eq!(
        why,
        [
            "can't be read: a FIFO, not a regular file",
            "can't be read: a device, not a regular file"
        ]
    );
    let source = Source::open(set.path()).unwrap();
    assert_eq!(sample(&source, 9), [[4, 4, 1]]);
}

#[test]
fn more_images_than_memory_can_list_are_refused_with_advice() {
    let error = room_for(1 << 40, Path::new("set")).unwrap_err().to_string();
    assert!(error.starts_with("set: 1099511627776 images"), "{error}");
    assert!(error.contains("do:"), "{error}");
}
