//! `rag demo`: the first run.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Result;
use rag_core::engine::SearchRequest;
use rag_core::{Engine, Scope};

use super::index;
use super::search::render;
use crate::readers::{self, ReadOptions};
use crate::ui::{Output, colour, exit, plain};

/// One a line; in a file that the demo does not index, so that a question does not find itself.
const QUESTIONS: &str = include_str!("demo.questions");

pub(crate) fn run(output: Output, path: &Path) -> Result<u8> {
    let folder = super::temporary_folder()?;
    let scope = Scope::default();
    let reader = readers::read(path, ReadOptions::default())?;
    let engine = Engine::open(folder.path())?;
    let start = std::time::Instant::now();
    let report = index::fill(output, &engine, &scope, reader)?.report;
    let seconds = start.elapsed().as_secs_f32();
    output.line(format!("{} files, {} chunks indexed in {seconds:.1} s", report.added, report.chunks))?;
    for question in QUESTIONS.lines() {
        ask(output, &engine, &scope, question)?;
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        let mut editor = rustyline::DefaultEditor::new()?;
        output.line("Ask your own; an empty line ends.")?;
        while let Ok(question) = editor.readline("? ") {
            if question.trim().is_empty() {
                break;
            }
            ask(output, &engine, &scope, &question)?;
        }
    }
    Ok(exit::OK)
}

fn ask(output: Output, engine: &Engine, scope: &Scope, question: &str) -> Result<()> {
    let start = std::time::Instant::now();
    let answer = engine.search(scope, &SearchRequest::new(question, 3).with_explanations())?;
    let millis = start.elapsed().as_secs_f32() * 1000.0;
    let asked = colour::paint(colour::HEADING, format!("? {}", plain::line(question)));
    output.line(format!("\n{asked} ({millis:.1} ms)"))?;
    output.line(render(&answer))?;
    Ok(())
}
