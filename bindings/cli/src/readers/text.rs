//! Plain text and Markdown.

use super::problem::Problem;

/// The bytes as text, unchanged, or where they stop being UTF-8.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|error| Problem::NotUtf8 { offset: error.utf8_error().valid_up_to() })
}

/// Title and text of a Markdown file. The title is the first heading, else the `title` of the front matter; the text
/// is the file as it stands, so that offsets into it are offsets into the file.
pub(crate) fn markdown(text: String) -> (Option<String>, String) {
    (first_heading(&text), text)
}

fn first_heading(text: &str) -> Option<String> {
    let (front_matter, body) = split_front_matter(text);
    let mut fence: Option<&str> = None;
    let mut previous = "";
    for line in body.lines() {
        let trimmed = line.trim();
        if let Some(marker) = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker)) {
            match fence {
                None => fence = Some(marker),
                Some(open) if open == marker => fence = None,
                Some(_) => {}
            }
            previous = "";
            continue;
        }
        if fence.is_some() {
            continue;
        }
        if let Some(heading) = atx_heading(line) {
            return Some(heading);
        }
        if !previous.is_empty() && is_underline(trimmed) {
            return Some(previous.to_owned());
        }
        previous = trimmed;
    }
    front_matter.and_then(front_matter_title)
}

/// `# Heading ##` → `Heading`.
fn atx_heading(line: &str) -> Option<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let trimmed = line.trim();
    let after = trimmed.trim_start_matches('#');
    let level = trimmed.len() - after.len();
    if indent > 3 || !(1..=6).contains(&level) || !after.starts_with([' ', '\t']) {
        return None;
    }
    let heading = after.trim().trim_end_matches('#').trim_end();
    (!heading.is_empty()).then(|| heading.to_owned())
}

/// The line below a heading in the older style: only `=`, or only `-`.
fn is_underline(trimmed: &str) -> bool {
    trimmed.len() >= 3 && (trimmed.bytes().all(|byte| byte == b'=') || trimmed.bytes().all(|byte| byte == b'-'))
}

fn split_front_matter(text: &str) -> (Option<&str>, &str) {
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else { return (None, text) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return (Some(&rest[..at]), &rest[at + line.len()..]);
        }
        at += line.len();
    }
    (None, text)
}

fn front_matter_title(front_matter: &str) -> Option<String> {
    let value = front_matter.lines().find_map(|line| line.strip_prefix("title:"))?.trim();
    let value = value.trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_heading_is_the_title() {
        let title = |text: &str| markdown(text.to_owned()).0;
        assert_eq!(title("intro\n\n## Two words ##\n# Later\n").as_deref(), Some("Two words"));
        assert_eq!(title("Old style\n=========\n").as_deref(), Some("Old style"));
        assert_eq!(title("```sh\n# a comment\n```\n# Real\n").as_deref(), Some("Real"));
        assert_eq!(title("---\ntitle: \"From the front\"\n---\ntext\n").as_deref(), Some("From the front"));
        assert_eq!(title("---\ntitle: x\n---\n# Heading\n").as_deref(), Some("Heading"));
        assert_eq!(title("a\n\n---\n\n#hashtag\n").as_deref(), None);
    }

    #[test]
    fn invalid_bytes_are_located() {
        assert!(matches!(utf8(b"ab\xFFc".to_vec()), Err(Problem::NotUtf8 { offset: 2 })));
    }
}
