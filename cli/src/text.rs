//! Text for people: lists, lengths of time, the end of a log.

use std::borrow::Cow;
use std::time::Duration;

/// `1 service`, `2 services`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// `90 s`, `5 min`, `2 h`.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// The last lines that hold something.
pub(crate) fn tail(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| excerpt(line)).collect()
}

/// The last line that holds something; a program that failed says why there.
pub(crate) fn last_line(text: &str) -> String {
    tail(text, 1).pop().unwrap_or_else(|| "it printed nothing".to_owned())
}

/// How much of a line is shown, in characters.
const LONGEST_LINE: usize = 400;
/// The length of an API key that mcp-server makes: 256 bits in base64url.
const KEY_LENGTH: usize = 43;

/// A line of a log, bounded, without API keys: a server prints the key that it made once, and an answer of this program
/// may be kept in a pipeline's log that many can read.
fn excerpt(line: &str) -> String {
    let line = without_documents(line);
    let of_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut shown = String::new();
    for piece in line.split_inclusive(|c| !of_key(c)) {
        let word = piece.trim_end_matches(|c| !of_key(c));
        if word.len() == KEY_LENGTH {
            shown.push('…');
            shown.push_str(&piece[word.len()..]);
        } else {
            shown.push_str(piece);
        }
    }
    match shown.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// A line without the JSON documents that it quotes: kubectl repeats an object that the API server refuses as a whole,
/// the data of a Secret included, before it says why.
pub(crate) fn without_documents(line: &str) -> Cow<'_, str> {
    const START: &str = "\"{";
    if !line.contains(START) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(START) {
        let (before, quoted) = rest.split_at(start);
        let end = end_of_string(quoted);
        shown.push_str(before);
        shown.push_str("\"{…}\"");
        rest = &quoted[end..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The length of the string in quotation marks that a text begins with; all of it where it is cut off.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(index, _)| index + 1)
}

/// Lines as a block below a sentence.
pub(crate) fn block(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// Rows below a header, columns aligned.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| row.iter().map(|cell| cell.chars().count()).collect::<Vec<_>>();
    let header: Vec<_> = header.iter().map(|name| (*name).to_owned()).collect();
    let mut widths = cells(&header);
    for row in rows {
        widths.iter_mut().zip(cells(row)).for_each(|(width, cell)| *width = cell.max(*width));
    }
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_in_a_log_is_not_repeated() {
        let key = "aB3-_xyz90_".repeat(4)[..KEY_LENGTH].to_owned();
        assert_eq!(tail(&format!("made one:\n    {key}\n"), 5), ["made one:", "    …"]);
        assert_eq!(tail(&format!("(\"{key}\") mcp_server {key}"), 5), ["(\"…\") mcp_server …"]);
    }

    #[test]
    fn a_document_that_kubectl_repeats_is_not() {
        let said = r#"The request is invalid: patch: Invalid value: "{\"data\":{\"password\":\"c2VjcmV0\"}}": strict decoding error: unknown field "dta""#;
        let shown = r#"The request is invalid: patch: Invalid value: "{…}": strict decoding error: unknown field "dta""#;
        assert_eq!(last_line(said), shown);
        assert_eq!(last_line(r#"cut off: "{\"a\":\"#), r#"cut off: "{…}""#);
        assert_eq!(last_line(r#"{"level":"info","é":"}"}"#), r#"{"level":"info","é":"}"}"#);
    }

    #[test]
    fn an_excerpt_is_the_end_and_is_bounded() {
        assert_eq!(tail("a\n\nb\n  \nc\n", 2), ["b", "c"]);
        assert_eq!(tail("", 2), Vec::<String>::new());
        assert_eq!(tail(&"é".repeat(5000), 1)[0].chars().count(), LONGEST_LINE + 1);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["längst".to_owned(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X       Y\na       b\nlängst\n");
    }
}
