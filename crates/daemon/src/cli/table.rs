//! Tables for people: columns as wide as they need be, colours on a terminal only.

use std::io::IsTerminal;

/// What a cell says, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// Somebody should look.
    Bad,
}

/// Whether standard output takes colours (a terminal, and `NO_COLOR` is not set).
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in its tone.
pub fn paint(text: &str, tone: Tone, colours: bool) -> String {
    match (tone, colours) {
        (Tone::Plain, _) | (_, false) => text.to_owned(),
        (Tone::Good, true) => format!("\x1b[32m{text}\x1b[0m"),
        (Tone::Bad, true) => format!("\x1b[31m{text}\x1b[0m"),
    }
}

/// Rows under their heads; the last column is as long as it wants.
pub fn render(heads: &[&str], rows: &[Vec<(String, Tone)>], colours: bool) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[(String, Tone)]| {
        let mut line = String::new();
        for (column, ((cell, tone), width)) in cells.iter().zip(&widths).enumerate() {
            line.push_str(&paint(cell, *tone, colours));
            if column + 1 < cells.len() {
                line.push_str(&" ".repeat(width - cell.chars().count() + 2));
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    };
    let heads: Vec<(String, Tone)> = heads.iter().map(|head| ((*head).to_owned(), Tone::Plain)).collect();
    std::iter::once(&heads).chain(rows).map(|row| line(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_colours_take_no_width() {
        let rows = vec![
            vec![
                ("1001".to_owned(), Tone::Plain),
                ("in".to_owned(), Tone::Good),
                ("ok".to_owned(), Tone::Plain),
            ],
            vec![
                ("9".to_owned(), Tone::Plain),
                ("out".to_owned(), Tone::Bad),
                ("why".to_owned(), Tone::Plain),
            ],
        ];
        let plain = render(&["DN", "STATE", "REASON"], &rows, false);
        assert_eq!(plain, "DN    STATE  REASON\n1001  in     ok\n9     out    why\n");
        let coloured = render(&["DN", "STATE", "REASON"], &rows, true);
        assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", ""), plain);
    }
}
