//! What stands between the cells of a CSV, told from its first lines; and blanks as a delimiter.
//!
//! A delimiter is one that cuts the names and the rows into as many cells. So a semicolon is told from the
//! commas of numbers, and a comma within quotes is none. It cannot tell a table of one column from text.

use std::io::{self, Read};

use csv::{ReaderBuilder, StringRecord, Trim};

/// What may stand between cells without being asked for; blanks come last.
const DELIMITERS: &[u8] = b",;\t|";

/// Any number of blanks and tabs is one delimiter.
pub const BLANKS: u8 = b' ';

/// Rows that are looked at.
const ROWS: usize = 50;

/// The delimiter in a line `sep=;`, which spreadsheets write and read.
pub fn separator(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        b"sep=" if line.starts_with(b"sep=\t") => Some(b'\t'),
        _ => None,
    }
}

/// The delimiter of the file that begins with `head`; a comma if nothing speaks for another.
pub fn likely(mut head: &[u8]) -> u8 {
    while head.starts_with(b"#")
        && let Some(end) = head.iter().position(|&byte| byte == b'\n')
    {
        head = &head[end + 1..];
    }
    let fits = DELIMITERS.iter().filter_map(|&d| Some((fit(head, d)?, d)));
    // Most rows that are cut as the names are, then most cells, then the first of the list.
    if let Some((_, delimiter)) = fits.reduce(|a, b| if b.0 > a.0 { b } else { a }) {
        return delimiter;
    }
    match (most_in_first_line(head), aligned(head)) {
        (None, true) => BLANKS,
        (delimiter, _) => delimiter.unwrap_or(DELIMITERS[0]),
    }
}

/// Whether quotes within cells are written `\"`, as databases do: only so all rows have as many cells.
pub fn escapes(head: &[u8], delimiter: u8) -> bool {
    let even = |escaped| {
        let rows = cells_of(head, delimiter, ROWS, escaped);
        rows.windows(2).all(|pair| pair[0].len() == pair[1].len())
    };
    head.windows(2).any(|pair| pair == b"\\\"") && !even(false) && even(true)
}

/// Rows that `delimiter` cuts as the first row, and the cells of the first line; none if the names and the
/// rows differ by more than one cell that nobody named.
fn fit(head: &[u8], delimiter: u8) -> Option<(usize, usize)> {
    let rows = cells(head, delimiter, ROWS);
    let (first, rest) = rows.split_first()?;
    let (names, width) = (first.len(), rest.first().map_or(first.len(), Vec::len));
    let agree = rest.iter().filter(|row| row.len() == width).count();
    (names > 1 && width.abs_diff(names) <= 1 && 2 * agree >= rest.len()).then_some((agree, names))
}

/// Whether blanks cut every line into as many cells.
fn aligned(head: &[u8]) -> bool {
    let mut squeezed = vec![];
    // Bytes in memory are read without an error.
    let _ = Squeezed::new(head).read_to_end(&mut squeezed);
    let rows = cells(&squeezed, BLANKS, ROWS);
    let [names, first, ..] = &rows[..] else { return false };
    // R writes the number of a row before it, under no name.
    let fits = first.len() == names.len() || first.len() == names.len() + 1;
    names.len() > 1 && fits && rows[1..].iter().all(|row| row.len() == first.len())
}

/// The delimiter that cuts the first line into the most cells, if one does.
fn most_in_first_line(head: &[u8]) -> Option<u8> {
    let count = |&d: &u8| cells(head, d, 1).first().map_or(0, Vec::len);
    let best = DELIMITERS.iter().copied().rev().max_by_key(|d| count(d))?;
    (count(&best) > 1).then_some(best)
}

/// The cells of the first `rows_max` lines that are whole.
fn cells(head: &[u8], delimiter: u8, rows_max: usize) -> Vec<Vec<String>> {
    cells_of(head, delimiter, rows_max, false)
}

fn cells_of(head: &[u8], delimiter: u8, rows_max: usize, escaped: bool) -> Vec<Vec<String>> {
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).has_headers(false).flexible(true).trim(Trim::All);
    builder.escape(escaped.then_some(b'\\'));
    let mut reader = builder.from_reader(head);
    let mut record = StringRecord::new();
    let mut rows = vec![];
    while rows.len() < rows_max && matches!(reader.read_record(&mut record), Ok(true)) {
        rows.push(record.iter().map(str::to_owned).collect());
    }
    rows
}

/// The first lines of `reader`, up to 64 KiB of whole ones.
///
/// # Errors
/// If it cannot be read.
pub fn head(reader: impl Read) -> io::Result<Vec<u8>> {
    const BYTES: u64 = 1 << 16;
    let mut head = vec![];
    reader.take(BYTES).read_to_end(&mut head)?;
    if head.len() as u64 == BYTES
        && let Some(end) = head.iter().rposition(|&byte| byte == b'\n')
    {
        head.truncate(end + 1);
    }
    Ok(head)
}

/// Text in which blanks and tabs outside of quotes are one blank, and none at the ends of a line.
pub struct Squeezed<R> {
    inner: R,
    out: Vec<u8>,
    at: usize,
    quoted: bool,
    /// Whether a blank was left out since the last cell of this line.
    blank: bool,
    begun: bool,
}

impl<R: Read> Squeezed<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, out: vec![], at: 0, quoted: false, blank: false, begun: false }
    }

    fn byte(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' if !self.quoted => self.blank = true,
            b'\n' | b'\r' if !self.quoted => {
                (self.blank, self.begun) = (false, false);
                self.out.push(byte);
            }
            _ => {
                self.quoted ^= byte == b'"';
                if std::mem::take(&mut self.blank) && self.begun {
                    self.out.push(b' ');
                }
                self.begun = true;
                self.out.push(byte);
            }
        }
    }
}

impl<R: Read> Read for Squeezed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = [0; 8192];
        while self.at == self.out.len() {
            self.out.clear();
            self.at = 0;
            let n = self.inner.read(&mut bytes)?;
            if n == 0 {
                return Ok(0);
            }
            bytes[..n].iter().for_each(|&byte| self.byte(byte));
        }
        let n = buffer.len().min(self.out.len() - self.at);
        buffer[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delimiter_cuts_names_and_rows_alike() {
        for (text, expected) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n0,25;0,5\n1,5;2,5\n", b';'),
            ("\"a, of b\";c\n\"x, y\";1\n\"z\";2\n", b';'),
            ("a\tb, c\n1\tx, y\n2\tz\n", b'\t'),
            ("a|b\n1|2\n", b'|'),
            ("\"a\"\t\"b\"\n\"1\"\t1\t2\n", b'\t'),
            ("amount\n0,25\n0,5\n", b','),
            ("name,note\n\"a;b\",\"c;d;e\"\n", b','),
            ("# made, by, hand\na;b\n1;2\n", b';'),
            ("\"a\" \"b\"\n\"1\" 1.5 \"DE FR\"\n", b' '),
            ("  x   y\n 1.0  2\n10.0 -3\n", b' '),
            ("water flow\n1.5\n2.5\n", b','),
            ("note\nit is\nall that\n", b','),
            ("", b','),
        ] {
            assert_eq!(likely(text.as_bytes()) as char, expected as char, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn blanks_between_cells_are_one_however_the_bytes_come(
            rows in prop::collection::vec(prop::collection::vec("[a-z0-9.]{1,5}|\"[a-z  ]{0,5}\"", 1..5), 1..9),
            gap in " {1,4}|\t|\t ",
        ) {
            let ragged: Vec<String> =
                rows.iter().map(|row| format!("{gap}{}{gap}\n", row.join(&gap))).collect();
            let plain: Vec<String> = rows.iter().map(|row| row.join(" ") + "\n").collect();
            let mut squeezed = String::new();
            Squeezed::new(ragged.concat().as_bytes()).read_to_string(&mut squeezed).unwrap();
            prop_assert_eq!(squeezed, plain.concat());
        }
    }
}
