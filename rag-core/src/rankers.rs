//! Files of rankers.

use std::path::Path;
use std::str::FromStr;

use rag_ltr::Ranker;
use rag_ltr::model::Model;

use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::Disk;

/// Whose file a ranker is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RankerFormat {
    /// `rag`: our own, with the schema and the training, to the last bit.
    #[default]
    Rag,
    /// `lightgbm`: the text that LightGBM reads; trees alone.
    LightGbm,
}

impl FromStr for RankerFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "rag" => Ok(RankerFormat::Rag),
            "lightgbm" => Ok(RankerFormat::LightGbm),
            other => Err(Error::invalid(format!("`format` is {other:?}; give \"rag\" or \"lightgbm\""))),
        }
    }
}

/// The bytes of a ranker's file.
///
/// # Errors
/// `Unsupported` for what the format has no words for, naming it.
pub fn to_bytes(ranker: &Ranker, format: RankerFormat) -> Result<Vec<u8>> {
    match (format, ranker.model()) {
        (RankerFormat::Rag, _) => Ok(ranker.to_bytes()?),
        (RankerFormat::LightGbm, Model::Trees(ensemble)) => Ok(ensemble.to_lightgbm()?.into_bytes()),
        (RankerFormat::LightGbm, Model::Linear(_)) => {
            let message = "LightGBM has no linear models; save with the format \"rag\"";
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// Reads a ranker: a file of our own, of LightGBM (text, JSON) or of XGBoost (JSON, UBJSON); its first bytes say which.
///
/// ```
/// use rag_core::ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
/// use rag_core::ltr::Ranker;
/// use rag_core::rankers::{RankerFormat, load, save};
/// let columns = vec![LinearColumn { weight: 2.0, center: 0.0, scale: 1.0, fill: 0.0 }];
/// let linear =
///     LinearModel { names: vec!["bm25".to_owned()], bias: 0.0, columns, arithmetic: Arithmetic::F64, link: Link::Identity };
/// let ranker = Ranker::new(Model::Linear(linear))?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ranker.json");
/// save(&ranker, &path, RankerFormat::Rag)?;
/// assert_eq!(load(&path)?, ranker);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `NotFound` and other failures of the disk; `InvalidArgument` and `Unsupported` for bytes that are no such model, naming
/// the file and the place.
pub fn load(path: &Path) -> Result<Ranker> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    Ranker::from_bytes(&bytes).map_err(|error| Error::from(error).with("file", path.display().to_string()))
}

/// Writes a ranker to one file, whole or not at all.
///
/// # Errors
/// As [`to_bytes`], and failures of the disk.
pub fn save(ranker: &Ranker, path: &Path, format: RankerFormat) -> Result<()> {
    Disk::default().write_bytes(path, &to_bytes(ranker, format)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rag_ltr::model::{Arithmetic, LinearColumn, LinearModel, Link};

    #[test]
    fn what_cannot_be_written_or_read_is_named() {
        let columns = vec![LinearColumn { weight: 1.0, center: 0.0, scale: 1.0, fill: 0.0 }];
        let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
        let linear = LinearModel { names: Vec::new(), bias: 0.0, columns, arithmetic, link };
        let ranker = Ranker::new(Model::Linear(linear)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ranker");
        assert_eq!(save(&ranker, &path, RankerFormat::LightGbm).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(load(&path).unwrap_err().kind(), ErrorKind::NotFound, "nothing was written");
        std::fs::write(&path, "a ranker").unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("ranker"), "{error}");
        save(&ranker, &path, "rag".parse().unwrap()).unwrap();
        assert_eq!(load(&path).unwrap(), ranker);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        assert!("onnx".parse::<RankerFormat>().unwrap_err().to_string().contains("\"rag\""));
    }
}
