//! `docs/conformance.md` and the tests of the tree tell the same story.
//!
//! A test that shows a line of the catalogue carries the line's number at the head of its name (`sf_11_...`, or several:
//! `sf_11_nf_05_...`). With `TANDEM_BLESS=1` in the environment the test columns are written anew from the tree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::collections::BTreeMap;
use tree::rust::{code_only, functions};
use tree::{File, assert_none, files, root};

const TABLE: &str = "docs/conformance.md";

/// The catalogue's chapters and how many lines each has.
const CHAPTERS: [(&str, u32); 6] = [("BCA", 25), ("SF", 13), ("NF", 9), ("GM", 16), ("DO", 20), ("CL", 29)];

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: String,
    behaviour: String,
    state: String,
    tests: Vec<String>,
}

impl Row {
    /// `| SF-11 | behaviour | part | tests |`
    fn read(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim);
        let (id, behaviour) = (cells.next()?.to_string(), cells.next()?.to_string());
        let (state, tests) = (cells.next()?.to_string(), cells.next()?);
        let known =
            CHAPTERS.iter().any(|(chapter, _)| id.strip_prefix(chapter).is_some_and(|n| n.starts_with('-')));
        let tests = tests.split("<br>").map(|test| test.trim().trim_matches('`').to_string());
        known.then(|| Self { id, behaviour, state, tests: tests.filter(|test| !test.is_empty()).collect() })
    }

    fn write(&self) -> String {
        let tests: Vec<String> = self.tests.iter().map(|test| format!("`{test}`")).collect();
        let tests = tests.join("<br>");
        format!("| {} | {} | {} | {} |", self.id, self.behaviour, self.state, tests)
    }

    /// The row with exactly these tests of the tree, and what else it names.
    fn blessed(mut self, found: &[String]) -> Self {
        self.tests.retain(|test| test.contains('/'));
        self.tests.splice(0..0, found.iter().cloned());
        let whole = |test: &String| {
            test.starts_with("sim::tests") || test.starts_with("daemon::tests") || test.contains('/')
        };
        self.state = match self.state.as_str() {
            _ if self.tests.is_empty() => "open".into(),
            "part" | "shown" => self.state,
            _ if self.tests.iter().any(whole) => "shown".into(),
            _ => "part".into(),
        };
        self
    }
}

/// The catalogue numbers at the head of a test's name.
fn ids_of(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = name;
    loop {
        let mut parts = rest.splitn(3, '_');
        let (Some(chapter), Some(number), Some(tail)) = (parts.next(), parts.next(), parts.next()) else {
            return ids;
        };
        let chapter = chapter.to_uppercase();
        let is_number = number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit());
        if !is_number || !CHAPTERS.iter().any(|(known, _)| *known == chapter) {
            return ids;
        }
        ids.push(format!("{chapter}-{number}"));
        rest = tail;
    }
}

/// `crates/peer/src/continuity/agents.rs` is `peer::continuity::agents`.
fn module_of(path: &str) -> String {
    let parts = path.trim_start_matches("crates/").trim_end_matches(".rs").split('/');
    parts.filter(|part| *part != "src" && *part != "mod").collect::<Vec<_>>().join("::")
}

/// The names of the tests in a source file: functions under `#[test]`, without which nobody runs them.
fn tests_of(source: &str) -> Vec<String> {
    let code = code_only(source);
    let marked = functions(&code).into_iter().filter(|function| {
        let before = &code[..function.span.start];
        let item = before.rfind(['{', '}', ';']).map_or(before, |at| &before[at..]);
        item.contains("#[test]") || item.contains("::test]")
    });
    marked.map(|function| function.name).collect()
}

/// Tests by the catalogue line that they claim to show.
fn claims(tree: &[File]) -> BTreeMap<String, Vec<String>> {
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in tree.iter().filter(|file| file.is_rust()) {
        for name in tests_of(&file.text) {
            for id in ids_of(&name) {
                claims.entry(id).or_default().push(format!("{}::{name}", module_of(&file.path)));
            }
        }
    }
    claims
}

fn catalogue() -> Vec<String> {
    CHAPTERS
        .iter()
        .flat_map(|(chapter, last)| (1..=*last).map(move |n| format!("{chapter}-{n:02}")))
        .collect()
}

/// What the table says wrongly, given the tests of the tree.
fn offences(
    rows: &[Row],
    claims: &BTreeMap<String, Vec<String>>,
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut offences = Vec::new();
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let catalogue = catalogue();
    offences.extend(
        catalogue.iter().filter(|id| !ids.contains(id)).map(|id| format!("{id} is not in the table")),
    );
    offences.extend(
        claims.keys().filter(|id| !catalogue.contains(id)).map(|id| format!("{id} is no catalogue line")),
    );
    if ids.len() > catalogue.len() {
        offences.push("a line stands twice in the table".into());
    }
    for row in rows {
        let claimed = claims.get(&row.id).cloned().unwrap_or_default();
        let id = &row.id;
        for test in &row.tests {
            let found = if test.contains('/') { exists(test) } else { claimed.contains(test) };
            if !found {
                offences.push(format!("{id}: no such test: {test}"));
            }
        }
        offences.extend(
            claimed.iter().filter(|t| !row.tests.contains(t)).map(|t| format!("{id}: not listed: {t}")),
        );
        let says_open = row.state == "open";
        if says_open != row.tests.is_empty() || !["open", "part", "shown"].contains(&row.state.as_str()) {
            offences.push(format!("{id}: state `{}` with {} tests", row.state, row.tests.len()));
        }
    }
    offences
}

fn bless(text: &str, claims: &BTreeMap<String, Vec<String>>) -> String {
    let none = Vec::new();
    let line = |line: &str| match Row::read(line) {
        Some(row) => {
            let found = claims.get(&row.id).unwrap_or(&none);
            row.blessed(found).write()
        }
        None => line.to_string(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_table_lists_every_catalogue_line_and_exactly_the_tests_that_exist() {
    let claims = claims(&files());
    let path = root().join(TABLE);
    let mut text = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("TANDEM_BLESS").is_some() {
        text = bless(&text, &claims);
        std::fs::write(&path, &text).unwrap();
    }
    let rows: Vec<Row> = text.lines().filter_map(Row::read).collect();
    let offences = offences(&rows, &claims, |script| root().join(script).is_file());
    assert_none("docs/conformance.md is not true (TANDEM_BLESS=1 writes its test columns anew)", &offences);
}

mod the_check_itself {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |id: String| Row { id, behaviour: "b".into(), state: "open".into(), tests: vec![] };
        catalogue().into_iter().map(row).collect()
    }

    fn claim(id: &str, test: &str) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(id.to_string(), vec![test.to_string()])])
    }

    #[test]
    fn a_true_table_is_accepted() {
        assert_eq!(offences(&rows(), &BTreeMap::new(), |_| false), Vec::<String>::new());
        let mut rows = rows();
        (rows[0].state, rows[0].tests) =
            ("part".into(), vec!["peer::x::bca_01_y".into(), "tests/e2e/a.sh".into()]);
        assert_eq!(offences(&rows, &claim("BCA-01", "peer::x::bca_01_y"), |_| true), Vec::<String>::new());
    }

    #[test]
    fn a_missing_or_doubled_line_is_seen() {
        let mut short = rows();
        short.remove(30);
        assert_eq!(offences(&short, &BTreeMap::new(), |_| true), ["SF-06 is not in the table"]);
        let mut doubled = rows();
        doubled.push(doubled[0].clone());
        assert_eq!(offences(&doubled, &BTreeMap::new(), |_| true).len(), 1);
    }

    #[test]
    fn a_test_that_does_not_exist_or_is_not_listed_is_seen() {
        let mut named = rows();
        (named[0].state, named[0].tests) = ("part".into(), vec!["peer::x::bca_01_y".into()]);
        assert_eq!(offences(&named, &BTreeMap::new(), |_| true), ["BCA-01: no such test: peer::x::bca_01_y"]);
        assert_eq!(offences(&rows(), &claim("BCA-02", "t"), |_| true), ["BCA-02: not listed: t"]);
        assert_eq!(offences(&rows(), &claim("SF-99", "t"), |_| true), ["SF-99 is no catalogue line"]);
    }

    #[test]
    fn a_state_that_its_tests_do_not_bear_out_is_seen() {
        let mut rows = rows();
        rows[0].state = "shown".into();
        assert_eq!(offences(&rows, &BTreeMap::new(), |_| true), ["BCA-01: state `shown` with 0 tests"]);
    }

    #[test]
    fn names_carry_one_number_or_several() {
        assert_eq!(ids_of("sf_11_nf_05_no_forwarding"), ["SF-11", "NF-05"]);
        assert_eq!(ids_of("do_01_starts"), ["DO-01"]);
        assert!(ids_of("do_not_panic").is_empty());
        assert!(ids_of("a_call_ends").is_empty());
    }

    #[test]
    fn only_what_is_run_counts_as_a_test() {
        let source =
            "#[test]\nfn sf_01_a() {}\nfn sf_02_b() {}\n/// Doc {}\n#[tokio::test]\nasync fn sf_03_c() {}\n";
        assert_eq!(tests_of(source), ["sf_01_a", "sf_03_c"]);
    }

    #[test]
    fn a_row_reads_back_as_it_was_written_and_is_blessed_from_the_tree() {
        let row = Row::read("| SF-11 | It stops. | open |  |").unwrap();
        let blessed = row.clone().blessed(&["sim::tests::loss::sf_11_x".into()]);
        assert_eq!(blessed.state, "shown");
        assert_eq!(Row::read(&blessed.write()), Some(blessed.clone()));
        assert_eq!(blessed.blessed(&[]), row);
        assert_eq!(Row::read("| ID | Behaviour | State | Tests |"), None);
    }
}
