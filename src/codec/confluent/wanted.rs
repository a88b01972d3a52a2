//! The keys of a record that lead to cells, as a tree.

use std::ops::Range;

use crate::codec::fields::keys;
use crate::codec::{Fields, Layout};

/// The tree of all keys that lead to a cell. Node 0 is the record.
#[derive(Debug)]
pub struct Wanted {
    nodes: Vec<Node>,
    /// Cells of each pointer, if the schema tells; else a record's own counts do.
    pub(super) ranges: Option<Vec<Range<usize>>>,
    pub(super) pointers: usize,
}

#[derive(Debug, Default)]
struct Node {
    pointer: Option<usize>,
    below: Vec<(String, usize)>,
}

impl Wanted {
    /// `fields`, or each feature under its own name. As many pointers as features lead to one
    /// feature each, and then one that leads nowhere says that its feature is missing.
    pub fn new(layout: &Layout, fields: Option<&Fields>) -> Self {
        let places = layout.places();
        let own = || places.iter().map(|place| vec![place.name.clone()]).collect();
        let given = |fields: &Fields| -> Vec<Vec<String>> {
            let checked = |pointer: &String| keys(pointer).expect("`Fields` holds checked ones");
            fields.pointers().iter().map(checked).collect()
        };
        let named = fields.and_then(|fields| fields.by_name(layout));
        let pointers: Vec<Vec<String>> = match &named {
            Some(named) => {
                let checked = |(pointer, _): &(String, _)| keys(pointer).expect("a checked one");
                named.iter().map(checked).collect()
            }
            None => fields.map_or_else(own, given),
        };
        let ranges = match pointers.len() {
            _ if named.is_some() => {
                named.map(|named| named.into_iter().map(|(_, cells)| cells).collect())
            }
            n if n == places.len() => Some(places.iter().map(|p| p.cells.clone()).collect()),
            1 => Some(std::iter::once(0..layout.cells()).collect()),
            _ => None,
        };
        let mut wanted = Self { nodes: vec![Node::default()], ranges, pointers: pointers.len() };
        for (i, keys) in pointers.into_iter().enumerate() {
            let node = keys.into_iter().fold(0, |node, key| wanted.make(node, key));
            wanted.nodes[node].pointer = Some(i);
        }
        wanted
    }

    fn make(&mut self, node: usize, key: String) -> usize {
        if let Some(child) = self.child(node, &key) {
            return child;
        }
        let made = self.nodes.len();
        self.nodes[node].below.push((key, made));
        self.nodes.push(Node::default());
        made
    }

    /// How many pointers there are.
    pub fn pointers(&self) -> usize {
        self.pointers
    }

    /// The node below that `key` leads to.
    pub fn child(&self, node: usize, key: &str) -> Option<usize> {
        self.nodes[node].below.iter().find(|(k, _)| k == key).map(|&(_, child)| child)
    }

    /// The nodes below, sorted by key.
    pub fn below(&self, node: usize) -> Vec<(String, usize)> {
        let mut below = self.nodes[node].below.clone();
        below.sort_unstable();
        below
    }

    /// The nodes below if `node` is an array, sorted by index.
    pub fn indices(&self, node: usize) -> Vec<(usize, usize)> {
        let index = |key: &str| {
            let plain = key == "0" || !key.starts_with(['0', '+']);
            plain.then(|| key.parse().ok()).flatten()
        };
        let below = self.nodes[node].below.iter();
        let below = below.filter_map(|(key, child)| Some((index(key)?, *child)));
        let mut below: Vec<(usize, usize)> = below.collect();
        below.sort_unstable();
        below
    }

    /// Which pointer ends here.
    pub fn pointer(&self, node: usize) -> Option<usize> {
        self.nodes[node].pointer
    }
}
