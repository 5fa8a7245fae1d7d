//! Titles that a reader found by itself, such as the first heading, kept short.

/// Most bytes of a title that was not given as such: a page that is one long line has a heading of any length.
const MAX_BYTES: usize = 1024;

/// How far from its end a title is cut between two words rather than within one.
const WORD_BYTES: usize = 64;

/// The title, cut to [`MAX_BYTES`] at most: after a word where one ends near there, else after a character.
pub(super) fn cut(mut title: String) -> String {
    if title.len() <= MAX_BYTES {
        return title;
    }
    let mut end = MAX_BYTES;
    while !title.is_char_boundary(end) {
        end -= 1;
    }
    // A word that ends just here is whole.
    let next = title[end..].chars().next().map_or(0, char::len_utf8);
    let space = title[..end + next].rfind(char::is_whitespace).filter(|at| end - at <= WORD_BYTES);
    title.truncate(space.unwrap_or(end));
    title.truncate(title.trim_end().len());
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_titles_end_after_a_word_or_at_least_a_character() {
        let cut_length = |title: &str| {
            let kept = cut(title.to_owned());
            assert!(title.starts_with(&kept), "{kept}");
            kept.len()
        };
        assert_eq!(cut_length(&"x".repeat(1024)), 1024);
        assert_eq!(cut_length(&"x".repeat(1025)), 1024);
        assert_eq!(cut_length(&"ü€".repeat(1000)), 1022);
        assert_eq!(cut_length(&"word ".repeat(1000)), 1024);
        assert_eq!(cut_length(&"words ".repeat(1000)), 1019);
        assert_eq!(cut_length(&format!("{} {}", "x".repeat(980), "y".repeat(500))), 980);
        assert_eq!(cut_length(&format!("{} {}", "x".repeat(900), "y".repeat(500))), 1024);
        assert_eq!(cut_length(&format!("{}  {}", "x".repeat(1000), "y".repeat(500))), 1000);
    }
}
