//! Which fields of a value leave, and what becomes of them: JSON pointers as a tree.
//!
//! A part of a pointer that is `*` stands for every element of an array and every member of an object, so that all
//! rows of a request are meant. Pointers that could disagree about one field are refused.

use std::fmt;

use crate::codec::{BadFields, pointer_keys};
use crate::open::fold;
use crate::sanitize::field::FieldStep;

/// A node of the tree: a place in a value.
#[derive(Debug, Default)]
pub struct Node {
    /// What leads on from here, by its part of a pointer.
    children: Vec<(String, Node)>,
    /// Where `*` leads.
    every: Option<Box<Node>>,
    /// A list of fields to keep names this place: all below it stays.
    pub keeps: bool,
    /// The field goes, with its name.
    pub drops: bool,
    pub step: Option<Box<dyn FieldStep>>,
}

/// What becomes of the fields of a value.
#[derive(Debug, Default)]
pub struct Plan {
    pub root: Node,
    /// Only what is named stays; else all that is not.
    pub keeps_only: bool,
}

/// Why pointers cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadPlan {
    #[error(transparent)]
    Pointer(#[from] BadFields),
    #[error("the pointer {0:?} names the whole value")]
    Whole(String),
    #[error("the pointer {0:?} has more than {max} parts", max = DEPTH_MAX)]
    Deep(String),
    #[error("{0:?} lies in what {1:?} changes already")]
    Overlap(String, String),
    #[error("{0:?} and another pointer name one place, by `*` and by name")]
    Every(String),
    #[error("{0:?} is not among what is kept: it goes anyway")]
    Gone(String),
}

/// Parts of a pointer: what bounds the depth of every walk.
const DEPTH_MAX: usize = 32;

/// What a pointer asks for.
pub enum Wish {
    Keep,
    Drop,
    Step(Box<dyn FieldStep>),
}

impl Plan {
    /// # Errors
    /// The first pointer that cannot be used.
    pub fn new(wishes: Vec<(String, Wish)>) -> Result<Self, BadPlan> {
        let mut plan = Self::default();
        let mut seen: Vec<(Vec<String>, String, bool)> = vec![];
        // What is kept comes first, because the rest must lie in it.
        let (keeps, others): (Vec<_>, Vec<_>) =
            wishes.into_iter().partition(|(_, wish)| matches!(wish, Wish::Keep));
        plan.keeps_only = !keeps.is_empty();
        for (pointer, wish) in keeps.into_iter().chain(others) {
            let keys = pointer_keys(&pointer)?;
            if keys.is_empty() {
                return Err(BadPlan::Whole(pointer));
            }
            if keys.len() > DEPTH_MAX {
                return Err(BadPlan::Deep(pointer));
            }
            let keeps = matches!(wish, Wish::Keep);
            for (known, other, kept) in &seen {
                if *kept == keeps && (begins(known, &keys) || begins(&keys, known)) {
                    return Err(BadPlan::Overlap(pointer, other.clone()));
                }
            }
            let kept =
                |(known, _, kept): &(Vec<String>, String, bool)| *kept && begins(&keys, known);
            if plan.keeps_only && !keeps && !seen.iter().any(kept) {
                return Err(BadPlan::Gone(pointer));
            }
            let node = plan.root.reach(&keys).ok_or_else(|| BadPlan::Every(pointer.clone()))?;
            match wish {
                Wish::Keep => node.keeps = true,
                Wish::Drop => node.drops = true,
                Wish::Step(step) => node.step = Some(step),
            }
            seen.push((keys, pointer, keeps));
        }
        Ok(plan)
    }
}

/// Whether `keys` lead to `to` or into it.
fn begins(keys: &[String], to: &[String]) -> bool {
    keys.len() >= to.len() && keys.iter().zip(to).all(|(a, b)| fold::is_same(a, b))
}

impl Node {
    /// The node at `keys` below this one, made if it is not there. `None` if names and `*` would lead to one place.
    fn reach(&mut self, keys: &[String]) -> Option<&mut Self> {
        let Some((key, rest)) = keys.split_first() else { return Some(self) };
        let next = if key == "*" {
            if !self.children.is_empty() {
                return None;
            }
            &mut **self.every.get_or_insert_default()
        } else {
            if self.every.is_some() {
                return None;
            }
            let at = self.children.iter().position(|(name, _)| fold::is_same(name, key));
            let at = at.unwrap_or_else(|| {
                self.children.push((key.clone(), Self::default()));
                self.children.len() - 1
            });
            &mut self.children[at].1
        };
        next.reach(rest)
    }

    /// Whether nothing lies below.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.every.is_none()
    }

    /// Where a member called `key` leads. A reader that does not mind the case of letters takes `Name` for `name`: what
    /// is done to one is done to the other. What is kept must have the name itself.
    pub fn member(&self, key: &str, exactly: bool) -> Option<&Self> {
        if let Some(every) = &self.every {
            return Some(every);
        }
        let exact = self.children.iter().find(|(name, _)| name == key);
        let near = || self.children.iter().find(|(name, _)| !exactly && fold::is_same(name, key));
        exact.or_else(near).map(|(_, node)| node)
    }

    /// Where the element at `index` leads.
    pub fn element(&self, index: usize) -> Option<&Self> {
        if let Some(every) = &self.every {
            return Some(every);
        }
        let is_here = |name: &str| {
            let plain = name.bytes().all(|byte| byte.is_ascii_digit());
            plain && (name == "0" || !name.starts_with('0')) && name.parse() == Ok(index)
        };
        self.children.iter().find(|(name, _)| is_here(name)).map(|(_, node)| node)
    }

    /// Whether elements of an array can be meant at all.
    pub fn has_elements(&self) -> bool {
        let is_index = |(name, _): &(String, Self)| name.bytes().all(|byte| byte.is_ascii_digit());
        self.every.is_some() || self.children.iter().any(is_index)
    }
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Drop => "Drop",
            Self::Step(_) => "Step",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wishes: &[(&str, Wish)], expected: Option<BadPlan>) {
        let copy = |wish: &Wish| match wish {
            Wish::Keep => Wish::Keep,
            _ => Wish::Drop,
        };
        let wishes = wishes.iter().map(|(pointer, wish)| ((*pointer).into(), copy(wish))).collect();
        assert_eq!(Plan::new(wishes).err(), expected);
    }

    #[test]
    fn pointers_that_could_disagree_about_a_field_are_refused() {
        use Wish::{Drop, Keep};
        let overlap = |a: &str, b: &str| Some(BadPlan::Overlap(a.into(), b.into()));
        check(&[("/a", Drop), ("/a", Drop)], overlap("/a", "/a"));
        check(&[("/a", Drop), ("/A", Drop)], overlap("/A", "/a"));
        check(&[("/a/b", Drop), ("/a", Drop)], overlap("/a", "/a/b"));
        check(&[("/a", Keep), ("/a/b", Keep)], overlap("/a/b", "/a"));
        check(&[("/a", Keep), ("/a/b", Drop)], None);
        check(&[("/a/b", Drop), ("/a", Keep)], None);
        check(&[("/a", Keep), ("/b", Drop)], Some(BadPlan::Gone("/b".into())));
        check(&[("/a/*/b", Drop), ("/a/0/b", Drop)], Some(BadPlan::Every("/a/0/b".into())));
        check(&[("/a/*/b", Drop), ("/a/*/c", Drop)], None);
        check(&[("", Drop)], Some(BadPlan::Whole(String::new())));
        check(&[("a", Drop)], Some(BadFields::NoSlash("a".into()).into()));
        let deep = "/a".repeat(33);
        check(&[(&deep, Drop)], Some(BadPlan::Deep(deep.clone())));
    }
}
