//! Where a record says who sent it, and from where.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::codec::select::text_at;
use crate::record::{Headers, Record};

/// Places that are asked in this order; the first that says something counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdPlace {
    /// A header of this name.
    pub header: Option<String>,
    /// A JSON pointer to a word or a number of the value.
    pub field: Option<String>,
    /// The record's key.
    pub key: bool,
}

impl IdPlace {
    /// Whether a record is asked at all.
    pub fn is_asked(&self) -> bool {
        self.header.is_some() || self.field.is_some() || self.key
    }

    /// What the record says. A field is looked for in the whole value: that costs as much as reading it.
    pub fn of<'r>(&self, record: &Record<'r>) -> Option<Cow<'r, [u8]>> {
        let header = self.header.as_ref().and_then(|name| header(record.headers, name));
        let said = header.map(Cow::Owned).or_else(|| {
            let text = text_at(record.value?, self.field.as_ref()?)?;
            Some(Cow::Owned(text.into_bytes()))
        });
        said.or_else(|| record.key.filter(|_| self.key).map(Cow::Borrowed))
            .filter(|id| !id.is_empty())
    }
}

/// What the header says from where a record came: an address without its last part, or the word itself.
pub fn origin(headers: &dyn Headers, name: &str) -> Option<Vec<u8>> {
    let said = header(headers, name)?;
    let text = String::from_utf8_lossy(&said);
    // Proxies append: the first is the farthest.
    let first = text.split(',').next().unwrap_or_default().trim();
    let network = match first.parse() {
        Ok(IpAddr::V4(address)) => address.octets()[..3].to_vec(),
        Ok(IpAddr::V6(address)) => address.octets()[..6].to_vec(),
        Err(_) => first.as_bytes().to_vec(),
    };
    (!network.is_empty()).then_some(network)
}

/// The last header of this name: whoever is nearest to us wrote it.
fn header(headers: &dyn Headers, name: &str) -> Option<Vec<u8>> {
    let mut said = None;
    headers.visit(&mut |called, value| {
        if called.eq_ignore_ascii_case(name.as_bytes()) {
            said = value.map(<[u8]>::to_vec);
        }
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, Partition, Position, Stamp, Timestamp};

    #[test]
    fn the_first_place_that_says_something_counts() {
        let place =
            IdPlace { header: Some("X-Client".into()), field: Some("/user".into()), key: true };
        let of = |headers: &[(&[u8], Option<&[u8]>)], value: &str| {
            let stamp = Stamp { at: Timestamp(0), by_broker: true };
            let at = Position { partition: Partition(0), offset: Offset(0) };
            let record = Record {
                at,
                stamp,
                key: Some(b"k"),
                value: Some(value.as_bytes()),
                headers: &headers,
            };
            String::from_utf8(place.of(&record).unwrap().into_owned()).unwrap()
        };
        assert_eq!(
            of(&[(b"x-client", Some(b"a")), (b"x-client", Some(b"b"))], r#"{"user": 7}"#),
            "b"
        );
        assert_eq!(of(&[], r#"{"user": 7}"#), "7");
        assert_eq!(of(&[], "{}"), "k");
        assert!(!IdPlace::default().is_asked());
    }

    #[test]
    fn an_address_is_cut_to_its_network() {
        let of = |said: &str| {
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"x-forwarded-for", Some(said.as_bytes()))];
            origin(&headers, "x-forwarded-for")
        };
        assert_eq!(of("192.0.2.77, 10.0.0.1"), of("192.0.2.3"));
        assert_ne!(of("192.0.2.77"), of("192.0.3.77"));
        assert_eq!(of("2001:db8:1:2::5"), of("2001:db8:1:ffff::6"));
        assert_eq!(of("eu-west"), Some(b"eu-west".to_vec()));
        assert_eq!(of(" "), None);
    }
}
