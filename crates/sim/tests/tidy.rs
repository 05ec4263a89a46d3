//! The house keeps itself: the tree is read as text and held to `docs/style.md`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::collections::BTreeMap;
use tree::rust::{code_only, functions, line_of, without_tests, words};
use tree::{File, assert_none, files};

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MEDIAN_LINES: usize = 200;

/// Crates that are handed the time, their randomness and every input.
const PURE: [&str; 7] = ["sip", "peer", "quorum", "cti", "switch", "ha", "stat"];

/// What each crate may know of the others.
const ARROWS: [(&str, &[&str]); 10] = [
    ("sip", &[]),
    ("peer", &[]),
    ("quorum", &[]),
    ("journal", &[]),
    ("cti", &[]),
    ("switch", &["tandem-cti", "tandem-peer", "tandem-sip"]),
    ("ha", &["tandem-peer", "tandem-quorum", "tandem-sip", "tandem-switch"]),
    ("stat", &["tandem-cti"]),
    ("sim", &["tandem-cti", "tandem-ha", "tandem-peer", "tandem-quorum", "tandem-sip", "tandem-switch"]),
    (
        "daemon",
        &[
            "tandem-cti",
            "tandem-ha",
            "tandem-journal",
            "tandem-peer",
            "tandem-quorum",
            "tandem-sip",
            "tandem-stat",
            "tandem-switch",
        ],
    ),
];

/// Crates that live outside the core beside the daemon.
const SHELL: [&str; 2] = ["daemon", "journal"];

/// Crates that bring a clock, a socket, a thread or the system's randomness: for those alone.
const SHELL_ONLY: [&str; 16] = [
    "anyhow",
    "async-std",
    "axum",
    "chrono",
    "dashmap",
    "getrandom",
    "hyper",
    "mio",
    "nix",
    "rand",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "time",
    "tracing",
];

fn sources() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.is_rust() && file.krate().is_some())
}

/// Code that runs in a server or the simulator, comments, strings and test modules blanked.
fn production() -> impl Iterator<Item = (File, String)> {
    sources().filter(|file| !file.is_test_only()).map(|file| {
        let code = without_tests(&code_only(&file.text));
        (file, code)
    })
}

fn is_pure(file: &File) -> bool {
    file.krate().is_some_and(|krate| PURE.contains(&krate))
}

fn offences_of(code: &str, file: &File, banned: &[&str]) -> Vec<String> {
    let found =
        banned.iter().flat_map(|what| code.match_indices(what).map(|(at, _)| (line_of(code, at), *what)));
    found.map(|(line, what)| format!("{}:{line}: {what}", file.path)).collect()
}

/// The keys under each heading of a manifest.
fn manifest(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut heading = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            heading = name.trim_matches(['[', ']']).to_string();
            let dependency = heading.split_once("dependencies.");
            if let Some((kind, name)) = dependency {
                sections.entry(format!("{kind}dependencies")).or_default().push(name.to_string());
            }
        } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let key = key.trim().split('.').next().unwrap_or_default();
            sections.entry(heading.clone()).or_default().push(key.to_string());
        }
    }
    sections
}

fn dependencies(sections: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let all = sections.iter().filter(|(heading, _)| heading.ends_with("dependencies"));
    all.flat_map(|(_, names)| names.clone()).collect()
}

#[test]
fn crates_know_each_other_one_way_only() {
    let mut offences = Vec::new();
    for (krate, allowed) in ARROWS {
        let path = format!("crates/{krate}/Cargo.toml");
        let text = std::fs::read_to_string(tree::root().join(&path)).unwrap();
        for name in dependencies(&manifest(&text)) {
            let foreign_room = name.starts_with("tandem") && !allowed.contains(&name.as_str());
            let foreign_world =
                !SHELL.contains(&krate) && (SHELL_ONLY.contains(&name.as_str()) || name.starts_with("tokio"));
            if foreign_room || foreign_world {
                offences.push(format!("{path}: {name}"));
            }
        }
    }
    assert_none("a crate depends on what it must not know", &offences);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests: Vec<File> = files().into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    let crates: Vec<&File> = manifests.iter().filter(|file| file.krate().is_some()).collect();
    assert_eq!(crates.len(), ARROWS.len(), "a crate that no arrow knows, or the other way round");
    let lax = crates.iter().filter(|file| !file.text.contains("[lints]\nworkspace = true"));
    assert_none(
        "[lints] workspace = true is missing",
        &lax.map(|file| file.path.clone()).collect::<Vec<_>>(),
    );
}

#[test]
fn every_pure_crate_forbids_clocks_and_threads_by_lint() {
    for krate in PURE {
        let lints =
            std::fs::read_to_string(tree::root().join(format!("crates/{krate}/clippy.toml"))).unwrap();
        for method in ["Instant::now", "SystemTime::now", "thread::spawn", "HashMap::iter", "HashMap::keys"] {
            assert!(lints.contains(method), "crates/{krate}/clippy.toml allows {method}");
        }
    }
}

#[test]
fn no_file_is_longer_than_800_lines() {
    let written = files().into_iter().filter(|file| {
        [".rs", ".ts", ".tsx", ".py", ".sh", ".css"].iter().any(|ending| file.path.ends_with(ending))
    });
    let long = written.filter(|file| file.text.lines().count() > MAX_FILE_LINES);
    let offences: Vec<String> =
        long.map(|file| format!("{}: {}", file.path, file.text.lines().count())).collect();
    assert_none("files longer than 800 lines", &offences);
}

#[test]
fn half_of_all_files_are_shorter_than_200_lines() {
    let mut lengths: Vec<usize> = sources().map(|file| file.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < MAX_MEDIAN_LINES, "the median is {median}");
}

/// Functions that are too long, but for a lone `match (state, event)`.
fn long_functions(file: &File) -> Vec<String> {
    let code = code_only(&file.text);
    let alone = functions(&without_tests(&code)).len() == 1;
    let long = functions(&code).into_iter().filter(|function| {
        let is_table = alone && code[function.span.clone()].contains("match (");
        function.lines > MAX_FUNCTION_LINES && !is_table
    });
    let place = |at| line_of(&code, at);
    long.map(|f| format!("{}:{}: fn {} has {} lines", file.path, place(f.span.start), f.name, f.lines))
        .collect()
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let offences: Vec<String> = sources().flat_map(|file| long_functions(&file)).collect();
    assert_none("functions longer than 70 lines", &offences);
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let silent = sources().filter(|file| !file.text.trim_start().starts_with("//!"));
    assert_none("no //! at the head", &silent.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn rsip_is_named_in_one_file() {
    let allowed = |path: &str| {
        path == "crates/sip/src/rsip_bridge.rs"
            || path == "crates/sim/tests/tidy.rs"
            || path.contains("differential")
    };
    let named = sources().filter(|file| !allowed(&file.path) && words(&file.text, "rsip").next().is_some());
    assert_none("rsip is named", &named.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn production_code_does_not_give_up() {
    let banned = [".unwrap()", "todo!(", "unimplemented!("];
    let offences: Vec<String> =
        production().flat_map(|(file, code)| offences_of(&code, &file, &banned)).collect();
    assert_none("code that panics", &offences);
}

#[test]
fn pure_crates_are_told_the_time_and_their_dice() {
    let banned = [
        "Instant::now",
        "SystemTime::now",
        ".elapsed()",
        "thread::spawn",
        "rand::rng",
        "OsRng",
        "RandomState::new",
    ];
    let pure = production().filter(|(file, _)| is_pure(file));
    let mut offences: Vec<String> =
        pure.flat_map(|(file, code)| offences_of(&code, &file, &banned)).collect();
    // The command line around the simulator is no part of it: a soak lasts by the clock on the wall.
    let is_sim = |file: &File| file.krate() == Some("sim") && !file.path.ends_with("/main.rs");
    let sim: Vec<(File, String)> = production().filter(|(file, _)| is_sim(file)).collect();
    offences.extend(sim.iter().flat_map(|(file, code)| offences_of(code, file, &banned[1..])));
    // The simulator needs one real instant to count from: the standard library makes them no other way.
    let instants = sim.iter().flat_map(|(file, code)| offences_of(code, file, &banned[..1]));
    offences.extend(instants.skip(1));
    assert_none("a pure crate helps itself", &offences);
}

/// Names that this code declares as a hash map or set, directly or through an alias of its own.
fn hashed_names(code: &str) -> Vec<String> {
    let mut types = vec!["HashMap".to_string(), "HashSet".to_string()];
    for (at, _) in code.match_indices("type ") {
        let Some((alias, target)) = code[at + 5..].split_once('=') else { continue };
        let target = target.split(';').next().unwrap_or_default();
        if target.contains("HashMap<") || target.contains("HashSet<") {
            types.push(alias.split('<').next().unwrap_or_default().trim().to_string());
        }
    }
    let mut names = Vec::new();
    for kind in &types {
        for at in words(code, kind) {
            let path_cut = code[..at].trim_end_matches(|c: char| c.is_alphanumeric() || "_:".contains(c));
            let before = path_cut.trim_end().trim_end_matches("mut").trim_end_matches(['&', ' ']);
            let Some(before) = before.strip_suffix([':', '=']) else { continue };
            let before = before.trim_end();
            let name: Vec<char> =
                before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.push(name.into_iter().rev().collect::<String>());
        }
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

fn hash_iterations(code: &str) -> Vec<String> {
    let walks =
        ["iter()", "iter_mut()", "into_iter()", "keys()", "values()", "values_mut()", "drain(", "retain("];
    let mut found = Vec::new();
    for name in hashed_names(code) {
        for at in words(code, &name) {
            let after = code[at + name.len()..].trim_start();
            let line = code[..at].lines().last().unwrap_or_default().trim_end_matches("self.");
            let before = line.trim_end().trim_end_matches("mut").trim_end().trim_end_matches('&').trim_end();
            let looped = before.ends_with(" in");
            let called =
                after.strip_prefix('.').is_some_and(|call| walks.iter().any(|walk| call.starts_with(walk)));
            if called || (looped && after.starts_with('{')) {
                found.push(format!("{}: {name}", line_of(code, at)));
            }
        }
    }
    found
}

#[test]
fn no_order_comes_from_a_hash() {
    let deterministic = production().filter(|(file, _)| is_pure(file) || file.krate() == Some("sim"));
    let offences = deterministic.flat_map(|(file, code)| {
        hash_iterations(&code)
            .into_iter()
            .map(move |place| format!("{}:{place}", file.path))
            .collect::<Vec<_>>()
    });
    assert_none("a hash map or set is walked", &offences.collect::<Vec<_>>());
}

#[test]
fn the_tree_names_no_machine_and_no_unfinished_business() {
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/t", "mp/"), concat!("/ho", "me/")];
    let business = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.path != "Cargo.lock") {
        offences.extend(offences_of(&file.text, file, &machine));
        if file.is_rust() {
            offences.extend(offences_of(&file.text, file, &business));
        }
    }
    assert_none("the tree names a place or a plan of its makers", &offences);
}

mod the_checks_themselves {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "crates/sip/src/sample.rs".into(), text: text.into() }
    }

    #[test]
    fn braces_in_texts_and_comments_do_not_count() {
        let text = "fn a() { let s = \"}\"; let c = '}'; let r = r#\"}\"#; /* } */ // }\n}\nfn b<'a>(x: &'a str) {}\n";
        let names: Vec<(String, usize)> =
            functions(&code_only(text)).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(names, [("a".to_string(), 2), ("b".to_string(), 1)]);
    }

    #[test]
    fn a_long_function_is_seen_unless_it_is_a_table_alone() {
        let body = "    x => {}\n".repeat(80);
        let table = format!("fn step() {{\n  match (state, event) {{\n{body}}}\n}}\n");
        assert!(long_functions(&file(&table)).is_empty());
        assert_eq!(long_functions(&file(&format!("{table}fn other() {{}}\n"))).len(), 1);
        assert_eq!(long_functions(&file(&table.replace("(state, event)", "state"))).len(), 1);
    }

    #[test]
    fn tests_are_told_from_production_code() {
        let code = code_only(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { x.unwrap() }\n}\nfn c() { y.unwrap() }\n",
        );
        let production = without_tests(&code);
        assert_eq!(
            offences_of(&production, &file(""), &[".unwrap()"]),
            ["crates/sip/src/sample.rs:6: .unwrap()"]
        );
    }

    #[test]
    fn a_walk_over_a_hash_map_is_seen() {
        let declared = "struct S { by_id: HashMap<u8, u8>, list: Vec<u8> }\n";
        for walk in [
            "for x in &self.by_id {",
            "for x in &mut self.by_id {",
            "self.by_id.values()",
            "by_id.retain(|_| x)",
        ] {
            assert_eq!(hash_iterations(&format!("{declared}{walk}")).len(), 1, "{walk}");
        }
        for fine in ["self.by_id.get(&1)", "for x in &self.list {", "self.list.iter()", "use std::HashMap;"] {
            assert!(hash_iterations(&format!("{declared}{fine}")).is_empty(), "{fine}");
        }
        let aliased =
            "type Table<V> = foldhash::HashMap<u8, V>;\nstruct S { by_id: Table<u8> }\nself.by_id.keys()";
        assert_eq!(hash_iterations(aliased).len(), 1);
        assert_eq!(hash_iterations("let mut seen = HashSet::new();\nfor x in seen {}").len(), 1);
    }

    #[test]
    fn dependencies_are_read_from_every_heading() {
        let text = "[dependencies]\nbytes.workspace = true\n# tokio = 1\n[target.'cfg(unix)'.dependencies]\nnix = \"1\"\n[dev-dependencies.tokio]\nversion = \"1\"\n";
        assert_eq!(dependencies(&manifest(text)), ["bytes", "tokio", "nix"]);
    }
}
