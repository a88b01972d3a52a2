//! Which members of a document are wanted, checked once and laid out for reading.
//!
//! All pointers become one tree, so a document is read once however many there are.

use std::collections::HashMap;

use crate::codec::fields::keys;
use crate::codec::{Inputs, Layout};
use crate::open::fold;

/// The tree of all pointers. Node 0 is the document.
#[derive(Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
    /// How many pointers there are.
    pub pointers: usize,
    /// Which members may stand where in the document, if that matters.
    pub order: Option<Order>,
}

/// The features of an object by their names, ids among them, for readers who may go by position.
#[derive(Debug)]
pub(super) struct Order {
    pub inputs: Inputs,
    pub places: HashMap<String, usize>,
    /// Pointers of features that may be absent for readers who go by name: without one, a reader who goes by
    /// position takes the later ones for others.
    pub imputed: Vec<usize>,
}

/// A place of the document that is wanted or leads to one that is.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Which pointer ends here; nothing then lies below.
    pub pointer: Option<usize>,
    /// Nodes below, if this is an object: sorted by key.
    keys: Vec<(String, usize)>,
    /// The keys with their letters folded, sorted.
    folded: Vec<String>,
    /// Nodes below, if this is an array: sorted by index.
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

    /// The features of an object whose members some readers take by their places. Unless the readers of the stream go by
    /// name, features must come first and in the schema's order.
    pub fn of_features_in_order(layout: &Layout, inputs: &Inputs) -> Self {
        let places = layout.places().iter().zip(0..);
        let places = places.map(|(place, at)| (place.name.clone(), at)).collect();
        let imputed = layout.places().iter().zip(0..).filter(|(place, _)| place.is_imputed);
        let imputed = imputed.map(|(_, at)| at).collect();
        let order = (!inputs.by_name()).then(|| Order { inputs: inputs.clone(), places, imputed });
        Self { order, ..Self::of_features(layout) }
    }

    /// The members of an object by their names, or by their pointers; an empty place is never found.
    pub fn of_names<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut plan = Self::new(std::iter::empty());
        for name in names {
            if let Some(name) = name {
                // What `fit` found inside an object is called by its pointer.
                let path = match name.starts_with('/') {
                    true => keys(name).unwrap_or_else(|_| vec![name.to_owned()]),
                    false => vec![name.to_owned()],
                };
                let node = path.into_iter().fold(0, |node, key| child(&mut plan.nodes, node, key));
                plan.nodes[node].pointer = Some(plan.pointers);
            }
            plan.pointers += 1;
        }
        // A name is no index, whatever it looks like.
        plan.nodes.iter_mut().for_each(|node| node.indices.clear());
        plan
    }

    /// Another name of what the first name leads to.
    pub fn alias(mut self, name: &str) -> Self {
        let node = child(&mut self.nodes, 0, name.to_owned());
        self.nodes[0].indices.clear();
        self.nodes[node].pointer.get_or_insert(0);
        if let Some(order) = &mut self.order {
            order.places.entry(name.to_owned()).or_insert(0);
        }
        self
    }

    fn new(paths: impl Iterator<Item = Vec<String>>) -> Self {
        let mut plan = Self { nodes: vec![Node::default()], pointers: 0, order: None };
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

    /// Whether `key` differs from a key of this node only in the case of its letters.
    pub fn is_nearly(&self, key: &str) -> bool {
        self.folded.binary_search_by(|folded| fold::compare(folded, key)).is_ok()
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
    let folded = fold::folded(&key);
    if let Err(at) = node.folded.binary_search(&folded) {
        node.folded.insert(at, folded);
    }
    node.keys.insert(at, (key, made));
    nodes.push(Node::default());
    made
}
