//! The tokeniser of uncased BERT models: words, then the longest known pieces of each (Devlin et al. 2019; Wu et al. 2016).
//!
//! Control characters vanish, accents fold (NFD without marks), letters become lower-case, and every punctuation mark
//! and every CJK ideograph is a word of its own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longer words are unknown.
const MAX_WORD_CHARS: usize = 100;

/// Pieces of words and their rows.
#[derive(Debug)]
pub(crate) struct WordPiece {
    /// Pieces that start a word.
    heads: Pieces,
    /// Pieces that go on, without their `##`.
    tails: Pieces,
    /// Bytes of the longest piece.
    longest: usize,
}

impl WordPiece {
    /// A vocabulary; piece `i` is row `i`.
    pub(crate) fn new<'a>(pieces: impl Iterator<Item = &'a str>) -> Self {
        let mut wordpiece = WordPiece { heads: Pieces::default(), tails: Pieces::default(), longest: 0 };
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
        let mut word = String::new();
        let mut start = 0;
        for (at, original) in text.char_indices() {
            if original.is_whitespace() {
                self.pieces(&mut word, start, &mut token);
                continue;
            }
            if original == '\0' || original == '\u{fffd}' || is_dropped(original) {
                continue;
            }
            if original.is_ascii() {
                let alone = original.is_ascii_punctuation();
                if alone {
                    self.pieces(&mut word, start, &mut token);
                }
                if word.is_empty() {
                    start = at;
                }
                word.push(original.to_ascii_lowercase());
                if alone {
                    self.pieces(&mut word, start, &mut token);
                }
                continue;
            }
            for letter in
                std::iter::once(original).nfd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase)
            {
                let alone = is_ideograph(letter) || is_punctuation(letter);
                if alone {
                    self.pieces(&mut word, start, &mut token);
                }
                if word.is_empty() {
                    start = at;
                }
                word.push(letter);
                if alone {
                    self.pieces(&mut word, start, &mut token);
                }
            }
        }
        self.pieces(&mut word, start, &mut token);
    }

    /// The longest known piece from the left, again and again; a word with an unknown rest is unknown as a whole.
    fn pieces(&self, word: &mut String, start: usize, token: &mut impl FnMut(Option<u32>, usize)) {
        if word.is_empty() {
            return;
        }
        let (mut rows, mut count) = ([0u32; MAX_WORD_CHARS], 0);
        let mut rest = word.as_str();
        if word.len() <= MAX_WORD_CHARS || word.chars().count() <= MAX_WORD_CHARS {
            while let Some((row, after)) = self.longest(rest, count == 0) {
                rows[count] = row; // a piece has at least one character, so there are no more pieces than these
                count += 1;
                rest = after;
            }
        }
        if rest.is_empty() {
            for &row in &rows[..count] {
                token(Some(row), start);
            }
        } else {
            token(None, start);
        }
        word.clear();
    }

    /// The longest piece that `rest` begins with, and what comes after it.
    fn longest<'a>(&self, rest: &'a str, is_head: bool) -> Option<(u32, &'a str)> {
        let known = if is_head { &self.heads } else { &self.tails };
        let ends = (1..=rest.len().min(self.longest)).rev().filter(|&end| rest.is_char_boundary(end));
        ends.map(|end| rest.split_at(end)).find_map(|(piece, after)| Some((*known.get(piece)?, after)))
    }
}

/// Multiplies and rotates eight bytes at a time. The keys are those of a model, so nobody can choose them to collide.
#[derive(Debug, Clone, Copy, Default)]
struct PieceHasher(u64);

impl Hasher for PieceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

type Pieces = HashMap<Box<str>, u32, BuildHasherDefault<PieceHasher>>;

/// Control characters and formatting marks.
fn is_dropped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

/// The common blocks of punctuation beyond ASCII.
fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
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
