//! LightGBM's model files: the text of `save_model` and the JSON of `dump_model`, versions 3 and 4.

mod fields;
mod head;
mod json;
mod json_cursor;
mod nodes;
mod objective;
mod text;
mod write;

use super::Ensemble;
use crate::error::{Error, Result};

impl Ensemble {
    /// Reads a model of LightGBM: the text that `save_model` and `model_to_string` write, or the JSON of `dump_model`,
    /// version 3 or 4. Which of the two it is shows in the first byte.
    ///
    /// The margins of the ensemble equal LightGBM's raw scores to the bit, with one exception: where the file says
    /// `average_output` (`boosting=rf`) the margin is the mean of the trees, which LightGBM's `raw_score` leaves as the
    /// sum. `cover` is the number of training rows, `weight` the sum of the second derivatives, as LightGBM has them; a
    /// gain, value or weight that is not finite is kept as 0, since no score depends on it.
    ///
    /// Features are columns by position. Where a model was trained on a pandas frame with columns of categories, the rows
    /// hold the codes of the categories.
    ///
    /// ```
    /// # let text = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n\
    /// # objective=lambdarank\nfeature_names=clicks age\nfeature_infos=[0:9] none\ntree_sizes=150\n\nTree=0\nnum_leaves=2\n\
    /// # num_cat=0\nsplit_feature=0\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\nleaf_value=-0.25 1.5\n\
    /// # shrinkage=1\n\n\nend of trees\n";
    /// use rag_ltr::{Rows, model::Ensemble};
    /// let ensemble = Ensemble::from_lightgbm(text.as_bytes())?;
    /// assert_eq!(ensemble.parts().names, ["clicks", "age"]);
    /// assert_eq!(ensemble.margins(Rows::new(&[0.5, 3.0, 2.0, f32::NAN], 2)?)?, [-0.25, 1.5]);
    /// # Ok::<(), rag_ltr::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`] naming the tree and the field of a damaged file; [`Error::Unsupported`] for several classes,
    /// several trees an iteration, another version, and any field or objective that is not known.
    pub fn from_lightgbm(file: &[u8]) -> Result<Ensemble> {
        let file = std::str::from_utf8(file)
            .map_err(|error| Error::model(format!("byte {}", error.valid_up_to()), "the file is not UTF-8"))?;
        match file.trim_start().as_bytes().first() {
            Some(b'{') => json::read(file),
            Some(b't') => text::read(file),
            _ => Err(Error::model(
                "the beginning",
                "it is neither LightGBM's text, which begins with `tree`, nor its JSON",
            )),
        }
    }

    /// Writes a model file for LightGBM (text, version 4), which predicts with it what [`Ensemble::margins`] and the
    /// link answer, to the bit but for the sign of a zero; for an average, see [`Ensemble::from_lightgbm`].
    ///
    /// What the sum starts with goes into the leaves of the first tree, where LightGBM has it too, or into a first tree
    /// of its own where the first tree has linear leaves. Covers are rounded to whole rows, which only LightGBM's
    /// explanations see. The ranges under `feature_infos` are those of the thresholds, since the rows of the training
    /// are not known.
    ///
    /// ```
    /// use rag_ltr::model::{Arithmetic, Ensemble, EnsembleParts, Link, Tree};
    /// let ensemble = Ensemble::checked(EnsembleParts {
    ///     columns: 1,
    ///     names: vec!["bm25".to_owned()],
    ///     trees: vec![Tree::constant(0.5)],
    ///     base: 0.25,
    ///     arithmetic: Arithmetic::F64,
    ///     average: false,
    ///     link: Link::Identity,
    /// })?;
    /// let text = ensemble.to_lightgbm()?;
    /// assert!(text.starts_with("tree\nversion=v4\n") && text.contains("leaf_value=0.75\n"));
    /// # Ok::<(), rag_ltr::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming what LightGBM cannot do: 32-bit sums, [`super::Link::Step`], a missing value that is sent
    /// to a set of categories, a threshold closer to 0 than [`super::ZERO`] (LightGBM reads such values as 0), names with
    /// white space.
    pub fn to_lightgbm(&self) -> Result<String> {
        write::write(self.parts())
    }
}
