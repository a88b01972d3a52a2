//! Which numbers of a document make the row, checked once and laid out for reading.
//!
//! All pointers become one tree, so a document is read once however many there are.

use super::super::fields::{Fields, keys};

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
    pub fn new(fields: &Fields) -> Self {
        let mut nodes = vec![Node::default()];
        for (i, pointer) in fields.pointers().iter().enumerate() {
            let mut node = 0;
            for key in keys(pointer).expect("`Fields` holds checked pointers") {
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
