//! The few styles in use.

use anstyle::{AnsiColor, Style};

/// Errors.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Headings and titles.
pub(crate) const HEADING: Style = Style::new().bold();
/// Scores and other figures that matter.
pub(crate) const FIGURE: Style = AnsiColor::Cyan.on_default();
/// What may be overlooked.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The text in a style. The stream takes the style out where it would not be seen.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
