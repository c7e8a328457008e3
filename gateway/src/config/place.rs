//! Where in the file a problem of meaning is. Sections name their problems by things (`modbus `plc-1`, tag `p.flow`:
//! …`), because they know no lines; here the thing is looked up in the text, and the first key of it that the sentence
//! names.

use bellwether_domain::ConfigProblem;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

/// What sentences begin with, and the sections it stands for.
const THINGS: [(&str, &[&str]); 6] = [
    ("modbus", &["modbus"]),
    ("opcua", &["opcua"]),
    ("source", &["modbus", "opcua"]),
    ("mqtt uplink", &["mqtt"]),
    ("mqtt", &["mqtt"]),
    ("asset", &["asset"]),
];

/// The problems with their places, in the order of the file; those without a place come last.
pub(super) fn locate(text: &str, messages: Vec<String>) -> Vec<ConfigProblem> {
    let document = DeTable::parse(text).ok();
    let mut problems: Vec<_> = messages
        .into_iter()
        .map(|message| {
            let found = document.as_ref().and_then(|document| find(document.get_ref(), &message));
            let (at, key) = found.unzip();
            let line = at.map(|at| text[..at].matches('\n').count() + 1);
            ConfigProblem { line, key: key.flatten(), message, ..ConfigProblem::default() }
        })
        .collect();
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    problems
}

type Table<'i> = DeTable<'i>;

/// Offset and key.
fn find(document: &Table<'_>, message: &str) -> Option<(usize, Option<String>)> {
    let (place, rest) = message.split_once(": ").unwrap_or((message, ""));
    if let Some(inner) = place.strip_prefix('[') {
        let (section, after) = inner.trim_start_matches('[').split_once(']')?;
        let key = after.trim_start_matches(']').split_whitespace().next()?;
        let quoted = quoted(after).next();
        let tables = tables(document, section);
        let is_it =
            |table: &&Table<'_>| quoted.is_none_or(|quoted| value_of(table, key) == Some(quoted));
        return keyed(tables.iter().copied().find(is_it)?, key);
    }
    if let Some(key) = place.split_whitespace().next()
        && let Some(found) = tables(document, "analytics").first().and_then(|it| keyed(it, key))
    {
        return Some(found);
    }
    let names: Vec<_> = quoted(place).collect();
    if let Some(name) = place.strip_prefix("tag `").and_then(|_| names.first()) {
        let tags = ["modbus", "opcua"].into_iter().flat_map(|section| tables(document, section));
        let tags: Vec<_> = tags.flat_map(|source| tables(source, "tag")).collect();
        return named(&tags, name).and_then(|tag| best(tag, rest));
    }
    let (_, sections) = THINGS
        .iter()
        .find(|(word, _)| place.strip_prefix(word).is_some_and(|after| after.starts_with(" `")))?;
    let things: Vec<_> = sections.iter().flat_map(|section| tables(document, section)).collect();
    let thing = named(&things, names.first()?)?;
    match names.get(1..).unwrap_or_default() {
        [] => best(thing, rest),
        // The last one named is the one that came later in the file.
        [.., last] => {
            let tags = tables(thing, "tag");
            named(&tags, last).and_then(|tag| best(tag, rest)).or_else(|| best(thing, rest))
        }
    }
}

/// Words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tables of a section: one, or all of its array.
fn tables<'t, 'i>(table: &'t Table<'i>, section: &str) -> Vec<&'t Table<'i>> {
    match value(table, section).map(|(_, value)| value.get_ref()) {
        Some(DeValue::Table(table)) => vec![table],
        Some(DeValue::Array(array)) => {
            array.iter().filter_map(|entry| entry.get_ref().as_table()).collect()
        }
        _ => Vec::new(),
    }
}

type Entry<'t, 'i> = (&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>);

fn value<'t, 'i>(table: &'t Table<'i>, key: &str) -> Option<Entry<'t, 'i>> {
    table.iter().find(|(known, _)| known.get_ref() == key)
}

fn value_of<'t>(table: &'t Table<'_>, key: &str) -> Option<&'t str> {
    value(table, key)?.1.get_ref().as_str()
}

/// The last thing of this name: of two, the second is the one too many.
fn named<'t, 'i>(things: &[&'t Table<'i>], name: &str) -> Option<&'t Table<'i>> {
    let is_it = |thing: &&&Table<'_>| {
        ["name", "path"].into_iter().any(|key| value_of(thing, key) == Some(name))
    };
    things.iter().rev().find(is_it).copied()
}

fn keyed(table: &Table<'_>, key: &str) -> Option<(usize, Option<String>)> {
    let nested = table.iter().filter_map(|(_, value)| value.get_ref().as_table());
    let found = value(table, key).or_else(|| nested.into_iter().find_map(|it| value(it, key)))?;
    Some((found.0.span().start, Some(key.to_owned())))
}

/// The first key of the table that the sentence names, or else where the table names itself.
fn best(table: &Table<'_>, sentence: &str) -> Option<(usize, Option<String>)> {
    quoted(sentence)
        .find_map(|word| keyed(table, word))
        .or_else(|| ["name", "path"].into_iter().find_map(|key| Some((keyed(table, key)?.0, None))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[site]
enterprise = "acme"
[analytics]
fast_margin = 0.0
[[asset]]
path = "a/b/c"
[[asset]]
path = "a/b/d d"
[[modbus]]
name = "plc-1"
timeout_ms = 0
[[modbus.tag]]
name = "p.flow"
asset = "a/b/x"
register = { kind = "holding", address = 4 }
[[modbus.tag]]
name = "p.level"
"#;

    #[track_caller]
    fn check(message: &str, line: Option<usize>, key: Option<&str>) {
        let found = locate(TEXT, vec![message.to_owned()]);
        assert_eq!((found[0].line, found[0].key.as_deref()), (line, key), "{message}");
    }

    #[test]
    fn a_problem_is_found_by_the_thing_and_the_key_it_names() {
        check("modbus `plc-1`: `timeout_ms` = 0: give a number", Some(11), Some("timeout_ms"));
        check("modbus `plc-1`: there is a problem", Some(10), None);
        check("modbus `plc-1`, tag `p.flow`: `type` is missing", Some(13), None);
        check("modbus `plc-1`, tag `p.flow`: `address` is odd", Some(15), Some("address"));
        check("modbus `plc-1`, tags `p.flow` and `p.level`: both read it", Some(17), None);
        check("source `plc-1`, tag `p.flow`: unknown asset `a/b/x`", Some(13), None);
        check("tag `p.level` is there 2 times: give each", Some(17), None);
        check("asset `a/b/c` has no tags: give", Some(6), None);
        check("[[asset]] path = `a/b/d d`: write it", Some(8), Some("path"));
        check("[site] enterprise = `acme`: write", Some(2), Some("enterprise"));
        check("fast_margin: is 0, must be", Some(4), Some("fast_margin"));
        check("modbus `plc-9`: is gone", None, None);
        check("something else", None, None);
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let messages = ["nowhere: x", "modbus `plc-1`: x", "asset `a/b/c`: x"];
        let lines: Vec<_> = locate(TEXT, messages.map(str::to_owned).to_vec())
            .iter()
            .map(|problem| problem.line)
            .collect();
        assert_eq!(lines, [Some(6), Some(10), None]);
    }
}
