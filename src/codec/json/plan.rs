//! Which numbers of a document make the row, checked once and laid out for reading.
//!
//! All pointers become one tree, so a document is read once however many there are. Pointers that
//! could fetch the same number twice are refused: writing a row back would have two answers.

use serde::{Deserialize, Serialize};

/// `[stream.json]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Config {
    /// JSON pointers (RFC 6901) that fill the row in this order, each leading to a number or to
    /// nested arrays of numbers; `""` is the whole document.
    pointers: Vec<String>,
}

/// Why a list of pointers cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadPointers {
    #[error("no pointer: write [\"\"] if the document itself is the array")]
    None,
    #[error("the pointer {0:?} is neither empty nor begins with a slash: write \"/{0}\"")]
    NoSlash(String),
    #[error("the pointer {0:?} has a ~ that is neither ~0 (a tilde) nor ~1 (a slash)")]
    Tilde(String),
    #[error("the pointers {0:?} and {1:?} overlap: a number can fill only one place of the row")]
    Overlap(String, String),
}

impl Config {
    /// # Errors
    /// The first thing that makes `pointers` unusable.
    pub fn new(pointers: Vec<String>) -> Result<Self, BadPointers> {
        if pointers.is_empty() {
            return Err(BadPointers::None);
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
                return Err(BadPointers::Overlap((*first).clone(), (*second).clone()));
            }
        }
        Ok(Self { pointers })
    }

    pub fn pointers(&self) -> &[String] {
        &self.pointers
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { pointers: vec![String::new()] }
    }
}

/// The keys of a pointer, outermost first.
fn keys(pointer: &str) -> Result<Vec<String>, BadPointers> {
    let mut parts = pointer.split('/');
    if parts.next() != Some("") {
        return Err(BadPointers::NoSlash(pointer.to_owned()));
    }
    parts
        .map(|part| {
            let escapes = part.split('~').skip(1);
            if !escapes.into_iter().all(|rest| rest.starts_with(['0', '1'])) {
                return Err(BadPointers::Tilde(pointer.to_owned()));
            }
            Ok(part.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}

/// The tree of all pointers. Node 0 is the document.
#[derive(Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
}

/// A place of the document that is wanted or leads to one that is.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Which pointer ends here; nothing then lies below.
    pub pointer: Option<usize>,
    /// Nodes below, if this is an object: sorted by key.
    keys: Vec<(String, usize)>,
    /// The same nodes, if this is an array: sorted by index.
    pub indices: Vec<(usize, usize)>,
}

impl Plan {
    pub fn new(config: &Config) -> Self {
        let mut nodes = vec![Node::default()];
        for (i, pointer) in config.pointers.iter().enumerate() {
            let mut node = 0;
            for key in keys(pointer).expect("a config holds checked pointers") {
                node = child(&mut nodes, node, key);
            }
            nodes[node].pointer = Some(i);
        }
        for node in &mut nodes {
            node.indices.sort_unstable();
        }
        Self { nodes }
    }
}

impl Node {
    /// The node below that `key` leads to.
    pub fn get(&self, key: &str) -> Option<usize> {
        let at = self.keys.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        Some(self.keys[at].1)
    }

    /// Every node below.
    pub fn children(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys.iter().map(|&(_, node)| node)
    }
}

/// The node below `parent` under `key`, made if it is not there.
fn child(nodes: &mut Vec<Node>, parent: usize, key: String) -> usize {
    let made = nodes.len();
    let node = &mut nodes[parent];
    let at = match node.keys.binary_search_by(|(k, _)| k.cmp(&key)) {
        Ok(at) => return node.keys[at].1,
        Err(at) => at,
    };
    // RFC 6901: an array index has no leading zero.
    let digits = !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
    if digits && (key == "0" || !key.starts_with('0')) {
        node.indices.extend(key.parse::<usize>().ok().map(|index| (index, made)));
    }
    node.keys.insert(at, (key, made));
    nodes.push(Node::default());
    made
}

/// The configuration as serde sees it, before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    pointers: Vec<String>,
}

impl TryFrom<Written> for Config {
    type Error = BadPointers;

    fn try_from(written: Written) -> Result<Self, BadPointers> {
        Self::new(written.pointers)
    }
}

impl From<Config> for Written {
    fn from(config: Config) -> Self {
        Self { pointers: config.pointers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pointers: &[&str], expected: Result<(), BadPointers>) {
        let config = Config::new(pointers.iter().map(|&p| p.into()).collect());
        assert_eq!(config.map(|_| ()), expected, "{pointers:?}");
    }

    #[test]
    fn pointers_that_could_fetch_one_number_twice_are_refused() {
        let overlap = |a: &str, b: &str| Err(BadPointers::Overlap(a.into(), b.into()));
        check(&["/a", "/b", "/a"], overlap("/a", "/a"));
        check(&["/a/b", "/a-", "/a"], overlap("/a", "/a/b"));
        check(&["/x", ""], overlap("", "/x"));
        check(&["/a/b", "/a/c", "/ab", "/a~1b"], Ok(()));
    }

    #[test]
    fn a_pointer_that_is_none_is_refused_with_what_to_write() {
        check(&[], Err(BadPointers::None));
        check(&["a/b"], Err(BadPointers::NoSlash("a/b".into())));
        for bad in ["/~", "/a~2", "/~~0"] {
            check(&[bad], Err(BadPointers::Tilde(bad.into())));
        }
    }

    #[test]
    fn escapes_are_undone_in_the_order_that_the_rfc_demands() {
        assert_eq!(keys("/~01/a~1b/"), Ok(vec!["~1".into(), "a/b".into(), String::new()]));
    }
}
