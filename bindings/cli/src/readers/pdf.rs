//! PDF: the text of all pages, and the title of the document information.

use super::problem::Problem;

/// Title and text. A scanned document without a text layer gives empty text.
#[cfg(feature = "pdf")]
pub(crate) fn parse(content: Vec<u8>) -> Result<(Option<String>, String), Problem> {
    use pdf_extract::{Document, PlainTextOutput, output_doc};

    super::guard::guarded(move || {
        let malformed = |error: &dyn std::fmt::Display| Problem::Malformed(error.to_string());
        let mut document = Document::load_mem(&content).map_err(|error| malformed(&error))?;
        if document.is_encrypted() {
            document.decrypt("").map_err(|_| Problem::Malformed("encrypted with a password".to_owned()))?;
        }
        let mut text = String::new();
        let mut output = PlainTextOutput::new(&mut text);
        output_doc(&document, &mut output).map_err(|error| malformed(&error))?;
        Ok((title(&document), text))
    })
}

/// This build has no PDF parser.
#[cfg(not(feature = "pdf"))]
pub(crate) fn parse(_content: Vec<u8>) -> Result<(Option<String>, String), Problem> {
    Err(Problem::NotBuilt { feature: "pdf" })
}

#[cfg(feature = "pdf")]
fn title(document: &pdf_extract::Document) -> Option<String> {
    let information = document.trailer.get_deref(b"Info", document).ok()?.as_dict().ok()?;
    let title = pdf_extract::decode_text_string(information.get_deref(b"Title", document).ok()?).ok()?;
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

#[cfg(all(test, feature = "pdf"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TINY: &[u8] = include_bytes!("../../tests/fixtures/tiny.pdf");

    #[test]
    fn title_and_pages_are_read() {
        let (title, text) = parse(TINY.to_vec()).unwrap();
        assert_eq!(title.as_deref(), Some("Alpine passes"));
        assert!(text.contains("The Grimsel pass is closed in winter."), "{text}");
        assert!(text.contains("Second page"), "{text}");
    }

    #[test]
    fn damaged_files_are_problems_not_panics() {
        for cut in (0..TINY.len()).step_by(37) {
            let _ = parse(TINY[..cut].to_vec());
        }
        for at in (0..TINY.len()).step_by(23) {
            let mut damaged = TINY.to_vec();
            damaged[at] ^= 0x15;
            let _ = parse(damaged);
        }
        assert!(parse(b"%PDF-1.4 nothing else".to_vec()).is_err());
    }
}
