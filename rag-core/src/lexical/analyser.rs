//! From text to the terms of the index.
//!
//! Letters and digits of any script make words; combining marks belong to the letter before them; everything else
//! parts words. Scripts that are written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese) give overlapping pairs of
//! letters. Single letters parted by full stops are one word (`U.S.` is `us`). Compatibility forms are unified (NFKC), words lower-cased, stop words taken out, the rest stemmed
//! (Snowball) and its accents folded. A word of more than [`MAX_WORD_BYTES`] bytes is not indexed.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Result};

/// Longest word, in bytes of UTF-8 after normalisation.
pub(crate) const MAX_WORD_BYTES: usize = 255;

/// Raised whenever the same text gives other terms than before.
const VERSION: u32 = 1;

/// Language without stop words and stemming.
const NONE: &str = "none";

/// English stop words beside those of Lucene: the pronoun, and what an apostrophe leaves of short forms.
const MORE_STOP_WORDS: [&str; 6] = ["i", "s", "t", "d", "m", "ll"];

const LANGUAGES: [(&str, Language); 18] = [
    ("arabic", Language::Arabic),
    ("danish", Language::Danish),
    ("dutch", Language::Dutch),
    ("english", Language::English),
    ("finnish", Language::Finnish),
    ("french", Language::French),
    ("german", Language::German),
    ("greek", Language::Greek),
    ("hungarian", Language::Hungarian),
    ("italian", Language::Italian),
    ("norwegian", Language::Norwegian),
    ("portuguese", Language::Portuguese),
    ("romanian", Language::Romanian),
    ("russian", Language::Russian),
    ("spanish", Language::Spanish),
    ("swedish", Language::Swedish),
    ("tamil", Language::Tamil),
    ("turkish", Language::Turkish),
];

/// What turns documents and queries into terms, the same for both.
#[derive(Clone)]
pub(crate) struct Analyser {
    description: String,
    chain: TextAnalyzer,
}

impl std::fmt::Debug for Analyser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Analyser").field(&self.description).finish()
    }
}

impl Analyser {
    /// The analyser of a language, named as in [`LexicalConfig`](crate::config::LexicalConfig).
    ///
    /// # Errors
    /// `InvalidArgument`, with the languages there are.
    pub(crate) fn new(language: &str) -> Result<Analyser> {
        if language == NONE {
            let chain = TextAnalyzer::builder(WordTokenizer::new(false)).filter(LowerCaser).filter(AsciiFoldingFilter);
            return Ok(Analyser { description: format!("words-{VERSION}/{NONE}"), chain: chain.build() });
        }
        let Some((name, known)) = LANGUAGES.into_iter().find(|(name, _)| *name == language) else {
            let names: Vec<&str> = LANGUAGES.iter().map(|(name, _)| *name).chain([NONE]).collect();
            return Err(Error::invalid(format!(
                "`lexical.language` is `{language}`; give one of {}",
                names.join(", ")
            )));
        };
        let words = TextAnalyzer::builder(WordTokenizer::new(known == Language::English)).filter(LowerCaser).dynamic();
        let words = match StopWordFilter::new(known) {
            Some(stop_words) => words.filter_dynamic(stop_words),
            None => words,
        };
        let words = match known {
            Language::English => words.filter_dynamic(StopWordFilter::remove(MORE_STOP_WORDS.map(str::to_owned))),
            _ => words,
        };
        let chain = words.filter_dynamic(Stemmer::new(known)).filter_dynamic(AsciiFoldingFilter);
        Ok(Analyser { description: format!("words-{VERSION}/{name}"), chain: chain.build() })
    }

    /// What the MANIFEST records: two analysers with one description give the same terms.
    pub(crate) fn describe(&self) -> &str {
        &self.description
    }

    /// The tokenizer to register under [`Analyser::describe`].
    pub(super) fn tokenizer(&self) -> TextAnalyzer {
        self.chain.clone()
    }

    /// Terms of a text with their positions, in words; a stop word takes a position and gives no term.
    pub(crate) fn terms(&self, text: &str) -> Vec<(usize, String)> {
        let mut chain = self.chain.clone();
        let mut stream = chain.token_stream(text);
        let mut terms = Vec::new();
        while let Some(token) = stream.next() {
            terms.push((token.position, token.text.clone()));
        }
        terms
    }
}

/// Splits text into words.
#[derive(Clone)]
struct WordTokenizer {
    /// Drops the English possessive: `author's` is `author`.
    possessive: bool,
    token: Token,
}

impl WordTokenizer {
    fn new(possessive: bool) -> Self {
        WordTokenizer { possessive, token: Token::default() }
    }
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { text, at: 0, possessive: self.possessive, pairing: false, token: &mut self.token }
    }
}

/// The words of one text.
struct WordStream<'a> {
    text: &'a str,
    /// Where the rest of the text begins, in bytes.
    at: usize,
    possessive: bool,
    /// Whether the token before this one was a pair that ends with the letter at `at`.
    pairing: bool,
    token: &'a mut Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        while let Some((from, to)) = self.next_word() {
            self.token.position = self.token.position.wrapping_add(1);
            self.token.offset_from = from;
            self.token.offset_to = to;
            self.token.text.clear();
            let word = &self.text[from..to];
            if word.is_ascii() {
                // The full stops of an abbreviation.
                self.token.text.extend(word.chars().filter(|letter| *letter != '.'));
            } else if word.len() <= 4 * MAX_WORD_BYTES {
                self.token.text.extend(word.nfkc());
            }
            if (1..=MAX_WORD_BYTES).contains(&self.token.text.len()) {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

impl WordStream<'_> {
    /// Bounds of the next word, or pair of unspaced letters.
    fn next_word(&mut self) -> Option<(usize, usize)> {
        loop {
            let rest = &self.text[self.at..];
            let skipped = rest.find(char::is_alphanumeric)?;
            if skipped > 0 {
                self.pairing = false;
            }
            let from = self.at + skipped;
            if self.letter_at(from).is_some_and(is_unspaced) {
                let middle = self.end_of_letter(from);
                self.at = middle;
                let last = self.letter_at(middle).is_none_or(|next| !is_unspaced(next) || !next.is_alphanumeric());
                if !last {
                    self.pairing = true;
                    return Some((from, self.end_of_letter(middle)));
                }
                if std::mem::take(&mut self.pairing) {
                    continue;
                }
                return Some((from, middle));
            }
            self.pairing = false;
            let to = self.text[from..]
                .find(|letter: char| is_unspaced(letter) || !(letter.is_alphanumeric() || is_combining_mark(letter)))
                .map_or(self.text.len(), |length| from + length);
            let to = if to - from == 1 { self.end_of_abbreviation(to) } else { to };
            self.at = if self.possessive { self.end_of_possessive(to) } else { to };
            return Some((from, to));
        }
    }

    fn letter_at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// End of the letter at `at` with its combining marks.
    fn end_of_letter(&self, at: usize) -> usize {
        let mut letters = self.text[at..].char_indices().skip(1);
        letters.find(|(_, letter)| !is_combining_mark(*letter)).map_or(self.text.len(), |(length, _)| at + length)
    }

    /// End of an abbreviation whose first letter ends at `at`: single ASCII letters, parted by full stops.
    fn end_of_abbreviation(&self, mut at: usize) -> usize {
        loop {
            let mut letters = self.text[at..].chars();
            let another =
                letters.next() == Some('.') && letters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
            if !another || letters.next().is_some_and(|next| next.is_alphanumeric() || is_combining_mark(next)) {
                return at;
            }
            at += 2;
        }
    }

    /// Where to go on after a word that ends at `at`: behind `'s` if that is all that follows.
    fn end_of_possessive(&self, at: usize) -> usize {
        let mut letters = self.text[at..].char_indices();
        let apostrophe = letters.next().is_some_and(|(_, letter)| matches!(letter, '\'' | '\u{2019}' | '\u{ff07}'));
        let s = letters.next().is_some_and(|(_, letter)| matches!(letter, 's' | 'S'));
        match letters.next() {
            _ if !apostrophe || !s => at,
            None => self.text.len(),
            Some((_, next)) if next.is_alphanumeric() || is_combining_mark(next) => at,
            Some((length, _)) => at + length,
        }
    }
}

/// Letters of scripts that put no space between words.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Burmese
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' // Kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // Han
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::ErrorKind;

    fn terms(language: &str, text: &str) -> Vec<String> {
        Analyser::new(language).unwrap().terms(text).into_iter().map(|(_, term)| term).collect()
    }

    #[test]
    fn english_words_lose_case_stop_words_endings_and_accents() {
        assert_eq!(terms("english", "The Author's caf\u{e9}s were RUNNING."), ["author", "cafe", "were", "run"]);
        assert_eq!(terms("english", "James' state-of-the-art x2 l'eau"), ["jame", "state", "art", "x2", "l", "eau"]);
        assert_eq!(terms("english", "it's 'so' I'll don't vitamin C"), ["so", "don", "vitamin", "c"]);
    }

    #[test]
    fn none_keeps_every_word() {
        assert_eq!(terms("none", "The Author's Caf\u{e9}"), ["the", "author", "s", "cafe"]);
    }

    #[test]
    fn abbreviations_are_one_word() {
        assert_eq!(
            terms("none", "the U.S.A. e.g. a.b v1.2 x.com J. K. i.e, p.m"),
            ["the", "usa", "eg", "ab", "v1", "2", "x", "com", "j", "k", "ie", "pm"]
        );
        assert_eq!(terms("english", "the U.S.'s"), ["us"]);
    }

    #[test]
    fn both_forms_of_an_accent_are_one_word() {
        for language in ["none", "english", "french", "german"] {
            assert_eq!(
                terms(language, "re\u{301}sume\u{301} Zu\u{308}rich"),
                terms(language, "r\u{e9}sum\u{e9} Z\u{fc}rich")
            );
        }
        assert_eq!(terms("none", "\u{ff37}\u{ff4f}\u{ff52}\u{ff44} \u{fb01}ne"), ["word", "fine"]);
    }

    #[test]
    fn unspaced_scripts_give_pairs_of_letters() {
        assert_eq!(terms("none", "東京都 は x京y 京"), ["東京", "京都", "は", "x", "京", "y", "京"]);
        assert_eq!(terms("none", "ไทย").len(), 2);
        // A vowel sign stays with its consonant.
        assert_eq!(terms("none", "ที่นี่"), ["ที่นี่"]);
    }

    #[test]
    fn marks_of_spaced_scripts_stay_in_their_word() {
        assert_eq!(terms("none", "हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
    }

    #[test]
    fn stop_words_and_long_words_keep_their_position() {
        let analyser = Analyser::new("english").unwrap();
        let text = format!("{} of gold", "x".repeat(MAX_WORD_BYTES + 1));
        assert_eq!(analyser.terms(&text), [(2, "gold".to_owned())]);
        assert_eq!(analyser.terms(&"x".repeat(MAX_WORD_BYTES)).len(), 1);
    }

    #[test]
    fn unknown_languages_are_refused_with_the_known_ones() {
        let error = Analyser::new("klingon").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("english") && error.to_string().contains("none"), "{error}");
        for (name, _) in LANGUAGES {
            assert!(Analyser::new(name).unwrap().describe().ends_with(name));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_split(text in "\\PC*") {
            for language in ["none", "english", "russian"] {
                let terms = Analyser::new(language).unwrap().terms(&text);
                proptest::prop_assert!(terms.windows(2).all(|pair| pair[0].0 < pair[1].0));
            }
        }
    }
}
