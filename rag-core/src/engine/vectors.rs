//! The dense index of a data folder: which backend, and which sealed files.

use std::path::Path;

use crate::ann::{FlatIndex, FlatSegment, VectorIndexMut};
use crate::config::VectorConfig;
use crate::error::{Error, Result};
use crate::format::FileKind;
use crate::format::disk::Disk;
use crate::format::manifest::SegmentEntry;
use crate::format::mmap::Mapped;

#[derive(Debug)]
pub(super) enum Vectors {
    Flat {
        index: FlatIndex,
        segments: Vec<SegmentEntry>,
        dimension: usize,
    },
    #[cfg(feature = "hnsw")]
    Hnsw(crate::ann::HnswIndex),
}

/// Why sealed vectors are not used, in words.
type Problems = Vec<String>;

impl Vectors {
    /// Opens what is there; a segment that is damaged is left out (the store still has its vectors).
    pub(super) fn open(
        folder: &Path,
        config: &VectorConfig,
        dimension: usize,
        segments: &[SegmentEntry],
        verify: bool,
    ) -> Result<(Vectors, Problems)> {
        match *config {
            VectorConfig::Flat => {
                let (mut opened, mut kept, mut problems) = (Vec::new(), Vec::new(), Vec::new());
                for entry in segments {
                    match open_listed(folder, entry, verify)
                        .and_then(|mapped| FlatSegment::from_payload(std::sync::Arc::new(mapped)))
                        .and_then(|segment| of_dimension(segment, dimension))
                    {
                        Ok(segment) => {
                            opened.push((entry.name.clone(), segment));
                            kept.push(entry.clone());
                        }
                        Err(error) => problems.push(format!("{}: {error}", entry.name)),
                    }
                }
                let index = FlatIndex::open(dimension, opened)?;
                Ok((Vectors::Flat { index, segments: kept, dimension }, problems))
            }
            #[cfg(feature = "hnsw")]
            VectorConfig::Hnsw { m, ef_construction, ef_search } => {
                let params = crate::ann::HnswParams::new(m, ef_construction, ef_search)?;
                let index = crate::ann::HnswIndex::new(dimension, params)?;
                Ok((Vectors::Hnsw(index), Vec::new()))
            }
            #[cfg(not(feature = "hnsw"))]
            VectorConfig::Hnsw { .. } => Err(Error::new(
                crate::ErrorKind::Unsupported,
                "`vectors.backend` is hnsw, which this build lacks; build with the feature `hnsw` or use flat",
            )),
        }
    }

    /// Reads every sealed file again. When one is damaged, the index starts over from the others; the caller fills it.
    pub(super) fn verify(&mut self, folder: &Path, config: &VectorConfig) -> Result<Problems> {
        let damaged: Problems = self
            .segments()
            .iter()
            .filter_map(|entry| open_listed(folder, entry, true).err())
            .map(|error| error.to_string())
            .collect();
        let (segments, dimension) = match self {
            Vectors::Flat { segments, dimension, .. } => (segments, *dimension),
            #[cfg(feature = "hnsw")]
            Vectors::Hnsw(_) => return Ok(damaged),
        };
        if !damaged.is_empty() {
            let segments = std::mem::take(segments);
            *self = Vectors::open(folder, config, dimension, &segments, true)?.0;
        }
        Ok(damaged)
    }

    pub(super) fn as_mut(&mut self) -> &mut dyn VectorIndexMut {
        match self {
            Vectors::Flat { index, .. } => index,
            #[cfg(feature = "hnsw")]
            Vectors::Hnsw(index) => index,
        }
    }

    /// The graph to build now, if one is worth it.
    #[cfg(feature = "hnsw")]
    pub(super) fn start_build(&mut self) -> Option<crate::ann::HnswBuild> {
        match self {
            Vectors::Hnsw(index) if index.build_wanted() => Some(index.start_build()),
            _ => None,
        }
    }

    /// Uses a graph from the next publication on; `None`: its build failed or was given up.
    #[cfg(feature = "hnsw")]
    pub(super) fn install(&mut self, graph: Option<crate::ann::HnswGraph>) {
        if let Vectors::Hnsw(index) = self {
            index.install(graph);
        }
    }

    /// The sealed files, oldest first.
    pub(super) fn segments(&self) -> &[SegmentEntry] {
        match self {
            Vectors::Flat { segments, .. } => segments,
            #[cfg(feature = "hnsw")]
            Vectors::Hnsw(_) => &[],
        }
    }

    /// Seals when it is worth a file. Gives the files that are no longer used.
    pub(super) fn seal_if_due(&mut self, folder: &Path, disk: &Disk) -> Result<Vec<String>> {
        let wanted = match self {
            Vectors::Flat { index, .. } => index.seal_wanted(),
            #[cfg(feature = "hnsw")]
            Vectors::Hnsw(_) => false,
        };
        if wanted { self.seal(folder, disk, false) } else { Ok(Vec::new()) }
    }

    /// Writes vectors in memory into a new file, together with files that are small or half dead, or with everything.
    /// Gives the files that are no longer used.
    pub(super) fn seal(&mut self, folder: &Path, disk: &Disk, everything: bool) -> Result<Vec<String>> {
        let (index, segments) = match self {
            Vectors::Flat { index, segments, .. } => (index, segments),
            #[cfg(feature = "hnsw")]
            Vectors::Hnsw(_) => return Ok(Vec::new()), // lives in memory only
        };
        let Some(merged) = index.merged(everything) else { return Ok(Vec::new()) };
        let next = 1 + segments.iter().filter_map(|entry| number(&entry.name)).max().unwrap_or(0);
        let name = format!("vectors-{next:06}.seg");
        let path = folder.join(&name);
        let checksum = disk.write_atomic(&path, FileKind::Segment, |out| merged.segment().write_payload(out))?;
        let mapped = Mapped::open(&path, FileKind::Segment, false)?;
        let sealed = FlatSegment::from_payload(std::sync::Arc::new(mapped))?;
        let entry = SegmentEntry { name: name.clone(), checksum, vectors: sealed.len() };
        let unused = index.install_sealed(&name, sealed, &merged)?;
        segments.retain(|entry| !unused.contains(&entry.name));
        segments.push(entry);
        Ok(unused)
    }

    /// Removes what the MANIFEST on disk does not name: left over from a crash between sealing and the MANIFEST, or from
    /// another backend. Failing to costs space and nothing else.
    pub(super) fn remove_strangers(&self, folder: &Path) {
        let Ok(files) = std::fs::read_dir(folder) else { return };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let ours = number(&name).is_some() || name.starts_with(".tmp-");
            if ours && !self.segments().iter().any(|entry| entry.name == name) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }

    /// Removes files that the MANIFEST no longer names; the next open does what fails now.
    pub(super) fn remove_files(folder: &Path, disk: &Disk, names: &[String]) {
        for name in names {
            if let Err(error) = disk.remove(&folder.join(name)) {
                tracing::warn!(%error, "a replaced file of vectors stays until the folder is opened again");
            }
        }
    }
}

/// Maps the file of `entry`, and no other that has come to its name, say from a copy of another day.
fn open_listed(folder: &Path, entry: &SegmentEntry, full: bool) -> Result<Mapped> {
    let mapped = Mapped::open(&folder.join(&entry.name), FileKind::Segment, full)?;
    if mapped.checksum() == entry.checksum {
        Ok(mapped)
    } else {
        Err(Error::corruption(format!("{} is not the segment that the MANIFEST lists", entry.name)))
    }
}

fn of_dimension(segment: FlatSegment, dimension: usize) -> Result<FlatSegment> {
    if segment.dimension() == dimension {
        return Ok(segment);
    }
    let found = segment.dimension();
    Err(Error::corruption(format!("it has vectors of dimension {found}; the model has {dimension}")))
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("vectors-")?.strip_suffix(".seg")?.parse().ok()
}
