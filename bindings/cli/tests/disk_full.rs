//! `rag index` on a disk that becomes full.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::format_collect)]

mod common;

use std::process::{Command, Output};

use common::Place;

/// The data folder of a place as a small file system of its own; taken off when dropped.
struct SmallDisk<'a>(&'a Place);

impl SmallDisk<'_> {
    fn mount(&self, options: &str) -> std::io::Result<Output> {
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.data()).output()
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.data()).output();
    }
}

#[test]
fn a_full_disk_has_its_exit_code_and_the_data_is_as_before() {
    let place = Place::with(&[("a.txt", b"the bakery opens at six")]);
    std::fs::create_dir(place.data()).unwrap();
    let disk = SmallDisk(&place);
    match disk.mount("size=3m") {
        Ok(output) if output.status.success() => {}
        refused => {
            eprintln!("skipped: no file system can be mounted here ({refused:?})");
            return;
        }
    }
    place.index(0, &[]);
    let lines: String = (0..600)
        .map(|i| {
            format!("{{\"id\":\"{i}\",\"text\":\"{}\"}}\n", format!("alpine{i} passes close in winter. ").repeat(250))
        })
        .collect();
    place.write("b.jsonl", lines.as_bytes());
    place.rag(&["index", "in", "--data", "data"]).must_fail(13, &["No space left on device"]);
    assert_eq!(place.search("bakery", &[]), ["in/a.txt"], "searching needs no room");
    assert!(disk.mount("remount,size=256m").unwrap().status.success());
    let said = place.rag(&["verify", "--data", "data"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 documents are whole\n"), "{said:?}");
    assert!(place.search("alpine7", &["--mode", "lexical"]).is_empty());
    place.index(0, &[]);
    assert_eq!(place.search("alpine7", &["--mode", "lexical"]), ["7"]);
}
