//! What a new configuration changes in a running gateway, in names.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_analytics::is_learning_kept;
use bellwether_domain::{AssetId, ConfigDiff, Plant, Tag, TagId};
use toml::{Table, Value};

use super::Setup;
use crate::acquisition::is_same_session;

/// Sections that take effect while the gateway runs; all others wait for the next start.
const HOT: [&str; 3] = ["asset", "modbus", "opcua"];

/// From what runs to what shall run. `started` is the text that the process began with, `text` the new one.
pub fn diff(old: &Setup, new: &Setup, started: &str, text: &str) -> ConfigDiff {
    let mut diff =
        ConfigDiff { needs_restart: needs_restart(started, text), ..ConfigDiff::default() };
    sources(old, new, &mut diff);
    tags(&old.plant, &new.plant, &mut diff);
    assets(&old.plant, &new.plant, &mut diff);
    diff
}

fn sources(old: &Setup, new: &Setup, diff: &mut ConfigDiff) {
    let before: BTreeMap<_, _> = old.sources.iter().map(|source| (source.name(), source)).collect();
    let after: BTreeMap<_, _> = new.sources.iter().map(|source| (source.name(), source)).collect();
    for (&name, source) in &after {
        let list = match before.get(name) {
            None => &mut diff.sources_added,
            Some(was) if is_same_session((&old.plant, was), (&new.plant, source)) => {
                &mut diff.sources_unchanged
            }
            Some(_) => &mut diff.sources_changed,
        };
        list.push(name.to_owned());
    }
    let is_gone = |name: &&str| !after.contains_key(*name);
    diff.sources_removed = before.into_keys().filter(is_gone).map(str::to_owned).collect();
}

fn tags(old: &Plant, new: &Plant, diff: &mut ConfigDiff) {
    let by_name = |plant: &Plant| -> BTreeMap<String, TagId> {
        plant.tags().map(|(id, tag)| (tag.name.clone(), id)).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for (name, &id) in &after {
        match before.get(name) {
            None => diff.tags_added.push(name.clone()),
            Some(&was) if is_same_tag((old, was), (new, id)) => {}
            Some(_) => diff.tags_changed.push(name.clone()),
        }
    }
    let is_gone = |name: &String| !after.contains_key(name);
    diff.tags_removed = before.into_keys().filter(is_gone).collect();
}

/// Whether two tags of one name are the same but for the ids.
fn is_same_tag((old, was): (&Plant, TagId), (new, is): (&Plant, TagId)) -> bool {
    let (before, after) = (old.tag(was), new.tag(is));
    let without_ids = |tag: &Tag| Tag { asset: AssetId(0), derived: None, ..tag.clone() };
    old.asset(before.asset).path == new.asset(after.asset).path
        && without_ids(before) == without_ids(after)
        && before.derived.map(|derived| derived.feature)
            == after.derived.map(|derived| derived.feature)
}

fn assets(old: &Plant, new: &Plant, diff: &mut ConfigDiff) {
    let by_path = |plant: &Plant| -> BTreeMap<String, AssetId> {
        plant.assets().map(|(id, asset)| (asset.path.to_string(), id)).collect()
    };
    let (before, after) = (by_path(old), by_path(new));
    for (path, &id) in &after {
        match before.get(path) {
            None => diff.assets_added.push(path.clone()),
            Some(&was) if is_learning_kept(old, was, new, id) => {}
            Some(_) => diff.assets_relearning.push(path.clone()),
        }
    }
    let is_gone = |path: &String| !after.contains_key(path);
    diff.assets_removed = before.into_keys().filter(is_gone).collect();
}

/// Settings of the sections that are read at the start only, as a person would look for them: `[http] listen`.
fn needs_restart(started: &str, text: &str) -> Vec<String> {
    let parse = |text: &str| text.parse::<Table>().unwrap_or_default();
    let (before, after) = (parse(started), parse(text));
    let sections: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut settings = Vec::new();
    for section in sections {
        let (was, is) = (before.get(section), after.get(section));
        if HOT.contains(&section.as_str()) || was == is {
            continue;
        }
        match (named(was), named(is)) {
            (Some(was), Some(is)) => {
                let names: BTreeSet<&str> = was.keys().chain(is.keys()).copied().collect();
                let changed = names.into_iter().filter(|name| was.get(name) != is.get(name));
                settings.extend(changed.map(|name| format!("[[{section}]] `{name}`")));
            }
            _ => {
                let empty = Table::new();
                let table = |value: Option<&Value>| {
                    value.and_then(Value::as_table).unwrap_or(&empty).clone()
                };
                let (was, is) = (table(was), table(is));
                let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
                let changed = keys.into_iter().filter(|key| was.get(*key) != is.get(*key));
                settings.extend(changed.map(|key| format!("[{section}] {key}")));
            }
        }
    }
    settings
}

/// An array of tables by the name of each; an absent one counts as empty.
fn named(value: Option<&Value>) -> Option<BTreeMap<&str, &Value>> {
    let Some(value) = value else { return Some(BTreeMap::new()) };
    let entries = value.as_array()?;
    Some(entries.iter().filter_map(|entry| Some((entry.get("name")?.as_str()?, entry))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(started: &str, text: &str, expected: &[&str]) {
        assert_eq!(needs_restart(started, text), expected, "{started} → {text}");
    }

    #[test]
    fn settings_that_wait_for_a_restart_are_named() {
        check("[http]\nlisten = \"a\"", "[http]\nlisten = \"b\"", &["[http] listen"]);
        check("[http]\nlisten = \"a\"", "", &["[http] listen"]);
        check("", "[store]\nx = 1\ny = 2", &["[store] x", "[store] y"]);
        check("[[modbus]]\nname = \"a\"", "[[modbus]]\nname = \"b\"", &[]);
        check(
            "[[mqtt]]\nname = \"a\"\n[[mqtt]]\nname = \"b\"",
            "[[mqtt]]\nname = \"b\"\nurl = \"x\"\n[[mqtt]]\nname = \"c\"",
            &["[[mqtt]] `a`", "[[mqtt]] `b`", "[[mqtt]] `c`"],
        );
        check("# one\n[site]\nsite = \"a\"", "[site]\nsite = \"a\" # other", &[]);
    }
}
