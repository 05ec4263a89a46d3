//! The documents that are made from the code: JSON Schema, AsyncAPI and the tables of `docs/cti.md`. A document that
//! differs from the code fails; `TANDEM_BLESS=1 cargo test -p tandem-cti --test documents` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod asyncapi;
mod ordered;
mod sample;
mod schema;
mod tables;

use std::path::PathBuf;

use tandem_cti::{Event, EventName, Request, decode};

fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// Holds a document to what the code makes of it.
fn check(name: &str, expected: &str) {
    let path = document(name);
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let drift = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "docs/{name} differs from the code, first at {drift:?}; TANDEM_BLESS=1 cargo test -p tandem-cti --test \
         documents writes it anew"
    );
}

#[test]
fn the_json_schema_is_that_of_the_code() {
    check("cti/schema.json", &(ordered::json(&schema::whole()) + "\n"));
}

#[test]
fn the_asyncapi_document_is_that_of_the_code() {
    check("cti/asyncapi.yaml", &ordered::yaml(&asyncapi::whole()));
}

#[test]
fn the_tables_of_the_manual_are_those_of_the_code() {
    let text = std::fs::read_to_string(document("cti.md")).unwrap();
    check("cti.md", &tables::fill(&text));
}

#[test]
fn every_example_is_one() {
    for (name, _) in Request::NAMES {
        let request = decode(&sample::request(name).to_string()).unwrap();
        assert_eq!(request.name(), *name);
    }
    for name in EventName::ALL {
        let event: Event = serde_json::from_value(sample::event(*name)).unwrap();
        assert_eq!(event.faults(), Vec::<String>::new());
        assert_eq!((event.event, event.number), (*name, name.number()));
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let schema = schema::whole();
    let mut references = Vec::new();
    ordered::references(&schema, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect(&reference);
        assert!(schema.pointer(pointer).is_some(), "{reference}");
    }
    let asyncapi = asyncapi::whole();
    let mut references = Vec::new();
    ordered::references(&asyncapi, &mut references);
    for reference in references {
        let (document, pointer) = reference.split_once('#').unwrap();
        let target = if document.is_empty() { asyncapi.pointer(pointer) } else { schema.pointer(pointer) };
        assert!(target.is_some(), "{reference}");
    }
}
