//! The headers of a Kafka record: any names, in the log's order, each any number of times.

use std::fmt;

use super::Fault;

/// Headers of a record, in the order of the log.
///
/// A name is bytes: a sender may write one that is not UTF-8, and the same one twice. A value may be null.
pub trait Headers {
    /// Shows each header: its name, and its value unless that is null. Shows none if there are [too many](Headers::excess).
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>));

    /// How many there are, and how large, if a record may not have so many.
    fn excess(&self) -> Option<Excess> {
        let size = Size::of(self);
        size.is_excess().then_some(Excess { headers: Some(size.headers), bytes: size.bytes })
    }

    /// Bytes of memory that they take while the record waits.
    fn footprint(&self) -> usize {
        Size::of(self).bytes
    }
}

/// More headers than [`HEADERS_MAX`], or more bytes than [`HEADER_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// `None`: so many that the Kafka client reads none.
    pub headers: Option<usize>,
    /// Names and values together.
    pub bytes: usize,
}

/// Headers that a record may have. A record with more is dead-lettered as a pointer: whoever copies
/// or reads a hundred thousand headers pays megabytes for each record.
pub const HEADERS_MAX: usize = 1000;
/// Bytes that their names and values may have together.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// A header: a name and a value, which may be null.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// A record without headers.
pub const NO_HEADERS: &[Header<'static>] = &[];

/// How many headers, and how many bytes of names and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    headers: usize,
    bytes: usize,
}

impl Size {
    fn of(headers: &(impl Headers + ?Sized)) -> Self {
        let mut size = Self::default();
        headers.visit(&mut |name, value| {
            size.headers += 1;
            size.bytes += name.len() + value.map_or(0, <[u8]>::len);
        });
        size
    }

    fn is_excess(self) -> bool {
        self.headers > HEADERS_MAX || self.bytes > HEADER_BYTES_MAX
    }
}

impl Headers for &[Header<'_>] {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        self.iter().for_each(|&(name, value)| see(name, value));
    }
}

impl<const N: usize> Headers for [Header<'_>; N] {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        self.iter().for_each(|&(name, value)| see(name, value));
    }
}

impl Headers for Vec<(Vec<u8>, Option<Vec<u8>>)> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        self.iter().for_each(|(name, value)| see(name, value.as_deref()));
    }
}

impl From<Excess> for Fault {
    fn from(Excess { headers, bytes }: Excess) -> Self {
        Self::TooManyHeaders { headers, bytes }
    }
}

/// Names and sizes: a value may be somebody's secret.
impl fmt::Debug for dyn Headers + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        self.visit(&mut |name, value| {
            map.entry(&String::from_utf8_lossy(name), &value.map(<[u8]>::len));
        });
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_headers_and_64_kib_are_allowed_and_no_more() {
        let of = |n: usize, name: &'static [u8]| vec![(name, Some(&b"1"[..])); n];
        assert_eq!(of(HEADERS_MAX, b"").as_slice().excess(), None);
        let many = Excess { headers: Some(1001), bytes: 1001 };
        assert_eq!(of(HEADERS_MAX + 1, b"").as_slice().excess(), Some(many));
        let long = vec![b'x'; HEADER_BYTES_MAX];
        assert_eq!([(&b""[..], Some(&long[..]))].excess(), None);
        let large = Excess { headers: Some(1), bytes: HEADER_BYTES_MAX + 1 };
        assert_eq!([(&b"n"[..], Some(&long[..]))].excess(), Some(large));
    }

    #[test]
    fn names_may_repeat_and_be_no_utf_8_and_values_may_be_null() {
        let owned = vec![(vec![0xff], None), (b"a".to_vec(), Some(vec![1])), (vec![0xff], None)];
        let mut seen = vec![];
        owned.visit(&mut |name, value| seen.push((name.to_vec(), value.map(<[u8]>::to_vec))));
        assert_eq!(seen, owned);
        assert_eq!(owned.footprint(), 4);
    }

    #[test]
    fn no_value_of_a_header_is_printed() {
        let headers: &dyn Headers = &[(&b"token"[..], Some(&b"secret"[..]))];
        assert_eq!(format!("{headers:?}"), r#"{"token": Some(6)}"#);
    }
}
