//! Number ranges: `"1001-1010"`, `"u000-u399"`, or one number.

use crate::limits::MAX_EXTENSIONS;

/// The numbers that `text` stands for, in order.
///
/// Both ends of a range share a prefix that ends before the last digits. Ends of equal length keep leading zeros:
/// `"u08-u11"` is u08, u09, u10, u11.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn expand(text: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = text.split_once('-') else {
        check(text)?;
        return Ok(vec![text.to_owned()]);
    };
    let (first, last) = (first.trim(), last.trim());
    check(first)?;
    check(last)?;
    let (prefix, low) = split(first);
    let (last_prefix, high) = split(last);
    if prefix != last_prefix {
        return Err(format!("the ends of {first}-{last} begin differently: '{prefix}' and '{last_prefix}'"));
    }
    let number = |digits: &str, end: &str| {
        digits
            .parse::<u64>()
            .map_err(|_| format!("{end} must end in 1 to 18 digits to be the end of a range"))
    };
    let (from, to) = (number(low, first)?, number(high, last)?);
    if from > to {
        return Err(format!("{first} comes after {last}"));
    }
    if low.len() != high.len() && low.starts_with('0') && low.len() > 1 {
        return Err(format!("{first} has leading zeros, so {last} must have as many digits"));
    }
    if to - from >= MAX_EXTENSIONS as u64 {
        return Err(format!("more than {MAX_EXTENSIONS} numbers"));
    }
    let width = if low.len() == high.len() { low.len() } else { 0 };
    Ok((from..=to).map(|n| format!("{prefix}{n:0width$}")).collect())
}

/// One number, no range.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn one(text: &str) -> Result<String, String> {
    check(text)?;
    Ok(text.to_owned())
}

/// Whether every character may stand in the number of a DN.
fn check(number: &str) -> Result<(), String> {
    if number.is_empty() {
        return Err("a number cannot be empty".to_owned());
    }
    if number.len() > 64 {
        return Err("a number has at most 64 characters".to_owned());
    }
    match number.chars().find(|c| !(c.is_ascii_alphanumeric() || "+*#._".contains(*c))) {
        Some(c) => Err(format!("'{c}' cannot stand in a number; letters, digits and + * # . _ can")),
        None => Ok(()),
    }
}

/// Prefix and final digits (at most 18: they fit 64 bits).
fn split(number: &str) -> (&str, &str) {
    let digits = number.bytes().rev().take_while(u8::is_ascii_digit).count().min(18);
    number.split_at(number.len() - digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_its_ends() {
        assert_eq!(expand("1001-1003").unwrap(), ["1001", "1002", "1003"]);
        assert_eq!(expand("9-11").unwrap(), ["9", "10", "11"]);
        assert_eq!(expand("7-7").unwrap(), ["7"]);
        assert_eq!(expand("reception").unwrap(), ["reception"]);
    }

    #[test]
    fn a_prefix_stays_and_leading_zeros_stay() {
        assert_eq!(expand("u08-u11").unwrap(), ["u08", "u09", "u10", "u11"]);
        assert_eq!(expand("007-010").unwrap(), ["007", "008", "009", "010"]);
        let many = expand("u0-u399999").unwrap();
        assert_eq!(many.len(), 400_000);
        assert_eq!((many[0].as_str(), many[399_999].as_str()), ("u0", "u399999"));
    }

    #[test]
    fn what_is_no_range_is_refused_with_its_reason() {
        for (text, reason) in [
            ("a1-b2", "begin differently"),
            ("10-9", "comes after"),
            ("001-10", "as many digits"),
            ("0-99999999", "more than"),
            ("x-x", "digits"),
            ("10 01", "' ' cannot stand"),
            ("", "empty"),
            ("1-", "empty"),
        ] {
            let said = expand(text).unwrap_err();
            assert!(said.contains(reason), "{text:?}: {said}");
        }
    }
}
