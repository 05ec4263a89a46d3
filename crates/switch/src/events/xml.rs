//! Text in XML documents.

/// Appends text, escaped; bytes that XML cannot hold become a question mark.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8]) {
    for character in String::from_utf8_lossy(value).chars() {
        match character {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\'' => out.extend_from_slice(b"&apos;"),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => out.push(b'?'),
            other => {
                let mut bytes = [0; 4];
                out.extend_from_slice(other.encode_utf8(&mut bytes).as_bytes());
            }
        }
    }
}

/// Appends ` name="value"`.
pub(super) fn attribute(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    text(out, value);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_in_a_value_can_end_it() {
        let mut out = Vec::new();
        super::attribute(&mut out, "a", b"<&>\"'\x00\xff\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), " a=\"&lt;&amp;&gt;&quot;&apos;?\u{fffd}??\"");
    }
}
