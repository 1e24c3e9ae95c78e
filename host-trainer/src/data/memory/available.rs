//! How much memory the process may still take: the least of what the machine has free, what its
//! control groups leave, and what `ulimit -v` leaves. Read from `/proc` and `/sys`; unknown
//! elsewhere.

use std::fs::read_to_string;
use std::path::Path;

/// Assumed where the system does not say.
const UNKNOWN: u64 = 4 << 30;

/// Bytes that are free for this process.
pub(super) fn bytes() -> u64 {
    let text = |path: &str| read_to_string(path).unwrap_or_default();
    let machine = free_of_machine(&text("/proc/meminfo"));
    let address = left_of_address_space(&text("/proc/self/limits"), &text("/proc/self/status"));
    let groups = left_of_groups(&text("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
    [machine, address, groups]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(UNKNOWN)
}

/// The number of the line that begins with `name`, in bytes where it is in kB.
fn line(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|l| l.strip_prefix(name))?;
    let mut words = rest.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    let kilobytes = words.next() == Some("kB");
    Some(number.saturating_mul(if kilobytes { 1024 } else { 1 }))
}

fn free_of_machine(meminfo: &str) -> Option<u64> {
    line(meminfo, "MemAvailable:")
}

/// `ulimit -v`; nothing where there is none.
fn left_of_address_space(limits: &str, status: &str) -> Option<u64> {
    let most = line(limits, "Max address space")?;
    Some(most.saturating_sub(line(status, "VmSize:").unwrap_or(0)))
}

/// The least of what each control group above this process leaves, of both versions.
fn left_of_groups(own: &str, root: &Path) -> Option<u64> {
    let mut left: Option<u64> = None;
    for group in own.lines() {
        let mut parts = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (base, names) = if controllers.is_empty() {
            (root.to_owned(), ["memory.max", "memory.current"])
        } else if controllers.split(',').any(|c| c == "memory") {
            let names = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
            (root.join("memory"), names)
        } else {
            continue;
        };
        // In a container the own path may not be there, but its files lie at the root.
        let mut folder = base.join(path.trim_start_matches('/'));
        loop {
            let number = |name: &str| -> Option<u64> {
                let text = read_to_string(folder.join(name)).ok()?;
                text.trim().parse().ok()
            };
            if let (Some(most), Some(used)) = (number(names[0]), number(names[1])) {
                // The page cache counts as used, and is given back when it is needed.
                let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
                let cache = ["inactive_file", "active_file"].map(|n| line(&stat, n).unwrap_or(0));
                let used = used.saturating_sub(cache.iter().sum());
                let free = most.saturating_sub(used);
                left = Some(left.map_or(free, |l| l.min(free)));
            }
            if folder == base || !folder.pop() {
                break;
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_system_writes_them() {
        let meminfo = "MemTotal:  24684544 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(free_of_machine(meminfo), Some(1 << 20));
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max address space         1048576              unlimited            bytes\n";
        let status = "Name:\tpupil\nVmSize:\t     512 kB\n";
        assert_eq!(left_of_address_space(limits, status), Some(524_288));
        let none = limits.replace("1048576  ", "unlimited");
        assert_eq!(left_of_address_space(&none, status), None);
        assert!(bytes() > 0);
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("a/b/memory.max", "max\n");
        put("a/b/memory.current", "100\n");
        put("a/memory.max", "1000\n");
        put("a/memory.current", "400\n");
        put(
            "a/memory.stat",
            "anon 300\ninactive_file 60\nactive_file 40\n",
        );
        let left = |own: &str| left_of_groups(own, root.path());
        assert_eq!(left("0::/a/b\n"), Some(700));
        put("memory/c/memory.limit_in_bytes", "500\n");
        put("memory/c/memory.usage_in_bytes", "450\n");
        assert_eq!(left("4:cpu:/x\n3:memory:/c\n0::/a/b\n"), Some(50));
        assert_eq!(left("nonsense\n"), None);
    }
}
