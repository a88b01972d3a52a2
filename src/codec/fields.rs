//! Where in a value the features are: JSON pointers, for every format whose values have names.
//!
//! Pointers that could fetch the same value twice are refused: writing a row back would have two
//! answers.

use std::ops::Range;

use super::{Layout, Place};

/// JSON pointers (RFC 6901) that fill the cells of a row in this order, each leading to a value or
/// to nested arrays of values; `""` is the whole value.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    pointers: Vec<String>,
}

/// Why a list of pointers cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadFields {
    #[error("no pointer: write [\"\"] if the document itself is the array")]
    None,
    #[error("the pointer {0:?} is neither empty nor begins with a slash: write \"/{0}\"")]
    NoSlash(String),
    #[error("the pointer {0:?} has a ~ that is neither ~0 (a tilde) nor ~1 (a slash)")]
    Tilde(String),
    #[error("the pointers {0:?} and {1:?} overlap: a number can fill only one place of the row")]
    Overlap(String, String),
}

impl Fields {
    /// # Errors
    /// The first thing that makes `pointers` unusable.
    pub fn new(pointers: Vec<String>) -> Result<Self, BadFields> {
        if pointers.is_empty() {
            return Err(BadFields::None);
        }
        let mut split = Vec::with_capacity(pointers.len());
        for pointer in &pointers {
            split.push((keys(pointer)?, pointer));
        }
        // In lexicographic order a pointer that leads into another comes right behind it.
        split.sort();
        for pair in split.windows(2) {
            if let [(outer, first), (inner, second)] = pair
                && inner.starts_with(outer)
            {
                return Err(BadFields::Overlap((*first).clone(), (*second).clone()));
            }
        }
        Ok(Self { pointers })
    }

    pub fn pointers(&self) -> &[String] {
        &self.pointers
    }

    /// The pointers that features are called after, each with the cells of its feature: where both have
    /// names, names decide, in whatever order they stand. `None` unless every feature has one pointer
    /// of its own; ids need none, and what no feature is called after is not read.
    pub(super) fn by_name(&self, layout: &Layout) -> Option<Vec<(String, Range<usize>)>> {
        let called = |place: &Place, pointer: &str| {
            let keys = keys(pointer).unwrap_or_default();
            place.name == pointer || keys.last() == Some(&place.name)
        };
        let mut named = vec![];
        for place in layout.places() {
            let mut mine = self.pointers.iter().filter(|pointer| called(place, pointer));
            let exact = self.pointers.iter().find(|pointer| **pointer == place.name);
            let is_id = place.cells.clone().all(|cell| layout.is_id(cell));
            match (exact, mine.next(), mine.next()) {
                (Some(pointer), ..) | (None, Some(pointer), None) => {
                    named.push((pointer.clone(), place.cells.clone()));
                }
                _ if is_id => {}
                _ => return None,
            }
        }
        let mut pointers: Vec<&String> = named.iter().map(|(pointer, _)| pointer).collect();
        pointers.sort_unstable();
        let own = pointers.windows(2).all(|pair| pair[0] != pair[1]);
        (own && !named.is_empty()).then_some(named)
    }

    /// The members of a document that the pointers lead into.
    pub(super) fn heads(&self) -> impl Iterator<Item = String> + '_ {
        let head = |pointer: &String| keys(pointer).ok()?.into_iter().next();
        self.pointers.iter().filter_map(head)
    }
}

/// The keys of a pointer, outermost first.
pub(crate) fn keys(pointer: &str) -> Result<Vec<String>, BadFields> {
    let mut parts = pointer.split('/');
    if parts.next() != Some("") {
        return Err(BadFields::NoSlash(pointer.to_owned()));
    }
    parts
        .map(|part| {
            let escapes = part.split('~').skip(1);
            if !escapes.into_iter().all(|rest| rest.starts_with(['0', '1'])) {
                return Err(BadFields::Tilde(pointer.to_owned()));
            }
            Ok(part.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pointers: &[&str], expected: Result<(), BadFields>) {
        let config = Fields::new(pointers.iter().map(|&p| p.into()).collect());
        assert_eq!(config.map(|_| ()), expected, "{pointers:?}");
    }

    #[test]
    fn pointers_that_could_fetch_one_number_twice_are_refused() {
        let overlap = |a: &str, b: &str| Err(BadFields::Overlap(a.into(), b.into()));
        check(&["/a", "/b", "/a"], overlap("/a", "/a"));
        check(&["/a/b", "/a-", "/a"], overlap("/a", "/a/b"));
        check(&["/x", ""], overlap("", "/x"));
        check(&["/a/b", "/a/c", "/ab", "/a~1b"], Ok(()));
    }

    #[test]
    fn a_pointer_that_is_none_is_refused_with_what_to_write() {
        check(&[], Err(BadFields::None));
        check(&["a/b"], Err(BadFields::NoSlash("a/b".into())));
        for bad in ["/~", "/a~2", "/~~0"] {
            check(&[bad], Err(BadFields::Tilde(bad.into())));
        }
    }

    #[test]
    fn pointers_find_their_features_by_name_in_any_order() {
        use crate::record::{Feature, Schema};
        let number = |name: &str| Feature::number(name, 0.0, 1.0);
        let features =
            vec![number("V2"), Feature::Id { name: "id".into() }, number("V10"), number("/a/V3")];
        let layout = Layout::new(&Schema { features }, 99);
        let named = |pointers: &[&str]| {
            let fields = Fields::new(pointers.iter().map(|&p| p.into()).collect()).unwrap();
            let named = fields.by_name(&layout)?;
            Some(
                named
                    .into_iter()
                    .map(|(pointer, cells)| (pointer, cells.start))
                    .collect::<Vec<_>>(),
            )
        };
        let expected = Some(vec![("/p/V2".into(), 0), ("/p/V10".into(), 2), ("/a/V3".into(), 3)]);
        assert_eq!(named(&["/p/V10", "/p/V2", "/a/V3"]), expected);
        assert_eq!(named(&["/p/more", "/a/V3", "/p/V2", "/p/V10"]), expected);
        assert_eq!(named(&["/p/V10", "/a/V3"]), None);
        assert_eq!(named(&["/p/V10", "/p/V2", "/q/V2", "/a/V3"]), None);
        assert_eq!(named(&["/0", "/1", "/2"]), None);
    }

    #[test]
    fn escapes_are_undone_in_the_order_that_the_rfc_demands() {
        assert_eq!(keys("/~01/a~1b/"), Ok(vec!["~1".into(), "a/b".into(), String::new()]));
    }
}
