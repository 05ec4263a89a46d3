//! Checks of what a client brings.

use std::hint::black_box;

use tandem_cti::{ErrorCode, KvList, Refusal, Value, WorkMode};

use super::word::wrap_up_of;
use crate::directory::floor::WrapUp;
use crate::limits::{MAX_LIST_BYTES, MAX_LIST_DEPTH, MAX_LIST_KEYS};

/// Work modes that say how calls are taken.
pub(super) fn takes_calls(mode: WorkMode) -> bool {
    matches!(mode, WorkMode::Unknown | WorkMode::ManualIn | WorkMode::AutoIn)
}

/// Refuses lists that are too large to be kept and told around.
pub(super) fn lists(lists: [&KvList; 2]) -> Result<(), Refusal> {
    for list in lists {
        let (mut keys, mut bytes) = (0, 0);
        if !measure(list, 1, &mut keys, &mut bytes) || keys > MAX_LIST_KEYS || bytes > MAX_LIST_BYTES {
            let why = format!(
                "a list may have {MAX_LIST_KEYS} keys, {MAX_LIST_BYTES} bytes and {MAX_LIST_DEPTH} levels"
            );
            return Err(Refusal::because(ErrorCode::InvalidAttr, why));
        }
    }
    Ok(())
}

/// False if it is nested too deeply.
fn measure(list: &KvList, depth: usize, keys: &mut usize, bytes: &mut usize) -> bool {
    *keys += list.len();
    depth <= MAX_LIST_DEPTH
        && list.iter().all(|(key, value)| {
            *bytes += key.len();
            match value {
                Value::Int(_) => *bytes += size_of::<i64>(),
                Value::Text(text) => *bytes += text.len(),
                Value::List(inner) => return measure(inner, depth + 1, keys, bytes),
            }
            true
        })
}

/// `WrapUpTime` of a request's extensions.
pub(super) fn wrap_up(extensions: &KvList) -> Result<Option<WrapUp>, Refusal> {
    match (extensions.contains_key("WrapUpTime"), wrap_up_of(extensions)) {
        (true, None) => {
            let why = "the extension WrapUpTime is a number of seconds or 'untimed'";
            Err(Refusal::because(ErrorCode::InvalidAttr, why))
        }
        (_, wrap_up) => Ok(wrap_up),
    }
}

/// `AgentEmuLoginOnCall` of a request's extensions.
pub(super) fn login_on_call(extensions: &KvList) -> Result<Option<bool>, Refusal> {
    let Some(value) = extensions.get("AgentEmuLoginOnCall") else { return Ok(None) };
    match (value.as_text(), value.as_int()) {
        (Some("true"), _) | (_, Some(1)) => Ok(Some(true)),
        (Some("false"), _) | (_, Some(0)) => Ok(Some(false)),
        _ => {
            let why = "the extension AgentEmuLoginOnCall is true or false";
            Err(Refusal::because(ErrorCode::InvalidAttr, why))
        }
    }
}

/// Whether a password is the configured one. Takes the time that the given one is long, whatever the other is.
pub(super) fn same_password(given: &str, configured: &str) -> bool {
    let mut expected = configured.bytes();
    let mut differ = u8::from(given.len() != configured.len());
    for byte in given.bytes() {
        differ |= black_box(byte ^ expected.next().unwrap_or(byte));
    }
    black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_compared_whole() {
        assert!(same_password("secret", "secret"));
        assert!(same_password("", ""));
        assert!(!same_password("secre", "secret"));
        assert!(!same_password("secrets", "secret"));
        assert!(!same_password("Secret", "secret"));
        assert!(!same_password("", "secret"));
    }

    #[test]
    fn wrap_up_time_is_seconds_or_untimed() {
        let list = |value: Value| KvList::from([("WrapUpTime".to_owned(), value)]);
        let timed = |s| Some(WrapUp::Timed(std::time::Duration::from_secs(s)));
        assert_eq!(wrap_up(&KvList::new()), Ok(None));
        assert_eq!(wrap_up(&list(Value::Int(30))), Ok(timed(30)));
        assert_eq!(wrap_up(&list("30".into())), Ok(timed(30)));
        assert_eq!(wrap_up(&list("untimed".into())), Ok(Some(WrapUp::Untimed)));
        for odd in [Value::Int(-1), "soon".into(), Value::List(KvList::new())] {
            assert_eq!(wrap_up(&list(odd)).unwrap_err().code, ErrorCode::InvalidAttr);
        }
    }
}
