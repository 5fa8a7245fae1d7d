#![allow(clippy::unwrap_used)]

use rag_governance::{ModelIdentity, Pooling, Prompts, Quantization};

use super::*;
use crate::format::disk::FaultPlan;

fn model() -> ModelIdentity {
    ModelIdentity {
        name: "test".into(),
        quantization: Quantization::F32,
        source_hash: "00".into(),
        dimension: 2,
        pooling: Pooling::Mean,
        prompts: Prompts::default(),
    }
}

fn record(id: &str, text: &str) -> Record {
    Record {
        tenant: "t".into(),
        id: id.into(),
        title: String::new(),
        text: text.into(),
        metadata: Metadata::new(),
        chunks: vec![(0, text.len() as u32)],
        chunking: 0,
    }
}

#[test]
fn what_is_committed_is_there_and_what_is_dropped_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, &Disk::default(), StoreCheck::default()).unwrap();
    let write = store.begin(0).unwrap();
    let (first, none) = write.put(&record("a", "one"), &[1.0, 0.0]).unwrap();
    assert_eq!(none, None);
    assert_eq!(write.commit(&model(), "now").unwrap(), 1);
    let before = store.view().unwrap();

    let write = store.begin(0).unwrap();
    let (second, replaced) = write.put(&record("a", "two"), &[0.0, 1.0]).unwrap();
    assert_eq!(replaced, Some(Replaced { doc: first, chunks: 1 }));
    assert_eq!(write.current("t", "a").unwrap().unwrap().1.text, "two");
    drop(write);
    assert_eq!(store.view().unwrap().number("t", "a").unwrap(), Some(first));

    let write = store.begin(0).unwrap();
    assert_eq!(
        write.put(&record("a", "two"), &[0.0, 1.0]).unwrap(),
        (second, Some(Replaced { doc: first, chunks: 1 }))
    );
    assert_eq!(write.commit(&model(), "now").unwrap(), 2);
    assert_eq!(before.record(first).unwrap().unwrap().text, "one", "an old view stays");
    drop((before, store));

    let store = Store::open(&path, &Disk::default(), StoreCheck { integrity: true, compact: true }).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.seq().unwrap(), 2);
    assert_eq!(view.check(2, || ()).unwrap(), 1);
    assert_eq!(view.vectors(second).unwrap().unwrap(), [0.0, 1.0]);
    assert_eq!(view.model().unwrap(), Some(model()));
    let write = store.begin(0).unwrap();
    assert_eq!(write.delete("t", "a").unwrap(), Some(Replaced { doc: second, chunks: 1 }));
    assert_eq!(write.delete("t", "a").unwrap(), None);
    write.commit(&model(), "now").unwrap();
    assert_eq!(store.view().unwrap().check(2, || ()).unwrap(), 0);
}

#[test]
fn a_disk_that_dies_at_any_write_leaves_a_whole_commit() {
    let run = |plan: std::sync::Arc<FaultPlan>, path: &Path| -> Result<()> {
        let store = Store::open(path, &Disk::failing(plan), StoreCheck::default())?;
        for round in 0..3 {
            let write = store.begin(0)?;
            for id in ["a", "b", "c"] {
                write.put(&record(id, &format!("{id}{round}")), &[round as f32, 0.0])?;
            }
            write.commit(&model(), "now")?;
        }
        Ok(())
    };
    let folder = tempfile::tempdir().unwrap();
    let counting = FaultPlan::after(u64::MAX);
    run(counting.clone(), &folder.path().join("counted")).unwrap();
    assert!(counting.writes() > 10);
    for writes in 0..counting.writes() {
        let path = folder.path().join(format!("store{writes}"));
        let plan = FaultPlan::after(writes);
        // The last operations write what a clean shutdown adds; a failure there is no failure of a commit.
        let _ = run(plan.clone(), &path);
        assert!(plan.tripped(), "write {writes} was reached");
        let store = Store::open(&path, &Disk::default(), StoreCheck { integrity: true, compact: false }).unwrap();
        let view = store.view().unwrap();
        let seq = view.seq().unwrap();
        assert_eq!(view.check(2, || ()).unwrap(), if seq == 0 { 0 } else { 3 });
        for id in ["a", "b", "c"].iter().filter(|_| seq > 0) {
            let doc = view.number("t", id).unwrap().unwrap();
            assert_eq!(view.record(doc).unwrap().unwrap().text, format!("{id}{}", seq - 1));
        }
    }
}
