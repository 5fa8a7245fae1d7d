//! The tokeniser of uncased BERT models: words, then the longest known pieces of each (Devlin et al. 2019; Wu et al. 2016).
//!
//! Control characters vanish, accents fold (NFD without non-spacing marks), letters become lower-case, and every
//! punctuation mark and every CJK ideograph is a word of its own. Form feed, vertical tab and next line part words as all
//! white space does, where the original drops them and joins what they part.

#[cfg(all(test, feature = "candle"))]
mod parity;

use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longer words are unknown.
const MAX_WORD_CHARS: usize = 100;

/// Pieces of words and their rows.
#[derive(Debug)]
pub(crate) struct WordPiece {
    /// Pieces that start a word.
    heads: FxHashMap<Box<str>, u32>,
    /// Pieces that go on, without their `##`.
    tails: FxHashMap<Box<str>, u32>,
    /// Bytes of the longest piece.
    longest: usize,
}

impl WordPiece {
    /// A vocabulary; piece `i` is row `i`.
    pub(crate) fn new<'a>(pieces: impl Iterator<Item = &'a str>) -> Self {
        let mut wordpiece = WordPiece { heads: FxHashMap::default(), tails: FxHashMap::default(), longest: 0 };
        for (row, piece) in pieces.enumerate() {
            wordpiece.longest = wordpiece.longest.max(piece.len());
            match piece.strip_prefix("##").filter(|tail| !tail.is_empty()) {
                Some(tail) => wordpiece.tails.insert(tail.into(), row as u32),
                None => wordpiece.heads.insert(piece.into(), row as u32),
            };
        }
        wordpiece
    }

    /// Calls `token` for each piece with its row (`None`: an unknown word) and the byte offset in `text` where the word
    /// begins.
    pub(crate) fn tokens(&self, text: &str, mut token: impl FnMut(Option<u32>, usize)) {
        let mut word = Word::default();
        for (at, original) in text.char_indices() {
            if original.is_whitespace() {
                self.pieces(&mut word, &mut token);
            } else if original.is_ascii() {
                if !original.is_ascii_control() {
                    self.letter(
                        &mut word,
                        original.to_ascii_lowercase(),
                        at,
                        original.is_ascii_punctuation(),
                        &mut token,
                    );
                }
            } else if !is_dropped(original) {
                let ideograph = is_ideograph(original);
                let letters = std::iter::once(original).nfd().filter(|&letter| !is_accent(letter));
                for letter in letters.flat_map(char::to_lowercase) {
                    self.letter(&mut word, letter, at, ideograph || is_punctuation(letter), &mut token);
                }
            }
        }
        self.pieces(&mut word, &mut token);
    }

    /// Takes a letter into the word; `alone`: it is a word by itself.
    fn letter(
        &self,
        word: &mut Word,
        letter: char,
        at: usize,
        alone: bool,
        token: &mut impl FnMut(Option<u32>, usize),
    ) {
        if alone {
            self.pieces(word, token);
        }
        if word.letters.is_empty() {
            word.start = at;
        }
        word.letters.push(letter);
        if alone {
            self.pieces(word, token);
        }
    }

    /// The longest known piece from the left, again and again; a word with an unknown rest is unknown as a whole.
    fn pieces(&self, word: &mut Word, token: &mut impl FnMut(Option<u32>, usize)) {
        let Word { letters, start } = word;
        if letters.is_empty() {
            return;
        }
        let (mut rows, mut count) = ([0u32; MAX_WORD_CHARS], 0);
        let mut rest = letters.as_str();
        if letters.len() <= MAX_WORD_CHARS || letters.chars().count() <= MAX_WORD_CHARS {
            while let Some((row, after)) = self.longest(rest, count == 0) {
                rows[count] = row; // a piece has at least one character, so there are no more pieces than these
                count += 1;
                rest = after;
            }
        }
        if rest.is_empty() {
            for &row in &rows[..count] {
                token(Some(row), *start);
            }
        } else {
            token(None, *start);
        }
        letters.clear();
    }

    /// The longest piece that `rest` begins with, and what comes after it.
    fn longest<'a>(&self, rest: &'a str, is_head: bool) -> Option<(u32, &'a str)> {
        let known = if is_head { &self.heads } else { &self.tails };
        let ends = (1..=rest.len().min(self.longest)).rev().filter(|&end| rest.is_char_boundary(end));
        ends.map(|end| rest.split_at(end)).find_map(|(piece, after)| Some((*known.get(piece)?, after)))
    }
}

/// A word under way, and where in the text it begins.
#[derive(Default)]
struct Word {
    letters: String,
    start: usize,
}

/// Control characters, formatting marks, characters of private use, and the sign for what could not be decoded.
fn is_dropped(c: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse};
    c == char::REPLACEMENT_CHARACTER || matches!(c.general_category(), Control | Format | PrivateUse)
}

fn is_accent(c: char) -> bool {
    c.general_category() == GeneralCategory::NonspacingMark
}

/// The blocks that BERT parts into single signs.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}'
        | '\u{2f800}'..='\u{2fa1f}')
}

/// Punctuation of every script, and all the signs of ASCII.
fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.general_category_group() == GeneralCategoryGroup::Punctuation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(Option<u32>, usize)> {
        let vocabulary = ["un", "##aff", "##able", "cafe", ",", "中", "##s"];
        let mut out = Vec::new();
        WordPiece::new(vocabulary.into_iter()).tokens(text, |row, at| out.push((row, at)));
        out
    }

    #[test]
    fn longest_pieces_with_the_place_of_their_word() {
        assert_eq!(
            pieces("UNaffable, Cafés"),
            [(Some(0), 0), (Some(1), 0), (Some(2), 0), (Some(4), 9), (Some(3), 11), (Some(6), 11)]
        );
        assert_eq!(pieces("中cafe xyz"), [(Some(5), 0), (Some(3), 3), (None, 8)]);
        assert_eq!(pieces("un\u{200b}able\0"), [(Some(0), 0), (Some(2), 0)]);
        assert_eq!(pieces(&"a".repeat(10_000_000)), [(None, 0)]);
        assert!(pieces(" \n\t").is_empty());
    }
}
