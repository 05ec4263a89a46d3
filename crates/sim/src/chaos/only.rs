//! Which of a run's numbered things take part: all, or only some. Written as `3,7-9`, or `none`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Whatever there is.
    #[default]
    All,
    /// These numbers.
    These(BTreeSet<u32>),
}

impl Only {
    /// Whether a number takes part.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::These(numbers) => numbers.contains(&number),
        }
    }
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("{text:?} is no number"));
        let mut numbers = BTreeSet::new();
        for part in text.split(',').filter(|_| text != "none") {
            match part.split_once('-') {
                Some((from, to)) => numbers.extend(number(from)?..=number(to)?),
                None => drop(numbers.insert(number(part)?)),
            }
        }
        Ok(Self::These(numbers))
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::These(numbers) = self else { return f.write_str("all") };
        if numbers.is_empty() {
            return f.write_str("none");
        }
        let mut left = numbers.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = left.next() {
            let mut last = first;
            while let Some(next) = left.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "{}{last}", if last == first + 1 { "," } else { "-" })?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["none", "3", "3,4", "1-3", "1,3,5-9,12"] {
            assert_eq!(text.parse::<Only>().map(|only| only.to_string()), Ok(text.to_owned()));
        }
        assert!("3,x".parse::<Only>().is_err());
    }
}
