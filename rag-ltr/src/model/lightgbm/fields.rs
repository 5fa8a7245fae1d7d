//! Named values of one tree, one node or the head of a file, checked to be known and given once.

use std::str::FromStr;

use crate::error::{Error, Result};

/// The values of one place in the file, as they stand there.
pub(super) struct Fields<'a> {
    tree: Option<usize>,
    values: Vec<(&'static str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// For the tree of this number, or for the head of the file.
    pub(super) fn new(tree: Option<usize>) -> Self {
        Fields { tree, values: Vec::new() }
    }

    /// Takes one more value.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name that is not among the known ones: who knows what it does to the score.
    pub(super) fn insert(&mut self, name: &str, value: &'a str, known: &[&'static str]) -> Result<()> {
        let Some(&name) = known.iter().find(|known| **known == name) else {
            let name: String = name.chars().take(40).collect();
            return Err(Error::Unsupported(format!("the field {}", place(self.tree, &name))));
        };
        if self.text(name).is_some() {
            return Err(self.wrong(name, "it is given twice"));
        }
        self.values.push((name, value));
        Ok(())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a str> {
        self.text(name).ok_or_else(|| self.wrong(name, "it is not there"))
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        self.parse(name, self.required(name)?)
    }

    pub(super) fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.text(name).map(|text| self.parse(name, text)).transpose()
    }

    /// The numbers of a line, if it has any; they must be `count`.
    pub(super) fn line<T: FromStr>(&self, name: &str, count: usize) -> Result<Option<Vec<T>>> {
        let Some(text) = self.text(name).filter(|text| count == 0 || !text.trim().is_empty()) else { return Ok(None) };
        let numbers: Vec<T> =
            text.split_ascii_whitespace().map(|word| self.parse(name, word)).collect::<Result<_>>()?;
        if numbers.len() != count {
            return Err(self.wrong(name, &format!("it has {} numbers instead of {count}", numbers.len())));
        }
        Ok(Some(numbers))
    }

    pub(super) fn required_line<T: FromStr>(&self, name: &str, count: usize) -> Result<Vec<T>> {
        self.line(name, count)?.ok_or_else(|| self.wrong(name, "it has no numbers"))
    }

    pub(super) fn wrong(&self, name: &str, problem: &str) -> Error {
        Error::model(place(self.tree, name), problem)
    }

    fn parse<T: FromStr>(&self, name: &str, text: &str) -> Result<T> {
        text.parse().map_err(|_| {
            let text: String = text.chars().take(40).collect();
            self.wrong(name, &format!("`{text}` is not a number that can stand here"))
        })
    }
}

fn place(tree: Option<usize>, name: &str) -> String {
    match tree {
        Some(tree) => format!("tree {tree}, `{name}`"),
        None => format!("`{name}`"),
    }
}
