//! What a text looks like: an e-mail address, an IBAN, a card number, a phone number.
//!
//! Shapes, not truth: an address may have no owner, and a tenth of all numbers pass Luhn's check. It cannot see names,
//! addresses in words, or what stands in the middle of other text.

/// What a text of personal data looks like.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TextShape {
    /// `name@host.tld`
    Email,
    /// ISO 13616, with its check digits.
    Iban,
    /// 13 to 19 digits that pass Luhn's check (ISO/IEC 7812).
    Card,
    /// `+` and 8 to 15 digits, or 7 to 15 of them with separators between (E.164 without its prefix).
    Phone,
}

impl TextShape {
    pub const ALL: [Self; 4] = [Self::Email, Self::Iban, Self::Card, Self::Phone];

    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The shape of `text`, if it has one.
pub fn shape_of(text: &str) -> Option<TextShape> {
    let text = text.trim();
    if text.len() > 320 {
        return None;
    }
    TextShape::ALL.into_iter().find(|shape| match shape {
        TextShape::Email => is_email(text),
        TextShape::Iban => is_iban(text),
        TextShape::Card => is_card(text),
        TextShape::Phone => is_phone(text),
    })
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let word = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let label = |label: &str| {
        let inside = |c: char| c.is_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(inside)
    };
    let tld = host.rsplit('.').next().unwrap_or("");
    !local.is_empty()
        && local.chars().all(word)
        && host.contains('.')
        && host.split('.').all(label)
        && tld.chars().count() >= 2
        && !tld.chars().all(|c| c.is_ascii_digit())
}

/// Country, two check digits, at most 30 letters and digits; moved and written as numbers, 97 leaves 1.
fn is_iban(text: &str) -> bool {
    let compact: Vec<u8> = text.bytes().filter(|&b| b != b' ').collect();
    if !(15..=34).contains(&compact.len()) {
        return false;
    }
    let (country, rest) = compact.split_at(2);
    let begins =
        country.iter().all(u8::is_ascii_uppercase) && rest[..2].iter().all(u8::is_ascii_digit);
    begins
        && rest.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && compact[4..].iter().chain(&compact[..4]).fold(0_u32, |rest, &b| match b {
            b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
            b => (rest * 100 + u32::from(b - b'A') + 10) % 97,
        }) == 1
}

fn is_card(text: &str) -> bool {
    if !text.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '-') {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = |(i, &digit): (usize, &u32)| match i % 2 {
        0 => digit,
        _ if digit > 4 => 2 * digit - 9,
        _ => 2 * digit,
    };
    (13..=19).contains(&digits.len())
        && digits.iter().any(|&digit| digit != 0)
        && digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

fn is_phone(text: &str) -> bool {
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let separators = |c: char| " -./()".contains(c);
    if !rest.chars().all(|c| c.is_ascii_digit() || separators(c)) {
        return false;
    }
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    // Dates and decimals have separators too: a number begins with 0, a bracket or a plus, or has two separators and
    // more than eight digits.
    let between = rest.chars().filter(|&c| " -/()".contains(c)).count();
    match plus {
        true => (8..=15).contains(&digits),
        false => {
            let begins = rest.starts_with(['0', '(']) && between > 0;
            (7..=15).contains(&digits) && (begins || between >= 2 && digits > 8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_accounts_cards_and_phones_are_told_apart() {
        for (text, shape) in [
            ("ada@example.org", Some(TextShape::Email)),
            ("ada.l+x@mail.example.co.uk", Some(TextShape::Email)),
            ("ada@localhost", None),
            ("@example.org", None),
            // ISO 13616's own examples.
            ("DE89370400440532013000", Some(TextShape::Iban)),
            ("GB82 WEST 1234 5698 7654 32", Some(TextShape::Iban)),
            ("GB82 WEST 1234 5698 7654 33", None),
            ("4111 1111 1111 1111", Some(TextShape::Card)),
            ("4111111111111112", None),
            ("0000000000000000", None),
            ("+49 30 901820", Some(TextShape::Phone)),
            ("(030) 90 18 20", Some(TextShape::Phone)),
            ("2026-11-30", None),
            ("12345.67", None),
            ("1234567890", None),
            ("Private", None),
            ("", None),
        ] {
            assert_eq!(shape_of(text), shape, "{text}");
        }
    }
}
