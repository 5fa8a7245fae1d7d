//! Web pages: the visible text, in reading order, and the `<title>`.

#[cfg(feature = "html")]
mod shallow;

use super::problem::Problem;

/// Title and visible text of a page.
#[cfg(feature = "html")]
pub(crate) fn parse(page: String) -> Result<(Option<String>, String), Problem> {
    super::guard::guarded(move || {
        let title = match title_markup(&page) {
            Some(markup) => Some(visible_text(&markup)?.split_whitespace().collect::<Vec<_>>().join(" ")),
            None => None,
        };
        Ok((title.filter(|title| !title.is_empty()), visible_text(&page)?))
    })
}

/// This build has no HTML parser.
#[cfg(not(feature = "html"))]
pub(crate) fn parse(_page: String) -> Result<(Option<String>, String), Problem> {
    Err(Problem::NotBuilt { feature: "html" })
}

/// Wide enough that no paragraph is broken into lines.
#[cfg(feature = "html")]
const WIDTH: usize = 1_000_000;

#[cfg(feature = "html")]
fn visible_text(markup: &str) -> Result<String, Problem> {
    let config = html2text::config::plain_no_decorate().raw_mode(true).no_link_wrapping().allow_width_overflow();
    let tree = config.dom_to_render_tree(&shallow::parse(markup));
    let text = tree.and_then(|tree| config.render_to_string(tree, WIDTH));
    text.map_err(|error| Problem::Malformed(error.to_string()))
}

/// What stands between `<title>` and `</title>`, as a paragraph of its own.
#[cfg(feature = "html")]
fn title_markup(page: &str) -> Option<String> {
    let start = find_ignoring_case(page, "<title")?;
    let open_end = start + page[start..].find('>')? + 1;
    let close = open_end + find_ignoring_case(&page[open_end..], "</title")?;
    // A title holds text and character references only; a `<` in it is a mere character.
    Some(format!("<p>{}</p>", page[open_end..close].replace('<', "&lt;")))
}

#[cfg(feature = "html")]
fn find_ignoring_case(text: &str, ascii: &str) -> Option<usize> {
    text.as_bytes().windows(ascii.len()).position(|window| window.eq_ignore_ascii_case(ascii.as_bytes()))
}

#[cfg(all(test, feature = "html"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scripts_and_styles_are_not_text() {
        let page = include_str!("../../tests/fixtures/page.html");
        let (title, text) = parse(page.to_owned()).unwrap();
        assert_eq!(title.as_deref(), Some("Alpine passes & tunnels"));
        for seen in ["Winter closures", "Grimsel", "2,164", "Snow & ice"] {
            assert!(text.contains(seen), "{seen} is missing from {text}");
        }
        for unseen in ["tracker", "color: red", "<p>", "a comment"] {
            assert!(!text.contains(unseen), "{unseen} is in {text}");
        }
        assert!(text.lines().any(|line| line.contains("closed from October") && line.contains("until late May")));
    }

    #[test]
    fn however_deep_a_page_nests_its_text_is_read_in_order() {
        for (open, close) in [
            ("<div>", "</div>"),
            ("<div>", ""),
            ("<div/>", ""),
            ("<section><span>", "</span></section>"),
            ("<blockquote><ul><li>", "</ul></blockquote>"),
            ("<table><tr><td>", "</td></tr></table>"),
            ("<svg><script>", ""),
            ("<optgroup><rt>", ""),
            ("<x-a>", "</x-b>"),
        ] {
            let page = format!("<p>top{}<p>bottom</p>{}<p>after</p>", open.repeat(100_000), close.repeat(100_000));
            let (_, text) = parse(page).unwrap();
            let words: Vec<&str> = text.split_whitespace().filter(|word| word.len() > 2).collect();
            assert_eq!(words, ["top", "bottom", "after"], "{open}");
        }
    }

    #[test]
    fn marks_that_are_never_closed_are_not_carried_into_every_later_paragraph() {
        let parts: Vec<String> = (0..20_000).map(|i| format!("<div><font size={i}><b>word{i}</div>")).collect();
        let page = parts.concat();
        let (_, text) = parse(page).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("word")).count(), 20_000);
        assert_eq!(parse("<p>a<s>b</s><a href=x>c</a></p>".to_owned()).unwrap().1.trim(), "abc");
    }

    #[test]
    fn titles_survive_markup_and_its_absence() {
        assert_eq!(parse("<TITLE lang=en>a < b\n c</TITLE>x".to_owned()).unwrap().0.as_deref(), Some("a < b c"));
        assert_eq!(parse("<p>no title</p>".to_owned()).unwrap().0, None);
        assert_eq!(parse("<title>never closed".to_owned()).unwrap().0, None);
    }
}
