//! How rankers are trained from a shell.

use rag_core::ltr::train::Trainer;
use rag_core::{Error, Result};
use serde_json::{Map, Value};

/// The way of training for an objective, with parameters as `name=value`: LightGBM's names, values as JSON writes them.
/// Lists may be written with commas alone.
///
/// ```
/// let trainer = rag_runtime::trainer("lambdarank", &["num_leaves=7", "label_gain=0,1,3"])?;
/// assert_eq!(trainer.parameters()["label_gain"], serde_json::json!([0.0, 1.0, 3.0]));
/// # Ok::<(), rag_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` for what is no `name=value`, a name that stands twice, and as [`Trainer::new`].
pub fn trainer(objective: &str, parameters: &[impl AsRef<str>]) -> Result<Trainer> {
    let mut named = Map::new();
    for parameter in parameters {
        let parameter = parameter.as_ref();
        let Some((name, value)) = parameter.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let message = format!("`{parameter}` is no parameter; write name=value, such as num_leaves=31");
            return Err(Error::invalid(message));
        };
        if named.insert(name.to_owned(), value_of(value)).is_some() {
            return Err(Error::invalid(format!("the parameter `{name}` stands twice; give it once")));
        }
    }
    Ok(Trainer::new(objective, named)?)
}

fn value_of(text: &str) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    json(text)
        .or_else(|| text.contains(',').then(|| json(&format!("[{text}]"))).flatten())
        .unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_are_read_as_they_are_written() {
        let trainer = trainer("lambdarank", &["learning_rate=0.05", "grow_policy=depthwise", "eval_at=5,10"]).unwrap();
        let parameters = trainer.parameters();
        assert_eq!(parameters["learning_rate"], 0.05);
        assert_eq!(parameters["grow_policy"], "depthwise");
        assert_eq!(parameters["eval_at"], serde_json::json!([5, 10]));
    }

    #[test]
    fn what_is_no_parameter_is_told() {
        let told = |parameters: &[&str]| trainer("lambdarank", parameters).unwrap_err().to_string();
        assert!(told(&["num_leaves"]).contains("name=value"));
        assert!(told(&["=3"]).contains("name=value"));
        assert!(told(&["seed=1", "seed=2"]).contains("`seed` stands twice"));
        assert!(told(&["leaves=3"]).contains("`leaves`"));
    }
}
