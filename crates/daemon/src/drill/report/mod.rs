//! A report on paper: JSON for programs, HTML for people, both signed with Ed25519 (RFC 8032) by the machine that ran the
//! drill. What is signed is the report in one canonical printing, so that reformatting the file breaks nothing.

mod html;
mod key;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

pub use key::Key;

/// JSON with the keys of every object in order and no white space.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let field = |(name, value)| format!("{}:{}", Value::from(String::as_str(name)), canonical(value));
            format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// A report with its signature.
pub fn signed(report: &Value, key: &Key) -> Value {
    let signature = key.sign(canonical(report).as_bytes());
    json!({
        "report": report,
        "signature": {
            "algorithm": "Ed25519",
            "signs": "report, its keys in order, without white space",
            "public_key": STANDARD.encode(key.public()),
            "signature": STANDARD.encode(signature),
        },
    })
}

/// Whose signature a report carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    /// The public key.
    pub key: Vec<u8>,
    /// What the report says of the drill.
    pub verdict: String,
}

/// Checks a signed report.
///
/// # Errors
/// A sentence: it is no report, or not as it was signed.
pub fn verify(signed: &Value) -> Result<Proven, String> {
    let report = signed.get("report").ok_or("this is no report of a drill: it has no \"report\"")?;
    let field = |name: &str| {
        let text = signed.pointer(&format!("/signature/{name}")).and_then(Value::as_str);
        text.ok_or_else(|| format!("the report is not signed: it has no signature.{name}"))
    };
    let decoded =
        |name: &str| STANDARD.decode(field(name)?).map_err(|_| format!("signature.{name} is not base64"));
    let (key, signature) = (decoded("public_key")?, decoded("signature")?);
    UnparsedPublicKey::new(&ED25519, &key)
        .verify(canonical(report).as_bytes(), &signature)
        .map_err(|_| "the report is not as it was signed".to_owned())?;
    let verdict = report.get("verdict").and_then(Value::as_str).unwrap_or("-").to_owned();
    Ok(Proven { key, verdict })
}

/// Reads a signed report: the JSON file, or the HTML page that holds the same.
///
/// # Errors
/// A sentence that names the file.
pub fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let json = html::embedded(&text).unwrap_or(text);
    serde_json::from_str(&json)
        .map_err(|error| format!("{} is no report of a drill, JSON or HTML ({error})", path.display()))
}

/// Writes `NAME.json` and `NAME.html`; gives their paths.
///
/// # Errors
/// A sentence that names the file.
pub fn write(name: &Path, signed: &Value) -> Result<[PathBuf; 2], String> {
    if let Some(folder) = name.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
    let pages = [(with("json"), format!("{signed:#}\n")), (with("html"), html::page(signed))];
    for (path, text) in &pages {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(pages.map(|(path, _)| path))
}

/// A public key as reports print it.
pub fn printed(key: &[u8]) -> String {
    STANDARD.encode(key)
}

/// What people compare keys by: the first bytes of a key's SHA-256, in hexadecimal.
pub fn fingerprint(key: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let bytes = Sha256::digest(key);
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        json!({
            "format": "tandem-drill/1", "verdict": "passed", "goals": [], "timeline": [{ "at_ms": 3, "text": "</script> & <b>" }],
        })
    }

    #[test]
    fn a_signed_report_is_proven_however_it_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load(&folder.path().join("state")).unwrap();
        let signed = signed(&report(), &key);
        let printed = format!("{signed:#}");
        let proven = verify(&serde_json::from_str(&printed).unwrap()).unwrap();
        assert_eq!((proven.verdict.as_str(), proven.key.as_slice()), ("passed", key.public()));
        // The key is made once.
        let again = Key::load(&folder.path().join("state")).unwrap();
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn the_reports_of_the_lab_are_as_they_were_signed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drill");
        for kind in ["link-loss", "slow-link", "site-loss"] {
            for ending in ["json", "html"] {
                let proven = verify(&read(&folder.join(format!("{kind}.{ending}"))).unwrap()).unwrap();
                assert_eq!(
                    (proven.verdict.as_str(), fingerprint(&proven.key).as_str()),
                    ("passed", "06:9d:b8:07:c4:96:33:c7")
                );
            }
        }
    }

    #[test]
    fn whatever_is_changed_in_a_report_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load(folder.path()).unwrap();
        let good = signed(&report(), &key);
        for (at, to) in [
            ("/report/verdict", json!("missed")),
            ("/report/timeline/0/at_ms", json!(4)),
            ("/signature/public_key", json!(STANDARD.encode([7; 32]))),
            ("/signature/signature", json!("AAAA")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = to;
            assert!(verify(&bad).unwrap_err().contains("not as it was signed"), "{at}");
        }
        assert!(verify(&json!({})).unwrap_err().contains("no report"));
        assert!(verify(&json!({ "report": {} })).unwrap_err().contains("not signed"));
    }

    #[test]
    fn the_page_holds_the_signed_report_and_lets_no_text_out_of_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::load(folder.path()).unwrap();
        let signed = signed(&report(), &key);
        let [json, html] = write(&folder.path().join("out/drill"), &signed).unwrap();
        for path in [&json, &html] {
            assert_eq!(read(path).unwrap(), signed, "{}", path.display());
            verify(&read(path).unwrap()).unwrap();
        }
        let page = std::fs::read_to_string(html).unwrap();
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;"), "text is escaped");
        assert_eq!(page.matches("</script>").count(), 1);
    }
}
