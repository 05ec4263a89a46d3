//! Where a server keeps what it must not forget: one directory for each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// No place is configured, and the environment names none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no place for this server's state: name one with state-directory in [ha], or set STATE_DIRECTORY \
     (systemd: StateDirectory=) or HOME"
)]
pub struct Nowhere;

/// The directory of the server of this name: the configured one; or one of its own in what systemd made for the service
/// (`STATE_DIRECTORY`, systemd.exec(5)), or in the user's (XDG Base Directory: `XDG_STATE_HOME`).
///
/// # Errors
/// There is none.
pub fn directory(configured: Option<&Path>, name: &str) -> Result<PathBuf, Nowhere> {
    choose(configured, name, |variable| std::env::var_os(variable))
}

fn choose(
    configured: Option<&Path>,
    name: &str,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, Nowhere> {
    if let Some(configured) = configured {
        return Ok(configured.to_owned());
    }
    let set = |variable| environment(variable).filter(|value| !value.is_empty());
    // Of several, separated by colons, the first is the service's own.
    let first = |value: OsString| std::env::split_paths(&value).next();
    let of_user = || set("XDG_STATE_HOME").map(PathBuf::from).or_else(|| Some(home(set("HOME")?)));
    let parent = set("STATE_DIRECTORY").and_then(first).or_else(|| Some(of_user()?.join("tandem")));
    parent.map(|parent| parent.join(file_name(name))).ok_or(Nowhere)
}

fn home(home: OsString) -> PathBuf {
    PathBuf::from(home).join(".local/state")
}

/// The name as one component of a path: what is no letter, digit, `-`, `_` or a dot within it is written as in a URL.
fn file_name(name: &str) -> String {
    let mut out = String::new();
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || byte == b'.' && at > 0 {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(configured: Option<&str>, environment: &[(&str, &str)]) -> Result<String, Nowhere> {
        let get = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value))
        };
        choose(configured.map(Path::new), "site-a", get).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn each_server_has_a_directory_of_its_own_in_the_first_place_that_is_named() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/tandem:/var/lib/b"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/users/op"),
        ];
        assert_eq!(found(Some("/data"), &all).unwrap(), "/data");
        assert_eq!(found(None, &all).unwrap(), "/var/lib/tandem/site-a");
        assert_eq!(found(None, &all[1..]).unwrap(), "/x/tandem/site-a");
        assert_eq!(found(None, &all[2..]).unwrap(), "/users/op/.local/state/tandem/site-a");
        assert_eq!(
            found(None, &[("STATE_DIRECTORY", ""), ("HOME", "/users/op")]).unwrap(),
            "/users/op/.local/state/tandem/site-a"
        );
    }

    #[test]
    fn a_server_without_a_place_is_told_the_option() {
        let refused = found(None, &[]).unwrap_err();
        assert!(refused.to_string().contains("state-directory in [ha]"), "{refused}");
    }

    #[test]
    fn no_name_leads_out_of_the_place() {
        for (name, file) in [
            ("..", "%2E."),
            ("a/b", "a%2Fb"),
            ("Zürich 1", "Z%C3%BCrich%201"),
            ("site-a.test", "site-a.test"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }
}
