//! Text of documents, paths and messages, made harmless for a terminal.
//!
//! What is indexed may hold escape sequences, and a terminal obeys them: they colour, move and delete what is shown, or
//! set the title of the window. So every text that did not originate here passes through here before people see it.
//! JSON for programs stays as it is.

use std::borrow::Cow;

/// Puts U+FFFD in the place of every control character but line ends and tabs.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    replace(text, |character| character.is_control() && !matches!(character, '\n' | '\t'))
}

/// As [`text()`], for what has to stay on one line: line ends and tabs are replaced too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    replace(text, char::is_control)
}

fn replace(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|character| if is_bad(character) { char::REPLACEMENT_CHARACTER } else { character }).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let bad = "a\u{1b}[2J\u{7}b\u{7f}c\u{9b}31md\r\ne\tgrüße";
        assert_eq!(text(bad), "a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}31md\u{fffd}\ne\tgrüße");
        assert_eq!(line(bad), "a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}31md\u{fffd}\u{fffd}e\u{fffd}grüße");
        assert!(matches!(text("grüße\n"), Cow::Borrowed("grüße\n")));
    }
}
