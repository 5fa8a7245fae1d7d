//! Tables of results.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{colour, plain};

/// A table with a bold header; columns whose every cell is a number are aligned to the right.
///
/// Each row has as many cells as the header; missing ones are blank. Control characters in cells are replaced.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| plain::line(cell))));
    for (at, column) in table.column_iter_mut().enumerate() {
        let mut cells = rows.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_empty()).peekable();
        if cells.peek().is_some() && cells.all(|cell| is_number(cell)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut printed = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at == 0 {
            let rule = colour::paint(colour::FAINT, "─".repeat(width));
            printed = format!("{}\n{rule}\n", colour::paint(colour::HEADING, line));
        } else {
            printed += line;
            printed.push('\n');
        }
    }
    printed
}

/// Digits with the marks that figures carry: `1,234`, `-0.5`, `+3 %`, `<0.0001`, `—` for none.
fn is_number(cell: &str) -> bool {
    cell == "—"
        || (cell.bytes().any(|byte| byte.is_ascii_digit())
            && cell.bytes().all(|byte| byte.is_ascii_digit() || b"+-.,% <".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_the_header_is_bold() {
        let rows = vec![vec!["bm25".into(), "0.679".into()], vec!["dense exact".into(), "10.1".into()]];
        let table = render(&["retriever", "nDCG@10"], &rows);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("\u{1b}[1m") && lines[0].contains("nDCG@10"), "{table}");
        assert!(lines[2].ends_with("0.679") && lines[2].trim_start().starts_with("bm25"), "{table}");
        assert!(lines[3].ends_with(" 10.1"), "{table}");
    }

    #[test]
    fn cells_bring_no_escape_sequences() {
        let table = render(&["run"], &[vec!["a\u{1b}[2Jb\n".into()]]);
        assert!(table.ends_with("a\u{fffd}[2Jb\u{fffd}\n"), "{table:?}");
    }

    #[test]
    fn figures_are_told_from_words() {
        assert!(["12", "-0.5", "1,234", "99 %", "<0.0001", "—"].into_iter().all(is_number));
        assert!(["", "a1", "-", "v2.0"].into_iter().all(|cell| !is_number(cell)));
    }
}
