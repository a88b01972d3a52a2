//! How much memory the machine lets this process have, and how much it has.
//!
//! A limit may stand at our own cgroup or at any above it; the least counts. Version 2 first,
//! version 1 where a system still has it. Inside a container the path that `/proc/self/cgroup`
//! names is often that of the host and not there to be read: then the mount's root is our own.
//! It cannot see memory that neighbours in the same cgroup take.

use std::fs;
use std::path::{Path, PathBuf};

/// The least limit that holds for this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub bytes: u64,
    /// Where it is written.
    pub file: PathBuf,
}

/// The limit of our cgroup, if there is one.
pub fn limit() -> Option<Limit> {
    least(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new("/sys/fs/cgroup"), &|path| {
        fs::read_to_string(path).ok()
    })
}

/// Bytes of memory that are ours now.
pub fn resident() -> Option<u64> {
    resident_in(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The least limit among all files that may hold one; `memberships` is `/proc/self/cgroup`.
fn least(memberships: &str, root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<Limit> {
    let limits = files(memberships, root).into_iter().filter_map(|file| {
        let bytes = bytes_of(&read(&file)?)?;
        Some(Limit { bytes, file })
    });
    limits.min_by_key(|limit| limit.bytes)
}

/// Files that may hold a limit for us, each with those above it.
fn files(memberships: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for line in memberships.lines() {
        // `hierarchy:controllers:path`; version 2 is hierarchy 0 and names no controller.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (mounts, name): (&[&str], _) = match controllers {
            "" => (&["", "unified"], "memory.max"),
            _ if controllers.split(',').any(|c| c == "memory") => {
                (&["memory"], "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        for mount in mounts {
            files.extend(path.ancestors().map(|above| root.join(mount).join(above).join(name)));
        }
    }
    files
}

/// What a limit's file says; `None` where there is no limit.
fn bytes_of(text: &str) -> Option<u64> {
    // Version 1 writes the largest multiple of a page below 2^63 for "none".
    const NONE: u64 = 1 << 62;
    // Version 2 writes "max", which is no number.
    text.trim().parse().ok().filter(|&bytes| bytes < NONE)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `files` are what lies below the root, by path and text.
    fn check(memberships: &str, files: &[(&str, &str)], expected: Option<(u64, &str)>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| path == Path::new("/r").join(name));
            found.map(|&(_, text)| text.to_owned())
        };
        let expected =
            expected.map(|(bytes, name)| Limit { bytes, file: Path::new("/r").join(name) });
        assert_eq!(least(memberships, Path::new("/r"), &read), expected);
    }

    #[test]
    fn the_least_limit_of_us_and_those_above_us_counts() {
        let files = [
            ("a/b/c/memory.max", "max\n"),
            ("a/b/memory.max", "1073741824\n"),
            ("a/memory.max", "2147483648\n"),
        ];
        check("0::/a/b/c\n", &files, Some((1 << 30, "a/b/memory.max")));
        check("0::/a\n", &files, Some((1 << 31, "a/memory.max")));
        check("0::/x\n", &files, None);
    }

    #[test]
    fn inside_a_container_the_mount_s_root_is_our_own() {
        let files = [("memory.max", "536870912\n")];
        check("0::/kubepods/burstable/pod1/c\n", &files, Some((512 << 20, "memory.max")));
        check("0::/\n", &files, Some((512 << 20, "memory.max")));
    }

    #[test]
    fn version_1_stands_in_where_it_is_mounted_and_its_none_is_no_limit() {
        let memberships = "5:cpu,cpuacct:/p\n4:memory:/p/q\n0::/\n";
        let none = ("memory/memory.limit_in_bytes", "9223372036854771712\n");
        check(memberships, &[none], None);
        let ours = ("memory/p/q/memory.limit_in_bytes", "25769803776\n");
        check(memberships, &[none, ours], Some((24 << 30, ours.0)));
    }

    #[test]
    fn nonsense_is_no_limit() {
        for text in ["", "max", "-1", "99999999999999999999999", "1 2", "\u{0}"] {
            check("0::/", &[("memory.max", text)], None);
        }
        check("0:\n\u{0}\n4:memory", &[("memory.max", "1")], None);
        assert_eq!(resident_in("VmRSS:\tmany kB"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_in("Name:\ta\nVmRSS:\t   2048 kB\nThreads:\t1\n"), Some(2 << 20));
    }
}
