//! Lists that the server gives in pages, shown whole or in part.

use clap::Args;
use serde_json::Value;

use super::client::{self, AskError, escape};
use super::show::{refused, say};
use super::{Exit, table};
use crate::limits::MAX_PAGE_ROWS;

/// The end of `--help`.
pub const HELP: &str = "\
The list is fetched in pages, so that a server with many DNs goes on with its calls meanwhile. To see it in parts:
  tandem reg list --limit 50
  tandem reg list --limit 50 --after 1050            what follows DN 1050
  tandem dn list --after trunk:gateway               what follows the Trunk \"gateway\"; Trunks stand behind the Extensions";

/// Which part of a list.
#[derive(Debug, Args)]
pub struct Pages {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    /// Rows at most; contacts of one DN are not parted
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Begin behind this DN
    #[arg(long, value_name = "DN")]
    after: Option<String>,
}

/// Asks the server for one page after the other and prints them as one list.
pub fn ask(server: &str, path: &str, pages: &Pages, show: fn(&Value, bool) -> String) -> Exit {
    let limit = pages.limit.map_or(usize::MAX, |limit| limit as usize);
    match all(limit, pages.after.clone(), |query| client::get(server, &format!("{path}?{query}"))) {
        Ok(rows) if pages.json => {
            say(&format!("{:#}\n", Value::Array(rows)));
            Exit::Done
        }
        Ok(rows) => {
            say(&show(&Value::Array(rows), table::colours()));
            Exit::Done
        }
        Err(error) => refused(&error),
    }
}

/// Pages until there are so many rows, or no more.
///
/// # Errors
/// What `get` says, of the first page that is not there.
pub fn all(
    limit: usize,
    mut after: Option<String>,
    mut get: impl FnMut(&str) -> Result<Value, AskError>,
) -> Result<Vec<Value>, AskError> {
    let mut rows = Vec::new();
    while rows.len() < limit {
        let wanted = (limit - rows.len()).min(MAX_PAGE_ROWS);
        let from = after.as_deref().map(|after| format!("&after={}", escape(after))).unwrap_or_default();
        let page = match get(&format!("limit={wanted}{from}"))? {
            Value::Array(page) => page,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Vec::new()
            }
        };
        let Some(last) = page.last().filter(|_| page.len() >= wanted) else {
            rows.extend(page);
            break;
        };
        after = Some(name(last));
        rows.extend(page);
    }
    Ok(rows)
}

/// A row as the place to go on behind.
fn name(row: &Value) -> String {
    let text = |field| row.get(field).and_then(Value::as_str).unwrap_or_default();
    let prefix = if text("kind") == "trunk" { "trunk:" } else { "" };
    format!("{prefix}{}", text("dn"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_are_asked_for_until_one_is_not_full() {
        let mut asked = Vec::new();
        let rows = all(usize::MAX, None, |query| {
            asked.push(query.to_owned());
            let page = asked.len();
            let rows = if page == 1 { MAX_PAGE_ROWS } else { 2 };
            let row = |n| json!({ "dn": format!("{page}#{n}"), "kind": if page == 1 { "trunk" } else { "extension" } });
            Ok(Value::Array((0..rows).map(row).collect()))
        });
        assert_eq!(rows.unwrap().len(), MAX_PAGE_ROWS + 2);
        let first = format!("limit={MAX_PAGE_ROWS}");
        let second = format!("limit={MAX_PAGE_ROWS}&after=trunk%3A1%23{}", MAX_PAGE_ROWS - 1);
        assert_eq!(asked, [first, second]);
    }

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        let mut asked = Vec::new();
        let rows = all(3, Some("1005".into()), |query| {
            asked.push(query.to_owned());
            Ok(json!([{ "dn": "1006" }, { "dn": "1007" }, { "dn": "1008" }]))
        });
        assert_eq!((rows.unwrap().len(), asked), (3, vec!["limit=3&after=1005".to_owned()]));
    }
}
