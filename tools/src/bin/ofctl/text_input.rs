//! Flow text from the command line and from files, with errors that point at the place.

use anyhow::Context as _;
use ofproto::ids::PortNo;
use ofproto::port::Port;
use ofproto::text::TextError;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

/// A text that can't be read: the fault, its line and a mark under its column.
#[derive(Debug)]
pub struct SyntaxError {
    /// The file and line, where there are any.
    pub place: Option<String>,
    /// The line.
    pub line: String,
    /// What is wrong.
    pub error: TextError,
}

/// Most of a long line that is shown around the fault.
const MOST_SHOWN: usize = 100;

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Offsets count bytes, columns count characters.
        let column = self.line.char_indices().take_while(|(at, _)| *at < self.error.offset).count();
        let from = column.saturating_sub(MOST_SHOWN / 2);
        let cut: String =
            self.line.chars().skip(from).take(MOST_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before = if from > 0 { "…" } else { "" };
        let after = if from + MOST_SHOWN < self.line.chars().count() { "…" } else { "" };
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        // The offset is said by the column and the mark.
        let text = self.error.to_string().replace(&format!(" at offset {}", self.error.offset), "");
        let mark = column - from + before.chars().count();
        write!(f, "column {}: {text}\n  {before}{cut}{after}\n  {:mark$}^", column + 1, "")
    }
}

impl std::error::Error for SyntaxError {}

/// Turns a parser's error on `line` into one that shows the place.
pub fn located(line: &str, place: Option<String>) -> impl FnOnce(TextError) -> anyhow::Error + '_ {
    move |error| SyntaxError { place, line: line.to_owned(), error }.into()
}

/// A text that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its file and line, where it has any.
    pub place: Option<String>,
    /// What it says, without its comment.
    pub text: String,
}

/// The command line's text, or for `-` the lines of standard input.
pub fn given(text: &str) -> anyhow::Result<Vec<Given>> {
    if text.trim() == "-" {
        return from_file(Path::new("-"));
    }
    Ok(vec![Given { place: None, text: text.to_owned() }])
}

/// The lines of a file, or for `-` of standard input.
pub fn from_file(file: &Path) -> anyhow::Result<Vec<Given>> {
    Ok(lines(&read_text(file)?, file))
}

/// The lines that say something: without `#` comments and empty ones.
fn lines(text: &str, file: &Path) -> Vec<Given> {
    let place = |i: usize| match file.to_str() {
        Some("-") => format!("line {}", i + 1),
        _ => format!("{}:{}", file.display(), i + 1),
    };
    text.lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let text = line.split('#').next().unwrap_or_default().trim_end();
            (!text.trim().is_empty()).then(|| Given { place: Some(place(i)), text: text.to_owned() })
        })
        .collect()
}

/// Reads a file, or standard input for `-`.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("reading standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads a file of text, or standard input for `-`.
pub fn read_text(file: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(file)?).with_context(|| format!("{} is no text", file.display()))
}

/// The ports' names for the flow syntax.
pub fn port_names(ports: &[Port]) -> Vec<(String, PortNo)> {
    ports.iter().filter(|p| !p.name.is_empty()).map(|p| (p.name.clone(), p.port_no)).collect()
}

/// A port by number, reserved name or interface name.
pub fn find_port(text: &str, names: &[(String, PortNo)]) -> anyhow::Result<PortNo> {
    if let Some((_, no)) = names.iter().find(|(name, _)| name == text) {
        return Ok(*no);
    }
    let reserved = [
        PortNo::IN_PORT,
        PortNo::TABLE,
        PortNo::NORMAL,
        PortNo::FLOOD,
        PortNo::ALL,
        PortNo::CONTROLLER,
        PortNo::LOCAL,
        PortNo::ANY,
    ];
    if let Some(no) = reserved.into_iter().find(|p| p.reserved_name().is_some_and(|n| n.eq_ignore_ascii_case(text))) {
        return Ok(no);
    }
    if let Ok(n) = text.parse() {
        // Reserved ports as 1.0 numbers them, which ovs-ofctl's users write whatever the version.
        return Ok(PortNo(if (0xfff8..=0xffff).contains(&n) { n | 0xffff_0000 } else { n }));
    }
    let known: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
    anyhow::bail!(
        "there is no port `{text}`; the switch has {}",
        if known.is_empty() { "none".into() } else { known.join(", ") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::flow::FlowModCommand;
    use ofproto::text::{ParseContext, parse_flow_mod};

    fn shown(text: &str) -> String {
        let e = parse_flow_mod(text, FlowModCommand::Add, &ParseContext::default()).expect_err(text);
        located(text, Some("f:3".into()))(e).to_string()
    }

    #[test]
    fn the_mark_stands_under_the_fault() {
        let text = "priority=1,foo=3,actions=drop";
        let error = shown(text);
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].starts_with("f:3: column 12: unknown name: expected"), "{error}");
        assert_eq!(lines[1], format!("  {text}"));
        assert_eq!(lines[2].find('^'), lines[1].find("foo"));
    }

    #[test]
    fn long_lines_are_cut_around_the_fault() {
        let text = format!("{}foo=3,{}actions=drop", "nw_tos=4,".repeat(30), "nw_tos=4,".repeat(30));
        let error = shown(&text);
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[1].chars().count() < 110, "{error}");
        let mark = lines[2].chars().position(|c| c == '^').expect("a mark");
        assert_eq!(lines[1].chars().skip(mark).take(3).collect::<String>(), "foo", "{error}");
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        let text = "# a\n\n  \na=1 # b\n c\r\n";
        let line = |place: &str, text: &str| Given { place: Some(place.into()), text: text.into() };
        assert_eq!(lines(text, Path::new("f")), [line("f:4", "a=1"), line("f:5", " c")]);
        assert_eq!(lines(text, Path::new("-")), [line("line 4", "a=1"), line("line 5", " c")]);
    }

    #[test]
    fn ports_by_name_and_number() {
        let names = vec![("eth1".to_owned(), PortNo(3)), ("7".to_owned(), PortNo(9))];
        for (text, no) in [
            ("eth1", PortNo(3)),
            ("12", PortNo(12)),
            ("local", PortNo::LOCAL),
            ("65534", PortNo::LOCAL),
            ("7", PortNo(9)),
        ] {
            assert_eq!(find_port(text, &names).expect(text), no);
        }
        assert!(find_port("eth2", &names).expect_err("unknown").to_string().contains("eth1, 7"));
    }
}
