//! The tokeniser against the one of the `tokenizers` crate, with the vocabulary of the bundled model.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use tokenizers::models::wordpiece::WordPiece as Pieces;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use unicode_categories::UnicodeCategories as _;

use super::{WordPiece, is_accent, is_dropped, is_punctuation};
use crate::embed::StaticModel;

static BUNDLED: LazyLock<StaticModel> = LazyLock::new(|| StaticModel::bundled().unwrap());
static REFERENCE: LazyLock<tokenizers::Tokenizer> = LazyLock::new(|| reference(BUNDLED.wordpiece()));

const UNKNOWN: &str = "[UNK]";

fn reference(ours: &WordPiece) -> tokenizers::Tokenizer {
    let heads = ours.heads.iter().map(|(head, row)| (*row, head.to_string()));
    let tails = ours.tails.iter().map(|(tail, row)| (*row, format!("##{tail}")));
    let vocabulary: BTreeMap<u32, String> = heads.chain(tails).collect();
    assert!(vocabulary.keys().copied().eq(0..vocabulary.len() as u32), "a row for each piece");
    let lines: Vec<String> = vocabulary.into_values().chain([UNKNOWN.to_owned()]).collect();
    let pieces = Pieces::builder().vocab(Pieces::read_bytes(lines.join("\n").as_bytes()).unwrap()).build().unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(pieces);
    tokenizer.with_normalizer(Some(BertNormalizer::default())).unwrap();
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer
}

/// Rows (`None`: unknown), and where the word of each begins.
type Tokens = Vec<(Option<u32>, usize)>;

fn ours(text: &str) -> Tokens {
    let mut tokens = Tokens::new();
    BUNDLED.wordpiece().tokens(text, |row, at| tokens.push((row, at)));
    tokens
}

fn theirs(text: &str) -> Tokens {
    let unknown = REFERENCE.token_to_id(UNKNOWN);
    let encoding = REFERENCE.encode(text, false).unwrap();
    let mut tokens = Tokens::new();
    let mut word = None;
    for ((&id, &(start, _)), &of) in encoding.get_ids().iter().zip(encoding.get_offsets()).zip(encoding.get_word_ids())
    {
        let start = if of == word { tokens.last().map_or(start, |&(_, start)| start) } else { start };
        word = of;
        tokens.push((Some(id).filter(|_| unknown != Some(id)), start));
    }
    tokens
}

/// Whether the tables of the reference, those of Unicode 8, take the character for something else than ours do: it is
/// younger, or was given another category since.
fn is_reclassified(c: char) -> bool {
    let dropped = c == char::REPLACEMENT_CHARACTER || c.is_other();
    let punctuation = c.is_ascii_punctuation() || c.is_punctuation();
    (dropped, c.is_mark_nonspacing(), punctuation) != (is_dropped(c), is_accent(c), is_punctuation(c))
}

/// The text as both are meant to read it: without characters that only one of them knows; and the three controls that
/// part words only here become other white space of the same length.
fn comparable(text: &str) -> String {
    let text: String = text.chars().filter(|&c| !is_reclassified(c)).collect();
    text.replace(['\u{b}', '\u{c}'], " ").replace('\u{85}', "\u{a0}")
}

fn assert_alike(text: &str) {
    let text = comparable(text);
    assert_eq!(ours(&text), theirs(&text), "{text:?}");
}

/// Sentences in many scripts, and what is treated apart in each.
const SAMPLES: &[&str] = &[
    "The quick brown fox jumps over the lazy dog's back; it cost $3.50 (+7%), didn't it?",
    "unaffable UNAFFABILITY — an e-mail to user_name@example.org, see https://example.org/a?b=c#d",
    "Der Fluß fließt übermäßig schnell. „Größe“ ist nicht ›alles‹, sagte er …", // typos: ignore
    "Où est passé l’élève? «Ça va», répondit-elle, à l’œuvre naïve.",
    "¿Dónde está el niño? ¡Allí! Señor Ibáñez comió piñas.",
    "Învățătorul a spus: „Știința și țara”. Ţară, şi.",
    "Türkiye'nin İstanbul ve Iğdır illeri; ılık ışık.", // typos: ignore
    "Tiếng Việt có nhiều dấu thanh: ằ ẳ ẵ ặ ế ề ể ễ ệ.",
    "Zażółć gęślą jaźń. Příliš žluťoučký kůň. Łódź, Þórður, Ærø.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю; йод и ёж.",
    "Η γρήγορη αλεπού· πού είναι; Ὁ λόγος, ᾧ καὶ ὕδωρ.",
    "שָׁלוֹם עֲלֵיכֶם! מה שלומך? ״ציטוט״ ו־מקף.",
    "السَّلَامُ عَلَيْكُمْ، كيف حالك؟ الكتابُ على الطاولة؛ ١٢٣٫٤٥٪",
    "नमस्ते दुनिया। क्या हाल है? हिन्दी में संयुक्ताक्षर और मात्राएँ हैं॥",
    "বাংলা ভাষা। தமிழ் மொழி, తెలుగు భాష, ಕನ್ನಡ, മലയാളം, ગુજરાતી, ਪੰਜਾਬੀ।",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ ฯลฯ ๑๒๓",
    "快速的棕色狐狸跳过懒狗。他说:“你好!”《书名》(2024年)",
    "速い茶色の狐は「怠け者の犬」を飛び越えた。カタカナ・ひらがな、ガギグ ゙",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다. 한국어, 각각의 값!",
    "ქართული ენა, Հայերեն լեզու։ አማርኛ ቋንቋ። ខ្មែរ ភាសា។ བོད་སྐད།",
    "x² + y₂ = ½ ∑ ∞ ≠ ≤ → ⇒ √2 ± 3 × 4 ÷ 5 ° © ® ™ € £ ¥",
    "emoji 😀👍🏽 👨‍👩‍👧‍👦 🇨🇭 ☃️ ❤ end",
    "zero\u{200b}width\u{200d}joiner\u{feff}bom soft\u{ad}hyphen right\u{200f}left \u{202e}override\u{202c} private\u{e000}use",
    "no\u{a0}break\u{2003}em\u{2028}line\u{2029}paragraph\u{3000}ideographic\ttab\r\nnewline\u{1680}ogham",
    "bell\u{7}null\0replacement\u{fffd}escape\u{1b}[0m form\u{c}feed vertical\u{b}tab next\u{85}line",
    "e\u{301}\u{301}\u{323} a\u{30a} \u{301}start o\u{338} q\u{307}\u{323} Z\u{351}a\u{36b}l\u{345}go",
    "K Å Ω \u{37e} \u{1fef} \u{2126} \u{212a} \u{f900}\u{fa0e}\u{2f800} ﬁ ﬂ ǆ ẞ ŉ",
    "[CLS] [SEP] [UNK] [MASK] [unused1] ##able ## # a##b",
    "𠀀𪛟𪜀𫠠𫤠𬺯 𝐁𝐨𝐥𝐝 𐐀𐐁 𒀀𒀁 𓀀",
];

#[test]
fn samples_of_many_scripts_are_cut_alike() {
    for text in SAMPLES {
        assert_alike(text);
    }
    assert_alike(&SAMPLES.join("\n"));
    for length in [99, 100, 101, 102] {
        assert_alike(&format!("before {} after", "é".repeat(length)));
        assert_alike(&"1".repeat(length));
    }
}

#[test]
fn every_character_is_cut_alike() {
    let (mut differing, mut same, mut reclassified) = (Vec::new(), 0, 0);
    // The planes between and beyond hold no characters, or private ones, which are alike.
    for character in ('\0'..'\u{30000}').chain('\u{e0000}'..'\u{e1000}').chain('\u{f0000}'..'\u{f0100}') {
        let text = comparable(&format!("a{character}b {character}"));
        if is_reclassified(character) {
            reclassified += 1;
        } else if ours(&text) == theirs(&text) {
            same += 1;
        } else {
            differing.push(character);
        }
    }
    eprintln!("{same} alike, {} differ, {reclassified} reclassified since", differing.len());
    assert!(differing.is_empty(), "{differing:?}");
    assert!(reclassified < 1000, "{reclassified}");
}

proptest! {
    #[test]
    fn random_texts_are_cut_alike(text in "\\PC{0,60}") {
        assert_alike(&text);
    }

    #[test]
    fn mixtures_of_the_samples_are_cut_alike(pieces in prop::collection::vec((0..SAMPLES.len(), 0usize..200, 0usize..12), 1..12)) {
        let piece = |(sample, from, length): &(usize, usize, usize)| -> String {
            SAMPLES[*sample].chars().cycle().skip(*from).take(*length).collect()
        };
        assert_alike(&pieces.iter().map(piece).collect::<String>());
    }
}

#[test]
fn xquad_is_cut_alike_in_every_language() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ir/xquad");
    let Ok(languages) = folder.read_dir() else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let (mut texts, mut tokens) = (0, 0);
    for language in languages.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for name in ["corpus.jsonl.gz", "queries.jsonl.gz"] {
            let file = File::open(language.join(name)).unwrap();
            for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
                let document: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
                for part in ["title", "text"].into_iter().filter_map(|part| document[part].as_str()) {
                    assert_alike(part);
                    texts += 1;
                    tokens += ours(part).len();
                }
            }
        }
    }
    eprintln!("{texts} texts, {tokens} tokens");
    assert!(texts > 0, "{} has no texts", folder.display());
}
