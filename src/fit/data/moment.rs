//! Words that say when: dates, months, times of day, spans.
//!
//! It reads the usual ways in which files write them, and no other language's months than English ones. A plain
//! number is none, whatever it counts.

/// Names of months, as far as they tell one from another.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Whether the word says a date, a month of a year, a time of day or how long something took.
pub fn is_time(word: &str) -> bool {
    let word = word.trim();
    let first = word.split([' ', 'T', '_']).next().unwrap_or(word);
    is_date(first) || is_date(word) || is_clock(word) || is_span(word)
}

fn digits(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `nov`, `Nov.` or `november`.
fn is_month(text: &str) -> bool {
    let small = text.trim_end_matches('.').to_ascii_lowercase();
    let full = [
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "sept",
    ];
    MONTHS.contains(&small.as_str()) || full.contains(&small.as_str())
}

fn is_date(text: &str) -> bool {
    let year =
        |text: &str| digits(text, 4..=4) && (text.starts_with("19") || text.starts_with("20"));
    let day = |text: &str| digits(text.trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']), 1..=2);
    let small = |text: &str| digits(text, 1..=2);
    let part = |text: &str, names: &[&str]| {
        names.iter().any(|name| {
            text.len() > 1 && text.strip_prefix(name).is_some_and(|rest| digits(rest, 1..=2))
        })
    };
    ['-', '/', '.', ' '].iter().any(|&separator| {
        let text = if separator == ' ' { text.replace(',', " ") } else { text.to_owned() };
        let mut parts: Vec<&str> = text.split(separator).filter(|part| !part.is_empty()).collect();
        if separator == ' ' {
            // `Sat Nov 1 2026`, with the time of day behind it or before the year.
            parts.retain(|part| !is_clock(part));
            if parts.len() > 3
                && parts[0].len() >= 3
                && parts[0].bytes().all(|b| b.is_ascii_alphabetic())
            {
                parts.remove(0);
            }
            parts.truncate(3);
        }
        match parts[..] {
            [a, b, c] if digits(a, 4..=4) => (small(b) || is_month(b)) && day(c),
            [a, b, c] if separator != ' ' && small(a) && small(b) => {
                digits(c, 4..=4) || (separator != '.' && small(c))
            }
            [a, b, c] => {
                let named = day(a) && is_month(b) || is_month(a) && day(b);
                named && (digits(c, 4..=4) || small(c.trim_start_matches('\'')))
            }
            [a, b] if separator != '.' => {
                year(a) && (small(b) || is_month(b) || part(b, &["Q", "q", "W", "w"]))
                    || is_month(a) && (digits(b, 4..=4) || separator == '-' && small(b))
                    || part(a, &["Q", "q"]) && year(b)
                    || separator == '/' && small(a) && year(b)
            }
            [a] => {
                year(a.get(..4).unwrap_or(""))
                    && part(a.get(4..).unwrap_or(""), &["Q", "q", "W", "w", "M"])
            }
            _ => false,
        }
    })
}

fn is_clock(text: &str) -> bool {
    let text = text.trim_end_matches(['m', 'M', 'a', 'A', 'p', 'P', '.', ' ']);
    let text = text.split(['.', '+', 'Z']).next().unwrap_or(text);
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.len(), 2 | 3) && parts.iter().all(|part| digits(part, 1..=2))
}

/// `0 days 00:01:02`, as pandas writes how long something took.
fn is_span(text: &str) -> bool {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    matches!(parts[..], [n, "day" | "days", clock] if digits(n.trim_start_matches('-'), 1..=6) && is_clock(clock.trim_start_matches('+')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_say_when_are_told_from_words_that_do_not() {
        for word in [
            "2026-11-01",
            "2026/1/1",
            "01.11.2026",
            "1/11/2026",
            "11/1/26",
            "2026-11-01 10:00:00",
            "2026-11-01T10:00:00.5+01:00",
            "10:07",
            "10:07:33.25",
            "9:05 PM",
            "9:05pm",
            "2026-11",
            "2026/11",
            "11/2026",
            "Nov 2026",
            "November 2026",
            "Nov-26",
            "2026-Nov",
            "1 Nov 2026",
            "Nov 1, 2026",
            "01-NOV-26",
            "01-Nov-2026",
            "1st November 2026",
            "Sat Nov 1 10:00:00 2026",
            "Sat, 01 Nov 2026 10:00:00 GMT",
            "2026-Q1",
            "2026Q4",
            "Q1 2026",
            "2026-W05",
            "2026W52",
            "0 days 00:01:02",
            "1 days +00:00:01",
            "2010/01/01 00:00",
        ] {
            assert!(is_time(word), "{word}");
        }
        for word in [
            "",
            "1.2.3",
            "1.26.3",
            "10.0.0.1",
            "12-15",
            "7-11",
            "3/4",
            "May",
            "May Street",
            "2026",
            "1-2-3-4",
            "DE-2026",
            "10-20 years",
            "A:B",
            "1234-56",
            "555-1234",
            "40K - 60K €",
            "0-4",
            "100+",
            "W5",
            "Q1",
            "m5 w3",
            "-",
            ":",
            "1999 model",
            "5 days",
            "12:345",
            "jan",
            "Jan Smith",
        ] {
            assert!(!is_time(word), "{word}");
        }
    }
}
