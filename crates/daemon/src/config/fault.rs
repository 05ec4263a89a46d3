//! What is wrong in a configuration file, where, and what would be right.

use std::fmt::Write as _;
use std::ops::Range;

use super::closest::closest;

/// A place in one of the files that make a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Index of the file in the order in which files were read.
    pub file: usize,
    /// Byte range in it.
    pub span: Range<usize>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: At,
    /// What is wrong; names the key.
    pub text: String,
    /// What would be right.
    pub hint: String,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Name as the operator knows it.
    pub name: String,
    /// Content.
    pub text: String,
}

/// A configuration that cannot be used: every fault that was found, in the order of the files and lines.
#[derive(Debug, thiserror::Error)]
#[error("{report}")]
pub struct ConfigError {
    /// The report, one paragraph a fault.
    pub report: String,
    /// Number of faults in it.
    pub faults: usize,
}

impl ConfigError {
    /// Prints the faults with their lines.
    pub fn new(files: &[SourceFile], mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| (fault.at.file, fault.at.span.start));
        let paragraphs: Vec<String> = faults.iter().map(|fault| paragraph(files, fault)).collect();
        Self { report: paragraphs.join("\n"), faults: faults.len() }
    }

    /// A fault without a place in a file: the file itself cannot be read.
    pub fn unreadable(name: &str, why: &str) -> Self {
        Self { report: format!("{name}: error: {why}\n"), faults: 1 }
    }
}

/// Line and column (both from 1; columns count characters) of a byte offset.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn paragraph(files: &[SourceFile], fault: &Fault) -> String {
    let Some(file) = files.get(fault.at.file) else { return format!("error: {}\n", fault.text) };
    let (line, column) = line_and_column(&file.text, fault.at.span.start);
    let excerpt = masked(file.text.lines().nth(line - 1).unwrap_or_default());
    let width = file
        .text
        .get(fault.at.span.clone())
        .and_then(|marked| marked.lines().next())
        .map_or(1, |marked| marked.chars().count().max(1));
    // Tabs stay tabs in front of the caret, so that it stands under what it means.
    let margin: String =
        excerpt.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let mut out = String::new();
    let _ = writeln!(out, "{}:{line}:{column}: error: {}", file.name, fault.text);
    let _ = writeln!(out, "{line:>5} | {excerpt}");
    let _ = writeln!(out, "      | {margin}{} {}", "^".repeat(width), fault.hint);
    out
}

/// Keys whose values do not belong in a log.
const SECRETS: [&str; 5] = ["password", "password-hash", "ha1-md5", "ha1-sha256", "nonce-secret"];

/// Whether a key, as written or as it was meant, holds a secret.
pub fn is_secret(key: &str) -> bool {
    closest(key, SECRETS).is_some()
}

/// A line without the value of a secret.
fn masked(line: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) if is_secret(key.trim().trim_matches('"')) => format!("{key}= (not shown)"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "a = 1\nü = 2\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('2').unwrap()), (2, 5));
        assert_eq!(line_and_column(text, text.len()), (3, 1));
    }

    #[test]
    fn a_report_marks_the_words_it_means() {
        let files = [SourceFile { name: "x.toml".into(), text: "[a]\n\tkey = 7\n".into() }];
        let fault = Fault {
            at: At { file: 0, span: 5..8 },
            text: "`key` is wrong".into(),
            hint: "write `kay`".into(),
        };
        let report = ConfigError::new(&files, vec![fault]).report;
        assert_eq!(
            report,
            "x.toml:2:2: error: `key` is wrong\n    2 | \tkey = 7\n      | \t^^^ write `kay`\n"
        );
    }
}
