//! The known name that a misspelt one probably means.

/// Longer names are not compared; no known name is nearly as long.
const MAX_COMPARED: usize = 64;

/// The nearest of the known names, if it is near: at most a third of its letters differ. Case does not count.
pub(crate) fn closest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > MAX_COMPARED {
        return None;
    }
    let near = known.into_iter().map(|name| (distance(wanted, name), name));
    let near = near.filter(|(distance, name)| distance * 3 <= name.len());
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Letters to insert, delete or replace (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, a) in (1..).zip(one.chars()) {
        let mut diagonal = line - 1;
        let mut left = line;
        if let Some(first) = row.first_mut() {
            *first = line;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("TMAKECALL", "TMakeCall"), 0);
    }

    #[test]
    fn a_name_far_from_all_has_no_closest() {
        let known = ["TMakeCall", "THoldCall"];
        assert_eq!(closest("TMkeCall", known), Some("TMakeCall"));
        assert_eq!(closest("TAnswerCall", known), None);
        assert_eq!(closest(&"T".repeat(65), known), None);
    }
}
