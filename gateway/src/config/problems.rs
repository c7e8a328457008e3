//! From text to [`Config`], with *every* problem of form instead of the first only.
//!
//! The parser stops at its first error. So that a person need not come back once for each typo, what it complained
//! about is blanked out (line numbers stay as they are) and the rest is parsed again. A key that is missed because we
//! blanked it is no problem of its own.

use std::ops::Range;

use bellwether_domain::ConfigProblem;

use super::Config;

/// More problems than this are not listed: whoever has so many has given us the wrong file.
const MAX_PROBLEMS: usize = 50;

/// Parses the text, or lists what is wrong with its form, one line each.
pub(super) fn parse(text: &str) -> Result<Config, Vec<ConfigProblem>> {
    let mut rest = text.to_owned();
    let mut problems: Vec<(usize, ConfigProblem)> = Vec::new();
    let mut blanked: Vec<Range<usize>> = Vec::new();
    for _ in 0..MAX_PROBLEMS {
        let error = match toml::from_str::<Config>(&rest) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(error) => error,
        };
        // Without a place the error is about the file as a whole, such as a missing [site].
        let span = error.span().unwrap_or(0..0);
        let is_missing = error.message().starts_with("missing field");
        let table_end = end_of_table(text, &span);
        let is_consequence = is_missing
            && blanked.iter().any(|gone| span.start <= gone.start && gone.end <= table_end);
        if !is_consequence {
            problems.push((span.start, describe(text, &span, error.message())));
        }
        let gone = extent(text, &span, is_missing);
        if span.is_empty() || gone.is_empty() || blanked.contains(&gone) {
            break;
        }
        blank(&mut rest, &gone);
        blanked.push(gone);
    }
    problems.sort();
    Err(problems.into_iter().map(|(_, problem)| problem).collect())
}

/// `line 12, column 3, in [http]: unknown key …`, with the line itself where the message does not name the culprit.
fn describe(text: &str, span: &Range<usize>, message: &str) -> ConfigProblem {
    let before = &text[..span.start];
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = span.start - line_start + 1;
    let message = message.trim().replace('\n', ": ");
    let names_culprit = message.contains('`');
    let message =
        message.replace("unknown field", "unknown key").replace("missing field", "missing key");
    let key = message
        .strip_prefix("unknown key `")
        .or_else(|| message.strip_prefix("missing key `"))
        .and_then(|rest| rest.split('`').next())
        .map(str::to_owned)
        .or_else(|| key_of(text[line_start..].lines().next()?));
    let culprit = match text[line_start..].lines().next() {
        Some(source) if !names_culprit && !source.trim().is_empty() => {
            format!(": {}", source.trim())
        }
        _ => String::new(),
    };
    ConfigProblem {
        file: None,
        line: Some(line),
        column: Some(column),
        table: table_of(text, span.start),
        key,
        message: format!("{message}{culprit}"),
    }
}

/// The key that a line gives a value, if it does.
fn key_of(line: &str) -> Option<String> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    is_key.then(|| key.to_owned())
}

/// The header of the table that the place stands in, with the entry's `name` or `path` if it has one.
fn table_of(text: &str, at: usize) -> Option<String> {
    let line_end = text[at..].find('\n').map_or(text.len(), |offset| at + offset);
    let start = text[..line_end].rmatch_indices('[').find(|(at, _)| is_header(text, *at))?.0;
    let start = text[..=start].rfind('\n').map_or(0, |at| at + 1);
    let header = text[start..].lines().next()?.trim().to_owned();
    let name = text[start..]
        .lines()
        .skip(1)
        .take_while(|line| !line.trim_start().starts_with('['))
        .find_map(|line| {
            let (key, value) = line.split_once('=')?;
            matches!(key.trim(), "name" | "path").then(|| value.trim().trim_matches('"').to_owned())
        });
    Some(name.map_or(header.clone(), |name| format!("{header} `{name}`")))
}

/// Whether the bracket at this place opens a table header: nothing but blanks and brackets before it on its line.
fn is_header(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    text[line..at].chars().all(|c| c.is_whitespace() || c == '[')
}

/// Where the table that begins at the span ends: at the next header, or at the end of the text.
fn end_of_table(text: &str, span: &Range<usize>) -> usize {
    let from = text[span.start..].find('\n').map_or(text.len(), |offset| span.start + offset + 1);
    text[from..]
        .match_indices('[')
        .map(|(at, _)| from + at)
        .find(|at| is_header(text, *at))
        .unwrap_or(text.len())
}

/// What to blank out: the lines of the key and its value, or the whole table for a header or a missing key.
fn extent(text: &str, span: &Range<usize>, whole_table: bool) -> Range<usize> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let is_table = whole_table || text[line_start..].trim_start().starts_with('[');
    if is_table {
        return line_start..end_of_table(text, span);
    }
    // A value may go on over several lines: as long as brackets are open.
    let mut end = line_start;
    let mut open = 0_i32;
    for line in text[line_start..].split_inclusive('\n') {
        end += line.len();
        for c in line.chars() {
            match c {
                '[' | '{' => open += 1,
                ']' | '}' => open -= 1,
                _ => {}
            }
        }
        if open <= 0 && end >= span.end {
            break;
        }
    }
    line_start..end
}

fn blank(text: &mut String, range: &Range<usize>) {
    let blanks: String =
        text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range.clone(), &blanks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let problems = parse(text).expect_err("the text is wrong");
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            let problem = problem.to_string();
            assert!(problem.contains(expected), "`{problem}` should contain `{expected}`");
        }
    }

    const SITE: &str = "[site]\nenterprise = \"acme\"\nsite = \"lyon\"\n";

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_valid_ones() {
        check(
            &format!("{SITE}[http]\nlisen = \"127.0.0.1:80\"\n"),
            &["line 5, column 1, in [http]: unknown key `lisen`, expected `listen`"],
        );
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        check(
            &format!(
                "{SITE}[http]\nlisen = \"127.0.0.1:80\"\n\n[[asset]]\npath = \"a/b/c\"\nkind = \"pumpe\"\n\n\
                 [[mqtt]]\nname = \"scada\"\nurl = 5\nkeep_alive_s = 5\n\n[[asset]]\nkind = \"fan\"\n"
            ),
            &[
                "unknown key `lisen`",
                "unknown variant `pumpe`",
                "invalid type: integer `5`",
                "missing key `path`",
            ],
        );
    }

    #[test]
    fn a_text_that_is_no_toml_is_reported_with_its_place() {
        check(&format!("{SITE}[http\n"), &["line 4"]);
    }

    #[test]
    fn a_file_without_a_site_says_so() {
        check("", &["missing key `site`"]);
    }
}
