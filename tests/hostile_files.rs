//! `pupil data` on folders that mean harm, with little memory, and killed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::own_images::{call, photos};
use crate::support::{binary, finish, pupil};

/// A JPEG of a few bytes whose header announces `w` x `h` pixels.
fn announced(w: u16, h: u16) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8];
    bytes.extend(h.to_be_bytes());
    bytes.extend(w.to_be_bytes());
    bytes.extend([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    bytes.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    bytes.extend([0; 99]);
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// One that is gzip of `megabytes` of zeros after `start`.
fn packed(start: &[u8], megabytes: usize) -> Vec<u8> {
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(start).unwrap();
    for _ in 0..megabytes {
        gz.write_all(&vec![0; 1 << 20]).unwrap();
    }
    gz.finish().unwrap()
}

#[test]
fn crafted_and_special_files_are_named_and_the_others_used() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    photos(folder);
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join("labeled/flat").join(name), bytes).unwrap();
    };
    put("bomb.jpg", &announced(29_545, 31_333));
    put("grey.jpg", &announced(16_000, 16_000));
    put("raw.ppm", b"P6 16000 16000 255\nx");
    let fifo = folder.join("labeled/flat/fifo.png");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", folder.join("labeled/flat/zero.pgm")).unwrap();
    let start = Instant::now();
    let (code, out, error) = call(folder, &["data", "labeled", "--json"]);
    assert_eq!(code, 0, "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
    let report: Value = serde_json::from_str(&out).unwrap();
    for (file, why) in [
        ("bomb.jpg", "29545x31333 pixels are too many"),
        ("grey.jpg", "it announces 16000x16000 pixels"),
        ("raw.ppm", "it announces 16000x16000 pixels"),
        ("fifo.png", "a FIFO, not a regular file"),
        ("zero.pgm", "a device, not a regular file"),
    ] {
        let damaged = report["damaged"].as_array().unwrap();
        let found = damaged
            .iter()
            .find(|d| d["file"].as_str().unwrap().ends_with(file));
        let said = found.unwrap()["why"].as_str().unwrap();
        assert!(said.contains(why), "{file}: {said}");
    }
    let classes = report["classes"].as_array().unwrap();
    assert_eq!((classes.len(), &report["shape"][0]), (3, &30.into()));
}

#[test]
fn lists_and_containers_that_have_no_end_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let refused = |path: &str, why: &str| {
        let start = Instant::now();
        let (code, out, error) = call(folder, &["data", path]);
        assert_eq!(code, 2, "{path}: {out}");
        assert!(error.contains(why), "{path}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{path}");
    };
    for name in ["zero.csv", "zero.jsonl", "zero.tar"] {
        std::os::unix::fs::symlink("/dev/zero", folder.join(name)).unwrap();
        refused(name, "a device, not a regular file");
    }
    let sparse = |name: &str, length: u64| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path)
            .unwrap()
            .set_len(length)
            .unwrap();
    };
    sparse("list.csv", 1 << 38);
    refused("list.csv", "too many: at most");
    sparse("cifar/data_batch_1.bin", 3073 << 28);
    refused("cifar", "268435456 images");
    std::fs::create_dir(folder.join("idx")).unwrap();
    let header = |rank: u8, dims: &[u32]| -> Vec<u8> {
        let dims = dims.iter().flat_map(|d| d.to_be_bytes());
        [0, 0, 8, rank].into_iter().chain(dims).collect()
    };
    let count = 5_000_000;
    let images = packed(&header(3, &[count, 28, 28]), 20);
    std::fs::write(folder.join("idx/train-images-idx3-ubyte.gz"), images).unwrap();
    let labels = packed(&header(1, &[count]), 5);
    std::fs::write(folder.join("idx/train-labels-idx1-ubyte.gz"), labels).unwrap();
    refused("idx", "3920000016 bytes, more than 500 times");
    std::fs::write(folder.join("zeros.tar.gz"), packed(&[], 400)).unwrap();
    refused("zeros.tar.gz", "more than 500 times its size");
}

/// `pupil data` with so many kilobytes of address space.
fn limited(folder: &Path, kilobytes: u32) -> (i32, String, String) {
    let script = format!(
        "ulimit -v {kilobytes}; exec '{}' data labeled",
        binary().display()
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(folder)
        .env("PUPIL_CACHE", folder.join(format!("cache-{kilobytes}")));
    finish(command.output().unwrap())
}

#[test]
fn with_little_address_space_there_is_a_result_or_advice_and_no_abort() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    photos(folder);
    for kilobytes in [2_000_000, 1_000_000, 500_000, 250_000, 120_000] {
        let (code, out, error) = limited(folder, kilobytes);
        let advised = code == 2 && error.contains("do:");
        assert!(code == 0 || advised, "{kilobytes}: {code}\n{out}{error}");
        assert!(code == 0 || kilobytes < 500_000, "{kilobytes}: {error}");
    }
}

#[test]
fn a_first_reading_that_is_killed_continues() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    photos(folder);
    // Large enough that reading takes longer than keeping waits.
    let mut wide = b"P6 3000 2000 255\n".to_vec();
    wide.resize(wide.len() + 18_000_000, 90);
    std::fs::write(folder.join("labeled/tall/wide.ppm"), &wide).unwrap();
    for n in 0..200 {
        let link = folder.join(format!("labeled/tall/wide{n}.ppm"));
        std::fs::hard_link(folder.join("labeled/tall/wide.ppm"), link).unwrap();
    }
    let mut command = pupil(&["data", "labeled", "--json"]);
    command
        .current_dir(folder)
        .env("PUPIL_CACHE", folder.join("cache"))
        .env("RAYON_NUM_THREADS", "1")
        .stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let kept = |extension: &str| -> usize {
        let Ok(sizes) = std::fs::read_dir(folder.join("cache/images")) else {
            return 0;
        };
        let files = sizes.flatten().filter_map(|s| s.path().read_dir().ok());
        let paths = files.flatten().flatten().map(|f| f.path());
        paths
            .filter(|p| p.extension().is_some_and(|e| e == extension))
            .count()
    };
    // The second part is kept after the list of the first one's files is.
    while kept("pupc") < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    child.wait().unwrap();
    let (code, out, error) = call(folder, &["data", "labeled", "--json"]);
    assert_eq!(code, 0, "{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let read = report["read"].as_u64().unwrap();
    assert!(read < 292, "{read} of 292 are read again");
    assert_eq!(kept("part"), 0);
}
