//! Rust source with everything taken out that is not code of the product: comments, what stands in strings, and items
//! under `#[cfg(test)]`. Line numbers stay as they were.

/// The code of a source file.
pub(super) fn product_code(source: &str) -> String {
    without_tests(&without_comments_and_strings(source))
}

/// Replaces comments and the contents of strings and characters by blanks.
fn without_comments_and_strings(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_block_comment(bytes, at),
            b'"' => end_of_string(bytes, at),
            b'r' if !follows_word(bytes, at) => end_of_raw_string(bytes, at).unwrap_or(at),
            b'\'' => end_of_character(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes[from..].windows(wanted.len()).position(|window| window == wanted).map(|offset| from + offset)
}

/// Whether the letter before is part of the same word; the `b` of `br"…"` is not.
fn follows_word(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match at.checked_sub(1).map(|before| bytes[before]) {
        Some(b'b' | b'c') => at >= 2 && is_word(bytes[at - 2]),
        Some(before) => is_word(before),
        None => false,
    }
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_raw_string(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
    Some(find(bytes, open + 1, &close).map_or(bytes.len(), |found| found + close.len()))
}

/// `'x'` and `'\n'`, but not the lifetime `'x`.
fn end_of_character(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        return find(bytes, start + 3, b"'").map(|found| found + 1);
    }
    let letter = std::str::from_utf8(bytes.get(start + 1..(start + 5).min(bytes.len()))?);
    let letter = match letter {
        Ok(text) => text.chars().next(),
        Err(error) => std::str::from_utf8(&bytes[start + 1..start + 1 + error.valid_up_to()]).ok()?.chars().next(),
    }?;
    let close = start + 1 + letter.len_utf8();
    (bytes.get(close) == Some(&b'\'')).then_some(close + 1)
}

/// Blanks each item that stands under `#[cfg(test)]` or `#[cfg(all(test, …))]`. Expects comments and strings gone.
fn without_tests(code: &str) -> String {
    let mut kept = code.as_bytes().to_vec();
    let mut at = 0;
    while let Some(start) = find(&kept, at, b"#[cfg(") {
        let Some(close) = find(&kept, start, b")]") else { break };
        let condition = String::from_utf8_lossy(&kept[start + 6..close]).into_owned();
        at = close + 2;
        let is_test = condition == "test" || (condition.starts_with("all(") && has_word(&condition, "test"));
        if is_test && !condition.contains("not(test") {
            let end = end_of_item(&kept, at);
            for byte in &mut kept[start..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The end of the item that begins at `start`: a `;` outside of brackets, or the brace that closes its body.
fn end_of_item(code: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether `text` has `word` with no letter, digit or `_` on either side.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

#[test]
fn comments_strings_and_tests_go_and_lines_stay() {
    let source = r##"
// unsafe one
/* unsafe /* two */ still */ fn a<'x>(s: &'x str) { let c = '"'; let d = '\''; "unsafe \" three"; r#"unsafe " four"#; }
#[cfg(test)]
mod tests { fn x() { unsafe {} } }
#[cfg(all(test, unix))] use unsafe_tests;
#[cfg(not(test))] fn kept() {}
fn last() { br"unsafe"; }
"##;
    let code = product_code(source);
    assert!(!code.contains("unsafe"), "{code}");
    assert_eq!(code.lines().count(), source.lines().count());
    assert!(code.contains("fn a<'x>(s: &'x str)") && code.contains("fn kept()"), "{code}");
    assert_eq!(code.lines().position(|line| line.contains("fn last")), Some(7));
}

#[test]
fn words_are_whole() {
    assert!(has_word("unsafe {", "unsafe") && !has_word("unsafe_code", "unsafe") && !has_word("un_unsafe", "unsafe"));
}
