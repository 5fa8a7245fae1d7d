#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;

fn small() -> FlatSegment {
    let rows: [(ChunkId, &[f32]); 3] = [
        (ChunkId::new(1, 0), &[1.0, 0.0, -0.5]),
        (ChunkId::new(1, 1), &[0.0, 0.0, 0.0]),
        (ChunkId::new(9, 0), &[0.25, 0.5, 1.0]),
    ];
    FlatSegment::build(3, rows.into_iter())
}

fn payload_of(segment: &FlatSegment) -> Vec<u8> {
    let mut bytes = Vec::new();
    segment.write_payload(&mut bytes).unwrap();
    bytes
}

/// Bytes at an address that is, or is not, a multiple of 64.
fn placed(bytes: &[u8], aligned: bool) -> SegmentBytes {
    struct Placed(Vec<u8>, Range<usize>);
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            &self.0[self.1.clone()]
        }
    }
    let mut room = vec![0; bytes.len() + 129];
    let start = room.as_ptr().align_offset(64) + usize::from(!aligned);
    room[start..start + bytes.len()].copy_from_slice(bytes);
    Arc::new(Placed(room, start..start + bytes.len()))
}

fn assert_equal(a: &FlatSegment, b: &FlatSegment) {
    let (x, y) = (a.columns(), b.columns());
    assert_eq!((x.keys, x.scales, x.errors, x.codes, x.vectors), (y.keys, y.scales, y.errors, y.codes, y.vectors));
    assert_eq!((a.dimension(), a.documents(), a.longest()), (b.dimension(), b.documents(), b.longest()));
}

#[test]
fn a_payload_survives_the_round_trip_in_place_and_copied() {
    let segment = small();
    let bytes = payload_of(&segment);
    assert_eq!(bytes.len() as u64, segment.payload_len());
    for aligned in [true, false] {
        let back = FlatSegment::from_payload(placed(&bytes, aligned)).unwrap();
        assert_eq!(back.is_mapped(), aligned && cfg!(target_endian = "little"));
        assert_equal(&segment, &back);
    }
    let empty = FlatSegment::build(5, std::iter::empty());
    assert_equal(&empty, &FlatSegment::from_payload(placed(&payload_of(&empty), true)).unwrap());
}

#[test]
fn the_layout_of_version_one_stands() {
    let bytes = payload_of(&small());
    assert_eq!(bytes.len(), 5 * 64 + 36);
    assert_eq!(
        &bytes[..20],
        [1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0].iter().chain(&bytes[16..20]).copied().collect::<Vec<_>>()
    );
    assert_eq!(bytes[64..72], (1u64 << 20).to_le_bytes());
    assert_eq!(bytes[4 * 64..4 * 64 + 9], [127, 0, 192, 0, 0, 0, 32, 64, 127]);
    assert_eq!(bytes[5 * 64..5 * 64 + 4], 1.0f32.to_le_bytes());
}

#[test]
fn every_shortened_or_lengthened_payload_is_refused() {
    let bytes = payload_of(&small());
    let refused = |bytes: &[u8]| FlatSegment::from_payload(placed(bytes, true)).unwrap_err().kind();
    for len in 0..bytes.len() {
        assert_eq!(refused(&bytes[..len]), ErrorKind::Corruption, "{len}");
    }
    assert_eq!(refused(&[bytes.as_slice(), &[0]].concat()), ErrorKind::Corruption);
}

#[test]
fn impossible_headers_and_numbers_are_refused() {
    let change = |at: usize, with: &[u8]| {
        let mut bytes = payload_of(&small());
        bytes[at..at + with.len()].copy_from_slice(with);
        FlatSegment::from_payload(placed(&bytes, true)).unwrap_err().kind()
    };
    let cases: [(usize, &[u8]); 9] = [
        (0, &[2]),
        (4, &[0; 4]),
        (4, &[255; 4]),
        (8, &[255; 8]),
        (8, &[0, 0, 0, 0, 0, 0, 0, 64]),
        (16, &f32::NAN.to_le_bytes()),
        (64, &[255; 8]),
        (80, &[255; 8]),
        (128, &(-1.0f32).to_le_bytes()),
    ];
    for (at, with) in cases {
        assert_eq!(change(at, with), ErrorKind::Corruption, "{at} {with:?}");
    }
}

#[test]
fn runs_cover_exactly_the_wanted_documents() {
    let keys: Vec<u64> = (0..200u64).flat_map(|doc| (0..doc % 4).map(move |i| (doc * 3) << 20 | i)).collect();
    for step in [1, 2, 3, 7, 50, 1000] {
        let wanted: IdSet = (0..700).filter(|doc| doc % step == 0).collect();
        let found: Vec<usize> = runs_of(&keys, &wanted).into_iter().flatten().collect();
        let oracle: Vec<usize> =
            (0..keys.len()).filter(|&row| wanted.contains(ChunkId::from_u64(keys[row]).doc())).collect();
        assert_eq!(found, oracle, "{step}");
    }
    assert!(runs_of(&[], &IdSet::from_iter([1])).is_empty());
}

#[test]
fn merging_keeps_order_and_drops_the_dead() {
    let a = small();
    let b = FlatSegment::build(3, [(ChunkId::new(4, 0), [0.5f32, 0.5, 0.5].as_slice())].into_iter());
    let merged = FlatSegment::merge(3, &[(&a, a.documents()), (&b, b.documents())]);
    let docs: Vec<_> = merged.columns().keys.iter().map(|&key| ChunkId::from_u64(key).doc()).collect();
    assert_eq!(docs, [1, 1, 4, 9]);
    let merged = FlatSegment::merge(3, &[(&a, &IdSet::from_iter([9])), (&b, &IdSet::new())]);
    assert_eq!(merged.columns().keys, [ChunkId::new(9, 0).to_u64()]);
    assert_eq!(merged.columns().vectors, [0.25, 0.5, 1.0]);
}
