//! Parsing a page with a limit on how deep its elements nest.
//!
//! For most tags the parser walks through all elements that are open, so a page of nothing but `<div>` costs the square
//! of its length. Marks such as `<b>` that are never closed are worse: it opens all of them again in every later
//! paragraph. So, between tokeniser and tree, tags that would open an element too deep are left out, and so are marks,
//! which mean nothing to plain text. The text itself always stays.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use html2text::RcDom;
use html5ever::interface::{Tracer, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use html5ever::{LocalName, TokenizerResult};

/// Most elements that are open at a time. Browsers draw the line there too.
const MAX_OPEN: usize = 512;

/// Elements that the parser opens again wherever text follows, until they are closed.
const MARKS: &[&str] =
    &["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Elements that hold no others (outside of SVG and MathML). What some of them hold is no text to be seen, so their
/// tags have to reach the parser.
const LEAVES: &[&str] = &[
    "area",
    "base",
    "basefont",
    "bgsound",
    "br",
    "col",
    "embed",
    "hr",
    "iframe",
    "img",
    "input",
    "link",
    "meta",
    "noembed",
    "noframes",
    "param",
    "plaintext",
    "script",
    "source",
    "style",
    "textarea",
    "title",
    "track",
    "wbr",
    "xmp",
];

/// Elements whose start tags end SVG and MathML, however deep these nest.
const BREAKS_OUT: &[&str] = &[
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "li",
    "listing",
    "menu",
    "ol",
    "p",
    "pre",
    "ruby",
    "span",
    "sub",
    "sup",
    "table",
    "ul",
    "var",
];

type Handle = <RcDom as TreeSink>::Handle;

/// The tree of a page.
pub(super) fn parse(page: &str) -> RcDom {
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let shallow =
        Shallow { tree: TreeBuilder::new(RcDom::default(), options), open: Cell::new(0), left_out: RefCell::default() };
    let tokenizer = Tokenizer::new(shallow, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(page));
    // The tokeniser hands back after each script, in case somebody wants to run it.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    tokenizer.sink.tree.sink.finish()
}

/// Stands between the tokeniser and the tree.
struct Shallow {
    tree: TreeBuilder<Handle, RcDom>,
    /// About the number of open elements: counts up with every start tag, and is counted anew at the limit.
    open: Cell<usize>,
    /// How many start tags of each name were left out whose end tags are still to come.
    left_out: RefCell<HashMap<LocalName, usize>>,
}

impl Shallow {
    fn passes(&self, tag: &Tag) -> bool {
        let is_foreign = self.adjusted_current_node_present_but_not_in_html_namespace();
        let always = if is_foreign { BREAKS_OUT } else { LEAVES };
        if always.contains(&&*tag.name) && (!is_foreign || tag.kind == TagKind::StartTag) {
            return true;
        }
        match tag.kind {
            TagKind::StartTag => self.opens(&tag.name),
            TagKind::EndTag => self.closes(&tag.name),
        }
    }

    fn opens(&self, name: &LocalName) -> bool {
        if self.open.get() >= MAX_OPEN {
            self.open.set(self.count_open());
        }
        let fits = self.open.get() < MAX_OPEN;
        if fits {
            self.open.update(|open| open + 1);
        } else {
            *self.left_out.borrow_mut().entry(name.clone()).or_default() += 1;
        }
        fits
    }

    /// The end tag of an element that was left out would close another one.
    fn closes(&self, name: &LocalName) -> bool {
        match self.left_out.borrow_mut().get_mut(name) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        }
    }

    /// Counts a few things more, such as the document itself.
    fn count_open(&self) -> usize {
        let counter = Counter(Cell::new(0));
        self.tree.trace_handles(&counter);
        counter.0.get()
    }
}

impl TokenSink for Shallow {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        match token {
            Token::TagToken(tag) if is_mark(&tag) => TokenSinkResult::Continue,
            Token::TagToken(tag) if !self.passes(&tag) => {
                // It parted two words.
                self.tree.process_token(Token::CharacterTokens(StrTendril::from(" ")), line)
            }
            token => self.tree.process_token(token, line),
        }
    }

    fn end(&self) {
        self.tree.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.tree.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

fn is_mark(tag: &Tag) -> bool {
    MARKS.contains(&&*tag.name)
}

struct Counter(Cell<usize>);

impl Tracer for Counter {
    type Handle = Handle;

    fn trace_handle(&self, _: &Handle) {
        self.0.update(|count| count + 1);
    }
}
