//! A disk that is full.

use super::*;

/// A small file system of its own for the broker, which takes root.
pub struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=192m", "tmpfs"]).arg(at);
        command.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

pub fn disk_full(kills: Kills) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(_disk) = Disk::mount(dir.path()) else {
        println!("outages: disk-full needs root, for a file system of its own; it is not played");
        return Row { skipped: true, ..Row::default() };
    };
    let mut cluster = Cluster::start(dir.path(), 1, 1);
    let mut stream = begun(kills, &mut cluster, "full", "", &[]);
    let ballast = dir.path().join("ballast");
    let since = Instant::now();
    let mut file = std::fs::File::create(&ballast).expect("a file");
    let block = vec![1_u8; 1 << 20];
    while file.write_all(&block).is_ok() {}
    drop(file);
    // Nobody acknowledges these, or somebody does: those count.
    stream.try_feed(100);
    let words = &["no broker has answered", "stalled", "held still"];
    let mut row = Row { said: stream.said(since, &[], words), ..Row::default() };
    std::thread::sleep(Duration::from_secs(90).saturating_sub(since.elapsed()));
    std::fs::remove_file(&ballast).expect("deleted");
    stream.cluster.nodes[0].restart(false);
    let back = Instant::now();
    stream.feed(100);
    let sent = stream.sent();
    row.goes_on = stream.wait_left(sent, PATIENCE).map(|_| back.elapsed());
    end(&mut stream, row, 0)
}
