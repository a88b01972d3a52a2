//! Which members of a document are wanted, checked once and laid out for reading.
//!
//! All pointers become one tree, so a document is read once however many there are.

use crate::codec::Layout;
use crate::codec::fields::keys;

/// The tree of all pointers. Node 0 is the document.
#[derive(Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
    /// How many pointers there are.
    pub pointers: usize,
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
    /// # Panics
    /// If a pointer is none: `Fields` checks them.
    pub fn of_pointers(pointers: &[String]) -> Self {
        Self::new(pointers.iter().map(|pointer| keys(pointer).expect("a checked pointer")))
    }

    /// The features of an object by their names. Ids are none: nothing reads them.
    pub fn of_features(layout: &Layout) -> Self {
        let places = layout.places().iter();
        Self::of_names(places.map(|place| {
            let id = place.cells.clone().all(|cell| layout.is_id(cell));
            (!id).then_some(place.name.as_str())
        }))
    }

    /// The members of an object by their names; an empty place is never found.
    pub fn of_names<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut plan = Self::new(std::iter::empty());
        for name in names {
            if let Some(name) = name {
                let node = child(&mut plan.nodes, 0, name.to_owned());
                plan.nodes[node].pointer = Some(plan.pointers);
            }
            plan.pointers += 1;
        }
        // A name is no index, whatever it looks like.
        plan.nodes[0].indices.clear();
        plan
    }

    fn new(paths: impl Iterator<Item = Vec<String>>) -> Self {
        let mut plan = Self { nodes: vec![Node::default()], pointers: 0 };
        for path in paths {
            let node = path.into_iter().fold(0, |node, key| child(&mut plan.nodes, node, key));
            plan.nodes[node].pointer = Some(plan.pointers);
            plan.pointers += 1;
        }
        for node in &mut plan.nodes {
            node.indices.sort_unstable();
        }
        plan
    }
}

impl Node {
    /// The node below that `key` leads to.
    pub fn get(&self, key: &str) -> Option<usize> {
        let at = self.keys.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        Some(self.keys[at].1)
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
