//! Which fields of a value leave, and what becomes of them: paths (JSON pointers) as a tree.
//!
//! A part of a path that is `*` stands for every element of an array and every member of an object, so that all
//! rows of a request are meant. Paths that could disagree about one field are refused.

use std::fmt;

use crate::codec::{BadFields, pointer_keys};
use crate::open::fold;
use crate::sanitize::field::FieldStep;

/// A node of the tree: a place in a value.
#[derive(Debug, Default)]
pub struct Node {
    /// The nodes below this one, by the next part of a path.
    children: Vec<(String, Node)>,
    /// The node that `*` leads to.
    every: Option<Box<Node>>,
    /// Whether `keep` names this place: then everything below it stays.
    pub keeps: bool,
    /// Whether the field is dropped, with its name.
    pub drops: bool,
    pub step: Option<Box<dyn FieldStep>>,
}

/// What becomes of the fields of a value.
#[derive(Debug, Default)]
pub struct Plan {
    pub root: Node,
    /// Whether only fields that `keep` names stay. Otherwise all fields stay that `drop` does not name.
    pub keeps_only: bool,
}

/// Why paths cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadPlan {
    #[error(transparent)]
    Path(#[from] BadFields),
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

/// A path has at most this many parts. This bounds the depth of every walk.
const DEPTH_MAX: usize = 32;

/// What a path asks for.
pub enum Wish {
    Keep,
    Drop,
    Step(Box<dyn FieldStep>),
}

impl Plan {
    /// # Errors
    /// The first path that cannot be used.
    pub fn new(wishes: Vec<(String, Wish)>) -> Result<Self, BadPlan> {
        let mut plan = Self::default();
        let mut seen: Vec<(Vec<String>, String, bool)> = vec![];
        // What is kept comes first, because the rest must lie in it.
        let (keeps, others): (Vec<_>, Vec<_>) =
            wishes.into_iter().partition(|(_, wish)| matches!(wish, Wish::Keep));
        plan.keeps_only = !keeps.is_empty();
        for (path, wish) in keeps.into_iter().chain(others) {
            let keys = pointer_keys(&path)?;
            if keys.is_empty() {
                return Err(BadPlan::Whole(path));
            }
            if keys.len() > DEPTH_MAX {
                return Err(BadPlan::Deep(path));
            }
            let keeps = matches!(wish, Wish::Keep);
            for (known, other, kept) in &seen {
                if *kept == keeps && (begins(known, &keys) || begins(&keys, known)) {
                    return Err(BadPlan::Overlap(path, other.clone()));
                }
            }
            let kept =
                |(known, _, kept): &(Vec<String>, String, bool)| *kept && begins(&keys, known);
            if plan.keeps_only && !keeps && !seen.iter().any(kept) {
                return Err(BadPlan::Gone(path));
            }
            let node = plan.root.reach(&keys).ok_or_else(|| BadPlan::Every(path.clone()))?;
            match wish {
                Wish::Keep => node.keeps = true,
                Wish::Drop => node.drops = true,
                Wish::Step(step) => node.step = Some(step),
            }
            seen.push((keys, path, keeps));
        }
        Ok(plan)
    }
}

/// Whether the place of `keys` is that of `to` or inside it.
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

    /// Whether no node is below this one.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.every.is_none()
    }

    /// The node of the member `key`. Some readers ignore the case of letters and take `Name` for `name`. So a step or `drop` for
    /// `name` is applied to `Name` too. `keep` keeps only the exact name.
    pub fn member(&self, key: &str, exactly: bool) -> Option<&Self> {
        if let Some(every) = &self.every {
            return Some(every);
        }
        let exact = self.children.iter().find(|(name, _)| name == key);
        let near = || self.children.iter().find(|(name, _)| !exactly && fold::is_same(name, key));
        exact.or_else(near).map(|(_, node)| node)
    }

    /// The node of the element at `index`.
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

    /// Whether some path names elements of an array here.
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
        let wishes = wishes.iter().map(|(path, wish)| ((*path).into(), copy(wish))).collect();
        assert_eq!(Plan::new(wishes).err(), expected);
    }

    #[test]
    fn paths_that_could_disagree_about_a_field_are_refused() {
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
