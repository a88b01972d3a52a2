//! Whatever stands at the field, the same stands there afterwards: null, or a text.
//!
//! That the field was there stays visible; `drop` takes its name too.

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit, write_string};

pub const NULL: FieldKind =
    FieldKind { name: "null", takes: &[], make: |_| Ok(Box::new(Replace(b"null".to_vec()))) };

pub const REPLACE: FieldKind = FieldKind { name: "replace", takes: &["with"], make };

/// `null` and `replace`: the JSON that stands there.
#[derive(Debug)]
struct Replace(Vec<u8>);

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    let mut text = vec![];
    write_string(settings.with.as_deref().unwrap_or_default(), &mut text);
    Ok(Box::new(Replace(text)))
}

impl FieldStep for Replace {
    fn apply(&self, _: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn what_stood_there_does_not_show_even_if_it_was_an_object() {
        let all = [Leaf::Text("a"), Leaf::Bare("1"), Leaf::Nested];
        let settings = FieldSettings { with: Some("a \"b\"".into()), ..FieldSettings::default() };
        check("replace", &settings, &all.map(|leaf| (leaf, Ok("\"a \\\"b\\\"\""))));
        check("null", &FieldSettings::default(), &all.map(|leaf| (leaf, Ok("null"))));
    }
}
